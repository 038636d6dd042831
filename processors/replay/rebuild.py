"""A rebuild: the log folded into bare tables by several processes, each with partitions of its own.

    rebuild(services, Task("friday", projections), positions, ends, processes=2)      # the offsets reached

A process that dies takes the call with it. What its runs have committed stays, with the positions; so the same call
goes on from there, with any number of processes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from processors.following.patience import StoppedWaitingError
from processors.following.positions import Partition
from processors.projector.bare import finish
from processors.projector.span import Advance, Span
from projections.model import Projection
from runtime.errors import Fault
from runtime.parallel import in_processes
from runtime.postgres import connect
from runtime.services import Services

#: More processes by default would leave nothing to the live workers on a small machine.
PROCESSES = 2

#: Two processes take three seconds of CPU to start. With fewer facts, one process is done sooner.
FACTS_MIN = 300_000

Say = Callable[[Advance], None]


@dataclass(frozen=True, slots=True)
class Task:
    """What is folded, and where to; as in `Span`."""

    schema: str
    projections: tuple[Projection, ...]
    until: datetime | None = None
    happened: datetime | None = None
    misses_in: str | None = None


def rebuild(
    services: Services,
    task: Task,
    positions: Mapping[Partition, int],
    end: Mapping[Partition, int],
    *,
    processes: int | None = None,
    stop: threading.Event | None = None,
    say: Say = lambda _: None,
    keyed: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[Partition, int]:
    """Fold up to `end`, then give the tables their keys; each partition's next offset. `positions`: where the tables
    are. `processes`: by default as many as it is worth. `keyed` is told how many tables have theirs, of how many.
    Raises as `Span.up_to` does, and Fault if a process ends.
    """
    begins = {one: positions.get(one, 0) for one in end}
    facts = {one: end[one] - begins[one] for one in end}
    count = processes or (min(PROCESSES, os.cpu_count() or 1) if sum(facts.values()) >= FACTS_MIN else 1)
    shares = _shares(facts, count)
    if len(shares) == 1:
        with _span(services, task, stop) as span:
            offsets = span.up_to(end, say)
    else:
        tasks = [(services, task, {one: end[one] for one in share}) for share in shares]
        reached = in_processes(_fold, tasks, _Sum(begins, say).heard, _died, lambda: _go_on(stop))
        offsets = {one: at for each in reached for one, at in each.items()}
    finish(lambda: connect(services, "replay"), task.projections, task.schema, count, keyed)
    return offsets


def _shares(facts: Mapping[Partition, int], count: int) -> list[list[Partition]]:
    """The partitions in so many parts of about as many facts; fewer where there are fewer partitions."""
    shares: list[list[Partition]] = [[] for _ in range(max(1, min(count, len(facts))))]
    sizes = [0] * len(shares)
    for one in sorted(facts, key=lambda one: (-facts[one], one)):
        least = sizes.index(min(sizes))
        shares[least].append(one)
        sizes[least] += facts[one]
    return shares


def _go_on(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise StoppedWaitingError


def _span(services: Services, task: Task, stop: threading.Event | None) -> Span:
    return Span(
        services,
        task.schema,
        until=task.until,
        happened=task.happened,
        projections=task.projections,
        stop=stop,
        misses_in=task.misses_in,
        bare=True,
    )


class _Sum:
    """How far all processes are together."""

    def __init__(self, begins: Mapping[Partition, int], say: Say) -> None:
        self._begins = dict(begins)
        self._say = say
        self._advances: dict[int, Advance] = {}

    def heard(self, number: int, now: Advance) -> None:
        """A process is further."""
        self._advances[number] = now
        advances = self._advances.values()
        reached = dict(self._begins)
        for one in advances:
            reached |= one.reached
        ended = {partition for one in advances for partition in one.ended}
        self._say(Advance(sum(one.facts for one in advances), reached, ended))


def _fold(
    services: Services, task: Task, end: Mapping[Partition, int], tell: Callable[[Advance], None]
) -> dict[Partition, int]:
    """What a process does."""
    with _span(services, task, None) as span:
        return span.up_to(end, lambda now: tell(Advance(now.facts, dict(now.reached), frozenset(now.ended))))


def _died(number: int, count: int, how: str) -> Fault:
    return Fault(
        f"process {number} of {count} of the replay has ended",
        f"{how}; what it had committed stays in the tables",
        "call again in the same way: it goes on from there (`--processes 1` takes less memory)",
    )
