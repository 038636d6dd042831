"""Snapshots beside deciding. What has changed is noted at one moment, and a thread writes it while the writer goes on.

    saver.begin(owned, side_sent, counts)     # notes: states are immutable, so no state is copied
    saver.carry_on(oldest_pending)            # in each round of the writer; returns the outcome when it is stored
    saver.finish(flush, oldest_pending)       # at a stop or a takeover: waits

The thread begins when the broker has all that was decided up to that moment: a snapshot must not be ahead of the log.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import psycopg

from processors import slow_paths
from processors.ledger import snapshots
from processors.ledger.owned import Owned
from processors.ledger.snapshots import Snapshot, SnapshotMovedError, Stored
from processors.slow_paths import Miss
from runtime import failpoints
from runtime.logging import log
from runtime.postgres import connect
from runtime.services import Services


class Counts(NamedTuple):
    """What people are shown, written beside a snapshot: commands that were on a partition their key does not belong to,
    by (channel, full topic), and slow paths.
    """

    forwarded: Counter[tuple[str, str]]
    misses: Counter[Miss]


class Outcome(NamedTuple):
    """Of one snapshot: facts that it holds and the one before it did not (also those that a takeover has read), and the
    streams that they changed. `counts` could not be written and are to be counted again.
    """

    facts: int
    streams: int
    seconds: float
    counts: Counts | None


class _Noted(NamedTuple):
    """A partition's part: it is written when the broker has acknowledged `sent` facts."""

    owned: Owned
    sent: int
    facts: int
    snapshot: Snapshot


class _Written(NamedTuple):
    """What the thread did; a partition is missing if the connection was lost before its turn."""

    stored: Mapping[tuple[str, int], Stored | SnapshotMovedError]
    counted: bool


class Saver:
    """At most one snapshot is under way."""

    def __init__(self, services: Services, group: str) -> None:
        self._services = services
        self._group = group
        self._thread = ThreadPoolExecutor(1, "snapshot")
        self._noted: list[_Noted] | None = None
        self._side_sent = 0
        self._counts = Counts(Counter(), Counter())
        self._began_at = 0.0
        self._job: Future[_Written] | None = None

    @property
    def busy(self) -> bool:
        """Whether a snapshot is under way."""
        return self._noted is not None

    def begin(self, owned: Iterable[Owned], side_sent: int, counts: Counts) -> None:
        """Note what has changed. `side_sent`: so many records that are no facts must be acknowledged as well, for who
        takes over goes on behind the intake that a snapshot has seen.
        """
        self._noted = [self._note(one) for one in owned if not one.disturbed and one.ledger.memory.changed]
        self._side_sent = side_sent
        self._counts = counts
        self._began_at = time.monotonic()

    def _note(self, owned: Owned) -> _Noted:
        ledger, end = owned.ledger, owned.end_offset
        before = max(0, ledger.memory.saved_offset)
        forget_before = None
        if ledger.forgotten_before > owned.forgotten_before:  # once a day
            owned.forgotten_before = forget_before = ledger.forgotten_before
            ledger.memory.answered(None)
        topic = self._services.topic(ledger.ledger_topic)
        snapshot = Snapshot.of(ledger, topic, end, end - 1 if owned.sent > owned.acked else None)
        return _Noted(owned, owned.sent, end - before, snapshot._replace(forget_before=forget_before))

    def carry_on(self, oldest_pending: int) -> Outcome | None:
        """Begin to write as soon as all is acknowledged; the outcome when it is written. `oldest_pending` is the number
        of the first record that is no fact and is not acknowledged.
        """
        if self._noted is None:
            return None
        if self._job is None:
            gone = [one for one in self._noted if one.owned.disturbed]
            self._drop(gone)
            waits = any(one.owned.acked < one.sent for one in self._noted) or oldest_pending <= self._side_sent
            if not waits:
                self._write()
            return None
        return self._written(self._job.result()) if self._job.done() else None

    def finish(self, flush: Callable[[], object], oldest_pending: Callable[[], int]) -> Outcome | None:
        """Wait for the snapshot that is under way; what the broker does not acknowledge meanwhile is left out."""
        if self._noted is None:
            return None
        if self._job is None:
            flush()
            ready = oldest_pending() > self._side_sent
            self._drop([one for one in self._noted if not ready or one.owned.disturbed or one.owned.acked < one.sent])
            self._write()
        assert self._job is not None
        return self._written(self._job.result())

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _drop(self, noted: Iterable[_Noted]) -> None:
        for one in noted:
            one.owned.ledger.memory.not_saved()
            assert self._noted is not None
            self._noted.remove(one)

    def _write(self) -> None:
        assert self._noted is not None
        failpoints.reach("ledger.before_snapshot")
        self._job = self._thread.submit(self._save, [one.snapshot for one in self._noted], self._counts)

    def _save(self, wanted: Iterable[Snapshot], counts: Counts) -> _Written:
        """In the thread."""
        stored: dict[tuple[str, int], Stored | SnapshotMovedError] = {}
        try:
            with connect(self._services, self._group, autocommit=True) as connection:
                for snapshot in wanted:
                    try:
                        stored[snapshot.place] = snapshots.save(connection, snapshot)
                    except SnapshotMovedError as error:
                        stored[snapshot.place] = error
                if counts.forwarded:
                    rows = [(*place, count) for place, count in counts.forwarded.items()]
                    snapshots.count_forwarded(connection, rows)
                    counts.forwarded.clear()
                slow_paths.add(connection, self._group, counts.misses)
        except psycopg.Error as error:  # costs a longer takeover, nothing else; the next one tries again
            log.warning("snapshot_failed", error=str(error))
            return _Written(stored, counted=False)
        return _Written(stored, counted=True)

    def _written(self, written: _Written) -> Outcome:
        noted, self._noted, self._job = self._noted, None, None
        assert noted is not None
        facts = streams = 0
        for one in noted:
            memory = one.owned.ledger.memory
            result = written.stored.get(one.snapshot.place)
            if isinstance(result, Stored):
                memory.saved(result.sizes)
                if result.answered is not None:
                    memory.answered(result.answered)
                facts += one.facts
                streams += len(result.sizes)
            else:
                memory.not_saved()
                if result is not None:
                    one.owned.disturbed = one.owned.disturbed or str(result)
        failpoints.reach("ledger.after_snapshot")
        seconds = time.monotonic() - self._began_at
        return Outcome(facts, streams, seconds, None if written.counted else self._counts)
