"""Scans and returns. They are recorded as they happened; only what is impossible is refused."""

from base64 import b32encode
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders import deferring, exchanging, line_changes
from events.orders.decision import Decision
from events.orders.exchanging import RequestReturn
from events.orders.parts import Cause, FactOfOrder
from events.orders.state import Line, Order, Return, Shipment
from events.values import TEXT_MAX, Id, Natural, Quantity, Text, UtcTime


class RecordTracking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A carrier's scan of a parcel."""

    order_id: Id
    shipment_id: Id
    status: Literal[
        "picked_up", "in_transit", "out_for_delivery", "delivered", "delivery_failed", "returned_to_sender", "lost"
    ]
    expected_at: UtcTime | None = None
    place: Text | None = None


class RecordReturnTracking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A carrier's scan of a return parcel."""

    order_id: Id
    return_id: Id
    status: Literal[
        "picked_up", "in_transit", "out_for_delivery", "delivered", "delivery_failed", "returned_to_sender", "lost"
    ]
    place: Text | None = None


class ReceivedLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line as it was found on arrival."""

    line_id: Id
    quantity: Quantity
    disposition: Literal["restock", "damaged", "dispose", "inspect"]


class ReceiveReturn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Goods came back and were opened at a location.

    Without a `cause` the ledger decides: unclaimed if the carrier returned them to sender, otherwise customer.
    """

    order_id: Id
    return_id: Id
    location_id: Id
    cause: Cause | None = None
    lines: tuple[ReceivedLine, ...]


class ShipmentTracked(FactOfOrder, frozen=True, kw_only=True):
    """A carrier scanned a parcel. A `deferred` scan has its own time, because its command came earlier."""

    shipment_id: Id
    status: Text
    expected_at: UtcTime | None = None
    place: Text | None = None
    exchange: bool = False
    deferred: Quantity | None = None
    scanned_at: UtcTime | None = None


class DeliveredLine(Struct, frozen=True, kw_only=True):
    """Units of a line that reached the customer. `found` of them had been written off before."""

    line_id: Id
    sku: Id
    quantity: Quantity
    exchange: bool = False
    found: Natural = 0


class ShipmentDelivered(FactOfOrder, frozen=True, kw_only=True):
    """A parcel reached the customer."""

    shipment_id: Id
    location_id: Id
    carrier: Id
    delivered_at: UtcTime
    due_by: UtcTime | None = None
    on_time: bool | None = None
    lines: tuple[DeliveredLine, ...]
    exchange: bool = False


class DeliveryInferred(FactOfOrder, frozen=True, kw_only=True):
    """A customer sent back goods without a scan of their delivery. So they must have been delivered."""

    return_id: Id
    lines: tuple[DeliveredLine, ...]


class RequestedLine(Struct, frozen=True, kw_only=True):
    """A line that a customer wants to send back."""

    line_id: Id
    sku: Id
    quantity: Quantity
    reason: Text
    reason_code: Text | None = None
    exchange: bool = False


class ArrivedLine(Struct, frozen=True, kw_only=True):
    """A line that came back."""

    line_id: Id
    sku: Id
    quantity: Quantity
    disposition: Literal["restock", "damaged", "dispose", "inspect"]
    exchange: bool = False


class ReturnRequested(FactOfOrder, frozen=True, kw_only=True):
    """A customer wants to send something back."""

    return_id: Id
    rma: Id
    resolution: Text
    lines: tuple[RequestedLine, ...]


class ReturnTracked(FactOfOrder, frozen=True, kw_only=True):
    """A carrier scanned a return parcel."""

    return_id: Id
    status: Text
    place: Text | None = None


class ReturnReceived(FactOfOrder, frozen=True, kw_only=True):
    """Goods came back and were opened; `cause` says why."""

    return_id: Id
    rma: Id
    location_id: Id
    announced: bool
    cause: Cause
    lines: tuple[ArrivedLine, ...]


class ReturnDiffered(FactOfOrder, frozen=True, kw_only=True):
    """What came back is not what was announced. A person should look at it."""

    return_id: Id
    detail: Text


# The first call makes 1,024 small objects. Made under load, each of them would keep a page of memory from being freed.
b32encode(b"")


