"""A reader that stands still while there is something to read ends its process; the supervisor starts a new one.

    10 s of silence: records wait, the reader has nothing in hand, is in no rebalance, and not one fetch comes; or
                     its event loop has stopped turning
    60 s of standing still: a partition with records does not move on, whatever the reader is doing meanwhile

Faust agents have been seen to stop fetching after a rebalance, without an error (faust-streaming #175, #629). So a
thread of its own, which a stuck event loop cannot stop, compares what was read with what the broker has.

Time is counted by looks: between two of them never more than two pauses. A process that was stopped, or a machine too
busy to run it, has not been silent for as long as the clock says; a reader that is as starved as its watchdog is given
as many looks as on a quiet machine.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from confluent_kafka import KafkaException

from processors.reactions.patience import Patience
from runtime.errors import Fault
from runtime.logging import log

Partition = tuple[str, int]

#: A partition with records to read may stand still for so long. Shorter ends a process for one very long batch or a
#: slow rebalance; longer leaves orders waiting. Waiting for PostgreSQL does not count.
STALL_SECONDS = 60.0

#: An idle reader may be silent for so long though records wait. aiokafka asks the broker twice a second and finds a
#: moved leader within a second or two: shorter takes a slow broker for a silent reader, longer leaves orders waiting.
SILENCE_SECONDS = 10.0

#: How often to look. Often enough that a step between two looks is seen; each look is two small requests to the broker.
LOOK_SECONDS = 1.0


class Signs(NamedTuple):
    """What a reader shows: whether it is at work (or in a rebalance), how many batches it has ever been given, and how
    often its event loop has come round.
    """

    busy: bool
    fetched: int
    beats: int


class Stillness:
    """Since when each partition has stood still although there was more to read; the clock comes as an argument."""

    def __init__(self) -> None:
        self._since: dict[Partition, tuple[int, float]] = {}

    def look(self, next_offsets: Mapping[Partition, int], ends: Mapping[Partition, int], now: float) -> float:
        """Seconds that the slowest partition has been standing still for."""
        since: dict[Partition, tuple[int, float]] = {}
        for partition, offset in next_offsets.items():
            if offset < ends.get(partition, 0):
                before = self._since.get(partition)
                since[partition] = before if before is not None and before[0] == offset else (offset, now)
        self._since = since
        return max((now - at for _, at in since.values()), default=0.0)

    @property
    def behind(self) -> Mapping[Partition, int]:
        """Offset at which each partition that is behind stands."""
        return {partition: offset for partition, (offset, _) in self._since.items()}


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


def watch(
    next_offsets: Callable[[], Mapping[Partition, int]],
    ends: Callable[[], Mapping[Partition, int]],
    signs: Callable[[], Signs],
    patience: Patience,
    stopped: threading.Event,
    *,
    stall_seconds: float = STALL_SECONDS,
    silence_seconds: float = SILENCE_SECONDS,
    look_seconds: float = LOOK_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Look until `stopped`; end the whole process with status 1 when it is silent or stands still for too long."""
    still, silence = Stillness(), Silence()
    counted, before = 0.0, clock()
    while not stopped.wait(look_seconds):
        now = clock()
        counted, before = counted + min(now - before, 2 * look_seconds), now
        if patience.waiting_for is not None:
            still, silence = Stillness(), Silence()
            continue
        try:
            at_end = ends()
        except (KafkaException, Fault) as error:
            log.warning("reactions_watchdog_blind", error=str(error))
            still, silence = Stillness(), Silence()  # nobody can read from a broker that does not answer
            continue
        stood_seconds = still.look(next_offsets(), at_end, counted)
        silent_seconds = silence.look(signs(), behind=bool(still.behind), now=counted)
        if stood_seconds >= stall_seconds or silent_seconds >= silence_seconds:
            behind = {f"{topic}/{number}": offset for (topic, number), offset in still.behind.items()}
            log.error("reactions_stalled", silent_seconds=silent_seconds, stood_seconds=stood_seconds, **behind)
            # Not an exception: the event loop that would have to handle it may be what hangs.
            os._exit(1)
