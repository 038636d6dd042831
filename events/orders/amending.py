"""What an order answers to an amendment: other quantities, another promise."""

from events.envelope import Refused
from events.orders import commands as c
from events.orders import facts as f
from events.orders.decision import Decision
from events.orders.refusals import too_valuable, unreadable_promise
from events.promises import UnreadablePromiseError, promise_end
from events.values import ORDER_VALUE_MAX_MINOR


def amend(decision: Decision, data: c.AmendOrder) -> Refused | None:
    """The order asks for something else from now on."""
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
            return unreadable_promise(what, error)
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
        return too_valuable(what, order.currency, value)
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