def track(decision: Decision, data: RecordTracking) -> Refused | None:
    """Record a scan. The first scan `delivered` also makes ShipmentDelivered. A scan of an unknown parcel waits."""
    order = decision.order
    shipment = order.shipments.get(data.shipment_id)
    if shipment is None:
        return deferring.defer(decision, data.shipment_id, data.status, data.expected_at, data.place)
    if shipment.retracted:
        return Refused(
            code="conflict",
            what=f"a scan of shipment {data.shipment_id} of order {order.order_id} was not recorded",
            detail=f"its dispatch was retracted: it never left {shipment.location_id}",
            hint="if it left after all, send DispatchShipment with a new shipment_id, then the scan with that",
        )
    decision.add(
        ShipmentTracked(
            order_id=order.order_id,
            shipment_id=data.shipment_id,
            status=data.status,
            expected_at=data.expected_at,
            place=data.place,
            exchange=_all_in_exchange(decision, shipment),
        )
    )
    _deliver(decision, data.shipment_id, data.status, decision.command.occurred_at)
    return None


def track_deferred(decision: Decision, shipment_id: str) -> None:
    """The parcel is known now: record the scans that waited for it, in the order in which they came."""
    for scan in decision.order.deferred:
        if scan.shipment_id != shipment_id:
            continue
        decision.add(
            ShipmentTracked(
                order_id=decision.order.order_id,
                shipment_id=shipment_id,
                status=scan.status,
                expected_at=scan.expected_at,
                place=scan.place,
                exchange=_all_in_exchange(decision, decision.order.shipments[shipment_id]),
                deferred=scan.number,
                scanned_at=scan.scanned_at,
            )
        )
        _deliver(decision, shipment_id, scan.status, scan.scanned_at)


def _deliver(decision: Decision, shipment_id: str, status: str, delivered_at: datetime) -> None:
    order = decision.order
    shipment = order.shipments[shipment_id]
    if status != "delivered" or shipment.delivered:
        return
    # If only the dispatch was promised, the delivery cannot be late.
    due_by = order.due_by if order.promise == "delivery" else None
    lines = []
    for line_id, quantity in shipment.lines.items():
        line = order.lines[line_id]
        # Some units may already count as delivered, because a return showed that. Others may have been written off.
        missed = min(shipment.written_off.get(line_id, 0), line.written_off)
        units = min(quantity, line.shipped - line.delivered - (line.written_off - missed))
        if units:
            lines.append(_arrived(line, units, min(missed, units)))
    decision.add(
        ShipmentDelivered(
            order_id=order.order_id,
            shipment_id=shipment_id,
            location_id=shipment.location_id,
            carrier=shipment.carrier,
            delivered_at=delivered_at,
            due_by=due_by,
            on_time=None if due_by is None else delivered_at <= due_by,
            lines=tuple(lines),
            exchange=_all_in_exchange(decision, shipment),
        )
    )


def _arrived(line: Line, units: int, found: int) -> DeliveredLine:
    return DeliveredLine(line_id=line.line_id, sku=line.sku, quantity=units, exchange=line.in_exchange, found=found)


def _all_in_exchange(decision: Decision, shipment: Shipment) -> bool:
    return all(decision.order.lines[line_id].in_exchange for line_id in shipment.lines)


