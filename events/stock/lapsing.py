"""Reservations that expire, grouped by the second of their expiry, so that a decision quickly finds the expired ones.

    lapsing = lapsing_with(NONE, (attempt, "WH1"), at("10:15:00"))
    lapsed(lapsing, at("10:14:59"))   # []
    lapsed(lapsing, at("10:15:00"))   # [(attempt, "WH1")]

Reservations for orders do not expire and are not kept here. A decision looks only at seconds that have passed. When the
last reservation of the first second is gone, the next first second is searched.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import immutables
from msgspec import Struct

#: The next second with reservations is usually near, so this many seconds are tried one by one. Only then all of them
#: are searched. A lower number would search all of them more often; a higher number would more often try in vain.
SECONDS_WALKED = 64

_NOTHING: immutables.Map[Any, Any] = immutables.Map()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Hold(NamedTuple):
    """A reservation: whose it is (order, line, attempt), and where."""

    holder: tuple[str, str, int]
    location_id: str


class Lapsing(Struct, frozen=True):
    """`seconds` is second since 1970 → reservation → its expiry; `first` is the earliest second."""

    seconds: immutables.Map[int, immutables.Map[Hold, datetime]] = immutables.Map()
    first: int | None = None


NONE = Lapsing()


def lapsing_with(lapsing: Lapsing, hold: Hold, expires_at: datetime) -> Lapsing:
    """With one more reservation."""
    second = _second(expires_at)
    holds = lapsing.seconds.get(second, immutables.Map())
    first = second if lapsing.first is None else min(lapsing.first, second)
    return Lapsing(lapsing.seconds.set(second, holds.set(hold, expires_at)), first)


def lapsing_without(lapsing: Lapsing, hold: Hold, expires_at: datetime) -> Lapsing:
    """Without one of its reservations."""
    second = _second(expires_at)
    holds = lapsing.seconds[second].delete(hold)
    if holds:
        return Lapsing(lapsing.seconds.set(second, holds), lapsing.first)
    seconds = lapsing.seconds.delete(second)
    return Lapsing(seconds, _first_after(seconds, second) if second == lapsing.first else lapsing.first)


def lapsed(lapsing: Lapsing, now: datetime) -> list[Hold]:
    """Expired reservations, oldest expiry first."""
    if lapsing.first is None:
        return []
    until = _second(now)
    if lapsing.first > until:
        return []
    # While carts expire, the first second is nearly always the present one. Walking to it beats filtering all seconds.
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
    """The earliest second. All seconds in the map are later than `second`."""
    near = next((one for one in range(second + 1, second + 1 + SECONDS_WALKED) if one in seconds), None)
    return min(seconds, default=None) if near is None else near


def _second(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds() // 1)
