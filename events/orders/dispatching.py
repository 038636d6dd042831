"""A parcel has left. It is recorded as it happened; only more than was ever ordered is impossible, and refused.

    dispatch what is held at WH1           -> ShipmentDispatched
    … what stock is still being asked for  -> ShipmentDispatched(ahead): that is its allocation
    … what is held elsewhere, or waits     -> ShipmentDispatched, DispatchDiffered: for a person to look at
    … what was cancelled in the meantime   -> ShipmentDispatched, DispatchCrossed: a service case is opened
    … what the carrier has scanned already -> ShipmentDispatched, and the scans that waited for it (`deferring`)

The dispatch of a unit that the order has no answer for contradicts nothing: only the ledger was not quick enough. The
SKU's stream takes what it holds, or is going to hold, for such units as gone with the parcel (`events.ahead`).

Units that were cancelled and left all the same are shipped units from then on: they can be delivered and sent back like
others. Cancelled units count in what the order is worth, so the bound of a refund is the same before and after; units
that had been amended away count again.
"""

from hashlib import blake2b
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from events.ahead import Ahead, add_ahead
from events.envelope import Refused
from events.orders import amending, goods, line_changes
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder, LineQuantity
from events.orders.state import Line, Order, Shipment
from events.values import Consumed, Id, Natural, Quantity, Text, UtcTime


