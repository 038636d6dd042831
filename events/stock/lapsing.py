"""Which holds lapse, by the second in which they do, so that a decision sees at a glance whether one has.

    lapsing = lapsing_with(NONE, (attempt, "WH1"), at("10:15:00"))
    lapsed(lapsing, at("10:14:59"))   # []
    lapsed(lapsing, at("10:15:00"))   # [(attempt, "WH1")]

A SKU may hold a hundred thousand units for orders, which do not lapse and are not here. Of those that do, a decision
looks at the ones of seconds that are over; the first second is found anew only when the last hold of it is gone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import immutables
from msgspec import Struct

#: Where holds lapse all the time, the next one is near: so many seconds are tried one by one. Fewer would go through
#: all seconds in a lull, more look for nothing where holds are few.
SECONDS_WALKED = 64

_NOTHING: immutables.Map[Any, Any] = immutables.Map()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Hold(NamedTuple):
    """Who holds (order, line, attempt), and where."""

    holder: tuple[str, str, int]
    location_id: str


class Lapsing(Struct, frozen=True):
    """`seconds` is second since 1970 → hold → when it lapses; `first` the earliest of them."""

    seconds: immutables.Map[int, immutables.Map[Hold, datetime]] = immutables.Map()
    first: int | None = None


NONE = Lapsing()


def lapsing_with(lapsing: Lapsing, hold: Hold, expires_at: datetime) -> Lapsing:
    """With one hold more."""
    second = _second(expires_at)
    holds = lapsing.seconds.get(second, immutables.Map())
    first = second if lapsing.first is None else min(lapsing.first, second)
    return Lapsing(lapsing.seconds.set(second, holds.set(hold, expires_at)), first)


def lapsing_without(lapsing: Lapsing, hold: Hold, expires_at: datetime) -> Lapsing:
    """Without a hold that is there."""
    second = _second(expires_at)
    holds = lapsing.seconds[second].delete(hold)
    if holds:
        return Lapsing(lapsing.seconds.set(second, holds), lapsing.first)
    seconds = lapsing.seconds.delete(second)
    return Lapsing(seconds, _first_after(seconds, second) if second == lapsing.first else lapsing.first)


def lapsed(lapsing: Lapsing, now: datetime) -> list[Hold]:
    """Holds whose time has come, those that lapsed first before the others."""
    until = _second(now)
    if lapsing.first is None or lapsing.first > until:
        return []
    # While carts lapse, the first second is nearly always the present one: one look, not one for each second ahead.
    walk = until - lapsing.first < len(lapsing.seconds)
    over = range(lapsing.first, until + 1) if walk else [second for second in lapsing.seconds if second <= until]
    due = [
        (expires_at, hold)
        for second in over
        for hold, expires_at in lapsing.seconds.get(second, _NOTHING).items()
        if expires_at <= now
    ]
    return [hold for _, hold in sorted(due)]


def _first_after(seconds: immutables.Map[int, Any], second: int) -> int | None:
    """The earliest second; all of them are later than this one."""
    near = next((one for one in range(second + 1, second + 1 + SECONDS_WALKED) if one in seconds), None)
    return min(seconds, default=None) if near is None else near


def _second(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds() // 1)
