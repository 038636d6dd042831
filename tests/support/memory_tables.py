"""The projector's tables in memory, and their comparison with the plain folds of `processors.verify`.

    store = MemoryStore()                           # stands for `processors.projector.write.Store`
    projector = Projector(store, codec, PROJECTIONS.values(), set_aside)
    difference(books, store.rows)                   # None, or the first row that the plain folds say otherwise

Columns that PostgreSQL derives from others are not here: tests of the real tables compare those.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl

from processors.following.columns import Skip
from processors.following.positions import Move, Overtaken, Partition, Position
from processors.slow_paths import Miss
from processors.verify.books import Books
from processors.verify.journals import Journal
from projections.catalogue import PROJECTIONS
from projections.model import Column, Table

Row = dict[str, Any]
Rows = dict[str, dict[tuple[Any, ...], Row]]

TABLES = {table.name: table for projection in PROJECTIONS.values() for table in projection.tables}


class MemoryStore:
    """What PostgreSQL does with a fold's rows: the same fence, the same merge. `rows`: table → key → row."""

    def __init__(self) -> None:
        self.offsets: dict[Partition, Position] = {}
        self.rows: Rows = {name: {} for name in TABLES}

    def positions(
        self, topic_ids: Mapping[Partition, str], start: Mapping[Partition, Position] | None = None
    ) -> dict[Partition, Position]:
        del start
        return {place: self.offsets.setdefault(place, Position()) for place in topic_ids}

    def write(
        self,
        rows: Iterable[tuple[Table, pl.DataFrame]],
        moves: Mapping[Partition, Move],
        skipped: Mapping[Partition, Mapping[str, Skip]],
        misses: Mapping[Miss, int],
        begun: Callable[[str], pl.Series],
    ) -> None:
        """All of it. Raises Overtaken, and AssertionError if a row of an insert-only table comes twice."""
        del skipped, misses, begun
        self.fence(moves)
        for place, move in moves.items():
            self.offsets[place] = move.after
        for table, frame in rows:
            self._take_in(table, frame)

    def fence(self, moves: Mapping[Partition, Move]) -> None:
        """The compare-and-set of offsets."""
        late = [place for place, move in moves.items() if self.offsets[place].next_offset != move.before]
        if late:
            raise Overtaken(f"{len(late)} partitions were moved on")

    def backup(self) -> tuple[dict[Partition, Position], Rows]:
        """Offsets and rows as they are now, for `restore`."""
        return dict(self.offsets), _copied(self.rows)

    def restore(self, backup: tuple[dict[Partition, Position], Rows]) -> None:
        """Offsets and rows of an earlier `backup`."""
        offsets, rows = backup
        self.offsets, self.rows = dict(offsets), _copied(rows)

    def _take_in(self, table: Table, frame: pl.DataFrame) -> None:
        """What `projections.tables.upsert` says, in Python."""
        known = self.rows[table.name]
        for new in frame.to_dicts():
            key = tuple(new[name] for name in table.key)
            old = known.get(key)
            assert old is None or not table.insert_only, f"a row comes once: {table.name} {key}"
            if old is None:
                if table.born_with is None or new[table.born_with] is not None:
                    known[key] = {column.name: new[column.name] for column in table.columns}
                continue
            for column in table.columns:
                old[column.name] = _merged(column, old[column.name], new[column.name])


def _copied(rows: Rows) -> Rows:
    return {name: {key: dict(row) for key, row in table.items()} for name, table in rows.items()}


def _merged(column: Column, old: Any, new: Any) -> Any:
    match column.merge:
        case "sum":
            return old + new
        case "min" | "max" if old is not None and new is not None:
            return min(old, new) if column.merge == "min" else max(old, new)
        case "min" | "max" | "last":
            return old if new is None else new
        case "first":
            return new if old is None else old
        case "replace":
            return new
        case _:
            return old


def difference(books: Books, rows: Rows) -> Any:
    """The first difference of any table: keys, or (table, key, column → value by verify and value by the fold)."""
    expected_tables: dict[str, Any] = books.tables
    for name in TABLES:
        if name not in expected_tables:
            return name, "a table has no plain fold"
        expected, found = expected_tables[name], rows[name]
        different = _of_journal(expected, found) if isinstance(expected, Journal) else _of_table(expected, found)
        if different is not None:
            return different
    return None


def _of_table(expected: Any, found: dict[tuple[Any, ...], Row]) -> Any:
    if alone := set(found) ^ set(expected.rows):
        return expected.name, "keys that only one side has", alone
    values = [column.name for column in TABLES[expected.name].columns if column.merge != "key"]
    for key, row in found.items():
        want = expected.rows[key]
        differing = {one: (getattr(want, one), row[one]) for one in values if getattr(want, one) != row[one]}
        if differing:
            return expected.name, key, differing
    return None


def _of_journal(expected: Journal, found: dict[tuple[Any, ...], Row]) -> Any:
    json_columns = {column.name for column in TABLES[expected.name].columns if column.sql_type == "json"}
    for row in found.values():
        values = tuple(
            json.loads(row[name]) if name in json_columns and row[name] is not None else row[name]
            for name in expected.columns
        )
        if (different := expected.compare(values)) is not None:
            return different
    if missing := list(expected.missing()):
        return expected.name, "missing", missing
    return None
