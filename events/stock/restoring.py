"""A dispatch was a mistake: its units never left. Those that were reserved before are reserved again.

    restore 2 at WH1, both reserved before -> StockRestored: on_hand +2, reserved +2, so others cannot take them
    … but others have them by now          -> StockRestored: on_hand +2; ReservationRefused: their order looks elsewhere

The command has the time of the dispatch. If a count since then has found the units, that count is restated, so that the
units are not added a second time.
"""

from msgspec.structs import replace

from events.stock import commands as c
from events.stock import facts as f
from events.stock import joining
from events.stock.decision import Decision
from events.stock.state import Attempt


def restore(decision: Decision, data: c.RestoreStock) -> None:
    """Put the units back, and reserve again as many of them as are there."""
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
    # A count may have found the units already. What is really available is known only after it is restated.
    trial = Decision(decision.stock, decision.command)
    trial.add(back)
    level = trial.stock.level(data.location_id)
    # Safety stock does not keep these units back: they were reserved before.
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
