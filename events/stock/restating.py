"""A count is the truth of its moment: what is told later of the time before it was counted already.

    5 on record, counted 2 at noon    -> StockCounted: expected 5, variance -3
    3 left at 11:50, told after that  -> StockShipped: on_hand -3; CountRestated: expected 2, variance 0, on_hand +3

So the record, and by how much each count differed from it, are the same in whatever order things are told.
"""

from events.envelope import Command
from events.stock import commands as c
from events.stock import facts as f
from events.stock.state import CountApplied, Level, Moment, moment


def restated(
    fact: f.StockFact, command: Command[c.StockCommand], location_id: str, before: Level, after: Level
) -> f.CountRestated | None:
    """What the fact, which made `after` of `before`, changes about a count; None where it moved nothing or moved it
    after all counts.

    It is the next count that has found the units there, or gone: those after that compare with it.
    """
    units = after.on_hand - before.on_hand
    if not units or isinstance(fact, f.CountRestated):
        return None
    # A count is itself a movement at its moment: of two counts at one moment the one told later is right.
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
