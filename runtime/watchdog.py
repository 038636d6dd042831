"""A reader that makes no progress, although there are records, ends its process; the supervisor restarts it.

    10 s of silence        records wait, the reader is idle and not in a rebalance, and no fetch comes; or its event
                           loop hangs (reactions only)
    60 s without progress  a partition with records does not advance, whatever the reader does
    60 s without a place   the group has not told the reader which partitions it has, not even that it has none

Faust agents sometimes stop fetching after a rebalance, without an error (faust-streaming #175, #629). Members of
librdkafka sometimes get no partitions again after their broker was down (docs/long-runs.md). So a separate thread,
which runs even if others hang, compares the reader's offsets with the broker's. Before it ends the process, it logs
where each thread is.

Time is counted by looks: the time between two looks counts as two pauses at most. So a process that was stopped does
not count as silent for that time, and on a busy machine a starved reader gets as many looks as on a quiet one.
"""

import contextvars
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from confluent_kafka import KafkaException

from runtime.errors import Fault
from runtime.kafka import admin, end_offsets
from runtime.logging import log
from runtime.services import Services

Partition = tuple[str, int]

#: How long an idle reader may get nothing although records wait. aiokafka asks the broker twice a second and finds a
#: moved leader within a second or two. Shorter takes a slow broker for a silent reader, longer leaves orders waiting.
SILENCE_SECONDS = 10.0

#: The pause between looks: short enough to see each step. A look at a reader with signs costs two small requests to the
#: broker; for a reader without signs, the broker is asked only after half of the time without progress.
LOOK_SECONDS, LOOK_SECONDS_STILL = 1.0, 5.0

#: If the broker does not answer within ANSWER_SECONDS, the watchdog waits for BLIND_SECONDS before it asks again. A
#: client that waits for a missing leader tries to reach it all the time: three workers that asked at every look kept
#: the last of three nodes from answering anybody.
ANSWER_SECONDS, BLIND_SECONDS = 5.0, 10.0


class Signs(NamedTuple):
    """The signs of a reader: whether it is working (or in a rebalance), how many batches it has got so far, and how
    many turns its event loop has made.
    """

    busy: bool
    fetched: int
    beats: int


