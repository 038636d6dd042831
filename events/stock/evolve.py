"""The state of a SKU after each fact. It accepts every fact of a SKU, because facts have happened."""

from datetime import datetime
from typing import assert_never

import immutables
from msgspec.structs import replace

from events.ahead import Ahead, add_ahead, use_up
from events.attempts import round_of
from events.envelope import About
from events.refusal import CommandRefused
from events.stock import facts as f
from events.stock.expected import NOTHING_EXPECTED, Expected, Source, Transfer, expect, next_due
from events.stock.lapsing import Hold, lapsing_with, lapsing_without
from events.stock.rules import Rules
from events.stock.state import (
    ATTEMPTS_KEPT,
    COUNTS_KEPT,
    MOVES_KEPT,
    TOMBSTONES_KEPT_DAYS,
    Aheads,
    Attempt,
    CountApplied,
    CountAsked,
    LeftAhead,
    Level,
    Moment,
    Move,
    Postponed,
    Promises,
    Reservation,
    Stock,
    Waiting,
    carts_with,
    carts_without,
    holders_with,
    holders_without,
    moment,
    turn,
)
from events.values import CategoryRules

SECONDS_PER_DAY = 86_400


def evolve(stock: Stock, fact: f.StockFact | CommandRefused, about: About) -> Stock:
    """The SKU after the fact."""
    if isinstance(fact, f.StockReserved):  # the most frequent fact, so it comes first
        return _reserved(stock, fact)
    when = moment(about.occurred_at, about.recorded_at)
    match fact:
        case f.StockShipped():
            for part in fact.consumed:
                attempt = Attempt(fact.order_id, fact.line_id, part.attempt)
                stock = _unhold(stock, attempt, part.location_id, part.quantity)
            stock = _left_ahead(stock, fact, about.recorded_at) if fact.ahead else stock
            return _move(stock, fact.location_id, -fact.quantity, when, reserved=-fact.from_reserved)
        case f.ReservationRefused():
            return _heard_of(stock, Attempt(fact.order_id, fact.line_id, fact.attempt))
        case f.StockReceived():
            return _move(stock, fact.location_id, fact.quantity, when)
        case (
            f.StockExpected() | f.ReceiptOverdue() | f.TransferStarted() | f.TransferReceived() | f.TransferAmended()
            | f.TransferDiffered()
        ):  # fmt: skip
            return _coming(stock, fact, when)
        case f.StockAdjusted():
            return _move(stock, fact.location_id, fact.quantity_delta, when)
        case f.StockMoved():
            stock = _move(stock, fact.from_location_id, -fact.quantity, when)
            return _move(stock, fact.to_location_id, fact.quantity, when)
        case (
            f.StockCounted() | f.CountRestated() | f.RecountRequested() | f.CountApprovalRequested() | f.CountRejected()
        ):
            return _counted(stock, fact)
        case f.StockMarkedDamaged():
            return _change(stock, fact.location_id, damaged=fact.quantity)
        case f.StockHeld() | f.QualityHoldReleased() | f.StockDisposed():
            return _quality(stock, fact, when)
        case f.StockPolicySet():
            level = replace(
                stock.level(fact.location_id),
                safety_stock=fact.safety_stock,
                reorder_point=fact.reorder_point,
                buffers={buffer.channel: buffer.quantity for buffer in fact.buffers},
                recount_above=fact.recount_above,
                approval_above=fact.approval_above,
            )
            return _with(stock, fact.location_id, level)
        case f.ChannelPolicySet() | f.SkuCategorised() | f.CategoryRulesSet():
            return _ruled(stock, fact)
        case f.StockLocated() | f.LocationConfirmed():
            return _located(stock, fact)
        case f.ReservationPostponed():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            waiting = Waiting(fact.quantity, fact.placed_at, fact.mode, fact.for_channel, fact.locations, fact.not_at)
            return replace(stock, postponed=stock.postponed.set(attempt, Postponed(waiting, fact.cart_id)))
        case f.StockAwaited():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            waiting = Waiting(fact.quantity, fact.placed_at, fact.mode, fact.for_channel, fact.locations, fact.not_at)
            return _heard_of(_join_queue(stock, attempt, waiting), attempt)
        case f.StockOffered():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            return _heard_of(_leave_queue(stock, attempt, fact.quantity), attempt)
        case f.WaitEnded():
            return _wait_ended(stock, fact)
        case f.BackorderPromised():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            return replace(stock, promises=_promised(stock, attempt, fact.expected_at))
        case f.StockReleased() | f.ReservationExpired():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            stock = _unhold(stock, attempt, fact.location_id, fact.quantity)
            return _change(stock, fact.location_id, reserved=-fact.quantity)
        case f.ReleaseTombstoned():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            return _heard_of(_buried(stock, attempt, about.recorded_at), attempt)
        case f.StockRejected():
            return _rejected(stock, fact, when)
        case f.StockRestored():
            return _restored(stock, fact, when)
        case f.StockReturned():
            if fact.disposition == "dispose":
                return stock
            return _move(
                stock,
                fact.location_id,
                fact.quantity,
                when,
                damaged=fact.quantity if fact.disposition == "damaged" else 0,
                quality_hold=fact.quantity if fact.disposition == "inspect" else 0,
            )
        case f.StockShortfallFound() | f.LowStockDetected() | f.SellingRulesResolved() | CommandRefused():
            return stock
        case _:
            assert_never(fact)


