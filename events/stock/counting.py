"""Counts: what somebody found on the shelf is compared with the record at the time of the count.

    40 on record, 2 picked, counted 37 -> expected 38, variance -1

`restating.py` handles movements from before a count that are reported after it.

The planner can ask for more care with large differences: a second count must agree (`recount_above`), then another
person must approve (`approval_above`). Until then nothing changes.
"""

from datetime import datetime

from events.envelope import Command, Refused
from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import MOVES_KEPT, CountAsked, Level
from events.times import rfc3339


def stale(level: Level, what: str, expected_on_hand: int | None) -> Refused | None:
    """The refusal if `expected_on_hand` is given and is not the number on record."""
    if expected_on_hand is None or expected_on_hand == level.on_hand:
        return None
    return Refused(
        code="stale",
        what=what,
        detail=f"expected_on_hand is {expected_on_hand}, on record are {level.on_hand}: at most {level.on_hand}",
        hint="read the stock again, then send a new command with a new id",
        at_most=level.on_hand,
    )


def count(decision: Decision, data: c.CountStock) -> Refused | None:
    """Compare a count with the record at its time. Movements since then make no difference."""
    level, command = decision.stock.level(data.location_id), decision.command
    what = f"the count of {data.sku} at {data.location_id} was not recorded"
    refused = stale(level, what, data.expected_on_hand)
    if refused is not None:
        return refused
    # At most log time. If the counter's clock is ahead, what leaves until then would seem to be counted already.
    counted_at = min(data.counted_at or command.occurred_at, command.recorded_at)
    if len(level.moves) >= MOVES_KEPT and counted_at < level.moves[0].occurred_at:
        return Refused(
            code="limit",
            what=what,
            detail=f"more than {MOVES_KEPT} movements followed {rfc3339(counted_at)}; "
            "the ledger no longer knows what was on record then",
            hint="count again",
        )
    asked = _asked(level, data, command, counted_at)
    if any(asked.count_id == before.count_id for before in (level.recount, level.approval) if before):
        return Refused(
            code="conflict",
            what=what,
            detail=f"count {asked.count_id} still waits there",
            hint="give every count its own count_id",
        )
    if any((asked.count_id, counted_at) == (before.count_id, before.counted_at) for before in level.counts):
        return Refused(
            code="conflict",
            what=what,
            detail=f"count {asked.count_id} of {rfc3339(counted_at)} was already applied",
            hint="if it is the same count, nothing needs to be done; give another count its own count_id",
        )
    if level.recount_above is not None and abs(asked.variance) > level.recount_above and len(asked.counts) == 1:
        decision.add(
            f.RecountRequested(
                sku=data.sku,
                location_id=data.location_id,
                count_id=asked.count_id,
                counted=asked.counted,
                counted_at=asked.counted_at,
                expected=asked.expected,
                variance=asked.variance,
                tolerance=asked.tolerance,
                recount_above=level.recount_above,
                counted_by=asked.counted_by,
                reason=asked.reason,
                document=asked.document,
            )
        )
        return None
    if level.approval is not None:
        decision.add(
            f.CountRejected(
                sku=data.sku,
                location_id=data.location_id,
                count_id=level.approval.count_id,
                variance=level.approval.variance_now,
                reason=f"counted again: {asked.count_id}",
            )
        )
    if level.approval_above is None or abs(asked.variance) <= level.approval_above:
        _apply(decision, data.location_id, asked)
        return None
    decision.add(
        f.CountApprovalRequested(
            sku=data.sku,
            location_id=data.location_id,
            count_id=asked.count_id,
            counted=asked.counted,
            counted_at=asked.counted_at,
            expected=asked.expected,
            variance=asked.variance,
            tolerance=asked.tolerance,
            approval_above=level.approval_above,
            counted_by=asked.counted_by,
            reason=asked.reason,
            document=asked.document,
        )
    )
    return None


def approve(decision: Decision, data: c.ApproveCount) -> Refused | None:
    """Apply or reject a count that waits; only somebody who did not count may do so."""
    asked = decision.stock.level(data.location_id).approval
    what = f"count {data.count_id} of {data.sku} at {data.location_id} was not approved or rejected"
    if asked is None or asked.count_id != data.count_id:
        waits = f"count {asked.count_id} does" if asked else "no count does"
        first = decision.stock.level(data.location_id).recount
        if first is not None and first.count_id == data.count_id:
            waits = "a second count at another moment must come first"
        return Refused(
            code="unknown",
            what=what,
            detail=f"it does not wait for approval there; {waits}",
            hint="it was already approved, rejected or counted again; check count_id",
        )
    actor = decision.command.actor
    if actor is None:
        return Refused(
            code="invalid",
            what=what,
            detail="actor is missing",
            hint="send as actor the name of the person who decides",
        )
    if actor in asked.counted_by:
        return Refused(
            code="conflict",
            what=what,
            detail=f"{actor} counted it",
            hint="another person must decide",
        )
    if data.approved:
        _apply(decision, data.location_id, asked)
        return None
    decision.add(
        f.CountRejected(
            sku=data.sku,
            location_id=data.location_id,
            count_id=asked.count_id,
            variance=asked.variance_now,
            reason=data.reason,
        )
    )
    return None


def _asked(level: Level, data: c.CountStock, command: Command[c.StockCommand], counted_at: datetime) -> CountAsked:
    expected = level.on_hand - sum(move.delta for move in level.moves if move.occurred_at > counted_at)
    asked = CountAsked(
        count_id=data.count_id or command.id,
        counted=data.counted,
        counted_at=counted_at,
        expected=expected,
        tolerance=data.tolerance,
        counted_by=() if command.actor is None else (command.actor,),
        counts=(counted_at,),
        reason=data.reason,
        document=data.document,
    )
    for before in (level.recount, level.approval):
        # The same count sent twice under two ids is one count.
        if before and before.variance_now == asked.variance and counted_at not in before.counts:
            counted_by = tuple(dict.fromkeys((*before.counted_by, *asked.counted_by)))
            return asked.agreed_with(before, counted_by)
    return asked


def _apply(decision: Decision, location_id: str, asked: CountAsked) -> None:
    """Correct the record to what was counted, plus all movements since then."""
    variance = asked.variance_now
    decision.add(
        f.StockCounted(
            sku=decision.stock.sku,
            location_id=location_id,
            counted=asked.counted,
            counted_at=asked.counted_at,
            expected=asked.counted - variance,
            variance=variance,
            tolerance=asked.tolerance,
            accurate=abs(variance) <= asked.tolerance,
            count_id=asked.count_id,
            reason=asked.reason,
            document=asked.document,
        )
    )
