"""A rebuild: the log folded into bare tables by several processes, each with partitions of its own.

    rebuild(services, Task("friday", projections), positions, ends, processes=2)      # the offsets reached

A process that dies takes the call with it. What its runs have committed stays, with the positions; so the same call
goes on from there, with any number of processes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from processors.following.patience import StoppedWaitingError
from processors.following.positions import Partition
from processors.projector.bare import finish
from processors.projector.span import Advance, Span
from projections.model import Projection
from runtime.errors import Fault
from runtime.logging import setup_logging
from runtime.postgres import connect
from runtime.services import Services

#: More processes by default would leave nothing to the live workers on a small machine.
PROCESSES = 2

#: Two processes take three seconds of CPU to start. With fewer facts, one process is done sooner.
FACTS_MIN = 300_000

#: How often to look whether the call is to stop.
LOOK_SECONDS = 0.2

#: A process that was asked to end rolls back and ends at once; one that does not is killed.
END_SECONDS = 5.0

POLARS_THREADS = "POLARS_MAX_THREADS"

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
        offsets = _Processes(services, task, begins, stop or threading.Event(), say).fold(
            [{one: end[one] for one in share} for share in shares]
        )
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


@dataclass(frozen=True, slots=True)
class _Done:
    offsets: dict[Partition, int]


class _Processes:
    def __init__(
        self, services: Services, task: Task, begins: Mapping[Partition, int], stop: threading.Event, say: Say
    ) -> None:
        self._services = services
        self._task = task
        self._stop = stop
        self._say = say
        self._begins = dict(begins)

    def fold(self, shares: Collection[Mapping[Partition, int]]) -> dict[Partition, int]:
        """Each share in a process of its own; returns when all have come to their ends."""
        offsets: dict[Partition, int] = {}
        advances: dict[int, Advance] = {}
        with ExitStack() as stack:
            pipes: dict[Pipe, tuple[int, BaseProcess]] = {}
            for number, share in enumerate(shares):
                pipe, process = self._start(share)
                stack.callback(_end, process)
                pipes[pipe] = number, process
            while pipes:
                if self._stop.is_set():
                    raise StoppedWaitingError
                for ready in wait(list(pipes), LOOK_SECONDS):
                    assert isinstance(ready, Pipe), "only pipes are waited for"
                    number, process = pipes[ready]
                    try:
                        said = ready.recv()
                    except EOFError:
                        raise _died(process, number, len(shares)) from None
                    if isinstance(said, _Done):
                        offsets |= said.offsets
                        del pipes[ready]
                    elif isinstance(said, Exception):
                        raise said
                    else:
                        advances[number] = said
                        self._say(self._all_of(advances.values()))
        return offsets

    def _start(self, share: Mapping[Partition, int]) -> tuple[Pipe, BaseProcess]:
        # Not forked: a child would share the sockets and the locked locks of librdkafka's and polars' threads.
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_fold, args=(self._services, self._task, dict(share), there), daemon=True)
        # A core for each: threads of a pool would only wake each other. polars reads it when the child imports it.
        before = os.environ.get(POLARS_THREADS)
        os.environ[POLARS_THREADS] = "1"
        try:
            process.start()
        finally:
            os.environ.pop(POLARS_THREADS)
            if before is not None:
                os.environ[POLARS_THREADS] = before
        there.close()
        return here, process

    def _all_of(self, advances: Collection[Advance]) -> Advance:
        reached = dict(self._begins)
        for one in advances:
            reached |= one.reached
        ended = {partition for one in advances for partition in one.ended}
        return Advance(sum(one.facts for one in advances), reached, ended)


def _fold(services: Services, task: Task, end: Mapping[Partition, int], parent: Pipe) -> None:
    """What a process does. If its parent has died, it ends when it tells it something."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all; the parent ends us
    setup_logging("WARNING")
    try:
        with _span(services, task, None) as span:
            offsets = span.up_to(
                end, lambda now: parent.send(Advance(now.facts, dict(now.reached), frozenset(now.ended)))
            )
        parent.send(_Done(offsets))
    except BrokenPipeError:
        return
    except Fault as fault:
        parent.send(fault)


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join(END_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def _died(process: BaseProcess, number: int, count: int) -> Fault:
    process.join(END_SECONDS)
    status = process.exitcode
    how = f"killed by signal {-status}" if status is not None and status < 0 else f"exit status {status}"
    return Fault(
        f"process {number + 1} of {count} of the replay has ended",
        f"{how}; what it had committed stays in the tables",
        "call again in the same way: it goes on from there (`--processes 1` takes less memory)",
    )
