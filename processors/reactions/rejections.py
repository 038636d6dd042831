"""What a location has rejected is corrected in its stock.

AllocationRejected(WH1, lines=[1, 2]) -> RejectStock(line 1), RejectStock(line 2)
"""

from typing import cast

from events.envelope import Recorded
from events.orders.facts import AllocationRejected
from events.stock.commands import RejectionReason, RejectStock
from processors.reactions.asked import Asked, named
from processors.reactions.rows import On

ACTOR = "rejections"


def correct(fact: Recorded[AllocationRejected]) -> list[Asked]:
    """RejectStock for each line, with the holds that end."""
    rejected = fact.data
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("reject", fact.event_id, number),
            data=RejectStock(
                sku=line.sku,
                location_id=rejected.location_id,
                quantity=line.quantity,
                order_id=rejected.order_id,
                line_id=line.line_id,
                reason=cast("RejectionReason", rejected.reason),
                note=rejected.note,
                consumed=line.consumed,
            ),
        )
        for number, line in enumerate(rejected.lines, 1)
    ]


REACTIONS = (On(AllocationRejected, correct),)
