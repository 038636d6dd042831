"""One share of the check: the facts of some topics are folded, and the rows that come from them are compared.

    found = check_share(Log(services, codec, stored), connection, EVERYTHING, say)

A table's rows come from facts of one share. The exceptions are tables whose key begins with the topic: each share
compares the rows of its own topics.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import psycopg
from confluent_kafka import KafkaException
from psycopg import sql
from psycopg.types.json import set_json_loads

from processors.verify.acceptance import Acceptance
from processors.verify.books import Books
from processors.verify.facts import FactReader
from processors.verify.log import Partition, read, read_one
from processors.verify.rows import Difference, Expected
from runtime import failpoints
from runtime.errors import Fault
from runtime.postgres import connect
from runtime.services import Services
from schemas.codec import Codec, UndecodableError

#: Rows that the server sends at a time. Fewer cost round trips, more cost memory.
_FETCH_ROWS = 20_000
#: Records, or rows, between two progress reports.
_STEP = 2_000

#: What is done first; then the tables are compared.
READING, COMPARING = "reading the log", "comparing the tables"

#: Called with (activity, done so far, total, unit).
Progress = Callable[[str, int, int, str], None]

#: Where the projector is, by topic (without prefix) and partition.
Stored = Mapping[Partition, Mapping[str, Any]]


class Share(NamedTuple):
    """The topics of a share: only these, or all but these."""

    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    def has(self, topic: str) -> bool:
        return topic not in self.but and (not self.only or topic in self.only)

    def rows_of(self, expected: Expected) -> sql.Composable:
        """The condition for this share's rows. A row of an unknown topic belongs to the share of all other topics."""
        if expected.key[0] != "topic" or self == EVERYTHING:
            return _ALL
        if self.only:
            return sql.SQL("topic = ANY ({})").format(list(self.only))
        return sql.SQL("coalesce(topic <> ALL ({}), true)").format(list(self.but))


_ALL = sql.SQL("true")
_STOCK = ("ledger.stock",)
EVERYTHING = Share()
#: Orders and stock cost about the same, and no row needs facts of both. Service cases say things about orders.
HALVES = (Share(but=_STOCK), Share(only=_STOCK))


class Log(NamedTuple):
    """The log, and the projector's positions, up to which it is read."""

    services: Services
    codec: Codec
    stored: Stored


class Found(NamedTuple):
    """What a share has found. `tables`: rows and the difference with the smallest key."""

    tables: dict[str, tuple[int, Difference | None]]
    positions: Difference | None
    facts: int
    skipped: dict[str, dict[str, dict[str, Any]]]


def check_at(log: Log, schema: str, snapshot: str, share: Share, tell: Callable[[Any], None]) -> Found:
    """`check_share` in a process of its own, at the moment of an exported snapshot."""
    try:
        with connect(log.services, "verify") as connection:
            begin_reading(connection)
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
            use_tables(connection, schema)
            return check_share(log, connection, share, lambda *said: tell(said))
    except (psycopg.Error, KafkaException) as error:  # not all of them can be sent to another process
        service = "PostgreSQL" if isinstance(error, psycopg.Error) else "Kafka"
        hint = "`order-ledger doctor` shows what is reachable"
        raise Fault(f"{service} could not answer", str(error).strip(), hint) from error


def begin_reading(connection: psycopg.Connection[Any]) -> None:
    """All reads of the transaction see one moment."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def use_tables(connection: psycopg.Connection[Any], schema: str) -> None:
    """Read the tables of this schema."""
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
    set_json_loads(msgspec.json.decode, connection)


def check_share(log: Log, connection: psycopg.Connection[Any], share: Share, say: Progress) -> Found:
    """Fold the share's facts and compare its rows: those of the tables in which it expects any."""
    services, codec, stored = log
    ends = {partition: int(row["next_offset"]) for partition, row in stored.items() if share.has(partition[0])}
    books, partitions, facts = _fold(services, codec, ends, say)
    failpoints.reach("verify.folded")
    reader = FactReader(codec)
    books.fetch_with(
        lambda topic, number, offset: reader.read(topic, number, offset, read_one(services, topic, number, offset))
    )
    ours = [table for table in books.tables.values() if table.key[0] == "topic" or _has_rows(table)]
    tables = compare_tables(connection, ours, share, say)
    return Found(tables, _offsets_difference(stored, partitions), facts, _skipped(partitions))


