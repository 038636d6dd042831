"""Tables without keys and indexes, for a rebuild: rows are copied in, and PostgreSQL sorts each table once at the end.

    make_bare(connection, projections, schema)      # tables as always, but bare; what they lack is stored
    BareStore(connect, schema)                      # instead of `write.Store`, for any number of processes
    finish(connect, projections, schema)            # one row per key, keys, indexes

The live path (`write.Store`) looks for each row's key in each batch. It is for tables that are complete or that
somebody reads: live tables, and a replay that goes on. This one is for a schema that is being made. The folds are the
same, but a batch's rows are kept in memory, merged by key, and copied when they are many (a *run*), with the positions,
in one transaction. So a key may have several rows until `finish`: one for each run and each process, and one that was
copied from another replay. Only a few have: facts of one order are close to each other in the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import psycopg
from psycopg import sql

from processors.following.columns import Skip
from processors.following.positions import Connection, Move, Partition
from processors.projector.write import Store, cut_off, ensure_tables
from processors.slow_paths import Miss
from projections.model import SEQUENCE, Projection, Table
from projections.tables import before_birth, reduce, upsert
from runtime import failpoints

#: What tables of the schema lack. It is there as long as they do.
LACKING = "lacking"

#: Rows that a process keeps before it copies them. Twice as much: fewer keys have several rows, but polars takes three
#: times as much again to merge them, and a process may have 600 MB.
RUN_BYTES_MAX = 48 * 1024 * 1024

#: Rows of tables that are only added to: nothing is kept of them, but a replay that is killed copies them again.
COPIED_BYTES_MAX = 256 * 1024 * 1024

#: For sorting a table's keys: below it, PostgreSQL sorts in memory.
SORT_MEGABYTES = 128


def make_bare(connection: Connection, projections: Collection[Projection], schema: str) -> None:
    """Make all tables and store what they are to get at the end. For a schema that has none of them yet."""
    with connection.transaction():
        ensure_tables(connection, projections, schema)
        lacking = sql.Identifier(schema, LACKING)
        # `step`: 0 for keys and other unique indexes, 1 for the rest.
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} (table_name text NOT NULL, step integer NOT NULL, statement text NOT NULL)"
            ).format(lacking)
        )
        rows = connection.execute(_INDEXES, [schema, [one.name for one in _tables(projections)]]).fetchall()
        for table, index, unique, definition, constraint, its_definition in rows:
            owner = sql.Identifier(schema, table)
            if constraint is None:
                connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, index)))
                statement = definition
            else:
                name = sql.Identifier(constraint)
                connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(owner, name))
                added = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(owner, name).as_string(connection)
                statement = added + its_definition
            connection.execute(
                sql.SQL("INSERT INTO {} VALUES (%s, %s, %s)").format(lacking), [table, 0 if unique else 1, statement]
            )


_INDEXES = """
SELECT t.relname, n.relname, i.indisunique, pg_get_indexdef(i.indexrelid), c.conname, pg_get_constraintdef(c.oid)
FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_class AS n ON n.oid = i.indexrelid
LEFT JOIN pg_constraint AS c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
WHERE t.relnamespace = to_regnamespace(quote_ident(%s)) AND t.relname = ANY(%s) ORDER BY 1, 2"""


def are_bare(connection: Connection, schema: str) -> bool:
    """Whether the tables of this schema are being rebuilt, and are not finished."""
    table = sql.Identifier(schema, LACKING).as_string(connection)
    return connection.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,)


class BareStore(Store):
    """Keeps what it is told to write, and copies it when it is much, or when `flush` is called."""

    #: A run is one transaction over many fetches, and its reader waits a minute for Kafka. Nobody waits for its locks.
    still_seconds = 120.0

    def __init__(self, connect: Callable[[], Connection], schema: str, misses_in: str | None = None) -> None:
        super().__init__(connect, schema, misses_in)
        self._forget()

    def _forget(self) -> None:
        self._rows: dict[Table, list[pl.DataFrame]] = {}
        self._bytes = self._copied = self._frames = 0
        self._moves: dict[Partition, Move] = {}
        self._skipped: dict[Partition, dict[str, Skip]] = {}
        self._misses: Counter[Miss] = Counter()

    @property
    def keeps(self) -> bool:
        return bool(self._moves)

    def close(self) -> None:
        """Let the connection go, and with it all that is not committed."""
        super().close()
        self._forget()

    def _open(self) -> Connection:
        if self.keeps and self._connection is not None and self._connection.broken:
            raise psycopg.OperationalError("the connection was lost, and what was kept with it")
        return super()._open()

    def write(
        self,
        rows: Iterable[tuple[Table, pl.DataFrame]],
        moves: Mapping[Partition, Move],
        skipped: Mapping[Partition, Mapping[str, Skip]],
        misses: Mapping[Miss, int],
        begun: Callable[[str], pl.Series],  # noqa: ARG002  # without keys, all rows are copied
    ) -> None:
        with cut_off():
            for table, frame in rows:
                if table.insert_only:
                    self._copy(self._open(), table, frame)
                    self._copied += round(frame.estimated_size())
                    continue
                # One row per key and frame: the number of the frame is all that log order needs.
                self._frames += 1
                if SEQUENCE in frame.columns:
                    frame = frame.with_columns(pl.lit(self._frames, pl.Int64).alias(SEQUENCE))  # noqa: PLW2901
                self._rows.setdefault(table, []).append(frame)
                self._bytes += round(frame.estimated_size())
        for partition, move in moves.items():
            before = self._moves.get(partition, move).before
            self._moves[partition] = Move(before, move.after)
        for partition, reasons in skipped.items():
            known = self._skipped.setdefault(partition, {})
            for reason, skip in reasons.items():
                known[reason] = Skip(known.get(reason, Skip(0, 0)).facts + skip.facts, skip.last_offset)
        self._misses.update(misses)
        if self._bytes > RUN_BYTES_MAX or self._copied > COPIED_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Copy and commit all that is kept. Raises as `write` of the other store does."""
        if not self._moves:
            return
        connection = self._open()
        with cut_off():
            failpoints.reach("projector.before_run")
            for table, frames in self._rows.items():
                rows = pl.concat(frames)
                if table.born_late and (early := before_birth(table, rows)).any():
                    self._copy(connection, table, _merged(table, rows.filter(early)))
                    # A transaction in the transaction has a later number: for `finish` it is a later run.
                    with connection.transaction():
                        self._copy(connection, table, _merged(table, rows.filter(~early)))
                else:
                    self._copy(connection, table, _merged(table, rows))
            self._rows = {}
            # At the end, unlike in the other store: the rows of a run take seconds, and nobody should wait for these.
            self._store_moves(connection, self._moves, self._skipped, self._misses)
            failpoints.reach("projector.before_commit")
            connection.commit()
        failpoints.reach("projector.after_commit")
        self._forget()


