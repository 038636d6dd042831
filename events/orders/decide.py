"""What an order answers to a command: the facts that follow, or why not. Pure; refuses first, then states the facts.

    decide(None, place_order) -> [OrderPlaced]
    decide(order, cancel_of_a_shipped_unit) -> Refused(at_most=0)

The answers of the stock streams are in `allocation`, what happens to goods in `goods`; here is what people ask for.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

from events.envelope import Command, Refused
from events.orders import allocation, goods
from events.orders import commands as c
from events.orders import facts as f
from events.orders.decision import Decision
from events.orders.evolve import evolve
from events.orders.state import Order
from events.promises import UnreadablePromiseError, promise_end
from events.values import ORDER_VALUE_MAX_MINOR, Attribute


def decide(order: Order | None, command: Command[c.OrderCommand]) -> Sequence[f.OrderFact] | Refused:
    """Facts of the command in this state; an empty sequence where an internal command has nothing new to say."""
    answer = conclude(order, command)
    return answer if isinstance(answer, Refused) else answer[0]


def conclude(
    order: Order | None, command: Command[c.OrderCommand]
) -> tuple[Sequence[f.OrderFact], Order | None] | Refused:
    """As `decide`, with the state after the facts, which deciding has found on its way."""
    data = command.data
    if isinstance(data, c.PlaceOrder):
        placed = _place(order, data, command)
        if isinstance(placed, Refused):
            return placed
        return (placed,), evolve(None, placed, channel=command.channel, occurred_at=command.occurred_at)
    if order is None:
        return Refused(
            code="unknown",
            what=f"there is no order {data.order_id}",
            detail=f"{type(data).__name__} came before its PlaceOrder, or the number is wrong",
            hint="send PlaceOrder first; check order_id",
        )
    decision = Decision(order, command)
    refused = _answer(decision, data)
    if refused is not None:
        return refused
    if isinstance(data, c.CancelOrder | c.AmendOrder | c.DispatchShipment):
        decision.go_on_in_turn()
    if decision.order.fully_allocated and not order.fully_allocated:
        held = [hold for line in decision.order.lines.values() for hold in line.holds]
        decision.add(
            f.OrderAllocated(
                order_id=order.order_id,
                units=sum(hold.quantity for hold in held),
                parcels=len({hold.location_id for hold in held}),
            )
        )
    return decision.facts, decision.order


def _answer(decision: Decision, data: Any) -> Refused | None:
    match data:
        case c.RecordAllocation():
            return allocation.record(decision, data)
        case c.DispatchShipment():
            return goods.dispatch(decision, data)
        case c.RecordTracking():
            return goods.track(decision, data)
        case c.CancelOrder():
            return _cancel(decision, data)
        case c.AmendOrder():
            return _amend(decision, data)
        case c.HoldOrder():
            return _hold(decision, data)
        case c.ReleaseHold():
            return _release_hold(decision, data)
        case c.ReleaseOrder():
            return _release_order(decision)
        case c.RequestReturn():
            return goods.request_return(decision, data)
        case c.RecordReturnTracking():
            return goods.track_return(decision, data)
        case c.ReceiveReturn():
            return goods.receive_return(decision, data)
        case c.IssueRefund():
            return _refund(decision, data)
        case _:
            assert_never(data)


def _place(order: Order | None, data: c.PlaceOrder, command: Command[Any]) -> f.OrderPlaced | Refused:
    what = f"order {data.order_id} was not placed"
    if order is not None:
        return Refused(
            code="conflict",
            what=what,
            detail=f"there is an order of that number already, placed at {order.placed_at.isoformat()} "
            f"by {order.channel}",
            hint="use a new order_id; to change the order send AmendOrder",
        )
    if not data.lines and not data.charges:
        return Refused(
            code="invalid",
            what=what,
            detail="it has neither lines nor charges",
            hint="send at least one line or charge",
        )
    line_ids = [line.line_id for line in data.lines]
    if len(set(line_ids)) != len(line_ids):
        twice = next(line_id for line_id in line_ids if line_ids.count(line_id) > 1)
        return Refused(
            code="invalid",
            what=what,
            detail=f"line_id {twice} stands there twice",
            hint="number the lines of an order apart",
        )
    value = sum(line.quantity * line.unit_price_minor for line in data.lines)
    value += sum(charge.amount_minor for charge in data.charges)
    if abs(value) > ORDER_VALUE_MAX_MINOR:
        return _too_valuable(what, data.currency, value)
    promised_by: datetime | None = None
    try:
        if data.promised_by is not None:
            promised_by = promise_end(data.promised_by, country=data.ship_to.country, time_zone=data.ship_to.time_zone)
        if data.ship_to.time_zone is not None:
            # Looked at even where nothing is promised yet: an amendment may promise a date.
            promise_end("2000-01-01", country=data.ship_to.country, time_zone=data.ship_to.time_zone)
    except UnreadablePromiseError as error:
        return _unreadable_promise(what, error)
    return f.OrderPlaced(
        order_id=data.order_id,
        customer_id=data.customer_id,
        currency=data.currency,
        lines=tuple(
            f.PlacedLine(
                line_id=line.line_id,
                sku=line.sku,
                quantity=line.quantity,
                unit_price_minor=line.unit_price_minor,
                attributes=tuple(Attribute(name=name, value=value) for name, value in sorted(line.attributes.items())),
            )
            for line in data.lines
        ),
        ship_to=data.ship_to,
        service_level=data.service_level,
        promised_by=promised_by,
        allocation=data.allocation,
        release_at=data.release_at,
        charges=data.charges,
        sourcing=data.release_at is None or data.release_at <= command.recorded_at,
    )


def _cancel(decision: Decision, data: c.CancelOrder) -> Refused | None:
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


def _amend(decision: Decision, data: c.AmendOrder) -> Refused | None:
    order = decision.order
    what = f"order {order.order_id} was not amended"
    if not data.lines and data.promised_by is None:
        return Refused(code="invalid", what=what, detail="the amendment is empty", hint="name lines or promised_by")
    if len({line.line_id for line in data.lines}) != len(data.lines):
        return decision.repeated_line(what)
    promised_by = None
    if data.promised_by is not None:
        try:
            promised_by = promise_end(data.promised_by, country=order.country, time_zone=order.time_zone)
        except UnreadablePromiseError as error:
            return _unreadable_promise(what, error)
    changes: list[f.LineChanged] = []
    releases: list[f.Release] = []
    for wanted in data.lines:
        line = order.lines.get(wanted.line_id)
        if line is None:
            return decision.unknown_line(what, wanted.line_id)
        fixed = line.shipped + line.cancelled
        # 0 removes the line: all that can still go, goes.
        ordered = fixed if wanted.quantity == 0 else wanted.quantity
        if ordered < fixed:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {line.line_id}: {line.shipped} shipped and {line.cancelled} cancelled units stay: "
                f"at least {fixed}, so at most {line.unshipped} can go",
                hint=f"ask for at least {fixed}, or 0 to remove what is left",
                at_most=line.unshipped,
            )
        taken = decision.take(line, max(0, line.ordered - ordered))
        releases += taken.releases
        changes.append(
            f.LineChanged(
                line_id=line.line_id,
                sku=line.sku,
                ordered_before=line.ordered,
                ordered=ordered,
                from_open=taken.from_open,
                from_backordered=taken.from_backordered,
                from_allocated=taken.from_allocated,
            )
        )
    prices = {line.line_id: line.unit_price_minor for line in order.lines.values()}
    value = order.value_minor
    value += sum((change.ordered - change.ordered_before) * prices[change.line_id] for change in changes)
    if value > max(ORDER_VALUE_MAX_MINOR, order.value_minor):
        return _too_valuable(what, order.currency, value)
    decision.add(
        f.OrderAmended(
            order_id=order.order_id,
            by=data.by,
            lines=tuple(changes),
            promised_by=promised_by,
            releases=tuple(releases),
        )
    )
    decision.source_idle()
    return None


def _hold(decision: Decision, data: c.HoldOrder) -> Refused | None:
    order = decision.order
    if data.hold in order.holds:
        return Refused(
            code="conflict",
            what=f"order {order.order_id} was not held",
            detail=f"the hold {data.hold} is set already",
            hint="nothing needs to be done",
        )
    if not any(line.unshipped for line in order.lines.values()):
        return Refused(
            code="impossible",
            what=f"order {order.order_id} was not held",
            detail="nothing of it is left to hold: every unit is shipped or cancelled",
            hint="a hold only keeps what has not left yet",
        )
    decision.add(f.OrderHeld(order_id=order.order_id, hold=data.hold, reason=data.reason))
    return None


def _release_hold(decision: Decision, data: c.ReleaseHold) -> Refused | None:
    order = decision.order
    if data.hold not in order.holds:
        return Refused(
            code="conflict",
            what=f"the hold {data.hold} of order {order.order_id} was not released",
            detail=f"holds that are set: {', '.join(order.holds) or 'none'}",
            hint="name a hold that is set",
        )
    decision.add(f.HoldReleased(order_id=order.order_id, hold=data.hold, reason=data.reason))
    decision.source_idle()
    return None


def _release_order(decision: Decision) -> Refused | None:
    if decision.order.released:
        return None
    decision.release()
    return None


def _refund(decision: Decision, data: c.IssueRefund) -> Refused | None:
    order = decision.order
    left = max(0, order.value_minor - order.refunded_minor)
    if data.return_id is not None and data.return_id not in order.returns:
        return decision.unknown_return(f"no refund for order {order.order_id}", data.return_id)
    if data.amount_minor > left:
        return Refused(
            code="limit",
            what=f"no refund for order {order.order_id}",
            detail=f"{data.amount_minor} {order.currency} minor units asked, {order.refunded_minor} of "
            f"{order.value_minor} paid back already: at most {left}",
            hint=f"refund at most {left}",
            at_most=left,
        )
    decision.add(
        f.RefundIssued(
            order_id=order.order_id,
            return_id=data.return_id,
            amount_minor=data.amount_minor,
            currency=order.currency,
            reason=data.reason,
        )
    )
    return None


def _too_valuable(what: str, currency: str, value: int) -> Refused:
    return Refused(
        code="limit",
        what=what,
        detail=f"it comes to {value} {currency} minor units: at most {ORDER_VALUE_MAX_MINOR}",
        hint="check quantity and unit_price_minor; split an order that is really that large",
        at_most=ORDER_VALUE_MAX_MINOR,
    )


def _unreadable_promise(what: str, error: UnreadablePromiseError) -> Refused:
    return Refused(
        code="invalid",
        what=what,
        detail=f"promised_by or time_zone cannot be read: {error}",
        hint="a date like 2026-12-24, a time like 2026-12-24T18:00:00Z; an IANA time zone like Europe/Berlin",
    )