def _has_rows(expected: Expected) -> bool:
    return next(expected.missing(), None) is not None


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
            say(READING, seen, total, "records")
        acceptance = partitions[topic, number]
        try:
            fact = reader.read(topic, number, offset, value)
        except UndecodableError as error:
            acceptance.skip(error.reason, offset)
            continue
        for counted in acceptance.offer(fact):
            books.take(counted)
            accepted += 1
    say(READING, seen, total, "records")
    return books, partitions, accepted


def _offsets_difference(stored: Stored, partitions: Mapping[Partition, Acceptance]) -> Difference | None:
    """The projector's stored last decision must equal ours."""
    for partition, acceptance in sorted(partitions.items(), key=itemgetter(0)):
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


def compare_tables(
    connection: psycopg.Connection[Any], tables: Iterable[Expected], share: Share, say: Progress
) -> dict[str, tuple[int, Difference | None]]:
    """The number of the share's rows, and the difference with the smallest key, of each of these tables."""
    found: dict[str, tuple[int, Difference | None]] = {}
    counts: list[tuple[Expected, int]] = []
    for expected in tables:
        columns = _columns(connection, expected.name)
        strange = sorted(set(columns) ^ set(expected.columns))
        if strange:
            known = strange[0] in expected.columns
            words = ("a column", "none") if known else ("no such column: nothing checks it", "a column")
            rows = 0 if share.only else count(connection, expected.name)
            found[expected.name] = rows, Difference(expected.name, (), strange[0], *words)
        else:
            counts.append((expected, count(connection, expected.name, share.rows_of(expected))))
    total, done = sum(rows for _, rows in counts), 0
    for expected, rows in counts:
        found[expected.name] = _compare(connection, expected, share, partial(_further, say, done, total))
        done += rows
    return found


def _further(say: Progress, done: int, total: int, rows: int) -> None:
    say(COMPARING, done + rows, total, "rows")


def _compare(
    connection: psycopg.Connection[Any], expected: Expected, share: Share, say: Callable[[int], None]
) -> tuple[int, Difference | None]:
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(map(sql.Identifier, expected.columns)),
        sql.Identifier(expected.name),
        share.rows_of(expected),
    )
    rows = 0
    smallest: Difference | None = None
    with connection.cursor("verify_rows", binary=True) as cursor:
        cursor.itersize = _FETCH_ROWS
        for found in cursor.execute(query):
            rows += 1
            if rows % _STEP == 0:
                say(rows)
            difference = expected.compare(found)
            if difference is not None:
                smallest = smaller(smallest, difference)
    say(rows)
    for key in expected.missing():
        smallest = smaller(smallest, Difference(expected.name, key, "*", "a row", None))
    return rows, smallest


def smaller(known: Difference | None, new: Difference | None) -> Difference | None:
    """The difference with the smaller key."""
    if known is None or new is None:
        return known or new
    return new if _sortable(new.key) < _sortable(known.key) else known


def _sortable(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{part:020}" if isinstance(part, int) else str(part) for part in key)


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    cursor = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(table)))
    return [column.name for column in cursor.description or ()]


def count(connection: psycopg.Connection[Any], table: str, condition: sql.Composable = _ALL) -> int:
    """How many rows of a table fulfil the condition."""
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(sql.Identifier(table), condition)
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _skipped(partitions: Mapping[Partition, Acceptance]) -> dict[str, dict[str, dict[str, Any]]]:
    by_topic: dict[str, dict[str, dict[str, Any]]] = {}
    for (topic, number), acceptance in sorted(partitions.items(), key=itemgetter(0)):
        for reason, skipped in sorted(acceptance.skipped.items()):
            entry = by_topic.setdefault(topic, {}).setdefault(reason, {"count": 0, "places": []})
            entry["count"] += skipped.count
            entry["places"] += [f"{topic}/{number}/{offset}" for offset in skipped.offsets]
    return by_topic
