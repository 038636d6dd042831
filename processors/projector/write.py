"""Rows and offsets into PostgreSQL, together or not at all.

    UPDATE follower_positions … WHERE next_offset = what I read from        the fence: a rival that was faster made it
    differ INSERT … ON CONFLICT DO UPDATE                                          each table, a row per key
    COMMIT

So every fact is in the tables exactly once, whoever else believes to own the partition.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import polars as pl
import psycopg
from psycopg import sql
from psycopg.errors import InvalidTableDefinition, UndefinedColumn

from processors import slow_paths
from processors.following import positions
from processors.following.columns import Skip
from processors.following.positions import Connection, Move, Partition, Position, Positions
from processors.slow_paths import Miss
from projections.model import Projection, Table
from projections.tables import as_csv, as_json, ddl, records, upsert
from runtime import failpoints
from runtime.errors import Fault
from runtime.postgres import STILL_SECONDS_MAX, let_go_when_still

#: From this many rows on they are copied into a staging table; fewer travel as JSON within the statement. CPU µs of
#: client and server for a table of 21 columns: 3 rows 380 and 3,600, 300 rows 5,700 and 5,700, 1,500 rows 20,000 and
#: 12,000.
COPY_ROWS_MIN = 300

READER = "projector"

Answer = TypeVar("Answer")

#: Any number that nobody else uses as an advisory lock in this database: two processes that start together make tables
#: in turn.
TABLES_LOCK = 0x0DE2_1ED6


def ensure_tables(connection: Connection, projections: Collection[Projection], schema: str) -> None:
    """Make the schema and all tables that are missing. May be run again, and by several processes at a time.

    Raises Fault where a table is there and is that of another build: what was folded into it cannot be given columns.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [TABLES_LOCK])
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
        own = (Path(__file__).parent / "table.sql").read_text(encoding="utf-8")
        try:
            for text in (own, *(ddl(projection) for projection in projections)):
                connection.execute(text.encode())
            positions.ensure_table(connection)
            slow_paths.ensure_table(connection)
        except (UndefinedColumn, InvalidTableDefinition) as error:
            raise of_another_build(str(error).splitlines()[0]) from error
        rows = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s", [schema]
        ).fetchall()
        there = {(table, column) for table, column in rows}
        for projection in projections:
            for table in projection.tables:
                lacking = [one.name for one in table.columns if (table.name, one.name) not in there]
                if lacking:
                    raise of_another_build(f"table {table.name} has no column {', '.join(lacking)}")


def of_another_build(detail: str) -> Fault:
    return Fault(
        "the tables were made by another build",
        detail,
        "`order-ledger replay --swap` builds tables of this build beside them, and switches to these",
    )