class DispatchShipment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A parcel of an order has left a location."""

    order_id: Id
    shipment_id: Id
    location_id: Id
    carrier: Id
    service: Text
    tracking_number: Text | None = None
    lines: tuple[LineQuantity, ...]
    expected_at: UtcTime | None = None


class ShippedLine(Struct, frozen=True, kw_only=True):
    """What a shipment holds of a line. `ahead` of the open units left while stock was being asked (`events.ahead`)."""

    line_id: Id
    sku: Id
    quantity: Quantity
    from_open: Natural
    from_backordered: Natural
    from_allocated: Natural
    from_cancelled: Natural = 0
    from_removed: Natural = 0
    consumed: tuple[Consumed, ...]
    exchange: bool = False
    ahead: Natural = 0
    ahead_round: Natural = 0
    ahead_apart: Natural = 0


class DifferingLine(Struct, frozen=True, kw_only=True):
    """A line that left otherwise than planned."""

    line_id: Id
    sku: Id
    quantity: Quantity
    planned: Literal["elsewhere", "backordered", "open", "held"]
    exchange: bool = False


class CrossedLine(Struct, frozen=True, kw_only=True):
    """Units of a line that had been cancelled or amended away and left all the same."""

    line_id: Id
    sku: Id
    quantity: Quantity


class ShipmentDispatched(FactOfOrder, frozen=True, kw_only=True):
    """A parcel left a location."""

    shipment_id: Id
    location_id: Id
    carrier: Id
    service: Text
    tracking_number: Text | None = None
    expected_at: UtcTime | None = None
    lines: tuple[ShippedLine, ...]
    cart_id: Id | None = None

    def changes_units(self) -> bool:
        return True


class DispatchDiffered(FactOfOrder, frozen=True, kw_only=True):
    """A parcel left otherwise than planned; for a person to look at."""

    shipment_id: Id
    location_id: Id
    lines: tuple[DifferingLine, ...]


class DispatchCrossed(FactOfOrder, frozen=True, kw_only=True):
    """Units left though they had been cancelled, or amended away; a person is to talk to the customer."""

    shipment_id: Id
    location_id: Id
    case_id: Id
    lines: tuple[CrossedLine, ...]


Planned: TypeAlias = Literal["elsewhere", "backordered", "open", "held"]


def dispatch(decision: Decision, data: DispatchShipment) -> Refused | None:
    """A parcel left. What was held for its units, wherever, is used up; a difference from the plan is stated."""
    order = decision.order
    what = f"shipment {data.shipment_id} of order {order.order_id} was not recorded"
    if data.shipment_id in order.shipments:
        return Refused(
            code="conflict",
            what=what,
            detail="the order has a shipment of that number already",
            hint="number the parcels of an order apart",
        )
    wanted = {line.line_id: line.quantity for line in data.lines}
    if not wanted:
        return Refused(code="invalid", what=what, detail="it has no lines", hint="name what is in the parcel")
    if len(wanted) != len(data.lines):
        return decision.repeated_line(what)
    amending.make_as_shipped(decision, wanted)
    order = decision.order
    refused = _more_than_was_ordered(decision, what, wanted)
    if refused is not None:
        return refused
    shipped, differing, crossed = [], [], []
    for line_id, quantity in wanted.items():
        line = order.lines[line_id]
        part, different = _shipped(order, line, quantity, data.location_id)
        shipped.append(part)
        differing += different
        if part.from_cancelled + part.from_removed:
            units = part.from_cancelled + part.from_removed
            crossed.append(CrossedLine(line_id=line.line_id, sku=line.sku, quantity=units))
    if any(part.from_removed and order.amendment and part.line_id in order.amendment.lines for part in shipped):
        # The line grows by what left: an increase that is being asked for began from another number.
        amending.decline(decision, "shipped")
    decision.add(
        ShipmentDispatched(
            order_id=order.order_id,
            shipment_id=data.shipment_id,
            location_id=data.location_id,
            carrier=data.carrier,
            service=data.service,
            tracking_number=data.tracking_number,
            expected_at=data.expected_at,
            lines=tuple(shipped),
            cart_id=order.cart_id if any(part.ahead for part in shipped) else None,
        )
    )
    if differing:
        decision.add(
            DispatchDiffered(
                order_id=order.order_id,
                shipment_id=data.shipment_id,
                location_id=data.location_id,
                lines=tuple(differing),
            )
        )
    if crossed:
        decision.add(
            DispatchCrossed(
                order_id=order.order_id,
                shipment_id=data.shipment_id,
                location_id=data.location_id,
                case_id=crossing_case(order.order_id, data.shipment_id),
                lines=tuple(crossed),
            )
        )
    goods.track_deferred(decision, data.shipment_id)
    return None


def _more_than_was_ordered(decision: Decision, what: str, wanted: dict[str, int]) -> Refused | None:
    for line_id, quantity in wanted.items():
        line = decision.order.lines.get(line_id)
        if line is None:
            return decision.unknown_line(what, line_id)
        most = line.ordered + line.removed - line.shipped
        if quantity > most:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {line_id}: {quantity} asked; {line.ordered + line.removed} were ever ordered, "
                f"{line.shipped} shipped: at most {most}",
                hint="check what left; more than was ever ordered cannot have been shipped",
                at_most=most,
            )
    return None


def crossing_case(order_id: str, shipment_id: str) -> str:
    """Number of the service case about a parcel that crossed a cancellation: the same for the same parcel."""
    return "crossing-" + blake2b(f"{order_id}\0{shipment_id}".encode(), digest_size=8).hexdigest()


def _shipped(order: Order, line: Line, quantity: int, location_id: str) -> tuple[ShippedLine, list[DifferingLine]]:
    """Use up what is held here, then elsewhere, then places in the queue, then open units; the rest was called off."""
    consumed: list[Consumed] = []
    left = quantity

    def use(attempt: int, where: str, available: int) -> int:
        nonlocal left
        units = min(left, available)
        if units:
            consumed.append(Consumed(attempt=attempt, location_id=where, quantity=units))
            left -= units
        return units

    here = sum(
        use(hold.attempt, hold.location_id, hold.quantity) for hold in line.holds if hold.location_id == location_id
    )
    elsewhere = sum(
        use(hold.attempt, hold.location_id, hold.quantity) for hold in line.holds if hold.location_id != location_id
    )
    waited = sum(use(wait.attempt, "", wait.quantity) for wait in line.waits)
    from_open = min(left, line.open)
    from_cancelled = min(left - from_open, line.cancelled)
    # Nobody looks for idle units, so they leave first: what is being looked for may still be held for others of them.
    idle = min(from_open, line.idle)
    ahead = from_open - idle
    part = ShippedLine(
        line_id=line.line_id,
        sku=line.sku,
        quantity=quantity,
        from_open=from_open,
        from_backordered=waited,
        from_allocated=here + elsewhere,
        from_cancelled=from_cancelled,
        from_removed=left - from_open - from_cancelled,
        consumed=tuple(consumed),
        exchange=line.in_exchange,
        ahead=ahead,
        ahead_round=max(order.sourced_round, order.amended_round or 0) if ahead else 0,
        ahead_apart=order.amendment.round if ahead and order.amendment else 0,
    )
    # An all-or-nothing order asks line by line: while it may, it has no answer for any of them.
    asking = order.may_source_line(line.line_id)
    planned_otherwise: tuple[tuple[int, Planned], ...] = (
        (elsewhere, "elsewhere"),
        (waited, "backordered"),
        (0 if asking else idle, "open"),
    )
    if order.held_for_return(line) is not None:
        # Wherever its units were: it was not to leave before what it is sent in exchange for had come.
        planned_otherwise = ((here + elsewhere + waited + from_open, "held"),)
    differing = [
        DifferingLine(line_id=line.line_id, sku=line.sku, quantity=units, planned=planned, exchange=line.in_exchange)
        for units, planned in planned_otherwise
        if units
    ]
    return part, differing


def dispatched(order: Order, fact: ShipmentDispatched) -> Order:
    for shipped in fact.lines:
        line = order.lines[shipped.line_id]
        for part in shipped.consumed:
            if part.location_id:
                line = line_changes.take_hold(line, part.attempt, part.location_id, part.quantity)
            else:
                line = line_changes.take_wait(line, part.attempt, part.quantity)
        line = line_changes.take_open(line, shipped.from_open)
        line = replace(
            line,
            ordered=line.ordered + shipped.from_removed,
            removed=line.removed - shipped.from_removed,
            cancelled=line.cancelled - shipped.from_cancelled,
            shipped=line.shipped + shipped.quantity,
            ahead=add_ahead(line.ahead, Ahead(shipped.ahead, shipped.ahead_round, shipped.ahead_apart)),
        )
        order = line_changes.with_line(order, line)
    shipment = Shipment(
        location_id=fact.location_id,
        carrier=fact.carrier,
        lines={line.line_id: line.quantity for line in fact.lines},
    )
    return replace(order, shipments={**order.shipments, fact.shipment_id: shipment})
