"""What a SKU becomes through a fact. Total over all facts of a SKU; the past is never refused."""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from events.refusal import CommandRefused
from events.stock import facts as f
from events.stock.state import ATTEMPTS_KEPT_DAYS, MOVES_KEPT, Attempt, Level, Move, Reservation, Stock, Waiting

SECONDS_PER_DAY = 86_400


def evolve(stock: Stock, fact: f.StockFact | CommandRefused, *, occurred_at: datetime, recorded_at: datetime) -> Stock:
    """The SKU after the fact; the times are those of its envelope."""
    match fact:
        case f.StockReserved():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            if fact.waited:
                stock = _leave_queue(stock, attempt, fact.quantity)
            stock = _heard_of(stock, attempt, recorded_at)
            held = dict(stock.reservations.get(attempt, {}))
            before = held.get(fact.location_id)
            held[fact.location_id] = Reservation(
                (before.quantity if before else 0) + fact.quantity, fact.expires_at, fact.for_order
            )
            stock = replace(stock, reservations=stock.reservations.set(attempt, held))
            return _change(stock, fact.location_id, reserved=fact.quantity)
        case f.StockShipped():
            for part in fact.consumed:
                attempt = Attempt(fact.order_id, fact.line_id, part.attempt)
                stock = _unhold(stock, attempt, part.location_id, part.quantity)
            return _move(stock, fact.location_id, -fact.quantity, occurred_at, reserved=-fact.from_reserved)
        case f.ReservationRefused():
            return _heard_of(stock, Attempt(fact.order_id, fact.line_id, fact.attempt), recorded_at)
        case f.StockReceived():
            return _move(stock, fact.location_id, fact.quantity, occurred_at)
        case f.StockAdjusted():
            return _move(stock, fact.location_id, fact.quantity_delta, occurred_at)
        case f.StockMoved():
            stock = _move(stock, fact.from_location_id, -fact.quantity, occurred_at)
            return _move(stock, fact.to_location_id, fact.quantity, occurred_at)
        case f.StockCounted():
            # The variance belongs to the moment of the count: a later report of an earlier count must see it.
            return _move(stock, fact.location_id, fact.variance, fact.counted_at)
        case f.StockMarkedDamaged():
            return _change(stock, fact.location_id, damaged=fact.quantity)
        case f.StockPolicySet():
            level = replace(
                stock.level(fact.location_id),
                safety_stock=fact.safety_stock,
                reorder_point=fact.reorder_point,
                buffers={buffer.channel: buffer.quantity for buffer in fact.buffers},
            )
            return _with(stock, fact.location_id, level)
        case f.StockAwaited():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            waiting = Waiting(fact.quantity, fact.placed_at, fact.mode, fact.for_channel, fact.locations)
            stock = replace(stock, queue=stock.queue.set(attempt, waiting))
            return _heard_of(stock, attempt, recorded_at)
        case f.StockOffered():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            return _heard_of(_leave_queue(stock, attempt, fact.quantity), attempt, recorded_at)
        case f.WaitEnded():
            return _leave_queue(stock, Attempt(fact.order_id, fact.line_id, fact.attempt), fact.quantity)
        case f.StockReleased() | f.ReservationExpired():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            stock = _unhold(stock, attempt, fact.location_id, fact.quantity)
            return _change(stock, fact.location_id, reserved=-fact.quantity)
        case f.ReleaseTombstoned():
            attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
            return _heard_of(replace(stock, tombstones=stock.tombstones | {attempt}), attempt, recorded_at)
        case f.StockReturned():
            if fact.disposition == "dispose":
                return stock
            return _move(
                stock,
                fact.location_id,
                fact.quantity,
                occurred_at,
                damaged=fact.quantity if fact.disposition == "damaged" else 0,
                quality_hold=fact.quantity if fact.disposition == "inspect" else 0,
            )
        case f.StockShortfallFound() | f.LowStockDetected() | CommandRefused():
            return stock
        case _:
            assert_never(fact)


def _with(stock: Stock, location_id: str, level: Level) -> Stock:
    return replace(stock, levels={**stock.levels, location_id: level})


def _change(stock: Stock, location_id: str, *, reserved: int = 0, damaged: int = 0) -> Stock:
    level = stock.level(location_id)
    return _with(
        stock, location_id, replace(level, reserved=level.reserved + reserved, damaged=level.damaged + damaged)
    )


def _move(
    stock: Stock,
    location_id: str,
    delta: int,
    occurred_at: datetime,
    *,
    reserved: int = 0,
    damaged: int = 0,
    quality_hold: int = 0,
) -> Stock:
    level = stock.level(location_id)
    moves = (*level.moves[-(MOVES_KEPT - 1) :], Move(occurred_at, delta)) if delta else level.moves
    level = replace(
        level,
        on_hand=level.on_hand + delta,
        reserved=level.reserved + reserved,
        damaged=level.damaged + damaged,
        quality_hold=level.quality_hold + quality_hold,
        moves=moves,
    )
    return _with(stock, location_id, level)


def _unhold(stock: Stock, attempt: Attempt, location_id: str, quantity: int) -> Stock:
    held = dict(stock.reservations[attempt])
    reservation = held.pop(location_id)
    left = reservation.quantity - quantity
    if left > 0:
        held[location_id] = reservation._replace(quantity=left)
    reservations = stock.reservations.set(attempt, held) if held else stock.reservations.delete(attempt)
    return replace(stock, reservations=reservations)


def _leave_queue(stock: Stock, attempt: Attempt, quantity: int) -> Stock:
    waiting = stock.queue.get(attempt)
    if waiting is None:
        return stock
    left = waiting.quantity - quantity
    queue = stock.queue.set(attempt, waiting._replace(quantity=left)) if left > 0 else stock.queue.delete(attempt)
    return replace(stock, queue=queue)


def _heard_of(stock: Stock, attempt: Attempt, recorded_at: datetime) -> Stock:
    """Remember the attempt, and once a day forget those of long ago."""
    day = int(recorded_at.timestamp()) // SECONDS_PER_DAY
    if day > stock.day:
        # What still holds or waits can still be let go of, so its attempt is remembered for as long as it does.
        forgotten = {
            old
            for old, since in stock.answered.items()
            if since < day - ATTEMPTS_KEPT_DAYS and old not in stock.reservations and old not in stock.queue
        }
        answered = stock.answered
        for old in forgotten:
            answered = answered.delete(old)
        stock = replace(stock, answered=answered, tombstones=stock.tombstones - forgotten, day=day)
    if attempt in stock.answered:
        return stock
    return replace(stock, answered=stock.answered.set(attempt, day))