def _coming(stock: Stock, fact: f.IncomingFact, when: Moment) -> Stock:
    """The SKU after a fact about incoming stock."""
    match fact:
        case f.StockExpected():
            source = Source("purchase_order", fact.purchase_order, fact.location_id)
            return _expect(stock, source, Expected(fact.quantity, fact.expected_at, fact.overdue))
        case f.ReceiptOverdue():
            kind = "purchase_order" if fact.transfer_id is None else "transfer"
            source = Source(kind, fact.transfer_id or fact.purchase_order or "", fact.location_id)
            return _expect(stock, source, Expected(fact.quantity, fact.expected_at, overdue=True))
        case f.TransferStarted():
            stock = _move(stock, fact.from_location_id, -fact.quantity, when)
            transfer = Transfer(fact.from_location_id, fact.to_location_id, fact.quantity, 0)
            stock = replace(stock, transfers={**stock.transfers, fact.transfer_id: transfer})
            source = Source("transfer", fact.transfer_id, fact.to_location_id)
            return _expect(stock, source, Expected(fact.quantity, fact.expected_at))
        case f.TransferReceived():
            stock = _move(stock, fact.location_id, fact.quantity, when, damaged=fact.damaged)
            return _on_its_way(
                stock, fact.transfer_id, Expected(fact.left, fact.expected_at, fact.overdue), fact.quantity
            )
        case f.TransferAmended():
            return _on_its_way(stock, fact.transfer_id, Expected(fact.left, fact.expected_at, fact.overdue))
        case f.TransferDiffered():
            return _on_its_way(stock, fact.transfer_id, NOTHING_EXPECTED)
        case _:
            assert_never(fact)


def _expect(stock: Stock, source: Source, expected: Expected) -> Stock:
    incoming = expect(stock.incoming, source, expected)
    return replace(stock, incoming=incoming, next_due=next_due(incoming))


def _on_its_way(stock: Stock, transfer_id: str, left: Expected, received: int = 0) -> Stock:
    """Set how many units of a transfer are still on their way; 0 units end the transfer."""
    known = stock.transfers[transfer_id]
    transfers = {other: transfer for other, transfer in stock.transfers.items() if other != transfer_id}
    if left.quantity:
        transfers[transfer_id] = known._replace(received=known.received + received)
    stock = replace(stock, transfers=transfers)
    return _expect(stock, Source("transfer", transfer_id, known.to_location_id), left)


def _ruled(stock: Stock, fact: f.ChannelPolicySet | f.SkuCategorised | f.CategoryRulesSet) -> Stock:
    """Rules of one location are kept in its level; rules of the SKU and its category are copied to every level."""
    match fact:
        case f.ChannelPolicySet(location_id=str(location_id)):
            buffers = {buffer.channel: buffer.quantity for buffer in fact.buffers}
            level = replace(stock.level(location_id), buffers=buffers, excluded=fact.excluded_channels)
            return _with(stock, location_id, level)
        case f.ChannelPolicySet():
            stock = replace(stock, rules=_rules(fact))
        case f.SkuCategorised():
            # The old category's rules stay until the new policy arrives, so nothing is oversold in between.
            rules = stock.category_rules if fact.category_id is not None else {}
            stock = replace(stock, category=fact.category_id, category_version=-1, category_rules=rules)
        case f.CategoryRulesSet():
            rules = {one.location_id or "": _rules(one) for one in fact.rules}
            stock = replace(stock, category_version=fact.policy_version, category_rules=rules)
    return replace(
        stock,
        levels={place: replace(level, shared=stock.shared_rules(place)) for place, level in stock.levels.items()},
    )