def request_return(decision: Decision, data: RequestReturn) -> Refused | None:
    """Announce a return, for shipped units that are neither announced nor returned yet."""
    order = decision.order
    what = f"return {data.return_id} of order {order.order_id} was not opened"
    if data.return_id in order.returns:
        return Refused(
            code="conflict",
            what=what,
            detail="the order already has a return with this return_id",
            hint="give each return of an order its own return_id",
        )
    if not data.lines:
        return Refused(code="invalid", what=what, detail="it has no lines", hint="name what comes back")
    if len({line.line_id for line in data.lines}) != len(data.lines):
        return decision.repeated_line(what)
    announced = still_to_come(order)
    lines = []
    for asked in data.lines:
        line = order.lines.get(asked.line_id)
        if line is None:
            return decision.unknown_line(what, asked.line_id)
        left = max(0, line.shipped - line.returned - announced[asked.line_id])
        if asked.quantity > left:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {asked.line_id}: {asked.quantity} asked; {line.shipped} shipped, "
                f"{line.returned} returned, {announced[asked.line_id]} announced: at most {left}",
                hint=f"return at most {left}",
                at_most=left,
            )
        lines.append(
            RequestedLine(
                line_id=line.line_id,
                sku=line.sku,
                quantity=asked.quantity,
                reason=asked.reason,
                reason_code=asked.reason_code,
                exchange=line.in_exchange,
            )
        )
    exchange = exchanging.planned(decision, data, what)
    if isinstance(exchange, Refused):
        return exchange
    decision.add(
        ReturnRequested(
            order_id=order.order_id,
            return_id=data.return_id,
            rma=rma_number(order.order_id, data.return_id),
            resolution=data.resolution,
            lines=tuple(lines),
        )
    )
    exchanging.add(decision, data, exchange)
    return None


def still_to_come(order: Order) -> Counter[str]:
    """Units that customers announced and that have not come back, by line."""
    announced: Counter[str] = Counter()
    for known in order.returns.values():
        for line_id, quantity in known.requested.items():
            announced[line_id] += max(0, quantity - known.received.get(line_id, 0))
    return announced


def track_return(decision: Decision, data: RecordReturnTracking) -> Refused | None:
    """A scan of a return parcel."""
    if data.return_id not in decision.order.returns:
        return decision.unknown_return(f"a scan of return {data.return_id} was not recorded", data.return_id)
    decision.add(
        ReturnTracked(order_id=decision.order.order_id, return_id=data.return_id, status=data.status, place=data.place)
    )
    return None


def receive_return(decision: Decision, data: ReceiveReturn) -> Refused | None:
    """A returned parcel was opened. If a customer sent it, differences from the announced return are stated.

    Only a return by the customer shows that the goods were delivered. Unclaimed, refused and recalled parcels do not.
    """
    order = decision.order
    what = f"receipt of return {data.return_id} of order {order.order_id} was not recorded"
    if not data.lines:
        return Refused(code="invalid", what=what, detail="it has no lines", hint="name what was found in the parcel")
    for found in data.lines:
        if found.disposition == "restock" and found.line_id in order.lines and order.lines[found.line_id].customised:
            return Refused(
                code="impossible",
                what=what,
                detail=f"line {found.line_id} was made for this customer: it cannot be sold to anybody else",
                hint="receive it as inspect, damaged or dispose",
            )
    arrived: Counter[str] = Counter()
    for found in data.lines:
        arrived[found.line_id] += found.quantity
    for line_id, quantity in arrived.items():
        line = order.lines.get(line_id)
        if line is None:
            return decision.unknown_line(what, line_id)
        left = line.shipped - line.returned
        if quantity > left:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {line_id}: {quantity} received; {line.shipped} shipped, "
                f"{line.returned} returned: at most {left}",
                hint="check what arrived; more units cannot come back than were shipped",
                at_most=left,
            )
    known = order.returns.get(data.return_id)
    cause = data.cause or _cause(order, known, arrived)
    if cause == "customer":
        _infer_delivery(decision, data.return_id, arrived)
    announced = known is not None and bool(known.requested)
    decision.add(
        ReturnReceived(
            order_id=order.order_id,
            return_id=data.return_id,
            rma=known.rma if known else rma_number(order.order_id, data.return_id),
            location_id=data.location_id,
            announced=announced,
            cause=cause,
            lines=tuple(
                ArrivedLine(
                    line_id=found.line_id,
                    sku=order.lines[found.line_id].sku,
                    quantity=found.quantity,
                    disposition=found.disposition,
                    exchange=order.lines[found.line_id].in_exchange,
                )
                for found in data.lines
            ),
        )
    )
    detail = ""
    if not known or not announced:
        # Only customers announce returns.
        if cause == "customer":
            withdrawn = known and known.withdrawn
            detail = "this return had been withdrawn" if withdrawn else "this return had not been announced"
    else:
        more = {
            line_id: known.received.get(line_id, 0) + quantity - known.requested.get(line_id, 0)
            for line_id, quantity in arrived.items()
        }
        detail = "; ".join(
            f"line {line_id}: {units} more than announced" for line_id, units in more.items() if units > 0
        )
    if detail:
        decision.add(ReturnDiffered(order_id=order.order_id, return_id=data.return_id, detail=detail[:TEXT_MAX]))
    exchanging.release(decision, data.return_id)
    return None


