"""A parcel that left though it had been cancelled becomes a service case: somebody talks to the customer.

DispatchCrossed(2 × MUG) -> OpenCase(topic dispatch_crossed_cancellation, urgency high)
"""

from events.cases.commands import OpenCase
from events.envelope import Recorded
from events.orders.facts import DispatchCrossed
from events.values import TEXT_MAX
from processors.reactions.asked import Asked, named
from processors.reactions.rows import On

ACTOR = "crossing"

#: By this word the desk finds such cases. Their channel is `ledger`: no customer has written yet.
TOPIC = "dispatch_crossed_cancellation"


def open_case(fact: Recorded[DispatchCrossed]) -> list[Asked]:
    """OpenCase, under the number that the fact names."""
    crossed = fact.data
    goods = ", ".join(f"{line.quantity} × {line.sku} (line {line.line_id})" for line in crossed.lines)
    text = (
        f"Parcel {crossed.shipment_id} left {crossed.location_id} with {goods} of order {crossed.order_id}, which had "
        "been cancelled. Ask the customer to keep it or to send it back; the order shows it as shipped."
    )
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named("crossing", crossed.order_id, crossed.shipment_id),
            data=OpenCase(
                case_id=crossed.case_id,
                order_id=crossed.order_id,
                sku=crossed.lines[0].sku if len(crossed.lines) == 1 else None,
                channel="ledger",
                topic=TOPIC,
                urgency="high",
                text=text[:TEXT_MAX],
            ),
        )
    ]


REACTIONS = (On(DispatchCrossed, open_case),)
