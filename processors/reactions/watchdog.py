"""A reader that stands still while there is something to read ends its process; the supervisor starts a new one.

Faust agents have been seen to stop fetching after a rebalance, without an error (faust-streaming #175, #629). So a
thread of its own, which a stuck event loop cannot stop, compares what was read with what the broker has.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaException

from processors.reactions.patience import Patience
from runtime.errors import Fault
from runtime.logging import log

Partition = tuple[str, int]

#: A partition with records to read may stand still for so long. Shorter ends a process for one very long batch or a
#: slow rebalance; longer leaves orders waiting. Waiting for PostgreSQL does not count.
STALL_SECONDS = 60.0

#: How often to look. Often enough to measure the above; each look is one request to the broker.
LOOK_SECONDS = 5.0


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


def watch(
    next_offsets: Callable[[], Mapping[Partition, int]],
    ends: Callable[[], Mapping[Partition, int]],
    patience: Patience,
    stopped: threading.Event,
    *,
    stall_seconds: float = STALL_SECONDS,
    look_seconds: float = LOOK_SECONDS,
) -> None:
    """Look until `stopped`; end the whole process with status 1 when a partition stands still for too long."""
    still = Stillness()
    while not stopped.wait(look_seconds):
        if patience.waiting_for is not None:
            still = Stillness()
            continue
        try:
            at_end = ends()
        except (KafkaException, Fault) as error:
            log.warning("reactions_watchdog_blind", error=str(error))
            still = Stillness()  # nobody can read from a broker that does not answer
            continue
        if still.look(next_offsets(), at_end, time.monotonic()) >= stall_seconds:
            behind = {f"{topic}/{number}": offset for (topic, number), offset in still.behind.items()}
            log.error("reactions_stalled", stall_seconds=stall_seconds, **behind)
            # Not an exception: the event loop that would have to handle it may be what hangs.
            os._exit(1)
