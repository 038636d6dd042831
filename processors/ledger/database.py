"""PostgreSQL as a ledger needs it to go on: while it is away it is waited for, and nobody is blamed for that.

database.do(snapshots.ensure_tables)         # in a transaction of its own
database.fetch(wanted)                       # from the snapshots into memory, as of one moment
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from processors.ledger import snapshots
from processors.ledger.snapshots import Wanted
from runtime.logging import log
from runtime.postgres import connect
from runtime.services import Services
from runtime.watchdog import Standing

# Between attempts while PostgreSQL is away.
RETRY_SECONDS = 1.0


class Database:
    """Raises psycopg.OperationalError only when `stop` is set while it waits."""

    def __init__(self, services: Services, name: str, standing: Standing, stop: threading.Event) -> None:
        self._services = services
        self._name = name
        self._standing = standing
        self._stop = stop
        self._lookup: psycopg.Connection[Any] | None = None

    def do(self, work: Callable[[psycopg.Connection[Any]], None]) -> None:
        """The work in one transaction; again from its beginning where the connection was lost."""

        def once() -> None:
            with connect(self._services, self._name) as connection:
                work(connection)

        self._patiently(once)

    def fetch(self, wanted: Sequence[Wanted]) -> None:
        """Bring from the snapshots into memory what is needed. Raises SnapshotMovedError."""

        def once() -> None:
            # A connection of its own that stays open: this is asked with every batch.
            if self._lookup is None:
                self._lookup = connect(self._services, f"{self._name} lookup", autocommit=True)
                self._lookup.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            snapshots.fetch(self._lookup, wanted)

        self._patiently(once)

    def close(self) -> None:
        """Let the connection go; the next use opens another."""
        if self._lookup is not None:
            self._lookup.close()
            self._lookup = None

    def _patiently(self, once: Callable[[], None]) -> None:
        with self._standing.excused() as wait_for:
            while True:
                try:
                    return once()
                except psycopg.OperationalError as error:
                    log.warning("database_away", error=str(error).strip())
                    wait_for("postgres")
                    self.close()
                    if self._stop.wait(RETRY_SECONDS):
                        raise
