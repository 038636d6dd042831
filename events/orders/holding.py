"""Holds: an order that is held is not sourced. Several may be set at once; the order goes on when all are gone."""

from events.envelope import Refused
from events.orders import commands as c
from events.orders import facts as f
from events.orders.decision import Decision


def hold(decision: Decision, data: c.HoldOrder) -> Refused | None:
    """A hold is set beside those that there are."""
    order = decision.order
    if data.hold in order.holds:
        return Refused(
            code="conflict",
            what=f"order {order.order_id} was not held",
            detail=f"the hold {data.hold} is set already",
            hint="nothing needs to be done",
        )
    if not any(line.unshipped for line in order.lines.values()):
        return Refused(
            code="impossible",
            what=f"order {order.order_id} was not held",
            detail="nothing of it is left to hold: every unit is shipped or cancelled",
            hint="a hold only keeps what has not left yet",
        )
    decision.add(f.OrderHeld(order_id=order.order_id, hold=data.hold, reason=data.reason))
    return None


def release_hold(decision: Decision, data: c.ReleaseHold) -> Refused | None:
    """One hold is taken off; with the last one the order goes on."""
    order = decision.order
    if data.hold not in order.holds:
        return Refused(
            code="conflict",
            what=f"the hold {data.hold} of order {order.order_id} was not released",
            detail=f"holds that are set: {', '.join(order.holds) or 'none'}",
            hint="name a hold that is set",
        )
    decision.add(f.HoldReleased(order_id=order.order_id, hold=data.hold, reason=data.reason))
    decision.source_idle()
    return None
