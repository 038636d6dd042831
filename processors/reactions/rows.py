"""What a file of a reaction exports: rows. `wiring.py` puts them together; no row says who runs it.

REACTIONS = (
    On(OrderHeld, pass_on),                                # a fact, and what to ask for because of it
    On(OrderPlaced, source_placed, needs=wanted_stock),    # ... knowing what the tables say
    Together((StockReserved, StockAwaited), allocation),   # facts of a batch that are answered together
)
TIMERS = (Timer(read_orders_due, release),)                # rows whose time has come
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import psycopg

from events.envelope import AnyRecorded
from processors.reactions.asked import Asked


class Needs(NamedTuple):
    """What a reaction wants to know. It is fetched once for all facts of a batch.

    `skus`: their stock, and what is kept back from channels. `carts`: the units that they hold. `moments`: when plans
    are made, for what locations can send on that day.
    """

    skus: frozenset[str] = frozenset()
    carts: frozenset[str] = frozenset()
    moments: tuple[datetime, ...] = ()


class On(NamedTuple):
    """What is asked for because of one fact. With `needs`, `react` is also given the look-ups of the batch."""

    fact: type[Any]
    react: Callable[..., list[Asked]]
    needs: Callable[[Any], Needs] | None = None


class Together(NamedTuple):
    """What is asked for because of all facts of these types in a batch, in log order per partition."""

    facts: Collection[type[Any]]
    react: Callable[[Sequence[AnyRecorded]], list[Asked]]


Due: TypeAlias = Callable[[psycopg.Connection[Any], datetime, int], Sequence[Any]]
"""Reads a projection: rows whose time has come by then, longest overdue first, so many at most."""


class Timer(NamedTuple):
    """What is asked for when the time of a row has come. It is asked again until the row is gone from the table."""

    query: Due
    command: Callable[[Any], Asked]


Reaction: TypeAlias = On | Together


def all_needs(found: Iterable[Needs]) -> Needs:
    """What all of these want, once."""
    every = list(found)
    return Needs(
        frozenset().union(*(one.skus for one in every)),
        frozenset().union(*(one.carts for one in every)),
        tuple(moment for one in every for moment in one.moments),
    )
