"""An exchange is a return plus new lines of the same order, which may leave when the return has arrived.

    RequestReturn(r-1, 1 of line 1, exchange)  -> ReturnRequested, ExchangeLinesAdded, SourcingRequested
    a dispatch of them before r-1 has come     -> recorded as it happened, DispatchDiffered(held)
    ReceiveReturn(r-1), all that was announced -> ReturnReceived, ExchangeReleased: they may leave
    WithdrawReturn(r-1)                        -> ReturnWithdrawn, OrderCancelled of units that have not left

If only a part of the return arrives, no exchange line may leave. Otherwise a customer who sends back one of two mugs
would get two. If the rest never comes, WithdrawReturn ends the exchange, and the seller refunds what came.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders import amending, cancelling, holding, line_changes
from events.orders.cancelling import CancelOrder
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder, LineQuantity
from events.orders.refusals import too_valuable
from events.orders.state import Line, Order, Return
from events.values import (
    ID_LENGTH_MAX,
    ORDER_VALUE_MAX_MINOR,
    Attribute,
    Id,
    Natural,
    Quantity,
    ReasonCode,
    Text,
    Total,
)


class ReturnLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line that a customer wants to send back."""

    line_id: Id
    quantity: Quantity
    reason: Text
    reason_code: ReasonCode | None = None


class ExchangeLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line that is sent in exchange for a return."""

    line_id: Id
    sku: Id
    quantity: Quantity
    unit_price_minor: Natural
    attributes: dict[Id, Text] = {}
    customised: bool = False


class RequestReturn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A customer asks to send something back."""

    order_id: Id
    return_id: Id
    lines: tuple[ReturnLine, ...]
    resolution: Literal["refund", "exchange"] = "refund"
    exchange: tuple[ExchangeLine, ...] = ()