class Store:
    """The tables of one schema. `connect` opens a connection that begins a transaction with its first statement."""

    #: How long its transactions may be idle.
    still_seconds = STILL_SECONDS_MAX

    def __init__(self, connect: Callable[[], Connection], schema: str, misses_in: str | None = None) -> None:
        """`misses_in`: the schema whose `slow_paths` counts misses, if not its own."""
        self._connect = connect
        self._schema = schema
        self._misses_in = schema if misses_in is None else misses_in
        self._connection: Connection | None = None
        self._positions = Positions(READER)
        self._statements: dict[str, _Statements] = {}

    def close(self) -> None:
        """Let the connection go; the next use opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def positions(
        self, topic_ids: Mapping[Partition, str], start: Mapping[Partition, Position] | None = None
    ) -> dict[Partition, Position]:
        """Where each partition is; those without a row get one, at `start` or at the beginning.

        Raises Fault where a topic is another one than that which was read before.
        """
        connection = self._open()
        with connection.transaction():
            return self._positions.place(connection, topic_ids, start)

    def stored(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        """What the table says now of these partitions; nothing of one that has no row any more."""
        connection = self._open()
        with connection.transaction():
            return self._positions.stored(connection, partitions)

    def ask(self, question: Callable[[Connection], Answer]) -> Answer:
        """What the question finds, in a transaction of its own."""
        connection = self._open()
        with connection.transaction():
            return question(connection)

    def write(
        self,
        rows: Iterable[tuple[Table, pl.DataFrame]],
        moves: Mapping[Partition, Move],
        skipped: Mapping[Partition, Mapping[str, Skip]],
        misses: Mapping[Miss, int],
        begun: Callable[[str], pl.Series],
    ) -> None:
        """All of it in one transaction. `rows` are reduced; they may be made while the ones before them are written.
        `begun`: the ids of a topic's streams that begin in the batch. Raises Overtaken; psycopg.OperationalError when
        it was cut off.
        """
        connection = self._open()
        with cut_off(), connection.transaction():
            failpoints.reach("projector.before_offsets")
            self._store_moves(connection, moves, skipped, misses)
            for table, frame in rows:
                failpoints.reach("projector.before_rows")
                self._take_in(connection, table, frame, begun)
            failpoints.reach("projector.before_commit")
        failpoints.reach("projector.after_commit")

    @property
    def keeps(self) -> bool:
        """Whether something is not written yet."""
        return False

    def flush(self) -> None:
        """Write what is kept: nothing here."""

    def _store_moves(
        self,
        connection: Connection,
        moves: Mapping[Partition, Move],
        skipped: Mapping[Partition, Mapping[str, Skip]],
        misses: Mapping[Miss, int],
    ) -> None:
        self._positions.move_all(connection, moves)
        for (topic, partition), reasons in sorted(skipped.items()):
            for reason, skip in sorted(reasons.items()):
                connection.execute(
                    "INSERT INTO skipped_facts AS t VALUES (%s, %s, %s, %s, %s, %s)"
                    " ON CONFLICT (reader, topic, partition, reason)"
                    " DO UPDATE SET count = t.count + excluded.count, last_offset = excluded.last_offset",
                    [READER, topic, partition, reason, *skip],
                )
        slow_paths.add(connection, READER, misses, self._misses_in)

    def _open(self) -> Connection:
        if self._connection is not None and self._connection.broken:
            self.close()
        if self._connection is None:
            connection = self._connect()
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self._schema)))
            # The log is the truth, and the offset stands in the same transaction: what a crash of the database takes is
            # folded again. Waiting for its disk at each batch would cost a tenth of the speed.
            connection.execute("SET synchronous_commit TO off")
            connection.execute("SET jit TO off")  # compiling takes longer than any statement here
            let_go_when_still(connection, self.still_seconds)
            self._connection = connection
        return self._connection

    def _take_in(
        self, connection: Connection, table: Table, frame: pl.DataFrame, begun: Callable[[str], pl.Series]
    ) -> None:
        statements = self._statements.get(table.name)
        if statements is None:
            statements = self._statements[table.name] = _statements(table)
        # A test that stops or cuts a COPY gets one, however few rows there are.
        wanted = failpoints.armed("projector.before_copy") or failpoints.armed("projector.after_copy")
        many = 1 if wanted else COPY_ROWS_MIN
        new, rest = _apart(table, frame, begun) if frame.height >= many else (frame.clear(), frame)
        if new.height >= many:
            self._copy(connection, table, new)
        else:
            rest = frame
        if rest.height >= many:
            connection.execute(statements.stage)
            self._copy(connection, table, rest, statements.copy_to_stage)
            connection.execute(statements.many)
            if table.born_late:  # it may come twice in a transaction
                connection.execute(statements.clear)
        elif rest.height:
            connection.execute(statements.few, [as_json(table, rest)])

    @staticmethod
    def _copy(connection: Connection, table: Table, frame: pl.DataFrame, statement: bytes | None = None) -> None:
        """Copy rows, into the table itself if `statement` names no other."""
        with connection.cursor() as cursor, cursor.copy(statement or copy_into(table, f'"{table.name}"')) as copy:
            failpoints.reach("projector.before_copy")
            copy.write(as_csv(table, frame))
            failpoints.reach("projector.after_copy")


@contextmanager
def cut_off() -> Iterator[None]:
    """A transaction that the server ended because we stood still is one that was cut off."""
    try:
        yield
    except psycopg.errors.IdleInTransactionSessionTimeout as error:
        raise psycopg.OperationalError(f"the process was paused in a transaction: {error}") from error


def copy_into(table: Table, target: str) -> bytes:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f"COPY {target} ({names}) FROM STDIN (FORMAT csv)".encode()


def _apart(table: Table, frame: pl.DataFrame, begun: Callable[[str], pl.Series]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that are certainly new, and the others. Copied straight in, a row costs PostgreSQL less than half of an
    upsert.
    """
    if table.insert_only:
        return frame, frame.clear()
    if table.stream is None:
        return frame.clear(), frame
    new = frame[table.key[0]].is_in(begun(table.stream))
    if table.born_with is not None:
        new &= frame[table.born_with].is_not_null()
    return frame.filter(new), frame.filter(~new)


class _Statements(NamedTuple):
    """How rows that may be there already are written. `few`: the rows are its parameter. With many, make the `stage`,
    copy them there, and `many` takes them in.
    """

    few: bytes
    stage: bytes
    copy_to_stage: bytes
    many: bytes
    clear: bytes


def _statements(table: Table) -> _Statements:
    columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in table.columns)
    staging = f'pg_temp."staging_{table.name}"'
    return _Statements(
        upsert(table, records(table)).encode(),
        f'CREATE TEMP TABLE IF NOT EXISTS "staging_{table.name}" ({columns}) ON COMMIT DELETE ROWS'.encode(),
        copy_into(table, staging),
        upsert(table, staging).encode(),
        f"TRUNCATE {staging}".encode(),
    )
