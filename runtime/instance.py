"""A name that a worker keeps over restarts, so that Kafka gives it its partitions back at once.

    instance = hold_instance(settings.home, "ledger")      # "5f0c…-ledger-1", or "…-ledger-2" if the first one runs
    consumer(services, "ledger", group_instance_id=instance.name)

Without a name (static membership, KIP-345) a restarted worker waits until the session of the killed one times out, and
nobody reads its partitions meanwhile. The name belongs to a locked file below the home folder; the kernel releases the
lock when the process dies in any way. Two homes never share a name.

The file also describes its process: `living` reads which workers run on this home, and where its API listens.
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

#: Copies of one worker that may run on one home. A safety bound: nobody needs more copies than partitions.
INSTANCES_MAX = 1_000

#: A member that is shut out rejoins at most REJOINS_MAX times in REJOINS_SECONDS; then its process ends. A broker that
#: comes back shuts out once. Without the bound, two machines with copies of one home would take turns unnoticed.
REJOINS_MAX = 5
REJOINS_SECONDS = 60.0
#: The pause before it rejoins: another worker with its name, if there is one, can take its partitions first.
REJOIN_PAUSE_SECONDS = 1.0

#: The pause before a held name is tried again, because `living` locks each name for microseconds to see whether it is
#: free. Shorter may mistake such a look for a worker; longer delays the start of a second copy.
TRY_AGAIN_SECONDS = 0.02
#: A note has a hundred bytes; a longer one is not ours.
NOTE_BYTES_MAX = 4_096


class Living(NamedTuple):
    """A running process of this home. `ready_at` is empty until it is ready; only an API has an `address`.

    `ledger` is the topic prefix of its ledger: two ledgers may share a home.
    """

    worker: str
    name: str
    pid: int = 0
    ready_at: str = ""
    address: str = ""
    ledger: str = ""


class Instance:
    """A name and the lock on it. Without a `name` the worker is an ordinary group member (see `hold_instance`)."""

    def __init__(self, worker: str, name: str | None, descriptor: int | None) -> None:
        self.worker = worker
        self.name = name
        self._descriptor = descriptor
        self._ready = False
        self._note()

    def ready(self, ledger: str, address: str = "") -> None:
        """Announce once, in the log and for `living`, that this worker is ready. `ledger` is its topic prefix."""
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
        except OSError as error:  # a full disk: `living` does not know this worker, but it works
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
    """The first free name of this kind of worker on this home."""
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
    except OSError as error:  # a full or read-only disk: the worker runs, but a restart after a crash takes longer
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
    """The processes that hold a name of this home now. Starts and changes nothing."""
    owner = owner_of(home)
    found = []
    for path in sorted((home / "instances").glob("*.lock")):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _locked(descriptor, fcntl.LOCK_SH):
                continue  # nobody holds it
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
    """The random name that all names of this home begin with; None if no worker ever ran."""
    path = home / "instances" / "owner"
    return path.read_text() if path.exists() else None


def _owner(folder: Path) -> str:
    """The random name of this home; the first process makes it."""
    path = folder / "owner"
    if not path.exists():
        draft = folder / f"owner-{uuid.uuid4().hex}"
        draft.write_text(uuid.uuid4().hex)
        with contextlib.suppress(FileExistsError):  # another process was faster: use its name
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


def as_member(serve: Callable[[], None], stop: threading.Event) -> None:
    """Call `serve` until it returns; if the group shuts out its client, call it again with a new client.

    No other worker causes this, because the lock on the name is ours (decision 13). When the coordinator dies,
    librdkafka rejoins while an old commit still waits for an answer. The next coordinator refuses that commit, and
    librdkafka treats the refusal as final. Raises ShutOut if this happens too often.
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
        gc.collect()  # the old client and its callbacks refer to each other: a cycle that keeps all their data
        if stop.wait(REJOIN_PAUSE_SECONDS):
            return None