class WithdrawReturn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An announced return, or the rest of it, will not come."""

    order_id: Id
    return_id: Id
    reason: Text
    by: Literal["customer", "seller"] = "customer"


class AddedLine(Struct, frozen=True, kw_only=True):
    """A line that is sent in exchange."""

    line_id: Id
    sku: Id
    quantity: Quantity
    unit_price_minor: Natural
    attributes: tuple[Attribute, ...]
    customised: bool = False


class ExchangeLinesAdded(FactOfOrder, frozen=True, kw_only=True):
    """Lines were added to an order in exchange for a return. They may leave when it has arrived."""

    return_id: Id
    credit_minor: Total
    lines: tuple[AddedLine, ...]

    def changes_units(self) -> bool:
        return True


class ExchangedLine(Struct, frozen=True, kw_only=True):
    """Units of a line that may leave."""

    line_id: Id
    sku: Id
    quantity: Quantity


class ExchangeReleased(FactOfOrder, frozen=True, kw_only=True):
    """Everything announced of a return has arrived: its exchange lines may leave."""

    return_id: Id
    lines: tuple[ExchangedLine, ...]


class WithdrawnLine(Struct, frozen=True, kw_only=True):
    """Units of a line that do not come back."""

    line_id: Id
    sku: Id
    quantity: Quantity


class ReturnWithdrawn(FactOfOrder, frozen=True, kw_only=True):
    """An announced return, or the rest of it, will not come."""

    return_id: Id
    by: Text
    reason: Text
    lines: tuple[WithdrawnLine, ...]


def planned(decision: Decision, data: RequestReturn, what: str) -> Sequence[AddedLine] | Refused:
    """The lines to add for this return (none for a refund), or a refusal."""
    order = decision.order
    if data.resolution != "exchange":
        if not data.exchange:
            return ()
        return Refused(
            code="invalid",
            what=what,
            detail="it has exchange lines, but its resolution is refund",
            hint="send resolution exchange, or leave exchange out",
        )
    lines = [_added(line) for line in data.exchange] or _the_same(decision, data)
    numbers = [line.line_id for line in lines]
    taken = [line_id for line_id in numbers if line_id in order.lines or numbers.count(line_id) > 1]
    if taken or any(len(line_id) > ID_LENGTH_MAX for line_id in numbers):
        return Refused(
            code="conflict",
            what=what,
            detail=f"line {taken[0]} of the exchange already exists"
            if taken
            else f"a line_id made for the exchange would be longer than {ID_LENGTH_MAX} characters",
            hint="give the exchange lines new line_ids",
        )
    value = order.value_minor + sum(line.quantity * line.unit_price_minor for line in lines)
    if value > max(ORDER_VALUE_MAX_MINOR, order.value_minor):
        return too_valuable(what, order.currency, value)
    return lines


def _added(line: ExchangeLine) -> AddedLine:
    return AddedLine(
        line_id=line.line_id,
        sku=line.sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        attributes=tuple(Attribute(name=name, value=value) for name, value in sorted(line.attributes.items())),
        customised=line.customised,
    )


def _the_same(decision: Decision, data: RequestReturn) -> list[AddedLine]:
    """Lines for the goods that come back, at the same price."""
    lines = []
    for asked in data.lines:
        line = decision.order.lines[asked.line_id]
        lines.append(
            AddedLine(
                line_id=f"{data.return_id}:{line.line_id}",
                sku=line.sku,
                quantity=asked.quantity,
                unit_price_minor=line.unit_price_minor,
                attributes=line.attributes,
                customised=line.customised,
            )
        )
    return lines


def add(decision: Decision, data: RequestReturn, lines: Sequence[AddedLine]) -> None:
    """State the lines and ask for stock for them."""
    if not lines:
        return
    if decision.order.as_a_whole:
        # The pending amendment was for a complete order. With the new lines, the order is not complete.
        amending.decline(decision, "changed")
    order = decision.order
    decision.add(
        ExchangeLinesAdded(
            order_id=order.order_id,
            return_id=data.return_id,
            credit_minor=sum(line.quantity * order.lines[line.line_id].unit_price_minor for line in data.lines),
            lines=tuple(lines),
        )
    )
    holding.stand_still(decision)
    decision.source_idle()


def release(decision: Decision, return_id: str) -> None:
    """Release the exchange lines once all announced units have arrived."""
    order = decision.order
    known = order.returns[return_id]
    exchanged = [line for line in order.lines.values() if line.exchange_for == return_id]
    if not exchanged or known.exchanged or known.withdrawn or _missing(known):
        return
    decision.add(
        ExchangeReleased(
            order_id=order.order_id,
            return_id=return_id,
            lines=tuple(
                ExchangedLine(line_id=line.line_id, sku=line.sku, quantity=line.unshipped)
                for line in exchanged
                if line.unshipped
            ),
        )
    )


def withdraw(decision: Decision, data: WithdrawReturn) -> Refused | None:
    """End the return; cancel the exchange units that have not left."""
    order = decision.order
    what = f"return {data.return_id} of order {order.order_id} was not withdrawn"
    known = order.returns.get(data.return_id)
    if known is None:
        return decision.unknown_return(what, data.return_id)
    missing = _missing(known)
    if not missing:
        return Refused(
            code="conflict",
            what=what,
            detail="it was withdrawn before" if known.withdrawn else "everything announced has arrived",
            hint="use IssueRefund to pay back the received goods",
        )
    decision.add(
        ReturnWithdrawn(
            order_id=order.order_id,
            return_id=data.return_id,
            by=data.by,
            reason=data.reason,
            lines=tuple(
                WithdrawnLine(line_id=line_id, sku=order.lines[line_id].sku, quantity=units)
                for line_id, units in missing.items()
            ),
        )
    )
    left = {line.line_id: line.unshipped for line in order.lines.values() if line.exchange_for == data.return_id}
    lines = tuple(LineQuantity(line_id=line_id, quantity=units) for line_id, units in left.items() if units)
    if not lines:
        return None
    return cancelling.cancel(
        decision, CancelOrder(order_id=order.order_id, reason=data.reason, by=data.by, lines=lines)
    )


def _missing(known: Return) -> dict[str, int]:
    """Units that were announced and have not arrived, by line."""
    missing = {line_id: units - known.received.get(line_id, 0) for line_id, units in known.requested.items()}
    return {line_id: units for line_id, units in missing.items() if units > 0}


def exchanged(order: Order, fact: ExchangeLinesAdded) -> Order:
    for added in fact.lines:
        line = Line(
            line_id=added.line_id,
            sku=added.sku,
            unit_price_minor=added.unit_price_minor,
            attributes=added.attributes,
            customised=added.customised,
            ordered=added.quantity,
            idle=added.quantity,
            exchange_for=fact.return_id,
        )
        order = line_changes.with_line(order, line)
        if order.as_a_whole:
            order = line_changes.sought_no_more(order, line.line_id)
    known = replace(order.returns[fact.return_id], credit_minor=fact.credit_minor)
    return replace(order, returns={**order.returns, fact.return_id: known})


def withdrawn(order: Order, fact: ReturnWithdrawn) -> Order:
    known = order.returns[fact.return_id]
    gone = {line.line_id: line.quantity for line in fact.lines}
    left = {line_id: units - gone.get(line_id, 0) for line_id, units in known.requested.items()}
    requested = {line_id: units for line_id, units in left.items() if units > 0}
    return replace(
        order, returns={**order.returns, fact.return_id: replace(known, requested=requested, withdrawn=True)}
    )


def exchange_released(order: Order, fact: ExchangeReleased) -> Order:
    known = replace(order.returns[fact.return_id], exchanged=True)
    return replace(order, returns={**order.returns, fact.return_id: known})
