"""When waiting lines may expect their goods: incoming stock is promised in the order of the queue.

    queue: a wants 2, b wants 3;  incoming: 4 on Monday, 6 on Friday
    -> a: Monday;  b: Friday, because its last unit is the fifth

The rule: number all waiting units in the order of the queue (time of the order, then order, then line). Number all
incoming units by their expected time. A line's last unit has a number; the line is promised the time of the incoming
unit with the same number. Incoming units do not count if they are overdue, have no time, or go to an unregistered
location. So no incoming unit is promised twice, and no line is promised an earlier time than a line before it.

Only changed promises are stated, at most one per line and decision. The customer is told each of them.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.expected import Expected
from events.stock.state import Attempt, Stock, Waiting, turn


class Change(NamedTuple):
    """A promise that changes, and why."""

    expected_at: datetime | None
    previous: datetime | None
    cause: str


class Promise(NamedTuple):
    """A waiting line, and the time by which its last unit is expected."""

    attempt: Attempt
    waiting: Waiting
    expected_at: datetime


def promises(stock: Stock) -> Iterator[Promise]:
    """All promises, oldest line first. Lines that incoming stock does not cover get none."""
    coming = _countable(stock)
    if not coming:
        return
    covered = coming[0].quantity
    at = units = 0
    for attempt, waiting in sorted(stock.queue.items(), key=turn):
        units += waiting.quantity
        while covered < units:
            at += 1
            if at == len(coming):
                return
            covered += coming[at].quantity
        expected_at = coming[at].expected_at
        assert expected_at is not None, "units without a time do not count"
        yield Promise(attempt, waiting, expected_at)


def promise(decision: Decision) -> None:
    """State every promise that this decision has changed."""
    before, stock = decision.before, decision.stock
    same_places = stock.registered is before.registered
    if stock.queue is before.queue and stock.incoming is before.incoming and same_places:
        return
    if not stock.promises and not stock.incoming:
        return
    if _only_joined_at_the_end(decision):
        return
    worse = _what_made_it_worse(decision.facts)
    left = dict(stock.promises)
    for attempt, waiting, expected_at in promises(stock):
        previous = left.pop(attempt, None)
        if expected_at != previous:
            cause = "first" if previous is None else "earlier" if expected_at < previous else worse
            _state(decision, attempt, waiting, Change(expected_at, previous, cause))
    for attempt in sorted(left):
        _state(decision, attempt, stock.queue[attempt], Change(None, left[attempt], worse))


def _only_joined_at_the_end(decision: Decision) -> bool:
    """Handle the usual case: one more line at the end of the queue changes no other promise. True if it was that.

    A hundred thousand lines may wait for a launch. Going through all of them for each new line would take too long.
    """
    before, stock = decision.before, decision.stock
    joined = [fact for fact in decision.facts if isinstance(fact, f.StockAwaited)]
    if len(joined) != 1 or stock.incoming is not before.incoming or stock.registered is not before.registered:
        return False
    (fact,) = joined
    attempt = Attempt(fact.order_id, fact.line_id, fact.attempt)
    waiting = stock.queue.get(attempt)
    if waiting is None or stock.awaited != before.awaited + waiting.quantity:
        return False
    if before.youngest is not None and turn((attempt, waiting)) < before.youngest:
        return False
    left = stock.awaited
    for expected in _countable(stock):
        left -= expected.quantity
        if left <= 0:
            _state(decision, attempt, waiting, Change(expected.expected_at, None, "first"))
            break
    return True


def _state(decision: Decision, attempt: Attempt, waiting: Waiting, change: Change) -> None:
    decision.add(
        f.BackorderPromised(
            sku=decision.stock.sku,
            order_id=attempt.order_id,
            line_id=attempt.line_id,
            attempt=attempt.attempt,
            quantity=waiting.quantity,
            expected_at=change.expected_at,
            previous=change.previous,
            cause=change.cause,
        )
    )


def _what_made_it_worse(facts: Iterable[f.StockFact]) -> str:
    """Why this decision moved promises to a later time or ended them, as one word."""
    cause = "short"
    for fact in facts:
        match fact:
            case f.ReceiptOverdue():
                return "late"
            case f.StockExpected() | f.TransferAmended() if _moved_back(fact.expected_before, fact.expected_at):
                return "late"
            case f.StockAwaited():
                cause = "overtaken"
            case _:
                pass
    return cause


def _moved_back(before: datetime | None, after: datetime | None) -> bool:
    return before is not None and (after is None or after > before)


def _countable(stock: Stock) -> list[Expected]:
    """Incoming stock that may be promised, soonest first, then by source."""
    counted = [
        (expected.expected_at, source, expected)
        for source, expected in stock.incoming.items()
        if expected.expected_at is not None and not expected.overdue and stock.registered.get(source.location_id)
    ]
    return [expected for _, _, expected in sorted(counted)]
