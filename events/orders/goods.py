"""What happens to goods after they left: scans, returns. Recorded as it happened; only the impossible is refused."""

from base64 import b32encode
from collections import Counter
from hashlib import blake2b

from events.envelope import Refused
from events.orders import commands as c
from events.orders import exchanging
from events.orders import facts as f
from events.orders.decision import Decision
from events.orders.state import Shipment
from events.values import TEXT_MAX

# Python makes 1,024 small objects for this at the first use: in the middle of a flood each would hold a page.
b32encode(b"")


def track(decision: Decision, data: c.RecordTracking) -> Refused | None:
    """A scan; the first that says delivered also states the delivery."""
    order = decision.order
    shipment = order.shipments.get(data.shipment_id)
    if shipment is None:
        known = ", ".join(list(order.shipments)[:10])
        return Refused(
            code="unknown",
            what=f"a scan of shipment {data.shipment_id} was not recorded",
            detail=f"order {order.order_id} has no such shipment; its shipments: {known or 'none'}",
            hint="send DispatchShipment first; check shipment_id",
        )
    decision.add(
        f.ShipmentTracked(
            order_id=order.order_id,
            shipment_id=data.shipment_id,
            status=data.status,
            expected_at=data.expected_at,
            place=data.place,
            exchange=_all_in_exchange(decision, shipment),
        )
    )
    if data.status == "delivered" and not shipment.delivered:
        _deliver(decision, data.shipment_id, shipment)
    return None


def _deliver(decision: Decision, shipment_id: str, shipment: Shipment) -> None:
    order = decision.order
    delivered_at = decision.command.occurred_at
    # Where only the dispatch was promised, nothing was said of the arrival.
    due_by = order.due_by if order.promise == "delivery" else None
    lines = []
    for line_id, quantity in shipment.lines.items():
        line = order.lines[line_id]
        # A return may have shown already that units must have arrived.
        units = min(quantity, line.shipped - line.delivered)
        if units:
            lines.append(f.DeliveredLine(line_id=line_id, sku=line.sku, quantity=units, exchange=line.in_exchange))
    decision.add(
        f.ShipmentDelivered(
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


def _all_in_exchange(decision: Decision, shipment: Shipment) -> bool:
    return all(decision.order.lines[line_id].in_exchange for line_id in shipment.lines)


def request_return(decision: Decision, data: c.RequestReturn) -> Refused | None:
    """A return is announced for units that were shipped and are not announced or returned yet."""
    order = decision.order
    what = f"return {data.return_id} of order {order.order_id} was not opened"
    if data.return_id in order.returns:
        return Refused(
            code="conflict",
            what=what,
            detail="the order has a return of that number already",
            hint="number returns apart",
        )
    if not data.lines:
        return Refused(code="invalid", what=what, detail="it has no lines", hint="name what comes back")
    if len({line.line_id for line in data.lines}) != len(data.lines):
        return decision.repeated_line(what)
    announced: Counter[str] = Counter()
    for known in order.returns.values():
        for line_id, quantity in known.requested.items():
            announced[line_id] += max(0, quantity - known.received.get(line_id, 0))
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
            f.RequestedLine(
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
        f.ReturnRequested(
            order_id=order.order_id,
            return_id=data.return_id,
            rma=rma_number(order.order_id, data.return_id),
            resolution=data.resolution,
            lines=tuple(lines),
        )
    )
    exchanging.add(decision, data, exchange)
    return None


def track_return(decision: Decision, data: c.RecordReturnTracking) -> Refused | None:
    """A scan of a return parcel."""
    if data.return_id not in decision.order.returns:
        return decision.unknown_return(f"a scan of return {data.return_id} was not recorded", data.return_id)
    decision.add(
        f.ReturnTracked(
            order_id=decision.order.order_id, return_id=data.return_id, status=data.status, place=data.place
        )
    )
    return None


def receive_return(decision: Decision, data: c.ReceiveReturn) -> Refused | None:
    """A parcel was opened. An unannounced one, or one with other contents, is recorded, and the difference stated."""
    order = decision.order
    what = f"receipt of return {data.return_id} of order {order.order_id} was not recorded"
    if not data.lines:
        return Refused(code="invalid", what=what, detail="it has no lines", hint="name what was found in the parcel")
    for found in data.lines:
        if found.disposition == "restock" and found.line_id in order.lines and order.lines[found.line_id].customised:
            return Refused(
                code="impossible",
                what=what,
                detail=f"line {found.line_id} was made for this customer: it cannot be sold to another",
                hint="receive it as inspect, damaged or dispose",
            )
    arrived: Counter[str] = Counter()
    for found in data.lines:
        arrived[found.line_id] += found.quantity
    inferred = []
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
                hint="check what arrived; more than was shipped cannot come back",
                at_most=left,
            )
        missing = line.returned + quantity - line.delivered
        if missing > 0:
            inferred.append(f.DeliveredLine(line_id=line_id, sku=line.sku, quantity=missing, exchange=line.in_exchange))
    if inferred:
        decision.add(f.DeliveryInferred(order_id=order.order_id, return_id=data.return_id, lines=tuple(inferred)))
    known = order.returns.get(data.return_id)
    announced = known is not None and bool(known.requested)
    decision.add(
        f.ReturnReceived(
            order_id=order.order_id,
            return_id=data.return_id,
            rma=known.rma if known else rma_number(order.order_id, data.return_id),
            location_id=data.location_id,
            announced=announced,
            lines=tuple(
                f.ArrivedLine(
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
    if known is None or not announced:
        detail = "this return had been withdrawn" if known and known.withdrawn else "nobody had announced this return"
    else:
        more = {
            line_id: known.received.get(line_id, 0) + quantity - known.requested.get(line_id, 0)
            for line_id, quantity in arrived.items()
        }
        detail = "; ".join(
            f"line {line_id}: {units} more than announced" for line_id, units in more.items() if units > 0
        )
    if detail:
        decision.add(f.ReturnDiffered(order_id=order.order_id, return_id=data.return_id, detail=detail[:TEXT_MAX]))
    exchanging.release(decision, data.return_id)
    return None


def rma_number(order_id: str, return_id: str) -> str:
    """Return merchandise authorisation number: the same for the same return, hard to guess by counting."""
    digest = blake2b(f"{order_id}\0{return_id}".encode(), digest_size=5).digest()
    return "RMA-" + b32encode(digest).decode()
