"""How the memory of a process grows, from what it keeps at rest, and how sure that is.

growth([(720.0, 171.0), (840.0, 171.2), (960.0, 170.9)], warm_up=720).per_hour          # 0.0: it does not grow
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

#: Memory counts from here on: what every process loads once, and the caches that are filled, are not a leak.
WARM_UP_MINUTES = 12.0
#: As many values of memory make a slope.
POINTS = 10


class Growth(NamedTuple):
    """Per hour, relative to `level` (MB), which is the median; `least` and `most` bound the growth by 95 %."""

    per_hour: float
    least: float
    most: float
    level: float


def growth(kept: Sequence[tuple[float, float]], warm_up: float) -> Growth:
    """How what a process keeps grows after the warm-up. `kept` are (seconds, MB) of each rest, three at least.

    What an outage made a process hold is let go minutes later, and what it made it let go (a takeover begins with
    nothing) comes back as soon. So of each of `POINTS` equal times the middle counts: in half an hour that is nearly
    each rest, in an hour that of three. The slope is Theil and Sen's, the median of all between two of these, and its
    interval is Sen's (1968), from the variance of Kendall's score: where it is wide, a run of this length cannot tell.
    """
    part = (kept[-1][0] - warm_up) / POINTS
    parts: dict[int, list[tuple[float, float]]] = {}
    for at, megabytes in kept:
        if at >= warm_up:
            parts.setdefault(min(POINTS - 1, int((at - warm_up) / part)), []).append((at, megabytes))
    counted = [
        (statistics.median(at for at, _ in rests), statistics.median(megabytes for _, megabytes in rests))
        for rests in parts.values()
    ]
    level = statistics.median(megabytes for _, megabytes in counted)
    slopes = sorted((later - before) / (end - since) for (since, before), (end, later) in combinations(counted, 2))
    count = len(counted)
    off = round((len(slopes) - 1.96 * (count * (count - 1) * (2 * count + 5) / 18) ** 0.5) / 2)
    least, most = slopes[max(0, off)], slopes[-1 - max(0, off)]
    per_hour = 3600 / level
    return Growth(statistics.median(slopes) * per_hour, least * per_hour, most * per_hour, level)
