"""A reader that stands still while there is something to read ends its process; the supervisor starts a new one.

    10 s of silence: records wait, the reader has nothing in hand, is in no rebalance, and not one fetch comes; or
                     its event loop has stopped turning (the reactions alone)
    60 s of standing still: a partition with records does not move on, whatever the reader is doing meanwhile
    60 s without a place: the group has not said which partitions are the reader's, be it none

Faust agents have been seen to stop fetching after a rebalance, without an error (faust-streaming #175, #629); members
of librdkafka, never to be given partitions again after their broker was away (docs/guarantees.md, The long run). So a
thread of its own, which nothing that hangs can stop, compares what was read with what the broker has. Before it ends
the process it writes where each thread stands.

Time is counted by looks: between two of them never more than two pauses. A process that was stopped, or a machine too
busy to run it, has not been silent for as long as the clock says; a reader that is as starved as its watchdog is given
as many looks as on a quiet machine.
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

#: An idle reader may be silent for so long though records wait. aiokafka asks the broker twice a second and finds a
#: moved leader within a second or two: shorter takes a slow broker for a silent reader, longer leaves orders waiting.
SILENCE_SECONDS = 10.0

#: How often to look: often enough that a step between two looks is seen. Each look at a reader with signs is two small
#: requests to the broker; the others are asked about only when nothing has changed for half of their time.
LOOK_SECONDS, LOOK_SECONDS_STILL = 1.0, 5.0

#: A broker that does not answer this soon leaves the watchdog blind, and is left alone for a while: a client that waits
#: for a leader that is gone tries all the time to reach it, and three workers that asked at every look kept the one
#: node that was left of three from answering anybody.
ANSWER_SECONDS, BLIND_SECONDS = 5.0, 10.0


class Signs(NamedTuple):
    """What a reader shows: whether it is at work (or in a rebalance), how many batches it has ever been given, and how
    often its event loop has come round.
    """

    busy: bool
    fetched: int
    beats: int


class Stillness:
    """Since when each partition has not moved on; the clock comes as an argument."""

    def __init__(self) -> None:
        self._since: dict[Partition, tuple[int, float]] = {}

    def look(self, next_offsets: Mapping[Partition, int], now: float) -> float:
        """Seconds for which the slowest partition has not moved, whether or not there is more to read."""
        since: dict[Partition, tuple[int, float]] = {}
        for partition, offset in next_offsets.items():
            before = self._since.get(partition)
            since[partition] = before if before is not None and before[0] == offset else (offset, now)
        self._since = since
        return max((now - at for _, at in since.values()), default=0.0)

    def behind(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """Offset at which each partition that has more to read stands; those that have none begin anew."""
        self._since = {one: (offset, at) for one, (offset, at) in self._since.items() if offset < ends.get(one, 0)}
        return {one: offset for one, (offset, _) in self._since.items()}


class Silence:
    """Since when an idle reader has been given nothing although there was something; the clock is an argument."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._fetched = 0
        self._beats = -1

    def look(self, signs: Signs, *, behind: bool, now: float) -> float:
        """Seconds of silence."""
        # Work that a stopped event loop has in hand is never finished.
        at_work = signs.busy and signs.beats != self._beats
        if at_work or not behind:
            self._since = None
        elif self._since is None or signs.fetched != self._fetched:
            self._since = now
        self._fetched, self._beats = signs.fetched, signs.beats
        return 0.0 if self._since is None else now - self._since


class Standing:
    """What a reader shows its watchdog, which is another thread."""

    def __init__(self) -> None:
        #: Partition → offset of the next record to read, of those that are the reader's.
        self.next_offsets: Callable[[], Mapping[Partition, int]] = dict
        #: Whether the group has said which partitions are the reader's.
        self.placed = False
        #: For what it waits, by its own account: that is not standing still.
        self.waiting_for: str | None = None
        #: None for a reader whose silence says nothing.
        self.signs: Callable[[], Signs] | None = None

    def leave(self) -> None:
        """No longer a member of the group."""
        self.placed = False
        self.next_offsets = dict

    @contextmanager
    def excused(self) -> Iterator[Callable[[str], None]]:
        """Who has called this with what it waits for is not blamed until the end of the block."""
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
    """Watch from now on, in a thread of its own, until what comes out is called.

    `worker` begins the names of its lines; `topics` are what it reads.
    """
    stopped = threading.Event()
    broker = admin(services)
    look_seconds = LOOK_SECONDS if standing.signs else LOOK_SECONDS_STILL

    def ends() -> dict[Partition, int]:
        return end_offsets(services, topics, broker, ANSWER_SECONDS)

    threading.Thread(
        target=contextvars.copy_context().run,  # its lines, too, say which process speaks
        args=(lambda: watch(worker, standing, ends, stopped, stall_seconds, look_seconds=look_seconds),),
        name="watchdog",
        daemon=True,
    ).start()
    return stopped.set


def where_threads_stand() -> dict[str, list[str]]:
    """For each thread, by name, where it is: the most recent call first."""
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
    """Look until `stopped`; end the whole process with status 1 when it is silent or stands still for too long.

    `ends` gives the offset behind each partition's last record. Nothing but standing still is to be seen of a reader
    without signs: it is asked for only once something has stood for half of its time, and must be behind from then on.
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
            # Nobody can read from a broker that does not answer.
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
            # Not an exception: what would have to handle it may be what hangs.
            os._exit(1)
