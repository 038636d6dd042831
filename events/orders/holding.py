"""Holds: an order with a hold asks for no stock and leaves its SKUs' queues. It goes on when its last hold is released.

    hold(order that has 1 and waits for 1)  -> OrderHeld, BackorderReopened(reason=hold, releases its place)
    release_hold                            -> HoldReleased, SourcingRequested

Queues are sorted by the time of the order, so after the hold the order has its old place again.

Stock may still be answering for some units when a hold is set. Their sourcing goes on, as if stock had answered before
the hold, until they are allocated or have to wait. A hold that releases stock also stops this sourcing.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Refused
from events.orders import line_changes
from events.orders.decision import Decision
from events.orders.parts import FactOfOrder
from events.orders.state import Line, Order
from events.values import Id, Text


class HoldOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Set a hold: the order gets no new stock until the hold is released."""

    order_id: Id
    hold: Literal["payment", "fraud", "address", "stock", "customer", "other"]
    reason: Text | None = None
    stock: Literal["keep", "release"] = "keep"


class ReleaseHold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Release one hold of an order."""

    order_id: Id
    hold: Literal["payment", "fraud", "address", "stock", "customer", "other"]
    reason: Text | None = None


class OrderHeld(FactOfOrder, frozen=True, kw_only=True):
    """A hold was set."""

    hold: Text
    reason: Text | None = None
    stock: Text = "keep"
    open_skus: tuple[Id, ...] = ()


class HoldReleased(FactOfOrder, frozen=True, kw_only=True):
    """A hold was released."""

    hold: Text
    reason: Text | None = None


def hold(decision: Decision, data: HoldOrder) -> Refused | None:
    """Set a hold, in addition to those already set."""
    order = decision.order
    if data.hold in order.holds:
        return Refused(
            code="conflict",
            what=f"no hold was set on order {order.order_id}",
            detail=f"the hold {data.hold} is already set",
            hint="nothing needs to be done",
        )
    if order.amendment is None and not any(line.unshipped for line in order.lines.values()):
        return Refused(
            code="impossible",
            what=f"no hold was set on order {order.order_id}",
            detail="every unit is already shipped or cancelled",
            hint="a hold only keeps units that have not left from getting new stock",
        )
    idle = {line.sku for line in order.lines.values() if line.idle} if order.as_a_whole else ()
    decision.add(
        OrderHeld(
            order_id=order.order_id,
            hold=data.hold,
            reason=data.reason,
            stock=data.stock,
            open_skus=tuple(sorted(idle)),
        )
    )
    stand_still(decision)
    return None


def stand_still(decision: Decision) -> None:
    """Apply the holds: leave all queues. Release stock if a hold says so, or an all-or-nothing order is incomplete."""
    order = decision.order
    if not order.holds:
        return
    decision.leave_queues("hold")
    lines = tuple(decision.order.lines.values())
    # Customised units stay allocated. If an all-or-nothing order has any, all its units stay allocated.
    stays = order.as_a_whole and any(line.customised and line.holds for line in lines)
    if order.releasing and not stays:
        decision.let_go_of_all("hold")
    elif order.as_a_whole and not decision.order.sought and _stands(lines):
        decision.let_go_of_all("all_or_nothing")


def _stands(lines: Iterable[Line]) -> bool:
    return any(line.idle for line in lines) and not any(line.sourcing for line in lines)


def release_hold(decision: Decision, data: ReleaseHold) -> Refused | None:
    """Release one hold; with the last one the order goes on."""
    order = decision.order
    if data.hold not in order.holds:
        return Refused(
            code="conflict",
            what=f"the hold {data.hold} of order {order.order_id} was not released",
            detail=f"active holds: {', '.join(order.holds) or 'none'}",
            hint="name an active hold",
        )
    decision.add(HoldReleased(order_id=order.order_id, hold=data.hold, reason=data.reason))
    decision.source_idle()
    return None


def held(order: Order, fact: OrderHeld) -> Order:
    holds, releasing, sought = (*order.holds, fact.hold), order.releasing, order.sought
    if fact.stock == "release":
        releasing, sought = (*releasing, fact.hold), ()
    elif not order.holds and order.released:
        sought = line_changes.open_lines(order)
    return replace(order, holds=holds, releasing=releasing, sought=sought)


def hold_released(order: Order, fact: HoldReleased) -> Order:
    holds = line_changes.without(order.holds, fact.hold)
    releasing = line_changes.without(order.releasing, fact.hold)
    return replace(order, holds=holds, releasing=releasing, sought=order.sought if holds else ())