def _located(stock: Stock, fact: f.StockLocated | f.LocationConfirmed) -> Stock:
    """Copy to the level whether its location is registered."""
    registered = fact.registered if isinstance(fact, f.LocationConfirmed) else None
    stock = replace(stock, registered={**stock.registered, fact.location_id: registered})
    level = stock.levels.get(fact.location_id)
    if level is None or level.registered == bool(registered):
        return stock
    return _with(stock, fact.location_id, replace(level, registered=bool(registered)))


def _rules(set_: f.ChannelPolicySet | CategoryRules) -> Rules:
    return Rules({buffer.channel: buffer.quantity for buffer in set_.buffers}, set_.excluded_channels)


def _with(stock: Stock, location_id: str, level: Level) -> Stock:
    return replace(stock, levels={**stock.levels, location_id: level})


def _reserved(stock: Stock, fact: f.StockReserved) -> Stock:
    attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
    if fact.waited:
        stock = _leave_queue(stock, attempt, fact.quantity)
    stock = _heard_of(stock, attempt)
    before = stock.reservations.get(attempt, {}).get(fact.location_id)
    quantity = fact.quantity + (before.quantity if before else 0)
    stock = _hold(stock, attempt, fact.location_id, Reservation(quantity, fact.expires_at, fact.for_order))
    return _change(stock, fact.location_id, reserved=fact.quantity)


def _counted(
    stock: Stock,
    fact: f.StockCounted | f.CountRestated | f.RecountRequested | f.CountApprovalRequested | f.CountRejected,
) -> Stock:
    level = stock.level(fact.location_id)
    match fact:
        case f.StockCounted():
            counts = _applied(level.counts, fact)
            stock = _with(stock, fact.location_id, replace(level, counts=counts, recount=None, approval=None))
            # The variance is a movement at the time of the count. An earlier count, reported later, must know of it.
            return _move(stock, fact.location_id, fact.variance, Moment(fact.counted_at, in_turn=True))
        case f.CountRestated():
            counts = tuple(
                replace(one, expected=fact.expected)
                if (one.count_id, one.counted_at) == (fact.count_id, fact.counted_at)
                else one
                for one in level.counts
            )
            stock = _with(stock, fact.location_id, replace(level, counts=counts))
            units = fact.variance - fact.variance_before
            return _move(stock, fact.location_id, units, Moment(fact.counted_at, in_turn=False))
        case f.RecountRequested():
            level = replace(level, recount=_asked(fact))
        case f.CountApprovalRequested():
            agreed = level.recount.counts if level.recount else ()
            level = replace(level, recount=None, approval=_asked(fact, *agreed))
        case f.CountRejected():
            level = replace(level, approval=None)
    return _with(stock, fact.location_id, level)


def _applied(counts: tuple[CountApplied, ...], fact: f.StockCounted) -> tuple[CountApplied, ...]:
    """The counts and a new one, sorted by counted_at, then by when they were applied."""
    applied = CountApplied(
        count_id=fact.count_id,
        counted=fact.counted,
        counted_at=fact.counted_at,
        expected=fact.expected,
        tolerance=fact.tolerance,
    )
    return tuple(sorted((*counts, applied), key=lambda count: count.counted_at))[-COUNTS_KEPT:]


def _quality(stock: Stock, fact: f.StockHeld | f.QualityHoldReleased | f.StockDisposed, when: Moment) -> Stock:
    units = fact.quantity
    match fact:
        case f.StockHeld():
            return _change(stock, fact.location_id, quality_hold=units)
        case f.QualityHoldReleased():
            gone = units if fact.disposition == "dispose" else 0
            damaged = units if fact.disposition == "damaged" else 0
            return _move(stock, fact.location_id, -gone, when, damaged=damaged, quality_hold=-units)
        case f.StockDisposed():
            damaged = -units if fact.taken_from == "damaged" else 0
            held = -units if fact.taken_from == "quality_hold" else 0
            return _move(stock, fact.location_id, -units, when, damaged=damaged, quality_hold=held)


def _asked(fact: f.RecountRequested | f.CountApprovalRequested, *before: datetime) -> CountAsked:
    return CountAsked(
        count_id=fact.count_id,
        counted=fact.counted,
        counted_at=fact.counted_at,
        expected=fact.expected,
        tolerance=fact.tolerance,
        counted_by=fact.counted_by,
        counts=(*before, fact.counted_at),
        reason=fact.reason,
        document=fact.document,
    )


