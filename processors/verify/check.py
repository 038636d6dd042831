"""The comparison of every column of every row: the database at one moment, and the log up to exactly that moment.

report = verify(services, codec)
report.equal, report.first_difference

One process checks everything. Where the log is long, two processes check a share each, on one snapshot of the database.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from processors.old_log import refuse_old_log
from processors.verify.books import Books
from processors.verify.rows import Difference
from processors.verify.share import (
    EVERYTHING,
    HALVES,
    READING,
    Found,
    Log,
    Progress,
    Share,
    Stored,
    begin_reading,
    check_at,
    check_share,
    compare_tables,
    count,
    smaller,
    use_tables,
)
from projections.catalogue import PROJECTIONS
from runtime.errors import Fault
from runtime.parallel import in_processes
from runtime.postgres import connect
from runtime.services import Services
from schemas.codec import Codec

#: Shares that there are.
PROCESSES_MAX = len(HALVES)

#: Two processes take about three seconds of CPU to start. With fewer records, one process is done sooner.
RECORDS_MIN = 100_000


@dataclass(frozen=True, slots=True)
class Report:
    """What was compared, and the first difference. `skipped`: topic → reason → count and first offsets."""

    tables: dict[str, int]
    offsets: dict[str, int]
    first_difference: Difference | None
    facts: int
    skipped: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        return self.first_difference is None

    def as_json(self) -> dict[str, Any]:
        """The document that `verify --json` prints."""
        difference = self.first_difference
        return {
            "equal": self.equal,
            "tables": self.tables,
            "offsets": self.offsets,
            "first_difference": None if difference is None else _plain(difference._asdict()),
            "facts": self.facts,
            "skipped": self.skipped,
        }


def verify(
    services: Services,
    codec: Codec,
    *,
    schema: str = "public",
    processes: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Fold the log independently and compare. `processes`: by default two for a long log.

    Raises Fault if the log or the tables are missing, or if one of several processes ends.
    """
    say = progress or _silence
    with connect(services, "verify") as connection:
        # Offsets and tables belong together although the projector goes on.
        begin_reading(connection)
        tables = _live_schema(connection) if schema == "public" else schema
        use_tables(connection, tables)
        stored = _stored_offsets(connection, services)
        log = Log(services, codec, stored)
        refuse_old_log(services, codec)
        shares = _shares(stored, processes)
        if len(shares) == 1:
            found = [check_share(log, connection, shares[0], say)]
        else:
            snapshot = connection.execute("SELECT pg_export_snapshot()").fetchone()
            assert snapshot is not None, "a function returns its value"
            tasks = [(log, tables, snapshot[0], share) for share in shares]
            found = in_processes(check_at, tasks, _Sum(stored, shares, say).heard, _died)
        return _report(connection, stored, found)


def _silence(_what: str, _done: int, _total: int, _unit: str) -> None:
    """Report no progress."""


def _shares(stored: Stored, processes: int | None) -> Sequence[Share]:
    if processes is None:
        long = sum(row["next_offset"] for row in stored.values()) >= RECORDS_MIN
        processes = min(PROCESSES_MAX, os.cpu_count() or 1) if long else 1
    return (EVERYTHING,) if processes == 1 else HALVES


class _Sum:
    """The progress of all shares: what the slowest of them does, and how far all are with that."""

    def __init__(self, stored: Stored, shares: Sequence[Share], say: Progress) -> None:
        self._say = say
        self._now = dict.fromkeys(range(len(shares)), READING)
        records = (sum(row["next_offset"] for (topic, _), row in stored.items() if one.has(topic)) for one in shares)
        #: Activity → share → done, total. In the order in which the activities begin.
        self._known = {READING: {number: (0, total) for number, total in enumerate(records)}}

    def heard(self, number: int, said: tuple[str, int, int, str]) -> None:
        """A share is further."""
        what, done, total, unit = said
        self._now[number] = what
        self._known.setdefault(what, {})[number] = done, total
        if what == next(one for one in self._known if one in self._now.values()):
            known = self._known[what].values()
            self._say(what, sum(done for done, _ in known), sum(total for _, total in known), unit)


def _died(number: int, count: int, how: str) -> Fault:
    return Fault(
        f"process {number} of {count} of verify has ended",
        f"{how}; nothing is known of its tables",
        "call again, with `--processes 1` if there is too little memory for two",
    )


def _report(connection: psycopg.Connection[Any], stored: Stored, found: Sequence[Found]) -> Report:
    """What all shares have found together."""
    difference: Difference | None = None
    for one in found:
        difference = smaller(difference, one.positions)
    tables: dict[str, int] = {}
    books = Books()
    for name in _names(books):
        tables[name], first = _of_table(
            connection, books, name, [one.tables[name] for one in found if name in one.tables]
        )
        difference = difference or first
    offsets = {f"{topic}/{number}": int(row["next_offset"]) for (topic, number), row in sorted(stored.items())}
    skipped = {topic: reasons for one in found for topic, reasons in one.skipped.items()}
    return Report(tables, offsets, difference, sum(one.facts for one in found), dict(sorted(skipped.items())))


def _names(books: Books) -> Iterator[str]:
    """Every table of a projection, in the catalogue's order, and every table that only this package knows."""
    declared = [table.name for projection in PROJECTIONS.values() for table in projection.tables]
    yield from declared
    yield from books.tables.keys() - set(declared)


def _of_table(
    connection: psycopg.Connection[Any], empty: Books, name: str, found: Sequence[tuple[int, Difference | None]]
) -> tuple[int, Difference | None]:
    """The number of rows, and the difference with the smallest key."""
    expected = empty.tables.get(name)
    if expected is None:
        unknown = Difference(name, (), "*", "an independent fold", "none: nothing checks it")
        return count(connection, name), unknown
    if not found:  # no share expects a row
        return compare_tables(connection, [expected], EVERYTHING, _silence)[name]
    if len(found) > 1 and expected.key[0] != "topic":
        raise Fault(
            f"the rows of {name} come from facts that two processes have read",
            "each of the two compares the rows of its own facts alone",
            "call with `--processes 1`; for good, change HALVES in processors/verify/share.py",
        )
    rows, smallest = 0, None
    for more, difference in found:
        rows, smallest = rows + more, smaller(smallest, difference)
    return rows, smallest


def _live_schema(connection: psycopg.Connection[Any]) -> str:
    """Where the tables are that the views of `public` show."""
    if connection.execute("SELECT to_regclass('public.generations')").fetchone() == (None,):
        return "public"
    row = connection.execute("SELECT number FROM public.generations WHERE state = 'live'").fetchone()
    return "public" if row is None else f"tables_{row[0]}"


def _stored_offsets(connection: psycopg.Connection[Any], services: Services) -> Stored:
    """The projector's stored positions, by topic (without prefix) and partition."""
    try:
        cursor = connection.execute("SELECT * FROM follower_positions WHERE follower = 'projector'")
    except psycopg.errors.UndefinedTable as error:
        raise Fault(
            "There are no tables to verify",
            str(error).strip().splitlines()[0],
            "`order-ledger run --only projector` makes and fills them",
        ) from error
    names = [column.name for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {(row["topic"].removeprefix(services.topic_prefix), row["partition"]): row for row in rows}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
