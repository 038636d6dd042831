"""A parcel has left. It is recorded as it happened. Only more units than were ever ordered are refused.

    dispatch units allocated at WH1        -> ShipmentDispatched
    … units that are being sourced         -> ShipmentDispatched(ahead): the dispatch counts as their allocation
    … allocated elsewhere, or waiting      -> ShipmentDispatched, DispatchDiffered: a person should look at it
    … cancelled in the meantime            -> ShipmentDispatched, DispatchCrossed: a service case is opened
    … already scanned by the carrier       -> ShipmentDispatched, and the scans that waited for it (`deferring`)

If units leave while they are being sourced, that is not different from the plan: only the ledger was too slow. If the
SKU's stream has reserved or reserves stock for them, it treats that stock as gone with the parcel (`events.ahead`).

Cancelled units that left count as shipped from then on, and can be delivered and returned. The limit for refunds stays
the same, because cancelled units are part of the order's value. Units that had been amended away are ordered again.
"""

from hashlib import blake2b
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from events.ahead import Ahead, add_ahead
from events.envelope import About, Refused
from events.orders import amending, goods, line_changes
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder, LineQuantity
from events.orders.state import Line, Order, Origin, Shipment
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
    """Units of a line in a shipment. `ahead` of the open units left while being sourced (`events.ahead`)."""

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
    """A line that did not leave as planned."""

    line_id: Id
    sku: Id
    quantity: Quantity
    planned: Literal["elsewhere", "backordered", "open", "held"]
    exchange: bool = False


class CrossedLine(Struct, frozen=True, kw_only=True):
    """Units of a line that left although they had been cancelled or amended away."""

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
    """A parcel did not leave as planned. A person should look at it."""

    shipment_id: Id
    location_id: Id
    lines: tuple[DifferingLine, ...]


class DispatchCrossed(FactOfOrder, frozen=True, kw_only=True):
    """Units left although they had been cancelled or amended away. A person must contact the customer."""

    shipment_id: Id
    location_id: Id
    case_id: Id
    lines: tuple[CrossedLine, ...]


Planned: TypeAlias = Literal["elsewhere", "backordered", "open", "held"]


def dispatch(decision: Decision, data: DispatchShipment) -> Refused | None:
    """A parcel left. Use up the reservations of its units, at any location, and state differences from the plan."""
    order = decision.order
    what = f"shipment {data.shipment_id} of order {order.order_id} was not recorded"
    if data.shipment_id in order.shipments:
        return Refused(
            code="conflict",
            what=what,
            detail="the order already has a shipment with this shipment_id"
            + (", and its dispatch was retracted" if order.shipments[data.shipment_id].retracted else ""),
            hint="give each parcel of an order its own shipment_id; none is ever used again",
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
        # `ordered` rises by the units that left, so the pending amendment started from a wrong number.
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
                detail=f"line {line_id}: {quantity} asked; {line.ordered + line.removed} ordered in all, "
                f"{line.shipped} shipped: at most {most}",
                hint="check what left; a parcel cannot hold more units than were ever ordered",
                at_most=most,
            )
    return None


def crossing_case(order_id: str, shipment_id: str) -> str:
    """Id of the service case about a parcel that crossed a cancellation. One parcel always gives the same id."""
    return "crossing-" + blake2b(f"{order_id}\0{shipment_id}".encode(), digest_size=8).hexdigest()


def _shipped(order: Order, line: Line, quantity: int, location_id: str) -> tuple[ShippedLine, list[DifferingLine]]:
    """Use up reservations here, then elsewhere, then waits, then open, cancelled and amended-away units."""
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
    # Idle units leave first. Units being sourced may still get stock, which the rest of the line can use.
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
    # An all-or-nothing order asks line by line. As long as it may ask, its idle units count as being sourced.
    asking = order.may_source_line(line.line_id)
    planned_otherwise: tuple[tuple[int, Planned], ...] = (
        (elsewhere, "elsewhere"),
        (waited, "backordered"),
        (0 if asking else idle, "open"),
    )
    if order.held_for_return(line) is not None:
        # An exchange line must not leave before its return has arrived, wherever its units were.
        planned_otherwise = ((here + elsewhere + waited + from_open, "held"),)
    differing = [
        DifferingLine(line_id=line.line_id, sku=line.sku, quantity=units, planned=planned, exchange=line.in_exchange)
        for units, planned in planned_otherwise
        if units
    ]
    return part, differing


def dispatched(order: Order, fact: ShipmentDispatched, about: About) -> Order:
    origins: dict[str, Origin] = {}
    for shipped in fact.lines:
        line = order.lines[shipped.line_id]
        called_off = shipped.from_cancelled + shipped.from_removed
        resent = min(line.replacing, shipped.quantity - called_off)
        here = sum(part.quantity for part in shipped.consumed if part.location_id == fact.location_id)
        asking = shipped.from_open == shipped.ahead or order.may_source_line(line.line_id)
        found = asking and not shipped.from_backordered
        origins[line.line_id] = Origin(here, shipped.from_cancelled, shipped.from_removed, resent, found)
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
            replacing=line.replacing - resent,
            ahead=add_ahead(line.ahead, Ahead(shipped.ahead, shipped.ahead_round, shipped.ahead_apart)),
        )
        order = line_changes.with_line(order, line)
    shipment = Shipment(
        location_id=fact.location_id,
        carrier=fact.carrier,
        lines={line.line_id: line.quantity for line in fact.lines},
        # At most log time. If the sender's clock is ahead, a count until then would not know of this dispatch.
        dispatched_at=min(about.occurred_at, about.recorded_at),
        crossed=any(origin.cancelled + origin.removed for origin in origins.values()),
        origins=origins,
    )
    return replace(order, shipments={**order.shipments, fact.shipment_id: shipment})