def _backdated(asked: CountAsked | None, delta: int, when: Moment) -> CountAsked | None:
    """Add a movement that happened before a count that is not applied yet, and was reported after it."""
    if asked is None or not delta or not when.found_at(asked.counted_at):
        return asked
    return replace(asked, backdated=asked.backdated + delta)


def _change(stock: Stock, location_id: str, *, reserved: int = 0, damaged: int = 0, quality_hold: int = 0) -> Stock:
    level = stock.level(location_id)
    level = replace(
        level,
        reserved=level.reserved + reserved,
        damaged=level.damaged + damaged,
        quality_hold=level.quality_hold + quality_hold,
    )
    return _with(stock, location_id, level)


def _move(
    stock: Stock,
    location_id: str,
    delta: int,
    when: Moment,
    *,
    reserved: int = 0,
    damaged: int = 0,
    quality_hold: int = 0,
) -> Stock:
    level = stock.level(location_id)
    moves = (*level.moves[-(MOVES_KEPT - 1) :], Move(when.at, delta)) if delta else level.moves
    level = replace(
        level,
        on_hand=level.on_hand + delta,
        reserved=level.reserved + reserved,
        damaged=level.damaged + damaged,
        quality_hold=level.quality_hold + quality_hold,
        moves=moves,
        recount=_backdated(level.recount, delta, when),
        approval=_backdated(level.approval, delta, when),
    )
    return _with(stock, location_id, level)


def _rejected(stock: Stock, fact: f.StockRejected, when: Moment) -> Stock:
    for part in fact.consumed:
        attempt = Attempt(fact.order_id, fact.line_id, part.attempt)
        stock = _unhold(stock, attempt, part.location_id, part.quantity)
    return _move(
        stock,
        fact.location_id,
        -fact.corrected if fact.reason == "not_in_stock" else 0,
        when,
        reserved=-fact.from_reserved,
        damaged=fact.corrected if fact.reason == "damaged" else 0,
        quality_hold=fact.corrected if fact.reason == "mismatch" else 0,
    )


def _restored(stock: Stock, fact: f.StockRestored, when: Moment) -> Stock:
    attempt, units = Attempt(fact.order_id, fact.line_id, fact.attempt), fact.to_reserved
    if units:
        # Attempt numbers have only a 16-bit digest, so another parcel of the line may have the same attempt.
        before = stock.reservations.get(attempt, {}).get(fact.location_id)
        held = Reservation(units + (before.quantity if before else 0), None, for_order=True)
        stock = _hold(_heard_of(stock, attempt), attempt, fact.location_id, held)
    return _move(stock, fact.location_id, fact.quantity, when, reserved=units)


def _hold(stock: Stock, attempt: Attempt, location_id: str, reservation: Reservation | None) -> Stock:
    """Set the attempt's reservation at the location; None ends it."""
    known = stock.reservations.get(attempt)
    held = {} if known is None else dict(known)
    before = held.pop(location_id, None)
    if reservation is not None:
        held[location_id] = reservation
    reservations = stock.reservations.set(attempt, held) if held else stock.reservations.delete(attempt)
    holders = stock.holders
    if attempt not in stock.queue and (known is not None) != bool(held):
        holders = holders_with(holders, attempt) if held else holders_without(holders, attempt)
    ended = before.expires_at if before else None
    ends = reservation.expires_at if reservation else None
    if ended is None and ends is None:
        return replace(stock, reservations=reservations, holders=holders)
    lapsing, carts, hold = stock.lapsing, stock.carts, Hold(attempt, location_id)
    if ended != ends:
        lapsing = lapsing if ended is None else lapsing_without(lapsing, hold, ended)
        lapsing = lapsing if ends is None else lapsing_with(lapsing, hold, ends)
    was_of_a_cart = before is not None and before.of_a_cart
    is_of_a_cart = reservation is not None and reservation.of_a_cart
    if was_of_a_cart != is_of_a_cart:
        carts = carts_with(carts, hold) if is_of_a_cart else carts_without(carts, hold)
    return replace(stock, reservations=reservations, holders=holders, lapsing=lapsing, carts=carts)


def _unhold(stock: Stock, attempt: Attempt, location_id: str, quantity: int) -> Stock:
    reservation = stock.reservations[attempt][location_id]
    left = reservation.quantity - quantity
    return _hold(stock, attempt, location_id, reservation._replace(quantity=left) if left > 0 else None)


