"""A location has rejected reserved units: the reservation ends and the record is corrected in one fact.

reject 2 at WH1, not in stock -> StockRejected: on_hand -2, reserved -2, so others do not get the units
reject 2 at WH1, damaged      -> StockRejected: damaged +2, reserved -2
reject 2 at WH1, mismatch     -> StockRejected: quality_hold +2, reserved -2
"""

from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import Attempt
from events.values import Consumed


def reject(decision: Decision, data: c.RejectStock) -> None:
    """End the reservations that still exist. Correct the record by the rejected units, at most by the sound ones."""
    stock = decision.stock
    used: list[Consumed] = []
    for part in data.consumed:
        held = stock.reservations.get(Attempt(data.order_id, data.line_id, part.attempt), {}).get(data.location_id)
        if held is not None:
            units = min(part.quantity, held.quantity)
            used.append(Consumed(attempt=part.attempt, location_id=data.location_id, quantity=units))
    level = stock.level(data.location_id)
    sound = max(0, level.on_hand - level.damaged - level.quality_hold)
    decision.add(
        f.StockRejected(
            sku=data.sku,
            location_id=data.location_id,
            quantity=data.quantity,
            corrected=min(data.quantity, sound),
            from_reserved=sum(part.quantity for part in used),
            order_id=data.order_id,
            line_id=data.line_id,
            reason=data.reason,
            note=data.note,
            consumed=tuple(used),
        )
    )
