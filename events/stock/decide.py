"""The decider of stock. One stream decides about all stock of a SKU, at all locations. So no unit is promised twice.

    decide(empty("mug"), reserve 1 at WH1) -> [ReservationRefused(available=0)]
    decide(stock, receive 5 at WH1)        -> [StockReceived, StockReserved for the line that waits longest, ...]

If a decision brings or frees stock, the same decision serves the queue, oldest order first.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

from events.ahead import Ahead, total, use_up
from events.attempts import round_of
from events.envelope import INTERNAL_CHANNEL, Command, Refused
from events.refusal import already_so
from events.stock import (
    awaiting,
    carts,
    counting,
    incoming,
    joining,
    promising,
    quality,
    rejecting,
    restoring,
    selling,
    transferring,
)
from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import Attempt, Reservation, Stock
from events.times import rfc3339
from events.values import Buffer, Consumed


def decide(stock: Stock, command: Command[c.StockCommand]) -> Sequence[f.StockFact] | Refused:
    """The facts of the command in this state, or a refusal."""
    answer = conclude(stock, command)
    return answer if isinstance(answer, Refused) else answer[0]


def conclude(stock: Stock, command: Command[c.StockCommand]) -> tuple[Sequence[f.StockFact], Stock] | Refused:
    """Like `decide`, but also returns the state after the facts, which deciding computes anyway."""
    decision = Decision(stock, command)
    if type(command.data) is c.ExpireReservation and _rings_early(stock, command.data, command.recorded_at):
        return (), stock
    decision.lapse()
    refused = _answer(decision, command.data)
    if refused is not None:
        return refused
    if decision.says_nothing and type(command.data) is not c.ExpireReservation:
        # A timer's command came too early. Return no facts, not even those of expired reservations: a command without
        # facts does not use up its id, so the timer can send it again.
        return (), stock
    incoming.find_overdue(decision)
    decision.serve_queue()
    awaiting.answer_postponed(decision)
    changed = decision.changed_levels()
    decision.report_levels(changed)
    selling.state_rules(decision, changed)
    joining.state_locations(decision)
    promising.promise(decision)
    return decision.facts, decision.stock


def _answer(decision: Decision, data: c.StockCommand) -> Refused | None:
    match data:
        case c.ReserveStock():
            return _reserve(decision, data)
        case c.ShipStock():
            return _ship(decision, data)
        case c.AwaitStock():
            return awaiting.ask(decision, data)
        case c.ReleaseStock():
            return _release(decision, data)
        case c.ExpireReservation():
            return _expire(stock=decision.before, data=data)
        case c.ReceiveStock():
            incoming.receive(decision, data)
        case c.ExpectStock():
            return incoming.expect(decision, data)
        case c.CheckExpected():
            incoming.find_overdue(decision)
        case c.ServeQueue():
            decision.serve_queue(anew=True)
        case c.RestoreStock():
            restoring.restore(decision, data)
        case c.RejectStock():
            rejecting.reject(decision, data)
        case c.AdjustStock():
            return _adjust(decision, data)
        case c.MoveStock():
            return _move(decision, data)
        case c.StartTransfer():
            return transferring.start(decision, data)
        case c.ReceiveTransfer():
            return transferring.receive(decision, data)
        case c.AmendTransfer():
            return transferring.amend(decision, data)
        case c.CountStock():
            return counting.count(decision, data)
        case c.ApproveCount():
            return counting.approve(decision, data)
        case c.MarkDamaged():
            return quality.mark_damaged(decision, data)
        case c.HoldStock():
            return quality.hold(decision, data)
        case c.ReleaseQualityHold():
            return quality.release(decision, data)
        case c.DisposeStock():
            return quality.dispose(decision, data)
        case c.SetStockPolicy():
            return _set_policy(decision, data)
        case c.SetChannelPolicy():
            return selling.set_policy(decision, data)
        case c.AssignCategory():
            return selling.categorise(decision, data)
        case c.ApplyCategoryPolicy():
            selling.apply_category(decision, data)
        case c.ConfirmLocation():
            joining.confirm(decision, data)
        case c.ReturnStock():
            decision.add(
                f.StockReturned(
                    sku=data.sku,
                    location_id=data.location_id,
                    quantity=data.quantity,
                    order_id=data.order_id,
                    line_id=data.line_id,
                    return_id=data.return_id,
                    disposition=data.disposition,
                )
            )
        case _:
            assert_never(data)
    return None


def _reserve(decision: Decision, data: c.ReserveStock) -> Refused | None:
    stock, command = decision.stock, decision.command
    attempt = Attempt(data.order_id, data.line_id, data.attempt)
    for_order = command.channel == INTERNAL_CHANNEL
    if data.expires_at is not None and data.expires_at <= command.recorded_at:
        return Refused(
            code="invalid",
            what=f"no {data.sku} was reserved",
            detail=f"expires_at {rfc3339(data.expires_at)} has passed: log time is {rfc3339(command.recorded_at)}",
            hint="send an expires_at in the future",
        )
    released_before = attempt in stock.tombstones
    if (attempt in stock.answered and not released_before) or attempt in stock.postponed:
        return awaiting.answered_already(attempt, data.sku)
    # Reserve nothing for units that have already left.
    quantity = data.quantity
    if for_order and not released_before:
        quantity -= awaiting.left_before(decision, attempt, quantity)
        if not quantity:
            return None
    stock = decision.stock
    free = carts.free_with(stock, data.cart_id, data.location_id, data.for_channel)
    if released_before or free < quantity:
        decision.add(
            f.ReservationRefused(
                sku=data.sku,
                location_id=data.location_id,
                quantity=quantity,
                order_id=data.order_id,
                line_id=data.line_id,
                attempt=data.attempt,
                available=free,
                reason="released_before" if released_before else joining.why_not(stock, data.location_id),
                for_order=for_order,
            )
        )
        return None
    carts.take_over(decision, data.cart_id, data.location_id, quantity)
    decision.add(
        f.StockReserved(
            sku=data.sku,
            location_id=data.location_id,
            quantity=quantity,
            order_id=data.order_id,
            line_id=data.line_id,
            attempt=data.attempt,
            expires_at=data.expires_at,
            waited=False,
            for_order=for_order,
        )
    )
    return None


def _release(decision: Decision, data: c.ReleaseStock) -> Refused | None:
    stock = decision.stock
    attempt = Attempt(data.order_id, data.line_id, data.attempt)
    if attempt not in stock.answered:
        decision.add(
            f.ReleaseTombstoned(sku=data.sku, order_id=data.order_id, line_id=data.line_id, attempt=data.attempt)
        )
        return None
    held = stock.reservations.get(attempt, {}).get(data.location_id)
    waits = not data.location_id and attempt in stock.queue
    if decision.command.channel != INTERNAL_CHANNEL and (waits or (held is not None and held.for_order)):
        # The order would hear of this release late. Meanwhile the unit may have been reserved for it again under the
        # same attempt, and the order could not tell the two reservations apart.
        return Refused(
            code="conflict",
            what=f"nothing of {data.sku} was released",
            detail=f"only the order itself can release units of {data.order_id}:{data.line_id}: at most 0",
            hint="send DeallocateLines or CancelOrder for the order",
            at_most=0,
        )
    if waits:
        awaiting.end(decision, attempt, data.quantity)
        return None
    if held is None:
        return Refused(
            code="limit",
            what=f"nothing of {data.sku} was released",
            detail=f"attempt {data.attempt} for {data.order_id}:{data.line_id} has nothing "
            f"{'reserved at ' + data.location_id if data.location_id else 'in the queue'}: at most 0",
            hint="it was already shipped, expired, granted or released",
            at_most=0,
        )
    decision.add(
        f.StockReleased(
            sku=data.sku,
            location_id=data.location_id,
            quantity=min(data.quantity, held.quantity),
            order_id=data.order_id,
            line_id=data.line_id,
            attempt=data.attempt,
            for_order=held.for_order,
        )
    )
    return None


def _rings_early(stock: Stock, data: c.ExpireReservation, now: datetime) -> bool:
    """Whether the reservation has not expired yet by log time, because the timer's clock is ahead."""
    held = _timed(stock, data)
    return held is not None and held.expires_at is not None and held.expires_at > now


