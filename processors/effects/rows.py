"""What a file of an effect exports.

    EFFECT = Effect("webhook", FACTS_OF_ORDERS, make_call, answer, address)

`make_call` and `answer` are pure: the same fact makes the same call, and the same response the same command. Where a
call goes, and with which secret, is the business of `address`: neither stands in the outbox.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from events.envelope import AnyRecorded
from processors.reactions.asked import Asked
from runtime.settings import Settings


class Call(NamedTuple):
    """What is asked. `key` is the idempotency key: the id of the fact, the same at each attempt."""

    key: str
    body: str


class Response(NamedTuple):
    """What was answered."""

    status: int
    body: str


class Address(NamedTuple):
    """Where an effect's calls go: the URL, the headers of an attempt at that time (Unix seconds), and which facts."""

    url: str
    headers: Callable[[Call, int], Mapping[str, str]]
    facts: Collection[type[Any]]


class Effect(NamedTuple):
    """A kind of call. `facts`: what it can be made of; an address may want fewer. `answer`: the command that a good
    response asks for, if any. `address`: None where it is not configured, and then nothing is called.
    """

    name: str
    facts: Collection[type[Any]]
    make_call: Callable[[AnyRecorded], Call]
    answer: Callable[[Call, Response], Asked | None]
    address: Callable[[Settings], Address | None]
