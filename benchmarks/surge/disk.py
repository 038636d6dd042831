"""Bytes that orders leave on disk: in Kafka by topic, in PostgreSQL by table with its indexes, and PostgreSQL's WAL."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.place import Place
from benchmarks.subject import Connection


class _Sizes(NamedTuple):
    kafka: dict[str, int]
    tables: dict[str, int]
    wal: int


class Disk:
    """Remembers how much there was when it was made."""

    def __init__(self, place: Place, connection: Connection) -> None:
        self._place, self._connection = place, connection
        self._before = self._look()

    def since(self, orders: int) -> dict[str, dict[str, int] | int]:
        """Bytes an order since then. Tables are as they are: with dead rows, and with room that a vacuum has freed."""
        before, now = self._before, self._look()
        return {
            "kafka": _each(before.kafka, now.kafka, orders),
            "tables": _each(before.tables, now.tables, orders),
            "wal": round((now.wal - before.wal) / orders),
        }

    def _look(self) -> _Sizes:
        tables = self._connection.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        row = self._connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").fetchone()
        assert row is not None
        return _Sizes(self._place.bytes_on_disk(), dict(tables), int(row[0]))


def _each(before: dict[str, int], now: dict[str, int], orders: int) -> dict[str, int]:
    found = {name: round((size - before.get(name, 0)) / orders) for name, size in sorted(now.items())}
    return {name: size for name, size in found.items() if size > 0}