def _join_queue(stock: Stock, attempt: Attempt, waiting: Waiting) -> Stock:
    mine = turn((attempt, waiting))
    youngest = mine if stock.youngest is None else max(stock.youngest, mine)
    known = stock.queue.get(attempt)
    awaited = stock.awaited + waiting.quantity - (known.quantity if known else 0)
    return replace(
        stock,
        queue=stock.queue.set(attempt, waiting),
        holders=holders_with(stock.holders, attempt),
        awaited=awaited,
        youngest=youngest,
    )


def _promised(stock: Stock, attempt: Attempt, expected_at: datetime | None) -> Promises:
    if expected_at is not None:
        return stock.promises.set(attempt, expected_at)
    return stock.promises.delete(attempt) if attempt in stock.promises else stock.promises


def _leave_queue(stock: Stock, attempt: Attempt, quantity: int) -> Stock:
    waiting = stock.queue.get(attempt)
    if waiting is None:
        return stock
    left = waiting.quantity - quantity
    if left > 0:
        queue = stock.queue.set(attempt, waiting._replace(quantity=left))
        return replace(stock, queue=queue, awaited=stock.awaited - quantity)
    return replace(
        stock,
        queue=stock.queue.delete(attempt),
        holders=stock.holders if attempt in stock.reservations else holders_without(stock.holders, attempt),
        awaited=stock.awaited - waiting.quantity,
        youngest=stock.youngest if len(stock.queue) > 1 else None,
        promises=_promised(stock, attempt, None),
    )


def _heard_of(stock: Stock, attempt: Attempt) -> Stock:
    """Remember the attempt. Now and then forget old attempts; going through all of them each time would be slow."""
    if attempt in stock.answered:
        return stock
    if attempt in stock.postponed:
        stock = replace(stock, postponed=stock.postponed.delete(attempt))
    heard = stock.heard + 1
    answered = stock.answered.set(attempt, heard)
    if heard - stock.forgot_at < max(ATTEMPTS_KEPT, len(answered)) // 2:
        return replace(stock, answered=answered, heard=heard)
    # An attempt with a reservation or a wait can still be released, so it is kept as long as that lasts.
    kept = {
        one: number
        for one, number in answered.items()
        if number > heard - ATTEMPTS_KEPT or one in stock.reservations or one in stock.queue
    }
    return replace(stock, answered=immutables.Map(kept), heard=heard, forgot_at=heard)


def _buried(stock: Stock, attempt: Attempt, recorded_at: datetime) -> Stock:
    """Remember a release that came before its attempt; once a day forget old ones."""
    stock, day = _on_day(stock, recorded_at)
    return replace(stock, tombstones=stock.tombstones.set(attempt, day))


def _left_ahead(stock: Stock, fact: f.StockShipped, recorded_at: datetime) -> Stock:
    """Remember units that left before their question came; once a day forget old ones."""
    stock, day = _on_day(stock, recorded_at)
    line = (fact.order_id, fact.line_id)
    known = stock.aheads[line].left if line in stock.aheads else ()
    left = add_ahead(known, Ahead(fact.ahead, fact.ahead_round, fact.ahead_apart))
    return replace(stock, aheads=stock.aheads.set(line, LeftAhead(left, day)))


def _on_day(stock: Stock, recorded_at: datetime) -> tuple[Stock, int]:
    """The SKU after forgetting what is too old on the day of this fact, and that day.

    What was reported about a postponed question is kept: however late the question is answered, it counts then.
    """
    day = int(recorded_at.timestamp()) // SECONDS_PER_DAY
    if day <= stock.day:
        return stock, day
    first_day = day - TOMBSTONES_KEPT_DAYS
    asked = stock.postponed
    lines = {attempt[:2] for attempt in asked}
    tombstones = immutables.Map(
        {one: since for one, since in stock.tombstones.items() if since >= first_day or one in asked}
    )
    aheads: Aheads = immutables.Map(
        {line: ahead for line, ahead in stock.aheads.items() if ahead.day >= first_day or line in lines}
    )
    return replace(stock, tombstones=tombstones, aheads=aheads, day=day), day


def _wait_ended(stock: Stock, fact: f.WaitEnded) -> Stock:
    """End a wait. If the question came after its goods had left, end the question."""
    attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
    if attempt in stock.queue or not fact.shipped:
        return _leave_queue(stock, attempt, fact.quantity)
    stock, line = _heard_of(stock, attempt), attempt[:2]
    known = stock.aheads.get(line)
    if known is None:
        return stock
    left, _ = use_up(known.left, round_of(attempt.attempt), fact.quantity)
    return replace(
        stock, aheads=stock.aheads.set(line, known._replace(left=left)) if left else stock.aheads.delete(line)
    )
