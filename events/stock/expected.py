"""What is on its way to a SKU's locations, and when it is expected there.

    incoming = expect({}, Source("purchase_order", "PO-7", "WH1"), Expected(40, 3 December))
    next_due(incoming)     -> 3 December: then it counts no more, until somebody says when it really comes

On its way is not there: nothing of it is ever available.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple


class Source(NamedTuple):
    """Where goods come from and go to: a line of a purchase order (`purchase_order`), or a transfer (`transfer`)."""

    kind: str
    reference: str
    location_id: str


class Expected(NamedTuple):
    """Units on their way; `overdue` when the time has passed without them."""

    quantity: int
    expected_at: datetime | None = None
    overdue: bool = False


class Transfer(NamedTuple):
    """Units sent from one location to another, and how many of them have arrived; the rest is on its way."""

    from_location_id: str
    to_location_id: str
    sent: int
    received: int


Incoming = Mapping[Source, Expected]

NOTHING_EXPECTED = Expected(0)


def expect(incoming: Incoming, source: Source, expected: Expected) -> Incoming:
    """From now on this is expected of the source; 0 units end it."""
    if expected.quantity > 0:
        return {**incoming, source: expected}
    return {other: what for other, what in incoming.items() if other != source}


def next_due(incoming: Incoming) -> datetime | None:
    """The next time at which something becomes overdue."""
    return min((one.expected_at for one in incoming.values() if one.expected_at and not one.overdue), default=None)
