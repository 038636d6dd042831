"""Work queues: units that the rules cannot place wait there until a person decides.

    QueueOrder(routing_exceptions, no_plan)      -> OrderQueued: the units are open and are not sourced
    ResolveQueued(retry)                         -> OrderUnqueued, SourcingRequested: they are sourced again
    the units are cancelled or shipped           -> OrderUnqueued(over), without a person

An all-or-nothing order is queued as a whole: until a person decides, it has no stock and waits for none.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders import cancelling, line_changes
from events.orders.cancelling import CancelOrder
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder, LineQuantity
from events.orders.state import Line, Order, Queued
from events.refusal import already_so
from events.values import TEXT_MAX, Id, Natural, Quantity, Text


class QueueOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """No rule can place units of an order: a person must decide."""

    order_id: Id
    queue: Id
    reason: Text
    detail: Text
    lines: tuple[LineQuantity, ...] = ()


class ResolveQueued(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person decides about an order in a queue."""

    order_id: Id
    queue: Id
    resolution: Literal["retry", "cancel", "leave"]
    reason: Text | None = None


class QueuedLine(Struct, frozen=True, kw_only=True):
    """A queued line."""

    line_id: Id
    sku: Id
    quantity: Quantity
    from_sourcing: Natural


class OrderQueued(FactOfOrder, frozen=True, kw_only=True):
    """Units of an order are in a work queue until a person decides. They are not sourced meanwhile."""

    queue: Id
    reason: Text
    detail: Text
    lines: tuple[QueuedLine, ...]


class OrderUnqueued(FactOfOrder, frozen=True, kw_only=True):
    """An order is no longer in a queue."""

    queue: Id
    resolution: Literal["retry", "cancel", "leave", "over"]
    reason: Text | None = None


def queue(decision: Decision, data: QueueOrder) -> Refused | None:
    """Queue the named lines, or all lines: those of their units that have no stock."""
    order = decision.order
    for line in data.lines:
        if line.line_id not in order.lines:
            return decision.unknown_line(f"order {order.order_id} was not queued", line.line_id)
    wanted = {line.line_id: line.quantity for line in data.lines}
    put(decision, data.queue, data.reason, data.detail, wanted or {line.line_id: line.open for line in _open(order)})
    return None


def put(decision: Decision, name: str, reason: str, detail: str, wanted: dict[str, int]) -> None:
    """Put these units into a queue, except those that are already there or no longer open."""
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
            lines.append(QueuedLine(line_id=line_id, sku=line.sku, quantity=units, from_sourcing=from_sourcing))
    known = decision.order.queues.get(name)
    if known is not None and not known.left and {line.line_id for line in lines} <= set(known.lines):
        lines = [line for line in lines if line.from_sourcing]
    if lines:
        decision.add(
            OrderQueued(
                order_id=decision.order.order_id,
                queue=name,
                reason=reason,
                detail=detail[:TEXT_MAX],
                lines=tuple(lines),
            )
        )


def resolve(decision: Decision, data: ResolveQueued) -> Refused | None:
    """Take the order off the queue and do what the person decided. `cancel` counts as a cancellation by the seller."""
    order = decision.order
    entry = order.queues.get(data.queue)
    if entry is None:
        return Refused(
            code="unknown",
            what=f"nothing was decided about order {order.order_id} in queue {data.queue}",
            detail=f"its queues: {', '.join(order.queues) or 'none'}",
            hint="`order-ledger queue list` shows the queues; allocated, cancelled and shipped units leave them",
        )
    if data.resolution == "leave" and entry.left:
        return already_so(
            f"nothing was decided about order {order.order_id} in queue {data.queue}",
            "it was already left as it is",
            "retry and cancel are still possible",
        )
    unshipped = {line_id: order.lines[line_id].unshipped for line_id in entry.lines}
    decision.add(
        OrderUnqueued(order_id=order.order_id, queue=data.queue, resolution=data.resolution, reason=data.reason)
    )
    if data.resolution == "retry":
        decision.source_idle()
    if data.resolution != "cancel":
        return None
    given_up = CancelOrder(
        order_id=order.order_id,
        reason=(data.reason or f"{data.queue}: {entry.reason}")[:TEXT_MAX],
        by="seller",
        lines=tuple(LineQuantity(line_id=line_id, quantity=units) for line_id, units in unshipped.items() if units),
    )
    return cancelling.cancel(decision, given_up)


def end_what_is_over(decision: Decision) -> None:
    """Take an order off a queue when its queued lines have no open units left. Lines added later are sourced."""
    over = [
        name
        for name, entry in decision.order.queues.items()
        if not any(decision.order.lines[line_id].open for line_id in entry.lines)
    ]
    for name in over:
        decision.add(OrderUnqueued(order_id=decision.order.order_id, queue=name, resolution="over"))
    if over:
        decision.source_idle()


def _open(order: Order) -> Iterable[Line]:
    return [line for line in order.lines.values() if line.open]


def queued(order: Order, fact: OrderQueued) -> Order:
    known = order.queues.get(fact.queue)
    names = dict.fromkeys(() if known is None else known.lines)
    for stuck in fact.lines:
        names[stuck.line_id] = None
        line = order.lines[stuck.line_id]
        units = stuck.from_sourcing
        order = line_changes.with_line(order, replace(line, idle=line.idle + units, sourcing=line.sourcing - units))
    return replace(order, queues={**order.queues, fact.queue: Queued(reason=fact.reason, lines=tuple(names))})


def unqueued(order: Order, fact: OrderUnqueued) -> Order:
    entry = order.queues[fact.queue]
    if fact.resolution == "leave":
        return replace(order, queues={**order.queues, fact.queue: replace(entry, left=True)})
    if fact.resolution == "retry":
        for line_id in entry.lines:
            order = line_changes.with_line(
                order, replace(order.lines[line_id], excluded=(), rejected_by=(), rejections=0)
            )
    return replace(order, queues={name: one for name, one in order.queues.items() if name != fact.queue})