def _expire(*, stock: Stock, data: c.ExpireReservation) -> Refused | None:
    """Refuse if no such reservation can expire. The expiry itself is stated at the start of every decision."""
    if _timed(stock, data) is not None:
        return None
    return Refused(
        code="unknown",
        what=f"no reservation of {data.sku} expired",
        detail=f"{data.order_id}:{data.line_id}:{data.attempt} has no reservation at {data.location_id} that expires",
        hint="it was already shipped, released or expired",
    )


def _timed(stock: Stock, data: c.ExpireReservation) -> Reservation | None:
    held = stock.reservations.get(Attempt(data.order_id, data.line_id, data.attempt), {}).get(data.location_id)
    return held if held is not None and held.expires_at is not None else None


def _ship(decision: Decision, data: c.ShipStock) -> Refused | None:
    """Record goods that left. End the reservations and waits for these goods, as far as they still exist."""
    stock = decision.stock
    used: list[Consumed] = []
    elsewhere: list[tuple[Attempt, Consumed]] = []
    for part in data.consumed:
        attempt = Attempt(data.order_id, data.line_id, part.attempt)
        if not part.location_id:
            continue
        held = stock.reservations.get(attempt, {}).get(part.location_id)
        if held is None:
            continue
        taken = Consumed(attempt=part.attempt, location_id=part.location_id, quantity=min(part.quantity, held.quantity))
        if part.location_id == data.location_id:
            used.append(taken)
        else:
            elsewhere.append((attempt, taken))
    unknown, ahead = _held_for_what_left(stock, data)
    decision.add(
        f.StockShipped(
            sku=data.sku,
            location_id=data.location_id,
            quantity=data.quantity,
            from_reserved=sum(part.quantity for part in used),
            order_id=data.order_id,
            line_id=data.line_id,
            shipment_id=data.shipment_id,
            consumed=tuple(used),
            ahead=ahead,
            ahead_round=data.ahead_round if ahead else 0,
            ahead_apart=data.ahead_apart if ahead else 0,
        )
    )
    for attempt, part in elsewhere:
        _let_go(decision, attempt, part, shipped=False)
    for attempt, part in unknown:
        if part.location_id:
            _let_go(decision, attempt, part, shipped=True)
        else:
            awaiting.end(decision, attempt, part.quantity, shipped=True)
    for part in data.consumed:
        attempt = Attempt(data.order_id, data.line_id, part.attempt)
        if not part.location_id and attempt in decision.stock.queue:
            awaiting.end(decision, attempt, part.quantity)
    carts.use_up(decision, data.cart_id, data.location_id, ahead)
    return None


