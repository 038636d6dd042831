"""Incoming stock of a SKU: how many units, where to, and when they are expected.

    incoming = expect({}, Source("purchase_order", "PO-7", "WH1"), Expected(40, 3 December))
    next_due(incoming)     -> 3 December: from then on nothing is promised from it until somebody gives a new time

Incoming units are never available.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple


class Source(NamedTuple):
    """Incoming goods: a line of a purchase order (`purchase_order`) or a transfer (`transfer`), and their location."""

    kind: str
    reference: str
    location_id: str


class Expected(NamedTuple):
    """Incoming units; `overdue` if their time has passed."""

    quantity: int
    expected_at: datetime | None = None
    overdue: bool = False


class Transfer(NamedTuple):
    """Units sent from one location to another, and how many have arrived. The rest is incoming."""

    from_location_id: str
    to_location_id: str
    sent: int
    received: int


Incoming = Mapping[Source, Expected]

NOTHING_EXPECTED = Expected(0)


def expect(incoming: Incoming, source: Source, expected: Expected) -> Incoming:
    """Set what is expected of the source; 0 units end it."""
    if expected.quantity > 0:
        return {**incoming, source: expected}
    return {other: what for other, what in incoming.items() if other != source}


def next_due(incoming: Incoming) -> datetime | None:
    """The next time at which something becomes overdue."""
    return min((one.expected_at for one in incoming.values() if one.expected_at and not one.overdue), default=None)
