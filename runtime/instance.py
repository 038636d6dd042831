"""A name that a worker keeps over its restarts, so that Kafka gives it its partitions back at once.

    instance = hold_instance(settings.home, "ledger")      # "5f0c…-ledger-1", or "…-ledger-2" when that one runs
    consumer(services, "ledger", group_instance_id=instance.name)

Without a name (a static member, KIP-345) whoever is killed and started again waits until the broker has given up on its
former life: a session time-out of silence for its partitions. The name is that of a locked file below the home folder;
the kernel lets the lock go when the process dies, however it dies. Two homes never share a name.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path

from runtime.kafka import ShutOut
from runtime.logging import log

#: Copies of one worker that may run on one home. Only a bound: the number of partitions is reached long before.
INSTANCES_MAX = 1_000

#: A member that is shut out joins anew so many times in so many seconds; after that its process ends. A broker that
#: comes back shuts out once. Without the bound, two machines with copies of one home would take turns unseen.
REJOINS_MAX = 5
REJOINS_SECONDS = 60.0
#: Before it joins anew: the other one with its name, if there is one, is to find its partitions first.
REJOIN_PAUSE_SECONDS = 1.0


class Instance:
    """A name and the lock on it. Without a `name` the worker is a member like any other (`hold_instance` says why)."""

    def __init__(self, name: str | None, descriptor: int | None) -> None:
        self.name = name
        self._descriptor = descriptor

    def config(self) -> dict[str, str]:
        """The override for `runtime.kafka.consumer`."""
        return {} if self.name is None else {"group_instance_id": self.name}

    def release(self) -> None:
        """Let another process take the name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def hold_instance(home: Path, worker: str) -> Instance:
    """The first name of this kind of worker that no living process of this home holds."""
    folder = home / "instances"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = _owner(folder)
        for number in range(1, INSTANCES_MAX + 1):
            descriptor = os.open(folder / f"{worker}-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            return Instance(f"{owner}-{worker}-{number}", descriptor)
    except OSError as error:  # a full or read-only disk: work goes on, only a restart after a crash takes longer
        log.warning("instance_unnamed", worker=worker, error=str(error), folder=str(folder))
    return Instance(None, None)


def _owner(folder: Path) -> str:
    """The random name of this home; made once, by whoever comes first."""
    path = folder / "owner"
    if not path.exists():
        draft = folder / f"owner-{uuid.uuid4().hex}"
        draft.write_text(uuid.uuid4().hex)
        with contextlib.suppress(FileExistsError):  # somebody was faster; theirs is as good
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


def as_member(serve: Callable[[], None], stop: threading.Event) -> None:
    """Serve until that returns; serve again, with a new client, where the group has shut the old one out.

    That is not another worker's doing, for the lock on the name is ours (decision 13): when its coordinator dies,
    librdkafka joins anew while a commit of its former life still waits for an answer. The next coordinator refuses
    that one, and librdkafka takes it for itself, for good. Raises ShutOut when that happens too often.
    """
    shut_out: deque[float] = deque(maxlen=REJOINS_MAX)
    while True:
        try:
            return serve()
        except ShutOut as error:
            now = time.monotonic()
            if len(shut_out) == REJOINS_MAX and now - shut_out[0] < REJOINS_SECONDS:
                raise
            shut_out.append(now)
            log.warning("member_joins_anew", error=str(error))
        gc.collect()  # the old client and what called it know each other: a cycle, with all that they had at hand
        if stop.wait(REJOIN_PAUSE_SECONDS):
            return None
