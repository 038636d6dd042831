"""A name that a worker keeps over its restarts, so that Kafka gives it its partitions back at once.

    instance = hold_instance(settings.home, "ledger")      # "5f0c…-ledger-1", or "…-ledger-2" when that one runs
    consumer(services, "ledger", group_instance_id=instance.name)

Without a name (a static member, KIP-345) whoever is killed and started again waits until the broker has given up on its
former life: a session time-out of silence for its partitions. The name is that of a locked file below the home folder;
the kernel lets the lock go when the process dies, however it dies. Two homes never share a name.

The file also says what its process is: `living` reads who runs on this home, and where its API listens.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

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

#: A name that somebody holds is tried again after this: `living` holds each for microseconds to see whether it is free.
#: Shorter may take a reader for a worker; longer delays the start of a second copy.
TRY_AGAIN_SECONDS = 0.02
#: A note is a hundred bytes; what is longer is none of ours.
NOTE_BYTES_MAX = 4_096


class Living(NamedTuple):
    """A process of this home that runs. `ready_at` is empty until it is ready; `address` is that of an API.

    `ledger` is the topic prefix of its ledger: two of them may share a home.
    """

    worker: str
    name: str
    pid: int = 0
    ready_at: str = ""
    address: str = ""
    ledger: str = ""


class Instance:
    """A name and the lock on it. Without a `name` the worker is a member like any other (`hold_instance` says why)."""

    def __init__(self, worker: str, name: str | None, descriptor: int | None) -> None:
        self.worker = worker
        self.name = name
        self._descriptor = descriptor
        self._ready = False
        self._note()

    def ready(self, ledger: str, address: str = "") -> None:
        """Say once, in the log and to `living`, that this worker is at work, on the ledger with this topic prefix."""
        if self._ready:
            return
        self._ready = True
        self._note(ready_at=datetime.now(UTC).isoformat(timespec="seconds"), address=address, ledger=ledger)
        log.info("worker_ready", **({"address": address} if address else {}))

    def _note(self, **more: str) -> None:
        if self._descriptor is None:
            return
        note = json.dumps({"pid": os.getpid(), **more}).encode()
        try:
            os.pwrite(self._descriptor, note, 0)
            os.ftruncate(self._descriptor, len(note))
        except OSError as error:  # a full disk: nobody is told of this worker by its file; it works all the same
            log.warning("instance_not_noted", worker=self.worker, error=str(error))

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
            if not _locked(descriptor, fcntl.LOCK_EX):
                time.sleep(TRY_AGAIN_SECONDS)
                if not _locked(descriptor, fcntl.LOCK_EX):
                    os.close(descriptor)
                    continue
            return Instance(worker, f"{owner}-{worker}-{number}", descriptor)
    except OSError as error:  # a full or read-only disk: work goes on, only a restart after a crash takes longer
        log.warning("instance_unnamed", worker=worker, error=str(error), folder=str(folder))
    return Instance(worker, None, None)


def _locked(descriptor: int, kind: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def living(home: Path) -> list[Living]:
    """The processes that hold a name of this home now. It starts and changes nothing."""
    owner = owner_of(home)
    found = []
    for path in sorted((home / "instances").glob("*.lock")):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _locked(descriptor, fcntl.LOCK_SH):
                continue  # nobody's
            try:
                note = json.loads(os.pread(descriptor, NOTE_BYTES_MAX, 0))
            except json.JSONDecodeError:  # it is being written
                note = {}
        finally:
            os.close(descriptor)
        more = {field: note[field] for field in ("pid", "ready_at", "address", "ledger") if field in note}
        found.append(Living(path.stem.rpartition("-")[0], f"{owner}-{path.stem}", **more))
    return found


def owner_of(home: Path) -> str | None:
    """The random name that all names of this home begin with; None where no worker ever ran."""
    path = home / "instances" / "owner"
    return path.read_text() if path.exists() else None


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
