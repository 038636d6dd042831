"""Units on hand that cannot be sold: damaged, or in quality hold.

    hold 5               -> StockHeld(5)
    release 5 as damaged -> QualityHoldReleased(5, damaged)
    dispose of 5 damaged -> StockDisposed(5, damaged)

Reserved units can be bad, too. If then more is reserved than there is, `StockShortfallFound` says so.
"""

from events.envelope import Refused
from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.state import Level


def mark_damaged(decision: Decision, data: c.MarkDamaged) -> Refused | None:
    level = decision.stock.level(data.location_id)
    if data.quantity > _sound(level):
        return _too_many(f"no {data.sku} at {data.location_id} was marked damaged", data.quantity, level, _sound(level))
    decision.add(
        f.StockMarkedDamaged(
            sku=data.sku,
            location_id=data.location_id,
            quantity=data.quantity,
            reason=data.reason,
            document=data.document,
        )
    )
    return None


def hold(decision: Decision, data: c.HoldStock) -> Refused | None:
    level = decision.stock.level(data.location_id)
    if data.quantity > _sound(level):
        what = f"no {data.sku} at {data.location_id} was put into quality hold"
        return _too_many(what, data.quantity, level, _sound(level))
    decision.add(
        f.StockHeld(
            sku=data.sku,
            location_id=data.location_id,
            quantity=data.quantity,
            reason=data.reason,
            document=data.document,
        )
    )
    return None


def release(decision: Decision, data: c.ReleaseQualityHold) -> Refused | None:
    level = decision.stock.level(data.location_id)
    if data.quantity > level.quality_hold:
        what = f"no {data.sku} at {data.location_id} was released from its quality hold"
        return _too_many(what, data.quantity, level, level.quality_hold)
    decision.add(
        f.QualityHoldReleased(
            sku=data.sku,
            location_id=data.location_id,
            quantity=data.quantity,
            disposition=data.disposition,
            reason=data.reason,
            document=data.document,
        )
    )
    return None


def dispose(decision: Decision, data: c.DisposeStock) -> Refused | None:
    level = decision.stock.level(data.location_id)
    most = max(0, getattr(level, data.from_))
    if data.quantity > most:
        return _too_many(f"no {data.sku} at {data.location_id} was disposed of", data.quantity, level, most)
    decision.add(
        f.StockDisposed(
            sku=data.sku,
            location_id=data.location_id,
            quantity=data.quantity,
            taken_from=data.from_,
            reason=data.reason,
            document=data.document,
        )
    )
    return None


def _sound(level: Level) -> int:
    """Units on hand that are neither damaged nor in quality hold, reserved or not."""
    return max(0, level.on_hand - level.damaged - level.quality_hold)


def _too_many(what: str, asked: int, level: Level, most: int) -> Refused:
    return Refused(
        code="limit",
        what=what,
        detail=f"{asked} asked; {level.on_hand} on hand, {level.damaged} already damaged, {level.quality_hold} in "
        f"quality hold, {level.available} available: at most {most}",
        hint="if the record is wrong, count first",
        at_most=most,
    )
