"""A webhook: each fact of an order is POSTed as JSON, signed by the Standard Webhooks specification 1.0.0.

    webhook-id: the fact's id            the same at each attempt, so the receiver can recognise a repeat
    webhook-timestamp: 1764266400        when this attempt was made
    webhook-signature: v1,BASE64         HMAC-SHA256 of "id.timestamp.body" with the secret behind `whsec_`

docs/effects.md tells a receiver how to check it.
"""

import base64
import difflib
import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from events.catalogue import FACTS
from events.envelope import AnyRecorded
from processors.effects.rows import Address, Call, Effect, Response
from processors.reactions.asked import Asked
from runtime.errors import Fault
from runtime.settings import WEBHOOK_SECRET_PREFIX, Settings

NAME = "webhook"

#: The facts that a webhook gets by default.
FACTS_OF_ORDERS = frozenset(row.data for row in FACTS.values() if row.topic == "ledger.orders")


def make_call(fact: AnyRecorded) -> Call:
    """The fact as JSON, with the fields that a receiver needs to sort and trace facts."""
    document = {
        "type": type(fact.data).__name__,
        "timestamp": fact.occurred_at,
        "id": fact.event_id,
        "stream_kind": fact.stream_kind,
        "stream_id": fact.stream_id,
        "version": fact.version,
        "recorded_at": fact.recorded_at,
        "channel": fact.channel,
        "command_id": fact.command_id,
        "correlation_id": fact.correlation_id,
        "data": fact.data,
    }
    return Call(fact.event_id, msgspec.json.encode(document).decode())


def answer(_call: Call, _response: Response) -> Asked | None:
    """A delivery causes no command."""
    return None


def sign(secret: str, call: Call, at_seconds: int) -> str:
    """The value of `webhook-signature` for an attempt at this time."""
    key = base64.b64decode(secret.removeprefix(WEBHOOK_SECRET_PREFIX))
    content = f"{call.key}.{at_seconds}.{call.body}".encode()
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def address(settings: Settings) -> Address | None:
    """The URL and secret of the settings; None without a URL."""
    url, secret = settings.webhook_url, settings.webhook_secret
    if url is None or secret is None:  # the settings require both or neither
        return None

    def headers(call: Call, at_seconds: int) -> Mapping[str, str]:
        return {
            "content-type": "application/json",
            "webhook-id": call.key,
            "webhook-timestamp": str(at_seconds),
            "webhook-signature": sign(secret.get_secret_value(), call, at_seconds),
        }

    return Address(url, headers, _wanted(settings.webhook_facts))


def _wanted(names: str | None) -> Collection[type[Any]]:
    if names is None:
        return FACTS_OF_ORDERS
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {row.data.__name__: row.data for row in FACTS.values()}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], known, 1, 0)
        raise Fault(
            f"ORDER_LEDGER_WEBHOOK_FACTS has unknown facts: {', '.join(unknown)}",
            f"the nearest known fact is {', '.join(nearest)}",
            "docs/commands.md lists all facts; unset means all facts of orders",
        )
    return frozenset(known[name] for name in wanted)


EFFECT = Effect(NAME, frozenset(row.data for row in FACTS.values()), make_call, answer, address)
