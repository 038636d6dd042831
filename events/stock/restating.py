"""Late reports: if a movement happened before a count and is reported after it, the count already included it.

    5 on record, counted 2 at noon        -> StockCounted: expected 5, variance -3
    3 left at 11:50, reported after that  -> StockShipped: on_hand -3; CountRestated: expected 2, variance 0, on_hand +3

So the record and the variance of each count do not depend on the order in which reports arrive.
"""

from events.envelope import Command
from events.stock import commands as c
from events.stock import facts as f
from events.stock.state import CountApplied, Level, Moment, moment


def restated(
    fact: f.StockFact, command: Command[c.StockCommand], location_id: str, before: Level, after: Level
) -> f.CountRestated | None:
    """CountRestated for a fact that turned the level `before` into `after`; None if no count had included its movement.

    Only the first count after the movement changes, because later counts compare with that one.
    """
    units = after.on_hand - before.on_hand
    if not units or isinstance(fact, f.CountRestated):
        return None
    # A count is itself a movement, at its own time. Of two counts at the same time, the one reported later is right.
    when = (
        Moment(fact.counted_at, in_turn=True)
        if isinstance(fact, f.StockCounted)
        else moment(command.occurred_at, command.recorded_at)
    )
    for count in after.counts:
        if when.found_at(count.counted_at):
            return _with_expected(count, count.expected + units, fact.sku, location_id)
    return None


def _with_expected(count: CountApplied, expected: int, sku: str, location_id: str) -> f.CountRestated:
    variance = count.counted - expected
    return f.CountRestated(
        sku=sku,
        location_id=location_id,
        count_id=count.count_id,
        counted=count.counted,
        counted_at=count.counted_at,
        expected=expected,
        variance=variance,
        variance_before=count.counted - count.expected,
        tolerance=count.tolerance,
        accurate=abs(variance) <= count.tolerance,
    )