def _cause(order: Order, known: Return | None, arrived: Mapping[str, int]) -> Cause:
    """Unclaimed if all units can come from parcels on their way back to sender; otherwise customer.

    Exception: delivered units with an announced return count as sent back by the customer, even then.
    """
    lines = [(order.lines[line_id], quantity) for line_id, quantity in arrived.items()]
    for line, quantity in lines:
        to_sender = sum(parcel.lines.get(line.line_id, 0) for parcel in order.shipments.values() if parcel.to_sender)
        if quantity > to_sender - (line.returned - line.returned_by_customer):
            return "customer"
    if known and known.requested and all(units <= line.delivered - line.returned_by_customer for line, units in lines):
        return "customer"
    return "unclaimed"


def _infer_delivery(decision: Decision, return_id: str, arrived: Mapping[str, int]) -> None:
    """State the delivery of units that a customer sent back and that no scan had shown as delivered."""
    order = decision.order
    inferred = []
    for line_id, quantity in arrived.items():
        line = order.lines[line_id]
        missing = line.returned_by_customer + quantity - line.delivered
        if missing > 0:
            # More units came back than can have arrived otherwise. So units that were written off have arrived, too.
            found = max(0, line.delivered + missing + line.written_off - line.shipped)
            inferred.append(_arrived(line, missing, found))
    if inferred:
        decision.add(DeliveryInferred(order_id=order.order_id, return_id=return_id, lines=tuple(inferred)))


def rma_number(order_id: str, return_id: str) -> str:
    """The return number (RMA): always the same for one return, and hard to guess for others."""
    digest = blake2b(f"{order_id}\0{return_id}".encode(), digest_size=5).digest()
    return "RMA-" + b32encode(digest).decode()


def delivered(order: Order, lines: tuple[DeliveredLine, ...]) -> Order:
    for delivered in lines:
        line = order.lines[delivered.line_id]
        line = replace(
            line, delivered=line.delivered + delivered.quantity, written_off=line.written_off - delivered.found
        )
        order = line_changes.with_line(order, line)
    return order


def returned(order: Order, fact: ReturnReceived) -> Order:
    known = order.returns.get(fact.return_id) or Return(rma=fact.rma, requested={}, received={})
    received = dict(known.received)
    for arrived in fact.lines:
        line = order.lines[arrived.line_id]
        received[arrived.line_id] = received.get(arrived.line_id, 0) + arrived.quantity
        by_customer = arrived.quantity if fact.cause == "customer" else 0
        line = replace(
            line,
            returned=line.returned + arrived.quantity,
            returned_by_customer=line.returned_by_customer + by_customer,
        )
        order = line_changes.with_line(order, line)
    known = replace(known, received=received, cause=fact.cause)
    return replace(order, returns={**order.returns, fact.return_id: known})


def tracked(order: Order, fact: ShipmentTracked) -> Order:
    """The order after a scan. A parcel on its way back to its sender stays so, until a scan says delivered."""
    shipment = replace(order.shipments[fact.shipment_id], seen=fact.status, origins={})
    if fact.status in ("returned_to_sender", "delivered"):
        shipment = replace(shipment, to_sender=fact.status == "returned_to_sender")
    return line_changes.with_shipment(order, fact.shipment_id, shipment)


def shipment_delivered(order: Order, fact: ShipmentDelivered) -> Order:
    shipment = replace(order.shipments[fact.shipment_id], delivered=True, written_off={})
    order = line_changes.with_shipment(order, fact.shipment_id, shipment)
    return delivered(order, fact.lines)


def return_requested(order: Order, fact: ReturnRequested) -> Order:
    asked = Return(rma=fact.rma, requested={line.line_id: line.quantity for line in fact.lines}, received={})
    return replace(order, returns={**order.returns, fact.return_id: asked})
