"""Goods that were lost, damaged or wrong are sent again, at no cost for the customer.

    replace(parcel of 2, lost)   -> ShipmentReplaced(2), SourcingRequested: 2 more units of the same line are ordered
    replace(3 of a parcel of 2)  -> Refused(at_most=2)
    the lost parcel turns up     -> ShipmentDelivered(found=2): recorded as it happened; the replacement goes on

A replacement raises `ordered` and `replaced` of the line. So all rules about units hold for it: it may wait, be
cancelled, leave in several parcels, and be replaced again. The value of the order does not include replacements.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders import amending, line_changes
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder, LineQuantity
from events.orders.state import Order, Shipment
from events.refusal import already_so
from events.values import NUMBER_MAX, Id, Natural, Quantity, Text


class ReplaceShipment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Send goods of a parcel again; without lines, all of them."""

    order_id: Id
    shipment_id: Id
    reason: Literal["lost", "damaged", "wrong_goods"]
    lines: tuple[LineQuantity, ...] = ()


class ReplacedLine(Struct, frozen=True, kw_only=True):
    """Units of a line that are to be sent again. `written_off` of the units that they replace have not arrived."""

    line_id: Id
    sku: Id
    quantity: Quantity
    written_off: Natural = 0
    exchange: bool = False


class ShipmentReplaced(FactOfOrder, frozen=True, kw_only=True):
    """What was in a parcel is to be sent again."""

    shipment_id: Id
    reason: Text
    lines: tuple[ReplacedLine, ...]

    def changes_units(self) -> bool:
        return True


def send_again(decision: Decision, data: ReplaceShipment) -> Refused | None:
    """Order units of a parcel once more, and source them."""
    what = f"nothing of shipment {data.shipment_id} of order {decision.order.order_id} is sent again"
    shipment = decision.order.shipments.get(data.shipment_id)
    if shipment is None:
        return decision.unknown_shipment(what, data.shipment_id)
    if shipment.retracted:
        return Refused(
            code="conflict",
            what=what,
            detail=f"its dispatch was retracted: it never left {shipment.location_id}",
            hint="what was in it is still to be sent with another parcel",
        )
    left = {line_id: units - shipment.replaced.get(line_id, 0) for line_id, units in shipment.lines.items()}
    if not any(left.values()):
        return already_so(what, "everything in it is replaced already: at most 0", at_most=0)
    wanted = {line.line_id: line.quantity for line in data.lines}
    if len(wanted) != len(data.lines):
        return decision.repeated_line(what)
    wanted = wanted or {line_id: units for line_id, units in left.items() if units}
    refused = _too_many(decision, what, shipment, wanted)
    if refused is not None:
        return refused
    amending.make_pending_of(decision, wanted)
    lines = []
    for line_id, quantity in wanted.items():
        line = decision.order.lines[line_id]
        missing = 0 if shipment.delivered else min(quantity, line.shipped - line.delivered - line.written_off)
        lines.append(
            ReplacedLine(
                line_id=line_id,
                sku=line.sku,
                quantity=quantity,
                written_off=missing,
                exchange=line.in_exchange,
            )
        )
    decision.add(
        ShipmentReplaced(
            order_id=decision.order.order_id,
            shipment_id=data.shipment_id,
            reason=data.reason,
            lines=tuple(lines),
        )
    )
    decision.source_idle()
    return None


def _too_many(decision: Decision, what: str, shipment: Shipment, wanted: dict[str, int]) -> Refused | None:
    for line_id, quantity in wanted.items():
        line = decision.order.lines.get(line_id)
        if line is None:
            return decision.unknown_line(what, line_id)
        inside, replaced = shipment.lines.get(line_id, 0), shipment.replaced.get(line_id, 0)
        most = min(inside - replaced, NUMBER_MAX - line.ordered)
        if quantity > most:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {line_id}: {quantity} asked; {inside} were in it, {replaced} replaced already, "
                f"{line.ordered} ordered in all: at most {most}",
                hint="replace at most what was in the parcel; AmendOrder orders more units",
                at_most=most,
            )
    return None


def replaced(order: Order, fact: ShipmentReplaced) -> Order:
    shipment = order.shipments[fact.shipment_id]
    again, written_off = dict(shipment.replaced), dict(shipment.written_off)
    for part in fact.lines:
        line = order.lines[part.line_id]
        line = replace(
            line,
            ordered=line.ordered + part.quantity,
            idle=line.idle + part.quantity,
            replaced=line.replaced + part.quantity,
            replacing=line.replacing + part.quantity,
            written_off=line.written_off + part.written_off,
        )
        order = line_changes.sought_no_more(line_changes.with_line(order, line), part.line_id)
        again[part.line_id] = again.get(part.line_id, 0) + part.quantity
        written_off[part.line_id] = written_off.get(part.line_id, 0) + part.written_off
    shipment = replace(shipment, replaced=again, written_off=written_off)
    if fact.reason != "lost":
        # Somebody has seen the goods outside, so the parcel left.
        shipment = replace(shipment, seen=fact.reason, origins={})
    return line_changes.with_shipment(order, fact.shipment_id, shipment)