class Stillness:
    """Since when each partition has not advanced; the clock is an argument."""

    def __init__(self) -> None:
        self._since: dict[Partition, tuple[int, float]] = {}

    def look(self, next_offsets: Mapping[Partition, int], now: float) -> float:
        """Seconds for which the slowest partition has not advanced, whether or not there is more to read."""
        since: dict[Partition, tuple[int, float]] = {}
        for partition, offset in next_offsets.items():
            before = self._since.get(partition)
            since[partition] = before if before is not None and before[0] == offset else (offset, now)
        self._since = since
        return max((now - at for _, at in since.values()), default=0.0)

    def behind(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """The next offset of each partition that has more to read; the time of all others starts again."""
        self._since = {one: (offset, at) for one, (offset, at) in self._since.items() if offset < ends.get(one, 0)}
        return {one: offset for one, (offset, _) in self._since.items()}


class Silence:
    """Since when an idle reader has got nothing although records wait; the clock is an argument."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._fetched = 0
        self._beats = -1

    def look(self, signs: Signs, *, behind: bool, now: float) -> float:
        """Seconds of silence."""
        # A reader whose event loop hangs is not working: it will never finish its batch.
        at_work = signs.busy and signs.beats != self._beats
        if at_work or not behind:
            self._since = None
        elif self._since is None or signs.fetched != self._fetched:
            self._since = now
        self._fetched, self._beats = signs.fetched, signs.beats
        return 0.0 if self._since is None else now - self._since


class Standing:
    """The state of a reader, for its watchdog in another thread."""

    def __init__(self) -> None:
        #: Partition → offset of the next record to read, for the reader's partitions.
        self.next_offsets: Callable[[], Mapping[Partition, int]] = dict
        #: Whether the group has told the reader which partitions it has.
        self.placed = False
        #: What the reader says it waits for; such a wait is not a stall.
        self.waiting_for: str | None = None
        #: None for a reader whose silence means nothing.
        self.signs: Callable[[], Signs] | None = None

    def leave(self) -> None:
        """The reader has left the group."""
        self.placed = False
        self.next_offsets = dict

    @contextmanager
    def excused(self) -> Iterator[Callable[[str], None]]:
        """Within the block, a reader that has called the yielded function does not count as stalled."""
        before = self.waiting_for

        def wait_for(what: str) -> None:
            self.waiting_for = what

        try:
            yield wait_for
        finally:
            self.waiting_for = before


class _Waits:
    """Since when a reader has had no place; the clock is an argument."""

    def __init__(self) -> None:
        self._since: float | None = None

    def look(self, *, placed: bool, now: float) -> float:
        """Seconds without a place."""
        self._since = None if placed else now if self._since is None else self._since
        return 0.0 if self._since is None else now - self._since


def start_watchdog(
    worker: str, standing: Standing, services: Services, topics: Sequence[str], stall_seconds: float
) -> Callable[[], None]:
    """Start a thread that watches the reader of these topics. Returns a function that stops it.

    `worker` is the beginning of the event names in its log lines.
    """
    stopped = threading.Event()
    broker = admin(services)
    look_seconds = LOOK_SECONDS if standing.signs else LOOK_SECONDS_STILL

    def ends() -> dict[Partition, int]:
        return end_offsets(services, topics, broker, ANSWER_SECONDS)

    threading.Thread(
        target=contextvars.copy_context().run,  # so that its log lines name the process too
        args=(lambda: watch(worker, standing, ends, stopped, stall_seconds, look_seconds=look_seconds),),
        name="watchdog",
        daemon=True,
    ).start()
    return stopped.set


def where_threads_stand() -> dict[str, list[str]]:
    """The stack of each thread by name, the most recent call first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        f"{names.get(ident, 'unknown')} ({ident})": [
            f"{call.filename}:{call.lineno} in {call.name}" for call in reversed(traceback.extract_stack(frame))
        ]
        for ident, frame in sys._current_frames().items()  # noqa: SLF001  # there is no other way
    }


def watch(
    worker: str,
    standing: Standing,
    ends: Callable[[], Mapping[Partition, int]],
    stopped: threading.Event,
    stall_seconds: float,
    *,
    silence_seconds: float = SILENCE_SECONDS,
    look_seconds: float = LOOK_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Look until `stopped`; end the process with status 1 if the reader is silent or makes no progress for too long.

    `ends` gives the offset after each partition's last record. For a reader without signs, only progress is checked,
    and `ends` is called only after half of the time without progress.
    """
    still, silence, waits = Stillness(), Silence(), _Waits()
    counted, before, pause = 0.0, clock(), look_seconds
    while not stopped.wait(pause):
        now, pause = clock(), look_seconds
        counted, before = counted + min(now - before, 2 * look_seconds), now
        if standing.waiting_for is not None:
            still, silence, waits = Stillness(), Silence(), _Waits()
            continue
        signs = standing.signs
        unplaced_seconds = waits.look(placed=standing.placed, now=counted)
        unmoved_seconds = still.look(standing.next_offsets(), counted)
        if signs is None and max(unplaced_seconds, unmoved_seconds) < stall_seconds / 2:
            continue
        try:
            behind = still.behind(ends())
        except (KafkaException, Fault) as error:
            log.warning(f"{worker}_watchdog_blind", error=str(error))
            # Nobody can read from a broker that does not answer, so start counting again.
            still, silence, waits, pause = Stillness(), Silence(), _Waits(), BLIND_SECONDS
            continue
        stood_seconds = still.look(behind, counted)
        silent_seconds = silence.look(signs(), behind=bool(behind), now=counted) if signs else 0.0
        if max(stood_seconds, unplaced_seconds) >= stall_seconds or silent_seconds >= silence_seconds:
            log.error(
                f"{worker}_stalled",
                silent_seconds=silent_seconds,
                stood_seconds=stood_seconds,
                unplaced_seconds=unplaced_seconds,
                threads=where_threads_stand(),
                **{f"{topic}/{number}": offset for (topic, number), offset in behind.items()},
            )
            # Not an exception: the code that would handle it may be what hangs.
            os._exit(1)