def _held_for_what_left(stock: Stock, data: c.ShipStock) -> tuple[list[tuple[Attempt, Consumed]], int]:
    """Reservations and waits for units of the parcel that the order did not know of; and how many units have none.

    `data.consumed` are those that the order knew. Others come from two sources:

    - A wait that the order knew was granted in the meantime, so there is a reservation instead.
    - The order had no answer yet for the units (`data.ahead`). They use the line's other reservations and waits, first
      those at the parcel's location.

    Places in the queue with mode `offer` are left alone. They reserve nothing and are for a whole order, which ends
    them itself.
    """
    attempts = stock.holders.get((data.order_id, data.line_id), ())
    known = {(part.attempt, part.location_id): part.quantity for part in data.consumed}
    held: list[tuple[Attempt, str, int]] = []
    for attempt in attempts:
        for location_id, reservation in stock.reservations.get(attempt, {}).items():
            units = reservation.quantity - known.get((attempt.attempt, location_id), 0)
            if reservation.for_order and units > 0:
                held.append((attempt, location_id, units))
        waiting = stock.queue.get(attempt)
        if waiting is not None and waiting.mode != "offer":
            units = waiting.quantity - known.get((attempt.attempt, ""), 0)
            if units > 0:
                held.append((attempt, "", units))
    granted = {
        attempt.attempt: known.get((attempt.attempt, ""), 0)
        - (stock.queue[attempt].quantity if attempt in stock.queue else 0)
        for attempt in attempts
    }
    left: tuple[Ahead, ...] = (Ahead(data.ahead, data.ahead_round, data.ahead_apart),) if data.ahead else ()
    parts: list[tuple[Attempt, Consumed]] = []
    for attempt, location_id, units in sorted(held, key=lambda row: (row[1] != data.location_id, not row[1], row)):
        found = 0
        if location_id and granted[attempt.attempt] > 0:
            found = min(units, granted[attempt.attempt])
            granted[attempt.attempt] -= found
        left, asked = use_up(left, round_of(attempt.attempt), units - found)
        if found + asked:
            consumed = Consumed(attempt=attempt.attempt, location_id=location_id, quantity=found + asked)
            parts.append((attempt, consumed))
    return parts, total(left)


