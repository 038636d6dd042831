"""A receiver is told each fact of an order once, in order, whatever dies meanwhile; never what is only read again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.operating.doctor import examine
from tests.support.receiver import Receiver, receiver
from tests.support.shop import PATIENCE_SECONDS, Shop, command, place, receive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.journey

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def start(shop: Shop, hook: Receiver, failpoints: str = "") -> None:
    shop.start(
        "effects",
        failpoints=failpoints,
        ORDER_LEDGER_WEBHOOK_URL=hook.url,
        ORDER_LEDGER_WEBHOOK_SECRET=SECRET,
    )


def told(shop: Shop, hook: Receiver, *orders: str) -> None:
    """Wait until every fact of these orders was delivered."""
    wanted = {order: len(shop.facts(order)) for order in orders}
    query = "SELECT stream_id, count(*) FROM effect_calls WHERE status = 'delivered' GROUP BY 1"

    def all_of_them() -> bool:
        # What a dead process had in hand is due when its claim ends: not waited for here.
        shop.connection.execute(
            "UPDATE effect_calls SET next_at = now() WHERE status = 'waiting' AND next_at > now()"
            " AND asked_at < now() - interval '2 seconds'"
        )
        return dict(shop.connection.execute(query).fetchall()).items() >= wanted.items()

    wait_until(all_of_them, PATIENCE_SECONDS)
    for order in orders:
        heard = [one for one in hook.heard if one.stream == order]
        assert list(dict.fromkeys(one.version for one in heard)) == list(range(1, wanted[order] + 1)), order
        assert {one.version: one.document["type"] for one in heard} == dict(enumerate(shop.facts(order), 1))
        assert len({one.headers["webhook-id"] for one in heard}) == wanted[order]


def ready(shop: Shop) -> None:
    query = "SELECT count(*) FROM follower_positions WHERE follower = 'effects'"
    partitions = 3 * shop.env.settings.partitions

    def placed() -> bool:
        return bool(shop.connection.execute(query).fetchone() == (partitions,))

    wait_until(placed, PATIENCE_SECONDS)


def test_each_fact_is_told_once_in_order_whatever_dies_and_none_for_a_replay(shop: Shop, hook: Receiver) -> None:
    shop.accepted(receive("told", "WH1", 20), place("told-before", ("told", 1)))

    start(shop, hook)
    shop.wait_for_line("effects", "worker_ready")
    ready(shop)
    hook.script("told-1", 500, "die")
    shop.accepted(place("told-1", ("told", 2)), command("HoldOrder", order_id="told-1", hold="fraud"))
    told(shop, hook, "told-1")
    assert hook.of("told-before") == [], "what was there before the first start is history"

    # Killed when the receiver has answered and nobody knows it yet: that call is made again, with its id.
    assert shop.workers.end("effects") == 0
    start(shop, hook, failpoints="effects.answered:2=kill")
    shop.accepted(*(place(f"told-{number}", ("told", 1)) for number in range(2, 6)))
    assert shop.wait_until_dead("effects") == -9
    start(shop, hook)
    told(shop, hook, *(f"told-{number}" for number in range(2, 6)))

    # Killed before rows and position are written: both are written by the next one, together.
    assert shop.workers.end("effects") == 0
    start(shop, hook, failpoints="effects.before_commit=kill")
    shop.accepted(*(place(f"told-{number}", ("told", 1)) for number in range(6, 9)))
    assert shop.wait_until_dead("effects") == -9
    start(shop, hook)
    told(shop, hook, *(f"told-{number}" for number in range(6, 9)))

    # The position is set back to the beginning while it runs: all is read again, and nobody is called.
    repeats = Counter(one.headers["webhook-id"] for one in hook.heard)
    shop.connection.execute("DELETE FROM follower_positions WHERE follower = 'effects'")
    shop.accepted(place("told-9", ("told", 1)))
    told(shop, hook, "told-9")
    after = Counter(one.headers["webhook-id"] for one in hook.heard if one.stream != "told-9")
    assert after == repeats
    assert hook.of("told-before") == []
    calling = shop.env.settings.model_copy(update={"webhook_url": hook.url, "webhook_secret": SecretStr(SECRET)})
    checks: dict[str, Any] = {check.name: check.verdict for check in examine(calling)}
    assert checks["effects"] == "ok"
    assert shop.workers.end("effects") == 0
