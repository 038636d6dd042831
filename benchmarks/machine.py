"""What a machine spends: CPU of a process with its children, memory, and how fast a fixed piece of Python runs here.

Wall-clock time says little on a shared machine, so the benchmarks compare CPU time. It differs between machines, and
on one machine with what else runs, so a figure that is kept is divided by `calibration_seconds` of the same run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping

import psutil

#: One calibration takes about 0.2 s: shorter is noise of the clock, longer delays each round.
CALIBRATION_STEPS = 1_000_000


def cpu_seconds(pid: int, without: Iterable[int] = ()) -> float:
    """User and system time of a process, of its children, and of children that have ended and were waited for."""
    left_out = set(without)
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        if child.pid in left_out:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended: its parent has its time next time
            times = child.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return float(total)


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children, in MB."""
    process = psutil.Process(pid)
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += child.memory_info().rss
    return round(total / 1e6, 1)


def calibration_seconds() -> float:
    """CPU seconds of a fixed loop over dictionaries, strings and numbers: what the workers' Python mostly does."""
    begun = time.process_time()
    found: dict[str, int] = {}
    names = [f"SKU-{n:05}" for n in range(1_000)]
    for number in range(CALIBRATION_STEPS):
        name = names[number % 1_000]
        found[name] = found.get(name, 0) + number % 7
    if sum(found.values()) != sum(n % 7 for n in range(CALIBRATION_STEPS)):
        raise ArithmeticError("the calibration loop counted wrong")
    return time.process_time() - begun


def spent(before: Mapping[str, float], after: Mapping[str, float], units: int) -> dict[str, int]:
    """CPU µs a unit by process, and of all."""
    each = {name: round((after[name] - before[name]) / units * 1e6) for name in after}
    return each | {"all": sum(each.values())}
