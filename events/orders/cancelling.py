"""What an order answers when units are cancelled."""

from events.envelope import Refused
from events.orders import amending
from events.orders import commands as c
from events.orders import facts as f
from events.orders.decision import Decision


def cancel(decision: Decision, data: c.CancelOrder) -> Refused | None:
    """Units that have not been shipped are not wanted any more; without lines, all of them."""
    order = decision.order
    what = f"order {order.order_id} was not cancelled"
    wanted = {line.line_id: line.quantity for line in data.lines}
    if len(wanted) != len(data.lines):
        return decision.repeated_line(what)
    if not data.lines:
        wanted = {line.line_id: line.unshipped for line in order.lines.values() if line.unshipped}
        if not wanted:
            return Refused(
                code="limit",
                what=what,
                detail="nothing of it is left to cancel: at most 0 units",
                hint="what was shipped comes back with RequestReturn",
                at_most=0,
            )
    refused = decision.check_unshipped(what, wanted, "what was shipped comes back with RequestReturn")
    if refused is not None:
        return refused
    amending.decline(decision, "cancelled")
    cancelled: list[f.LineCancelled] = []
    releases: list[f.Release] = []
    for line_id, quantity in wanted.items():
        line = order.lines[line_id]
        taken = decision.take(line, quantity)
        releases += taken.releases
        cancelled.append(
            f.LineCancelled(
                line_id=line_id,
                sku=line.sku,
                quantity=quantity,
                from_open=taken.from_open,
                from_backordered=taken.from_backordered,
                from_allocated=taken.from_allocated,
            )
        )
    lines = order.lines.values()
    decision.add(
        f.OrderCancelled(
            order_id=order.order_id,
            by=data.by,
            reason=data.reason,
            lines=tuple(cancelled),
            releases=tuple(releases),
            before_allocation=not any(line.holds or line.shipped for line in lines),
        )
    )
    return None
