"""The row that an effect's file exports.

    EFFECT = Effect("webhook", FACTS_OF_ORDERS, make_call, answer, address)

`make_call` and `answer` are pure: the same fact makes the same call, and the same response the same command. Only
`address` knows the URL and the secret; neither is in the outbox.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from events.envelope import AnyRecorded
from processors.reactions.asked import Asked
from runtime.settings import Settings


class Call(NamedTuple):
    """A call. `key` is the idempotency key: the fact's id, the same at each attempt."""

    key: str
    body: str


class Response(NamedTuple):
    """The receiver's response."""

    status: int
    body: str


class Address(NamedTuple):
    """Where an effect's calls go: the URL, the headers of an attempt at a time (Unix seconds), and for which facts."""

    url: str
    headers: Callable[[Call, int], Mapping[str, str]]
    facts: Collection[type[Any]]


class Effect(NamedTuple):
    """A kind of call. `facts`: facts that it can be made of; an address may want fewer. `answer`: the command for a
    good response, if any. `address` returns None if the effect is not configured; then it makes no calls.
    """

    name: str
    facts: Collection[type[Any]]
    make_call: Callable[[AnyRecorded], Call]
    answer: Callable[[Call, Response], Asked | None]
    address: Callable[[Settings], Address | None]
