"""De-allocation releases allocated units, and the order still wants them. A cancellation gives them up.

deallocate(2 of line 1 at WH1)              -> LineDeallocated, SourcingRequested(without WH1)
... of an all-or-nothing order              -> all its units are released, and it tries again as a whole
"""

from msgspec import Struct

from events.envelope import Refused
from events.orders.decision import Decision
from events.orders.parts import Release
from events.orders.sourcing import LineDeallocated
from events.orders.state import Hold, Line
from events.values import Id, Quantity, Text


class Deallocated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units of a line to release."""

    line_id: Id
    quantity: Quantity
    location_id: Id | None = None


class DeallocateLines(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Release allocated units and source them again. The order still wants them."""

    order_id: Id
    lines: tuple[Deallocated, ...]
    reason: Text
    elsewhere: bool = True


def deallocate(decision: Decision, data: DeallocateLines) -> Refused | None:
    """Release these units and source them again: elsewhere, or anywhere."""
    order = decision.order
    what = f"nothing of order {order.order_id} was released"
    if not data.lines:
        return Refused(code="invalid", what=what, detail="it names no lines", hint="name the lines to release")
    if len({one.line_id for one in data.lines}) != len(data.lines):
        return decision.repeated_line(what)
    for one in data.lines:
        line = order.lines.get(one.line_id)
        if line is None:
            return decision.unknown_line(what, one.line_id)
        held = sum(hold.quantity for hold in _holds(line, one.location_id))
        where = one.location_id or "any location"
        if line.customised:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {one.line_id} is made for this customer, and allocated units count as made: at most 0",
                hint="a location that cannot provide it sends RejectAllocation",
                at_most=0,
            )
        if one.quantity > held:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {one.line_id}: {one.quantity} asked, {held} allocated at {where}: at most {held}",
                hint="units that wait or are being sourced are not allocated; CancelOrder cancels units",
                at_most=held,
            )
    for one in data.lines:
        _let_go(decision, one, data)
    if order.as_a_whole:
        decision.let_go_of_all("all_or_nothing")
    decision.source_idle()
    return None


def _holds(line: Line, location_id: str | None) -> list[Hold]:
    """Reservations of the line at this location, or at any; the newest comes first."""
    return [hold for hold in reversed(line.holds) if location_id is None or hold.location_id == location_id]


def _let_go(decision: Decision, one: Deallocated, data: DeallocateLines) -> None:
    line = decision.order.lines[one.line_id]
    left = one.quantity
    for hold in _holds(line, one.location_id):
        units = min(left, hold.quantity)
        if not units:
            continue
        left -= units
        release = Release(
            line_id=line.line_id, sku=line.sku, attempt=hold.attempt, location_id=hold.location_id, quantity=units
        )
        decision.add(
            LineDeallocated(
                order_id=decision.order.order_id,
                line_id=line.line_id,
                sku=line.sku,
                location_id=hold.location_id,
                quantity=units,
                attempt=hold.attempt,
                reason=data.reason,
                releases=(release,),
                elsewhere=data.elsewhere,
            )
        )
