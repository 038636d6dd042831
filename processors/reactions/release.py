"""Units that an order no longer wants are let go by the stock streams.

OrderCancelled(releases=[WH1: 2]) -> ReleaseStock(WH1, 2)
"""

from events.envelope import AnyRecorded
from events.orders.facts import (
    AmendmentDeclined,
    BackorderReopened,
    LineDeallocated,
    OrderAmended,
    OrderCancelled,
    ReservationSurrendered,
)
from events.stock.commands import ReleaseStock
from processors.reactions.asked import Asked, named
from processors.reactions.rows import On

ACTOR = "release"


def release(fact: AnyRecorded) -> list[Asked]:
    """ReleaseStock for each entry of the fact's `releases`, which OrderAmended, OrderCancelled and others carry.

    An entry with an empty location is a wait that ends.
    """
    order_id = fact.data.order_id
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("release", fact.event_id, number),
            data=ReleaseStock(
                sku=entry.sku,
                location_id=entry.location_id,
                quantity=entry.quantity,
                order_id=order_id,
                line_id=entry.line_id,
                attempt=entry.attempt,
            ),
        )
        for number, entry in enumerate(fact.data.releases, 1)
    ]


REACTIONS = tuple(
    On(fact, release)
    for fact in (
        OrderAmended,
        AmendmentDeclined,
        OrderCancelled,
        BackorderReopened,
        LineDeallocated,
        ReservationSurrendered,
    )
)
