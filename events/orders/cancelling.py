"""Cancellations: by people, or because a line's cancel_after has come.

cancel(1 of 2 that wait)            -> OrderCancelled; the unit leaves the queue
cancel(2 when 1 is shipped)         -> Refused(at_most=1)
cancel_overdue after cancel_after   -> OrderCancelled(by=seller, reason=auto_cancel) of units without stock
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders import amending, line_changes
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder, LineQuantity, Release
from events.orders.state import Order
from events.values import Id, Natural, Quantity, Text


class CancelOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Cancel units that have not been shipped."""

    order_id: Id
    reason: Text
    by: Literal["customer", "seller"] = "customer"
    lines: tuple[LineQuantity, ...] = ()


class CancelOverdueLines(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The cancel_after of a line has come."""

    order_id: Id


class LineCancelled(Struct, frozen=True, kw_only=True):
    """What was cancelled of a line."""

    line_id: Id
    sku: Id
    quantity: Quantity
    from_open: Natural
    from_backordered: Natural
    from_allocated: Natural
    exchange: bool = False


class OrderCancelled(FactOfOrder, frozen=True, kw_only=True):
    """Units of an order are cancelled."""

    by: Text
    reason: Text
    lines: tuple[LineCancelled, ...]
    releases: tuple[Release, ...]
    before_allocation: bool

    def changes_units(self) -> bool:
        return True


#: The reason of an automatic cancellation.
AUTO_CANCEL = "auto_cancel"
RETURN_INSTEAD = "shipped units come back with RequestReturn"


def cancel(decision: Decision, data: CancelOrder) -> Refused | None:
    """Cancel unshipped units: those of the named lines, or all."""
    order = decision.order
    what = f"order {order.order_id} was not cancelled"
    wanted = {line.line_id: line.quantity for line in data.lines}
    if len(wanted) != len(data.lines):
        return decision.repeated_line(what)
    amending.make_as_cancelled(decision, wanted)
    order = decision.order
    if not data.lines:
        wanted = {line.line_id: line.unshipped for line in order.lines.values() if line.unshipped}
        if not wanted:
            return _nothing_left(order, what)
    refused = decision.check_unshipped(what, wanted, RETURN_INSTEAD)
    if refused is not None:
        return refused
    if data.by == "customer":
        refused = decision.check_unmade(what, wanted)
        if refused is not None:
            return refused
    cancelled: list[LineCancelled] = []
    releases: list[Release] = []
    for line_id, quantity in wanted.items():
        line = order.lines[line_id]
        taken = decision.take(line, quantity)
        releases += taken.releases
        cancelled.append(
            LineCancelled(
                line_id=line_id,
                sku=line.sku,
                quantity=quantity,
                from_open=taken.from_open,
                from_backordered=taken.from_backordered,
                from_allocated=taken.from_allocated,
                exchange=line.in_exchange,
            )
        )
    lines = order.lines.values()
    decision.add(
        OrderCancelled(
            order_id=order.order_id,
            by=data.by,
            reason=data.reason,
            lines=tuple(cancelled),
            releases=tuple(releases),
            before_allocation=not any(line.holds or line.shipped for line in lines),
        )
    )
    return None


def _nothing_left(order: Order, what: str) -> Refused:
    """The refusal when no unit of the order can be cancelled any more."""
    lines = order.lines.values()
    ordered, shipped = sum(line.ordered for line in lines), sum(line.shipped for line in lines)
    if shipped == ordered:
        why, hint = "everything has already shipped", RETURN_INSTEAD
    elif shipped:
        why, hint = "everything has already shipped or is cancelled", RETURN_INSTEAD
    else:
        why, hint = "everything is already cancelled", "nothing needs to be done"
    return Refused(
        code="limit",
        what=what,
        detail=f"{why}: {ordered} units ordered, {shipped} shipped, {ordered - shipped} cancelled;"
        " at most 0 can be cancelled",
        hint=hint if ordered else "an order of charges only has no units to cancel; IssueRefund pays money back",
        at_most=0,
    )


def cancel_overdue(decision: Decision) -> None:
    """After a line's `cancel_after`, by log time, cancel its units that are neither allocated nor shipped.

    An all-or-nothing order that is not complete loses all unshipped units of the line, because it cannot ship them.
    """
    order, now = decision.order, decision.command.recorded_at
    incomplete = any(line.unmade for line in order.lines.values())
    gone = []
    for line in order.lines.values():
        if line.cancel_after is None or line.cancel_after > now:
            continue
        # Replacements are kept: cancel_after was for the first sending.
        units = (line.unshipped if order.as_a_whole and incomplete else line.unmade) - line.replacing
        if units > 0:
            gone.append(LineQuantity(line_id=line.line_id, quantity=units))
    if gone:
        # An order that is overdue gets no more units.
        amending.decline(decision, "cancelled")
        # Cannot be refused: it names only units that the order has, and each line once.
        cancel(decision, CancelOrder(order_id=order.order_id, reason=AUTO_CANCEL, by="seller", lines=tuple(gone)))


def cancelled(order: Order, fact: OrderCancelled) -> Order:
    for cut in fact.lines:
        line = line_changes.take(order.lines[cut.line_id], cut.from_open, cut.from_backordered, fact.releases)
        line = replace(line, cancelled=line.cancelled + cut.quantity)
        line = replace(line, replacing=min(line.replacing, line.unshipped))
        order = line_changes.with_line(order, line)
    return order
