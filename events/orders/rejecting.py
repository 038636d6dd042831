"""A location cannot provide reserved units: they are open again and sourced elsewhere at once.

    RejectAllocation(WH1, 2 of line 1, not_in_stock) -> AllocationRejected, SourcingRequested(without WH1)
    the third time for a line                        -> AllocationRejected, OrderQueued(rejections)

The stock stream corrects its record and ends the reservation in one decision (see events/stock/rejecting.py). So the
missing units are promised to nobody in between.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders import holding, line_changes, queueing
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder, LineQuantity
from events.orders.state import Line, Order
from events.values import Consumed, Id, Quantity, Text


class RejectAllocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A location cannot provide units reserved there for an order."""

    order_id: Id
    location_id: Id
    lines: tuple[LineQuantity, ...]
    reason: Literal["not_in_stock", "mismatch", "damaged"]
    note: Text | None = None


class RejectedLine(Struct, frozen=True, kw_only=True):
    """Units of a line that a location cannot provide."""

    line_id: Id
    sku: Id
    quantity: Quantity
    rejections: Quantity
    consumed: tuple[Consumed, ...]


class AllocationRejected(FactOfOrder, frozen=True, kw_only=True):
    """A location cannot provide reserved units. They are open again."""

    location_id: Id
    reason: Text
    note: Text | None = None
    lines: tuple[RejectedLine, ...]


#: The queue of lines that were rejected too often.
QUEUE = "rejections"

#: After this many rejections a line goes to a work queue. A lower number would bother people with lines that the next
#: location can provide. With a higher one, a customer waits while more locations look for missing goods.
REJECTIONS_MAX = 3


def reject(decision: Decision, data: RejectAllocation) -> Refused | None:
    """Deallocate these units at the location. The location is not asked for the line again."""
    order = decision.order
    what = f"nothing of order {order.order_id} was rejected by {data.location_id}"
    wanted = {line.line_id: line.quantity for line in data.lines}
    if not wanted:
        return Refused(
            code="invalid", what=what, detail="it has no lines", hint="name the lines that cannot be provided"
        )
    if len(wanted) != len(data.lines):
        return decision.repeated_line(what)
    rejected = []
    for line_id, quantity in wanted.items():
        line = order.lines.get(line_id)
        if line is None:
            return decision.unknown_line(what, line_id)
        held = sum(hold.quantity for hold in line.holds if hold.location_id == data.location_id)
        if quantity > held:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {line_id}: {quantity} rejected, {held} allocated at {data.location_id}: at most {held}",
                hint="only what is held there can be rejected; a record that is wrong is corrected with AdjustStock or "
                "CountStock",
                at_most=held,
            )
        rejected.append(_rejected(line, quantity, data.location_id))
    decision.add(
        AllocationRejected(
            order_id=order.order_id,
            location_id=data.location_id,
            reason=data.reason,
            note=data.note,
            lines=tuple(rejected),
        )
    )
    stuck = [line.line_id for line in rejected if line.rejections >= REJECTIONS_MAX]
    if stuck:
        queueing.put(
            decision,
            QUEUE,
            data.reason,
            f"rejected {REJECTIONS_MAX} times, at last by {data.location_id} ({data.reason.replace('_', ' ')})"
            + (f": {data.note}" if data.note else ""),
            {line_id: decision.order.lines[line_id].open for line_id in stuck},
        )
    holding.stand_still(decision)
    decision.source_idle()
    return None


def _rejected(line: Line, quantity: int, location_id: str) -> RejectedLine:
    left = quantity
    consumed: list[Consumed] = []
    for hold in line.holds:
        units = min(left, hold.quantity)
        if hold.location_id == location_id and units:
            left -= units
            consumed.append(Consumed(attempt=hold.attempt, location_id=location_id, quantity=units))
    return RejectedLine(
        line_id=line.line_id,
        sku=line.sku,
        quantity=quantity,
        rejections=line.rejections + 1,
        consumed=tuple(consumed),
    )


def rejected(order: Order, fact: AllocationRejected) -> Order:
    for part in fact.lines:
        line = order.lines[part.line_id]
        for hold in part.consumed:
            line = line_changes.take_hold(line, hold.attempt, hold.location_id, hold.quantity)
        rejected_by = tuple(dict.fromkeys((*line.rejected_by, fact.location_id)))
        idle = line.idle + part.quantity
        order = line_changes.with_line(
            order, replace(line, idle=idle, rejected_by=rejected_by, rejections=part.rejections)
        )
        order = line_changes.sought_no_more(order, part.line_id)
    return order