def _let_go(decision: Decision, attempt: Attempt, part: Consumed, *, shipped: bool) -> None:
    decision.add(
        f.StockReleased(
            sku=decision.stock.sku,
            location_id=part.location_id,
            quantity=part.quantity,
            order_id=attempt.order_id,
            line_id=attempt.line_id,
            attempt=attempt.attempt,
            for_order=True,
            shipped=shipped,
        )
    )


def _adjust(decision: Decision, data: c.AdjustStock) -> Refused | None:
    if data.quantity_delta == 0:
        return Refused(
            code="invalid",
            what=f"{data.sku} at {data.location_id} was not adjusted",
            detail="quantity_delta is 0",
            hint="send the units to add, or a negative number of units to take away",
        )
    refused = counting.stale(
        decision.stock.level(data.location_id),
        f"{data.sku} at {data.location_id} was not adjusted",
        data.expected_on_hand,
    )
    if refused is not None:
        return refused
    decision.add(
        f.StockAdjusted(
            sku=data.sku,
            location_id=data.location_id,
            quantity_delta=data.quantity_delta,
            reason=data.reason,
            document=data.document,
        )
    )
    return None


def _move(decision: Decision, data: c.MoveStock) -> Refused | None:
    what = f"{data.sku} was not moved"
    if data.from_location_id == data.to_location_id:
        return Refused(
            code="invalid", what=what, detail="both locations are the same", hint="name two different locations"
        )
    available = max(0, decision.stock.level(data.from_location_id).available)
    if data.quantity > available:
        return Refused(
            code="limit",
            what=what,
            detail=f"{data.quantity} asked, {available} available at {data.from_location_id}: at most {available}",
            hint="reserved, safety, damaged and quality-hold units cannot be moved; release or adjust them first",
            at_most=available,
        )
    decision.add(
        f.StockMoved(
            sku=data.sku,
            from_location_id=data.from_location_id,
            to_location_id=data.to_location_id,
            quantity=data.quantity,
            reason=data.reason,
            document=data.document,
        )
    )
    return None


def _set_policy(decision: Decision, data: c.SetStockPolicy) -> Refused | None:
    level = decision.stock.level(data.location_id)
    before = {
        "safety_stock": level.safety_stock,
        "reorder_point": level.reorder_point,
        "buffers": dict(level.buffers),
        "recount_above": level.recount_above,
        "approval_above": level.approval_above,
    }
    named = {name: getattr(data, name) for name in before if getattr(data, name) is not None}
    # The first policy at a location is always accepted, because it makes the SKU known there.
    if before | named == before and (not named or data.location_id in decision.stock.levels):
        return already_so(
            f"the policy of {data.sku} at {data.location_id} was not set",
            "; ".join(f"{name} is {'not set' if value is None else value}" for name, value in before.items()),
        )
    numbers: dict[str, Any] = before | named
    buffers = numbers.pop("buffers")
    decision.add(
        f.StockPolicySet(
            sku=data.sku,
            location_id=data.location_id,
            buffers=tuple(Buffer(channel=channel, quantity=quantity) for channel, quantity in sorted(buffers.items())),
            **numbers,
        )
    )
    return None
