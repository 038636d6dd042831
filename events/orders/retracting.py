"""A dispatch that was a mistake is taken back: the parcel never left, and no scan has shown it.

    retract(2 units that were allocated at WH1) -> DispatchRetracted: 2 are allocated at WH1 again
    retract(2 units that were not allocated)    -> DispatchRetracted: 2 are open again, and sourced
    retract(2 units that had been cancelled)    -> DispatchRetracted: 2 are cancelled again
    retract(after the first scan)               -> Refused: the parcel left

The stock stream puts the units back and reserves them again. If others have these units by now, it refuses the
reservation, and the order sources them again. A `shipment_id` is never used again.

If the parcel was replaced as lost, the replacement stays ordered, and the units of the parcel are no longer ordered.
"""

from msgspec import Struct
from msgspec.structs import replace

from events.attempts import HELD_AGAIN, attempt_number
from events.envelope import Refused
from events.orders import amending, goods, line_changes
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder
from events.orders.state import Hold, Line, Order, Origin, Shipment
from events.refusal import already_so
from events.values import Id, Natural, Quantity, Text, UtcTime


class RetractDispatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A parcel that was said to have left has not."""

    order_id: Id
    shipment_id: Id
    reason: Text


class RetractedLine(Struct, frozen=True, kw_only=True):
    """What becomes of the units of a line that did not leave. `to_allocated` of them are allocated under `attempt`.

    `replaced` of them had been replaced as lost. The replacement stays ordered, and these units are no longer ordered.
    """

    line_id: Id
    sku: Id
    quantity: Quantity
    to_open: Natural = 0
    to_allocated: Natural = 0
    attempt: Natural = 0
    to_cancelled: Natural = 0
    to_removed: Natural = 0
    replaced: Natural = 0
    written_off: Natural = 0
    exchange: bool = False


class DispatchRetracted(FactOfOrder, frozen=True, kw_only=True):
    """A parcel that was said to have left at `dispatched_at` has not."""

    shipment_id: Id
    location_id: Id
    dispatched_at: UtcTime
    reason: Text
    crossed: bool = False
    lines: tuple[RetractedLine, ...]

    def changes_units(self) -> bool:
        return True


def retract(decision: Decision, data: RetractDispatch) -> Refused | None:
    """Put the units of the parcel back into the state that they had before it was said to leave."""
    what = f"the dispatch of shipment {data.shipment_id} of order {decision.order.order_id} was not retracted"
    shipment = decision.order.shipments.get(data.shipment_id)
    if shipment is None:
        return decision.unknown_shipment(what, data.shipment_id)
    if shipment.retracted:
        return already_so(what, "it was retracted before")
    if shipment.seen:
        return Refused(
            code="impossible",
            what=what,
            detail=f"it left {shipment.location_id}: {_seen(shipment)}",
            hint="ReplaceShipment sends goods again; ReceiveReturn records what comes back",
        )
    refused = _came_back(decision, what, shipment)
    if refused is not None:
        return refused
    amending.make_pending_of(decision, shipment.lines)
    order, shipment = decision.order, decision.order.shipments[data.shipment_id]
    decision.add(
        DispatchRetracted(
            order_id=order.order_id,
            shipment_id=data.shipment_id,
            location_id=shipment.location_id,
            dispatched_at=shipment.dispatched_at,
            reason=data.reason,
            crossed=shipment.crossed,
            lines=tuple(_back(order, data.shipment_id, line_id) for line_id in shipment.lines),
        )
    )
    if decision.order.as_a_whole and any(line.idle or line.waits for line in decision.order.lines.values()):
        # An all-or-nothing order has all its units allocated, or none.
        decision.let_go_of_all("all_or_nothing")
    decision.source_idle()
    return None


def _seen(shipment: Shipment) -> str:
    if shipment.seen in ("damaged", "wrong_goods"):
        return f"it was replaced as {shipment.seen.replace('_', ' ')}"
    return f"its carrier has scanned it ({shipment.seen.replace('_', ' ')})"


def _came_back(decision: Decision, what: str, shipment: Shipment) -> Refused | None:
    """The refusal if a customer has, or has sent back, units that can only have been in this parcel."""
    announced = goods.still_to_come(decision.order)
    for line_id, units in shipment.lines.items():
        line = decision.order.lines[line_id]
        left = line.shipped - units
        missed = line.written_off - min(line.written_off, shipment.written_off.get(line_id, 0))
        if left < max(line.delivered + missed, line.returned + announced[line_id]):
            return Refused(
                code="conflict",
                what=what,
                detail=f"line {line_id}: without it {left} left; {line.delivered} arrived, {line.returned} came back, "
                f"{announced[line_id]} are announced to come back",
                hint="what came back or arrived had left; WithdrawReturn takes back what was announced by mistake",
            )
    return None


def _back(order: Order, shipment_id: str, line_id: str) -> RetractedLine:
    """What becomes of the units of a line. Replaced ones are no longer ordered; others are what they were before."""
    shipment = order.shipments[shipment_id]
    line, units = order.lines[line_id], shipment.lines[line_id]
    origin = shipment.origins.get(line_id, Origin())
    again = shipment.replaced.get(line_id, 0)
    left = units - again
    cancelled = min(origin.cancelled, left)
    removed = min(origin.removed, left - cancelled)
    held = min(origin.held, left - cancelled - removed)
    # The attempt belongs to the present round, because no new question is asked. A new round could be an amendment's.
    attempt = attempt_number(order.round, HELD_AGAIN, f"{shipment_id} {shipment.location_id}", held)
    return RetractedLine(
        line_id=line_id,
        sku=line.sku,
        quantity=units,
        to_open=left - cancelled - removed - held,
        to_allocated=held,
        attempt=attempt if held else 0,
        to_cancelled=cancelled,
        to_removed=removed,
        replaced=again,
        written_off=min(line.written_off, shipment.written_off.get(line_id, 0)),
        exchange=line.in_exchange,
    )


def retracted(order: Order, fact: DispatchRetracted) -> Order:
    shipment = order.shipments[fact.shipment_id]
    for part in fact.lines:
        before, origin = order.lines[part.line_id], shipment.origins.get(part.line_id, Origin())
        line = _returned_to_its_place(before, part, fact.location_id, origin.resent)
        order = line_changes.with_line(order, line)
        if part.to_open and origin.found and not before.idle:
            # Under a hold, sourcing goes on for units that stock was being asked for.
            order = line_changes.sought_on(order, (part.line_id,))
        elif part.to_open:
            order = line_changes.sought_no_more(order, part.line_id)
    shipment = replace(shipment, retracted=True, origins={}, replaced={}, written_off={})
    return line_changes.with_shipment(order, fact.shipment_id, shipment)


def _returned_to_its_place(line: Line, part: RetractedLine, location_id: str, resent: int) -> Line:
    if part.to_allocated:
        hold = Hold(part.attempt, location_id, part.to_allocated)
        line = replace(line, holds=line_changes.add_hold(line.holds, hold))
    line = replace(
        line,
        idle=line.idle + part.to_open,
        shipped=line.shipped - part.quantity,
        cancelled=line.cancelled + part.to_cancelled,
        removed=line.removed + part.to_removed,
        ordered=line.ordered - part.to_removed - part.replaced,
        replaced=line.replaced - part.replaced,
        written_off=line.written_off - part.written_off,
    )
    return replace(line, replacing=min(max(0, line.replacing - part.replaced) + resent, line.unshipped))
