"""What a surge showed, as figures: pure functions of what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.flow import percentiles
from benchmarks.surge.plan import Plan
from benchmarks.surge.standing import Change, all_stood, longest
from benchmarks.surge.watch import Row, Stood

#: The peak needs so long to fill the batches; a standstill before is one of the steady load.
PEAK_HAS_BEGUN_SECONDS = 5.0
#: Orders that are not visible yet, in seconds of the steady load, when all is worked off.
WORKED_OFF_LOAD_SECONDS = 2.0
#: After each partition has an owner again, its first records may still wait for so long.
AFTERMATH_SECONDS = 3.0
PHASES = ("steady, before", "peak", "working off", "steady, after")


class Measured(NamedTuple):
    """A run. Times are seconds since its beginning; `waits` are (when a lone order was sent, seconds until visible)."""

    plan: Plan
    rows: Sequence[Row]
    waits: Sequence[tuple[float, float]]
    changes: Sequence[Change]


def summary(measured: Measured, stood: Mapping[str, Stood]) -> dict[str, Any]:
    """The figures that are kept and printed."""
    plan, rows, waits, changes = measured
    worked_off_at = worked_off(plan, rows)
    ends = (plan.before_seconds, plan.peak_ends, worked_off_at)
    by_phase: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for sent_at, seconds in waits:
        by_phase[PHASES[sum(sent_at >= end for end in ends)]].append(seconds * 1000)
    in_peak = [row for row in rows if plan.before_seconds <= row.at <= plan.peak_ends]
    busy = [row for row in rows if plan.before_seconds <= row.at <= worked_off_at]
    return {
        "load": {
            "steady_orders_per_second": round(plan.steady, 1),
            "peak_orders_per_second": round(plan.peak, 1),
            "before_seconds": plan.before_seconds,
            "peak_seconds": plan.peak_seconds,
            "seconds": round(rows[-1].at, 1),
        },
        "peak": {
            "sent_per_second": round(_rate(in_peak, "sent")),
            "visible_per_second": round(_rate(in_peak, "visible")),
            "visible_per_second_until_worked_off": round(_rate(busy, "visible")),
            "orders_not_visible_at_most": max(row.sent - row.visible for row in rows),
            "records_waiting_at_most": {worker: max(row.waiting[worker] for row in rows) for worker in rows[0].waiting},
            "worked_off_after_seconds": round(worked_off_at - plan.peak_ends, 1),
            "cpu_us_an_order": cpu_an_order(busy),
            "cores": round(sum(cpu_by_kind(busy).values()) / (busy[-1].at - busy[0].at), 2),
        },
        "memory_mb_at_most": {
            name: round(max(row.rss[name] for row in rows if name in row.rss))
            for name in sorted({name for row in rows for name in row.rss})
        },
        "placed_to_visible_ms": {phase: percentiles(found) for phase, found in by_phase.items() if found},
        "changes": [change_in_figures(one, plan, stood[one.worker]) for one in changes],
    }


def worked_off(plan: Plan, rows: Sequence[Row]) -> float:
    """When the orders of the peak are visible; the end if they never are."""
    few = plan.steady * WORKED_OFF_LOAD_SECONDS
    return next((row.at for row in rows if row.at > plan.peak_ends and row.sent - row.visible <= few), rows[-1].at)


def cpu_by_kind(rows: Sequence[Row]) -> dict[str, float]:
    """CPU seconds between the first row and the last, of all processes of a kind (`ledger`, `ledger-2`)."""
    seconds: dict[str, float] = {}
    for name in {name for row in rows for name in row.cpu}:
        used = [row.cpu[name] for row in rows if name in row.cpu]
        begun = used[0] if name in rows[0].cpu else 0.0
        kind = name.partition("-")[0]
        seconds[kind] = seconds.get(kind, 0.0) + used[-1] - begun
    return seconds


def cpu_an_order(rows: Sequence[Row]) -> dict[str, int]:
    """CPU µs by kind, for each order that got visible between the first row and the last."""
    orders = rows[-1].visible - rows[0].visible
    found = {kind: round(seconds / orders * 1e6) for kind, seconds in sorted(cpu_by_kind(rows).items())}
    return found | {"all": sum(found.values())}


def change_in_figures(one: Change, plan: Plan, stood: Stood) -> dict[str, Any]:
    """Longest standstills in ms: of partitions that stayed (of all of them together, and of one), of those that moved,
    and the same of any when nothing changed, under the same load.
    """
    joins = one.action == "joins"
    quiet = (plan.before_seconds + PEAK_HAS_BEGUN_SECONDS, one.begin) if joins else (1.0, plan.before_seconds)
    meanwhile = (one.begin, one.end + AFTERMATH_SECONDS)
    every = one.stayed | one.moved
    found = {
        "all stayed": all_stood(*stood, one.stayed, *meanwhile),
        "all, no change": all_stood(*stood, every, *quiet),
        "one stayed": longest(stood.still, one.stayed, *meanwhile),
        "one, no change": longest(stood.still, every, *quiet),
        "one moved": longest(stood.still, one.moved, *meanwhile),
    }
    return {
        "worker": one.worker,
        "action": one.action,
        "at_seconds": round(one.begin, 1),
        "took_seconds": round(one.end - one.begin, 1),
        "partitions_stayed": len(one.stayed),
        "partitions_moved": len(one.moved),
        "longest_standstill_ms": {name: one and round(one.seconds * 1000) for name, one in found.items()},
        "it_began_at_seconds": {name: one and round(one.begin, 2) for name, one in found.items()},
    }


def by_time(waits: Iterable[tuple[float, float]], window_seconds: float) -> dict[str, tuple[list[float], list[float]]]:
    """p50 and p99 of the waits (seconds) of orders that were sent in the same window, as lines over the time."""
    windows: dict[int, list[float]] = {}
    for sent_at, seconds in waits:
        windows.setdefault(int(sent_at / window_seconds), []).append(seconds)
    lines: dict[str, tuple[list[float], list[float]]] = {"p50": ([], []), "p99": ([], [])}
    for number, found in sorted(windows.items()):
        figures = percentiles([seconds * 1000 for seconds in found])
        for name, (x, y) in lines.items():
            x.append((number + 0.5) * window_seconds)
            y.append(figures[name] / 1000)
    return lines


def per_second(rows: Sequence[Row], name: str, over_rows: int) -> list[float]:
    """How fast a count grew, at each row, over so many rows before it."""
    found = [math.nan]
    for number in range(1, len(rows)):
        first, last = rows[max(0, number - over_rows)], rows[number]
        found.append((getattr(last, name) - getattr(first, name)) / (last.at - first.at))
    return found


def _rate(rows: Sequence[Row], name: str) -> float:
    return float((getattr(rows[-1], name) - getattr(rows[0], name)) / (rows[-1].at - rows[0].at))
