"""Queues that a person works: units for which the rules know no way on stand there, with the reason.

    QueueOrder(routing_exceptions, no_plan)      -> OrderQueued: the units are open, and nobody looks for a location
    ResolveQueued(retry)                         -> OrderUnqueued, SourcingRequested: as if nothing had been
    the units were cancelled or shipped anyhow   -> OrderUnqueued(over), by itself

An order that goes as a whole stands there as a whole: it holds nothing, and waits for nothing, until a person decides.
"""

from collections.abc import Iterable

from events.envelope import Refused
from events.orders import cancelling
from events.orders import commands as c
from events.orders import facts as f
from events.orders.decision import Decision
from events.orders.state import Line, Order
from events.refusal import already_so
from events.values import TEXT_MAX


def queue(decision: Decision, data: c.QueueOrder) -> Refused | None:
    """The lines named (all where none is) stand in the queue, as far as nobody holds units for them."""
    order = decision.order
    for line in data.lines:
        if line.line_id not in order.lines:
            return decision.unknown_line(f"order {order.order_id} was not queued", line.line_id)
    wanted = {line.line_id: line.quantity for line in data.lines}
    put(decision, data.queue, data.reason, data.detail, wanted or {line.line_id: line.open for line in _open(order)})
    return None


def put(decision: Decision, name: str, reason: str, detail: str, wanted: dict[str, int]) -> None:
    """State that these units stand in a queue; nothing where they do already, or are not open any more."""
    if not any(decision.order.lines[line_id].open for line_id in wanted):
        return
    if decision.order.as_a_whole:
        decision.let_go_of_all("all_or_nothing")
        decision.leave_queues("queued")
        wanted = {line.line_id: line.open for line in _open(decision.order)}
    lines = []
    for line_id, quantity in wanted.items():
        line = decision.order.lines[line_id]
        units = min(quantity, line.open)
        if units:
            from_sourcing = min(quantity, line.sourcing)
            lines.append(f.QueuedLine(line_id=line_id, sku=line.sku, quantity=units, from_sourcing=from_sourcing))
    known = decision.order.queues.get(name)
    if known is not None and not known.left and {line.line_id for line in lines} <= set(known.lines):
        lines = [line for line in lines if line.from_sourcing]
    if lines:
        decision.add(
            f.OrderQueued(
                order_id=decision.order.order_id,
                queue=name,
                reason=reason,
                detail=detail[:TEXT_MAX],
                lines=tuple(lines),
            )
        )


def resolve(decision: Decision, data: c.ResolveQueued) -> Refused | None:
    """Take the order off the queue, and do what the person says: for `cancel`, by the seller."""
    order = decision.order
    entry = order.queues.get(data.queue)
    if entry is None:
        return Refused(
            code="unknown",
            what=f"nothing was decided about order {order.order_id} in queue {data.queue}",
            detail=f"queues it stands in: {', '.join(order.queues) or 'none'}",
            hint="`order-ledger queue list` shows who stands where; what was allocated, cancelled or shipped is out",
        )
    if data.resolution == "leave" and entry.left:
        return already_so(
            f"nothing was decided about order {order.order_id} in queue {data.queue}",
            "it was left as it is before",
            "retry or cancel can still be said",
        )
    unshipped = {line_id: order.lines[line_id].unshipped for line_id in entry.lines}
    decision.add(
        f.OrderUnqueued(order_id=order.order_id, queue=data.queue, resolution=data.resolution, reason=data.reason)
    )
    if data.resolution == "retry":
        decision.source_idle()
    if data.resolution != "cancel":
        return None
    given_up = c.CancelOrder(
        order_id=order.order_id,
        reason=(data.reason or f"{data.queue}: {entry.reason}")[:TEXT_MAX],
        by="seller",
        lines=tuple(c.LineQuantity(line_id=line_id, quantity=units) for line_id, units in unshipped.items() if units),
    )
    return cancelling.cancel(decision, given_up)


def end_what_is_over(decision: Decision) -> None:
    """An order whose queued lines have nothing open any more needs nobody to decide; lines added since go their way."""
    over = [
        name
        for name, entry in decision.order.queues.items()
        if not any(decision.order.lines[line_id].open for line_id in entry.lines)
    ]
    for name in over:
        decision.add(f.OrderUnqueued(order_id=decision.order.order_id, queue=name, resolution="over"))
    if over:
        decision.source_idle()


def _open(order: Order) -> Iterable[Line]:
    return [line for line in order.lines.values() if line.open]