def _merged(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """One row per key. Most keys have one already: only the others are reduced, which costs five times as much."""
    again = rows.select(table.key).is_duplicated()
    return pl.concat([rows.filter(~again), reduce(table, rows.filter(again))]) if again.any() else rows


def finish(
    connect: Callable[[], Connection],
    projections: Collection[Projection],
    schema: str,
    connections: int = 1,
    say: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Give each table one row per key, then its keys and indexes. May be called again when it was cut off. `say` is
    told how many tables have them, of how many.
    """
    with connect() as connection:
        query = sql.SQL("SELECT DISTINCT table_name FROM {}").format(sql.Identifier(schema, LACKING))
        left = {name for (name,) in connection.execute(query)}
    tables = [table for table in _tables(projections) if table.name in left]
    with ThreadPoolExecutor(connections, "finish") as pool:
        say(0, len(tables))
        for number, _ in enumerate(pool.map(lambda table: _finish(connect, table, schema), tables), 1):
            say(number, len(tables))
    with connect() as connection:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, LACKING)))


def _finish(connect: Callable[[], Connection], table: Table, schema: str) -> None:
    lacking = sql.Identifier(schema, LACKING)
    with connect() as connection:
        connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
        connection.execute(f"SET LOCAL maintenance_work_mem TO '{SORT_MEGABYTES}MB'".encode())
        connection.execute(f"SET LOCAL work_mem TO '{SORT_MEGABYTES}MB'".encode())
        connection.execute("SET LOCAL synchronous_commit TO off")
        query = sql.SQL("DELETE FROM {} WHERE table_name = %s RETURNING step, statement").format(lacking)
        steps = sorted(connection.execute(query, [table.name]).fetchall())
        keys, indexes = ([statement.encode() for at, statement in steps if at == step] for step in (0, 1))
        try:
            with connection.transaction():
                _run(connection, keys)
        except psycopg.errors.UniqueViolation:
            # Found while the keys were sorted. To look for such keys first would cost as much in each table.
            runs = _take_apart(connection, table)
            _run(connection, keys)
            for run in runs:
                connection.execute(upsert(table, f"(SELECT * FROM parts WHERE run = {run})").encode())
        if table.born_with is not None:
            born = sql.Identifier(table.born_with)
            connection.execute(sql.SQL("DELETE FROM {} WHERE {} IS NULL").format(sql.Identifier(table.name), born))
        _run(connection, indexes)
        failpoints.reach("projector.before_key")
    failpoints.reach("projector.after_key")


def _run(connection: Connection, statements: Sequence[bytes]) -> None:
    for statement in statements:
        connection.execute(statement)


def _take_apart(connection: Connection, table: Table) -> list[int]:
    """Move the rows of keys that have several to a table `parts`; the numbers of their runs, in log order.

    The transaction that wrote a row says which run it is of: runs of one partition follow each other, and each has a
    later transaction than the one before. Where several partitions write one key, the merges do not need an order.
    """
    name, key = sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, table.key))
    connection.execute(
        sql.SQL(
            "CREATE TEMP TABLE again ON COMMIT DROP AS SELECT {key} FROM {name} GROUP BY {key} HAVING count(*) > 1"
        ).format(name=name, key=key)
    )
    columns = sql.SQL(", ").join(sql.Identifier("t", column.name) for column in table.columns)
    same = sql.SQL(" AND ").join(sql.SQL("t.{one} = again.{one}").format(one=sql.Identifier(one)) for one in table.key)
    parts = {"columns": columns, "name": name, "same": same}
    # Older transactions have a greater age, also when the numbers of transactions begin again.
    connection.execute(
        sql.SQL(
            "CREATE TEMP TABLE parts ON COMMIT DROP AS"
            " SELECT -age(t.xmin) AS run, {columns} FROM {name} AS t JOIN again ON {same}"
        ).format(**parts)
    )
    connection.execute(sql.SQL("DELETE FROM {name} AS t USING again WHERE {same}").format(**parts))
    return [run for (run,) in connection.execute("SELECT DISTINCT run FROM parts ORDER BY 1")]


def _tables(projections: Collection[Projection]) -> list[Table]:
    return [table for projection in projections for table in projection.tables]
