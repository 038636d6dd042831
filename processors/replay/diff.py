"""Which rows differ between two schemas, by key. PostgreSQL compares; only the rows to show come here.

    diff(connection, "public", "friday", limit=10).tables["order_status"].changed

A table is two bags of rows. Rows that are in both as often are left out; of the rest, a key on both sides is a changed
row. So a row that is there twice is found, too, although its key is on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from processors.projector.generations import live_schema
from processors.replay.finished import offsets_in, replays
from processors.replay.wish import LIVE_SCHEMA
from projections.catalogue import PROJECTIONS
from projections.model import Table
from runtime.errors import Fault

#: The column that says on which side a row is more often. No projection has a column of this name.
_SIDE = "order-ledger side"


@dataclass(frozen=True, slots=True)
class Row:
    """A key that differs. `first`, `second`: the row in each schema, None if it has none; of a changed row only the
    columns that differ.
    """

    key: Mapping[str, Any]
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class TableDifference:
    """Keys that differ in a table, and the first of them by key. `columns`: those of one schema only (another build),
    by schema; they are not compared.
    """

    only_first: int = 0
    only_second: int = 0
    changed: int = 0
    rows: Sequence[Row] = ()
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        return not (self.only_first or self.only_second or self.changed or self.columns)


@dataclass(frozen=True, slots=True)
class Difference:
    """Two schemas compared at one moment. `offsets`: up to where each has read the log. `not_compared`: tables that
    only one of them has.
    """

    first: str
    second: str
    tables: Mapping[str, TableDifference]
    not_compared: Mapping[str, Sequence[str]]
    offsets: Mapping[str, Mapping[str, int]]

    @property
    def equal(self) -> bool:
        return all(table.equal for table in self.tables.values())

    @property
    def ahead(self) -> dict[str, int]:
        """For each schema, how many facts it has read that the other has not."""
        one, other = (self.offsets[schema] for schema in (self.first, self.second))
        return {self.first: _more(one, other), self.second: _more(other, one)}

    def as_json(self) -> dict[str, Any]:
        """The document that `diff --json` prints."""
        tables = {
            name: {
                "only_in_a": table.only_first,
                "only_in_b": table.only_second,
                "changed": table.changed,
                "rows": [{"key": row.key, "a": row.first, "b": row.second} for row in table.rows],
                **({"columns": table.columns} if table.columns else {}),
            }
            for name, table in self.tables.items()
        }
        return {
            "equal": self.equal,
            "a": self.first,
            "b": self.second,
            "tables": tables,
            "not_compared": self.not_compared,
            "offsets": self.offsets,
        }


def diff(connection: psycopg.Connection[Any], first: str, second: str, *, limit: int) -> Difference:
    """Compare all tables that both schemas have, at one moment; `limit` rows of each are told. Writes only to its own
    temporary tables. Raises Fault for a schema without tables of the ledger.
    """
    # All reads see one moment, although the projector goes on.
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    tables = {table.name: table for projection in PROJECTIONS.values() for table in projection.tables}
    there = {schema: _columns(connection, schema, tables) for schema in (first, second)}
    for schema, found in there.items():
        if not found:
            raise Fault(
                f"the schema {schema} has no tables of the ledger",
                "it is missing, empty, or of something else",
                f"the live tables are in {LIVE_SCHEMA}; others: {', '.join(replays(connection)) or 'none'}",
            )
    both = [name for name in tables if all(name in found for found in there.values())]
    if not both:
        raise Fault(
            "the schemas have no table in common",
            f"{first} has {', '.join(there[first])}; {second} has {', '.join(there[second])}",
            "replay the same projections into both",
        )
    compared = {}
    for name in both:
        columns = [there[schema][name] for schema in (first, second)]
        compared[name] = _compare(connection, tables[name], (first, second), columns, limit)
    alone = {schema: [name for name in tables if name in found and name not in both] for schema, found in there.items()}
    offsets = {
        schema: _offsets(connection, live_schema(connection) if schema == LIVE_SCHEMA else schema)
        for schema in (first, second)
    }
    return Difference(first, second, compared, {one: names for one, names in alone.items() if names}, offsets)


def _compare(
    connection: psycopg.Connection[Any],
    table: Table,
    schemas: tuple[str, str],
    columns: Sequence[Mapping[str, str]],
    limit: int,
) -> TableDifference:
    """`columns`: name and type, of each of the two schemas."""
    shared = [name for name, kind in columns[0].items() if columns[1].get(name) == kind]
    strange = {
        schema: [f"{name} {kind}" for name, kind in own.items() if name not in shared]
        for schema, own in zip(schemas, columns, strict=True)
    }
    strange = {schema: names for schema, names in strange.items() if names}
    lacking = [name for name in table.key if name not in shared]
    if lacking:
        raise Fault(
            f"the table {table.name} cannot be compared",
            f"its key has the column {', '.join(lacking)}, which is not in both schemas with one type",
            "one of them is of another build",
        )
    parts = {
        "names": sql.SQL(", ").join(map(sql.Identifier, shared)),
        "values": sql.SQL(", ").join(_comparable(name, columns[0][name]) for name in shared),
        "key": sql.SQL(", ").join(map(sql.Identifier, table.key)),
        "side": sql.Identifier(_SIDE),
        "first": sql.Identifier(schemas[0], table.name),
        "second": sql.Identifier(schemas[1], table.name),
        "apart": sql.Identifier(f"apart_{table.name}"),
        "keyed": sql.Identifier(f"keyed_{table.name}"),
        "limit": sql.Literal(limit),
    }
    for statement in (_APART, _KEYED):
        connection.execute(sql.SQL(statement).format(**parts))
    only_first, only_second, changed = connection.execute(sql.SQL(_COUNTS).format(**parts)).fetchone() or (0, 0, 0)
    rows = connection.execute(sql.SQL(_ROWS).format(**parts)).fetchall()
    return TableDifference(only_first, only_second, changed, _by_key(table, rows), strange)


def _comparable(name: str, kind: str) -> sql.Composable:
    """The column; PostgreSQL compares documents as jsonb only."""
    column = sql.Identifier(name)
    return sql.SQL("{0}::jsonb AS {0}").format(column) if kind == "json" else column


_APART = """
CREATE TEMP TABLE {apart} ON COMMIT DROP AS
SELECT {names}, sum({side}) AS {side} FROM (
    SELECT {values}, 1 AS {side} FROM {first} UNION ALL SELECT {values}, -1 FROM {second}
) AS rows_of_both GROUP BY {names} HAVING sum({side}) <> 0"""

_KEYED = """
CREATE TEMP TABLE {keyed} ON COMMIT DROP AS
SELECT {key}, bool_or({side} > 0) AS is_first, bool_or({side} < 0) AS is_second FROM {apart} GROUP BY {key}"""

_COUNTS = """
SELECT count(*) FILTER (WHERE NOT is_second), count(*) FILTER (WHERE NOT is_first),
    count(*) FILTER (WHERE is_first AND is_second) FROM {keyed}"""

_ROWS = """
SELECT {side} > 0, to_json(a) FROM (SELECT {key} FROM {keyed} ORDER BY {key} LIMIT {limit}) AS k
JOIN {apart} AS a USING ({key}) ORDER BY {key}, {side} DESC"""


def _by_key(table: Table, rows: Sequence[tuple[bool, dict[str, Any]]]) -> list[Row]:
    """One row per key; `rows` are those of the first schema and of the second, in the order of their keys."""
    found: dict[tuple[Any, ...], tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
    for is_first, row in rows:
        row.pop(_SIDE)
        sides = found.setdefault(tuple(row[name] for name in table.key), ([], []))
        sides[0 if is_first else 1].append(row)
    return [_row(dict(zip(table.key, key, strict=True)), *sides) for key, sides in found.items()]


def _row(key: dict[str, Any], first: list[dict[str, Any]], second: list[dict[str, Any]]) -> Row:
    if not (first and second):
        return Row(key, first[0] if first else None, second[0] if second else None)
    changed = [name for name, value in first[0].items() if second[0][name] != value]
    return Row(key, *({name: row[name] for name in changed} for row in (first[0], second[0])))


def _columns(
    connection: psycopg.Connection[Any], schema: str, tables: Mapping[str, Table]
) -> dict[str, dict[str, str]]:
    """Of the ledger's tables in a schema: the columns with their types, in order."""
    rows = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = ANY(%s) ORDER BY table_name, ordinal_position",
        [schema, list(tables)],
    )
    found: dict[str, dict[str, str]] = {}
    for name, column, kind in rows:
        found.setdefault(name, {})[column] = kind
    return found


def _offsets(connection: psycopg.Connection[Any], schema: str) -> dict[str, int]:
    return {f"{topic}/{number}": at for (topic, number), at in offsets_in(connection, schema).items()}


def _more(one: Mapping[str, int], other: Mapping[str, int]) -> int:
    return sum(max(0, at - other.get(place, 0)) for place, at in one.items())
