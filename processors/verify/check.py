"""The comparison of every column of every row: the database at one moment, and the log up to exactly that moment.

report = verify(services, codec)
report.equal, report.first_difference
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from processors.old_log import refuse_old_log
from processors.verify.acceptance import Acceptance
from processors.verify.books import Books
from processors.verify.facts import FactReader
from processors.verify.log import Partition, read, read_one
from processors.verify.rows import Difference, Expected
from projections.catalogue import PROJECTIONS
from runtime.errors import Fault
from runtime.postgres import connect
from runtime.services import Services
from schemas.codec import Codec, UndecodableError

#: Rows that the server sends at a time. Fewer cost round trips, more cost memory.
_FETCH_ROWS = 20_000
#: Records, or rows, between two progress reports.
_STEP = 2_000

#: Called with (activity, done so far, total, unit).
Progress = Callable[[str, int, int, str], None]


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


def verify(services: Services, codec: Codec, *, schema: str = "public", progress: Progress | None = None) -> Report:
    """Fold the log independently and compare. Raises Fault if the log or the tables are missing."""
    say = progress or _silence
    with connect(services, "verify") as connection:
        # All reads below see one moment. So offsets and tables belong together although the projector goes on.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _use(connection, _live_schema(connection) if schema == "public" else schema)
        stored = _stored_offsets(connection, services)
        refuse_old_log(services, codec)
        ends = {partition: int(row["next_offset"]) for partition, row in stored.items()}
        books, partitions, facts = _fold(services, codec, ends, say)
        reader = FactReader(codec)
        books.fetch_with(
            lambda topic, number, offset: reader.read(topic, number, offset, read_one(services, topic, number, offset))
        )
        difference = _offsets_difference(stored, partitions)
        tables: dict[str, int] = {}
        for name, expected in _expected_tables(books):
            if expected is None:
                found: Difference | None = Difference(name, (), "*", "an independent fold", "none: nothing checks it")
                tables[name] = _count(connection, name)
            else:
                tables[name], found = _compare(connection, expected, say)
            difference = difference or found
    offsets = {f"{topic}/{number}": end for (topic, number), end in sorted(ends.items())}
    return Report(tables, offsets, difference, facts, _skipped(partitions))


def _silence(_what: str, _done: int, _total: int, _unit: str) -> None:
    """Report no progress."""


def _live_schema(connection: psycopg.Connection[Any]) -> str:
    """Where the tables are that the views of `public` show."""
    if connection.execute("SELECT to_regclass('public.generations')").fetchone() == (None,):
        return "public"
    row = connection.execute("SELECT number FROM public.generations WHERE state = 'live'").fetchone()
    return "public" if row is None else f"tables_{row[0]}"


def _use(connection: psycopg.Connection[Any], schema: str) -> None:
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
    set_json_loads(msgspec.json.decode, connection)


def _stored_offsets(connection: psycopg.Connection[Any], services: Services) -> dict[Partition, Mapping[str, Any]]:
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


def _fold(
    services: Services, codec: Codec, ends: Mapping[Partition, int], say: Progress
) -> tuple[Books, dict[Partition, Acceptance], int]:
    books = Books()
    reader = FactReader(codec)
    partitions = {partition: Acceptance() for partition in ends}
    total = sum(ends.values())
    seen = accepted = 0
    for topic, number, offset, value in read(services, ends):
        seen += 1
        if seen % _STEP == 0:
            say("reading the log", seen, total, "records")
        acceptance = partitions[topic, number]
        try:
            fact = reader.read(topic, number, offset, value)
        except UndecodableError as error:
            acceptance.skip(error.reason, offset)
            continue
        for counted in acceptance.offer(fact):
            books.take(counted)
            accepted += 1
    say("reading the log", seen, total, "records")
    return books, partitions, accepted


def _offsets_difference(
    stored: Mapping[Partition, Mapping[str, Any]], partitions: Mapping[Partition, Acceptance]
) -> Difference | None:
    """The projector's stored last decision must equal ours."""
    for partition, acceptance in sorted(partitions.items()):
        row = stored[partition]
        ours = {
            "last_decision": acceptance.decision,
            "epoch": acceptance.epoch,
            "intake_offset": acceptance.intake_offset,
        }
        for column, expected in ours.items():
            if row[column] != expected:
                return Difference("follower_positions", partition, column, expected, row[column])
    return None


def _expected_tables(books: Books) -> Iterable[tuple[str, Expected | None]]:
    """Every table of a projection, in the catalogue's order, and every table that only this package knows."""
    ours = books.tables
    declared = [table.name for projection in PROJECTIONS.values() for table in projection.tables]
    for name in declared:
        yield name, ours.get(name)
    for name in ours.keys() - set(declared):
        yield name, ours[name]


def _compare(connection: psycopg.Connection[Any], expected: Expected, say: Progress) -> tuple[int, Difference | None]:
    """The number of rows, and the difference with the smallest key."""
    total = _count(connection, expected.name)
    columns = _columns(connection, expected.name)
    strange = sorted(set(columns) ^ set(expected.columns))
    if strange:
        known = strange[0] in expected.columns
        words = ("a column", "none") if known else ("no such column: nothing checks it", "a column")
        return total, Difference(expected.name, (), strange[0], *words)
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, expected.columns)), sql.Identifier(expected.name)
    )
    rows = 0
    smallest: Difference | None = None
    with connection.cursor("verify_rows", binary=True) as cursor:
        cursor.itersize = _FETCH_ROWS
        for found in cursor.execute(query):
            rows += 1
            if rows % _STEP == 0:
                say(f"comparing {expected.name}", rows, total, "rows")
            difference = expected.compare(found)
            if difference is not None:
                smallest = _smaller(smallest, difference)
    say(f"comparing {expected.name}", rows, total, "rows")
    for key in expected.missing():
        smallest = _smaller(smallest, Difference(expected.name, key, "*", "a row", None))
    return rows, smallest


def _smaller(known: Difference | None, new: Difference) -> Difference:
    return new if known is None or _sortable(new.key) < _sortable(known.key) else known


def _sortable(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{part:020}" if isinstance(part, int) else str(part) for part in key)


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    cursor = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(table)))
    return [column.name for column in cursor.description or ()]


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    return int(row[0]) if row else 0


def _skipped(partitions: Mapping[Partition, Acceptance]) -> dict[str, dict[str, dict[str, Any]]]:
    by_topic: dict[str, dict[str, dict[str, Any]]] = {}
    for (topic, number), acceptance in sorted(partitions.items(), key=itemgetter(0)):
        for reason, skipped in sorted(acceptance.skipped.items()):
            entry = by_topic.setdefault(topic, {}).setdefault(reason, {"count": 0, "places": []})
            entry["count"] += skipped.count
            entry["places"] += [f"{topic}/{number}/{offset}" for offset in skipped.offsets]
    return by_topic


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
