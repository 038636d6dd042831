"""A dispatch that was a mistake: its units never left, and what was held for them is held again.

    restore 2 at WH1, both held before -> StockRestored: on_hand +2, reserved +2, so nothing of it comes free for others
    … where others have them by now    -> StockRestored: on_hand +2; ReservationRefused: their order looks elsewhere

The movement is taken back at its own moment: a count that has found the units since is restated, and not exceeded.
"""

from msgspec.structs import replace

from events.stock import commands as c
from events.stock import facts as f
from events.stock import joining
from events.stock.decision import Decision
from events.stock.state import Attempt


def restore(decision: Decision, data: c.RestoreStock) -> None:
    """Hold again as many units as are there; what is more than that comes free."""
    released_before = Attempt(data.order_id, data.line_id, data.attempt) in decision.stock.tombstones
    back = f.StockRestored(
        sku=data.sku,
        location_id=data.location_id,
        quantity=data.quantity,
        to_reserved=0,
        order_id=data.order_id,
        line_id=data.line_id,
        shipment_id=data.shipment_id,
        attempt=data.attempt,
    )
    # What counts have found meanwhile is not there a second time: how much is, is known after them.
    trial = Decision(decision.stock, decision.command)
    trial.add(back)
    level = trial.stock.level(data.location_id)
    # The planner's safety stock is what nobody holds; these units were held.
    available = max(0, level.available + level.safety) if level.registered else 0
    held = 0 if released_before else min(data.held, available)
    decision.add(replace(back, to_reserved=held))
    if held < data.held:
        decision.add(
            f.ReservationRefused(
                sku=data.sku,
                location_id=data.location_id,
                quantity=data.held - held,
                order_id=data.order_id,
                line_id=data.line_id,
                attempt=data.attempt,
                available=available - held,
                reason="released_before" if released_before else joining.why_not(decision.stock, data.location_id),
                for_order=True,
            )
        )
