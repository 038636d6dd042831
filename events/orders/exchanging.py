"""An exchange is a return plus new lines of the same order, which may leave when the return has come.

    RequestReturn(r-1, 1 of line 1, exchange)  -> ReturnRequested, ExchangeLinesAdded, SourcingRequested
    a dispatch of them before r-1 has come     -> recorded as it happened, DispatchDiffered(held)
    ReceiveReturn(r-1), all that was announced -> ReturnReceived, ExchangeReleased: they may leave
    WithdrawReturn(r-1)                        -> ReturnWithdrawn, OrderCancelled of what has not left

Part of a return releases nothing: who sends one of two mugs back would otherwise be sent two. If the rest never comes,
WithdrawReturn ends the exchange, and what came is paid back.
"""

from collections.abc import Sequence

from events.envelope import Refused
from events.orders import amending, cancelling, holding
from events.orders import commands as c
from events.orders import facts as f
from events.orders.decision import Decision
from events.orders.refusals import too_valuable
from events.orders.state import Return
from events.values import ID_LENGTH_MAX, ORDER_VALUE_MAX_MINOR, Attribute


def planned(decision: Decision, data: c.RequestReturn, what: str) -> Sequence[f.AddedLine] | Refused:
    """The lines to add for this return, none for a refund; refused where they cannot be added."""
    order = decision.order
    if data.resolution != "exchange":
        if not data.exchange:
            return ()
        return Refused(
            code="invalid",
            what=what,
            detail="it names goods in exchange, and its resolution is refund",
            hint="send resolution exchange, or leave exchange out",
        )
    lines = [_added(line) for line in data.exchange] or _the_same(decision, data)
    numbers = [line.line_id for line in lines]
    taken = [line_id for line_id in numbers if line_id in order.lines or numbers.count(line_id) > 1]
    if taken or any(len(line_id) > ID_LENGTH_MAX for line_id in numbers):
        return Refused(
            code="conflict",
            what=what,
            detail=f"line {taken[0]} of the exchange is there already"
            if taken
            else f"the number of a line of the exchange would be longer than {ID_LENGTH_MAX} characters",
            hint="name the lines of exchange with new numbers",
        )
    value = order.value_minor + sum(line.quantity * line.unit_price_minor for line in lines)
    if value > max(ORDER_VALUE_MAX_MINOR, order.value_minor):
        return too_valuable(what, order.currency, value)
    return lines


def _added(line: c.ExchangeLine) -> f.AddedLine:
    return f.AddedLine(
        line_id=line.line_id,
        sku=line.sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        attributes=tuple(Attribute(name=name, value=value) for name, value in sorted(line.attributes.items())),
        customised=line.customised,
    )


def _the_same(decision: Decision, data: c.RequestReturn) -> list[f.AddedLine]:
    """The goods that come back, at the same price."""
    lines = []
    for asked in data.lines:
        line = decision.order.lines[asked.line_id]
        lines.append(
            f.AddedLine(
                line_id=f"{data.return_id}:{line.line_id}",
                sku=line.sku,
                quantity=asked.quantity,
                unit_price_minor=line.unit_price_minor,
                attributes=line.attributes,
                customised=line.customised,
            )
        )
    return lines


def add(decision: Decision, data: c.RequestReturn, lines: Sequence[f.AddedLine]) -> None:
    """State the lines and have stock set aside for them."""
    if not lines:
        return
    if decision.order.as_a_whole:
        # An amendment that is being asked of stock was asked for an order that had all, and this one lacks units now.
        amending.decline(decision, "changed")
    order = decision.order
    decision.add(
        f.ExchangeLinesAdded(
            order_id=order.order_id,
            return_id=data.return_id,
            credit_minor=sum(line.quantity * order.lines[line.line_id].unit_price_minor for line in data.lines),
            lines=tuple(lines),
        )
    )
    holding.stand_still(decision)
    decision.source_idle()


def release(decision: Decision, return_id: str) -> None:
    """With the last unit that was announced, what is sent in exchange may leave."""
    order = decision.order
    known = order.returns[return_id]
    exchanged = [line for line in order.lines.values() if line.exchange_for == return_id]
    if not exchanged or known.exchanged or known.withdrawn or _missing(known):
        return
    decision.add(
        f.ExchangeReleased(
            order_id=order.order_id,
            return_id=return_id,
            lines=tuple(
                f.ExchangedLine(line_id=line.line_id, sku=line.sku, quantity=line.unshipped)
                for line in exchanged
                if line.unshipped
            ),
        )
    )


def withdraw(decision: Decision, data: c.WithdrawReturn) -> Refused | None:
    """What has not come does not come; of what was to be sent in exchange, what has not left is cancelled."""
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
            detail="it was withdrawn before" if known.withdrawn else "nothing of it is still to come",
            hint="what has come is paid back with IssueRefund",
        )
    decision.add(
        f.ReturnWithdrawn(
            order_id=order.order_id,
            return_id=data.return_id,
            by=data.by,
            reason=data.reason,
            lines=tuple(
                f.WithdrawnLine(line_id=line_id, sku=order.lines[line_id].sku, quantity=units)
                for line_id, units in missing.items()
            ),
        )
    )
    left = {line.line_id: line.unshipped for line in order.lines.values() if line.exchange_for == data.return_id}
    lines = tuple(c.LineQuantity(line_id=line_id, quantity=units) for line_id, units in left.items() if units)
    if not lines:
        return None
    return cancelling.cancel(
        decision, c.CancelOrder(order_id=order.order_id, reason=data.reason, by=data.by, lines=lines)
    )


def _missing(known: Return) -> dict[str, int]:
    """Units that were announced and have not come, by line."""
    missing = {line_id: units - known.received.get(line_id, 0) for line_id, units in known.requested.items()}
    return {line_id: units for line_id, units in missing.items() if units > 0}
