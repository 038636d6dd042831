"""The real projector on the log of a run: batches of any size, crashes around its transaction, a zombie beside it.

    tables = Tables(codec, truth, broker)
    tables.move(dice)      # a batch, a crash, a zombie, a restored backup
    tables.finish()        # to the end; then every row is what the plain folds of `processors.verify` say

What PostgreSQL does with a fold's rows is done here by `MemoryStore`: the same fence, the same merge, all or nothing.
Columns that PostgreSQL derives from others are not compared: tests of the real tables do that.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl
import psycopg

from processors.following.columns import Skip
from processors.following.positions import Move, Overtaken, Position
from processors.projector.projector import Projector
from processors.slow_paths import Miss
from processors.verify.books import Books
from processors.verify.journals import Journal
from projections.catalogue import PROJECTIONS
from projections.model import Column, Table
from tests.simulation.choices import Dice
from tests.simulation.failure import must
from tests.simulation.memory import Broker, Place, RememberingCodec
from tests.simulation.truth import Truth

Row = dict[str, Any]
Rows = dict[str, dict[tuple[Any, ...], Row]]

_TABLES = {table.name: table for projection in PROJECTIONS.values() for table in projection.tables}


class MemoryStore:
    """Stands for `processors.projector.write.Store`. `dies`: "before" or "after" the commit of the next write."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.offsets: dict[Place, Position] = {}
        self.rows: Rows = {name: {} for name in _TABLES}
        self.dies: str | None = None

    def positions(
        self, topic_ids: Mapping[Place, str], start: Mapping[Place, Position] | None = None
    ) -> dict[Place, Position]:
        del start
        return {place: self.offsets.setdefault(place, Position()) for place in topic_ids}

    def write(
        self,
        rows: Sequence[tuple[Table, pl.DataFrame]],
        moves: Mapping[Place, Move],
        skipped: Mapping[Place, Mapping[str, Skip]],
        misses: Mapping[Miss, int],
    ) -> None:
        """All of it or nothing. Raises Overtaken, or OperationalError where a crash was ordered."""
        del skipped, misses
        dies, self.dies = self.dies, None
        if dies == "before":
            raise psycopg.OperationalError("the connection was lost before the commit")
        self.fence(moves)
        for place, move in moves.items():
            self.offsets[place] = move.after
            self._truth.check_position("projector", place, move.after.next_offset, move.after.chain.last)
        for table, frame in rows:
            self._take_in(table, frame)
        if dies == "after":
            raise psycopg.OperationalError("the connection was lost after the commit")

    def fence(self, moves: Mapping[Place, Move]) -> None:
        """The compare-and-set of offsets."""
        late = [place for place, move in moves.items() if self.offsets[place].next_offset != move.before]
        if late:
            raise Overtaken(f"{len(late)} partitions were moved on")

    def backup(self) -> tuple[dict[Place, Position], Rows]:
        rows = {name: {key: dict(row) for key, row in table.items()} for name, table in self.rows.items()}
        return dict(self.offsets), rows

    def restore(self, backup: tuple[dict[Place, Position], Rows]) -> None:
        offsets, rows = backup
        self.offsets = dict(offsets)
        self.rows = {name: {key: dict(row) for key, row in table.items()} for name, table in rows.items()}

    def _take_in(self, table: Table, frame: pl.DataFrame) -> None:
        """What `projections.tables.upsert` says, in Python."""
        known = self.rows[table.name]
        for new in frame.to_dicts():
            key = tuple(new[name] for name in table.key)
            old = known.get(key)
            if table.insert_only:
                must(old is None, "a_row_comes_once", (table.name, key))
            if old is None:
                if table.born_with is None or new[table.born_with] is not None:
                    known[key] = {column.name: new[column.name] for column in table.columns}
                continue
            for column in table.columns:
                old[column.name] = _merged(column, old[column.name], new[column.name])


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


class Tables:
    """Two projectors on one store: either may be the zombie."""

    def __init__(self, codec: RememberingCodec, truth: Truth, broker: Broker) -> None:
        self._truth = truth
        self._broker = broker
        self._codec = codec
        self.store = MemoryStore(truth)
        self._places: list[Place] = []
        self._backups: list[Any] = []
        self._projectors: list[Projector] = []
        self._at: list[dict[Place, int]] = []

    def move(self, dice: Dice) -> str:
        """A batch of one of the projectors, and what may go wrong with it."""
        self._begin()
        number = dice.below(2)
        self.store.dies = dice.one((None, None, None, "before", "after"))
        said = f"projector {number}, the connection dies {self.store.dies} the commit" if self.store.dies else ""
        if dice.once_in(6):
            self._backups.append(self.store.backup())
        elif self._backups and dice.once_in(6):
            self.store.restore(dice.one(self._backups))
            self._place(0)
            self._place(1)
            said += ", a backup of the tables is restored"
        some = [place for place in self._places if not dice.once_in(3)]
        read = self._take(number, some, dice.between(1, 60))
        return f"projector {number} takes {read} records{said}"

    def finish(self) -> None:
        """To the end of the log; then compare every row."""
        self._begin()
        self.store.dies = None
        for number in (1, 0):
            while self._take(number, self._places, 1_000_000):
                pass
        self._compare()

    def _begin(self) -> None:
        if not self._projectors:
            self._places = list(self._truth.facts)
            for number in range(2):
                self._projectors.append(
                    Projector(self.store, self._codec, PROJECTIONS.values(), _nothing_aside)  # type: ignore[arg-type]
                )
                self._at.append({})
                self._place(number)

    def _place(self, number: int) -> None:
        self._at[number] = self._projectors[number].place(dict.fromkeys(self._places, "id"))

    def _take(self, number: int, places: Collection[Place], count: int) -> int:
        """A batch of these partitions; how many records there were."""
        at = self._at[number]
        records = [record for place in places for record in self._broker.logs[place][at[place] : at[place] + count]]
        for record in records:
            at[record.topic(), record.partition()] = record.offset() + 1
        try:
            try:
                self._projectors[number].take(records)
            except psycopg.OperationalError:
                self._projectors[number].take(())  # as the worker does: it is not known whether it was written
        except Overtaken:
            self._place(number)
        return len(records)

    def _compare(self) -> None:
        books = Books()
        kept = {}
        for facts in self._truth.facts.values():
            for fact in facts:
                books.take(fact)
                kept[fact.topic, fact.partition, fact.offset] = fact
        books.fetch_with(lambda *place: kept[place])
        expected_tables: Mapping[str, Any] = books.tables
        must(set(expected_tables) >= set(_TABLES), "tables_are_what_plain_folds_say", "a table has no plain fold")
        self._movements_add_up()
        for name, table in _TABLES.items():
            expected, found = expected_tables[name], self.store.rows[name]
            if isinstance(expected, Journal):
                self._compare_journal(expected, table, found)
                continue
            values = [column.name for column in table.columns if column.merge != "key"]
            must(
                set(found) == set(expected.rows),
                "tables_are_what_plain_folds_say",
                (name, set(found) ^ set(expected.rows)),
            )
            for key, row in found.items():
                want = {column: getattr(expected.rows[key], column) for column in values}
                have = {column: row[column] for column in values}
                must(want == have, "tables_are_what_plain_folds_say", (name, key, want, have))

    def _movements_add_up(self) -> None:
        """What is there is the sum of what was ever said to have moved."""
        names = ("on_hand", "reserved", "damaged", "quality_hold")
        sums: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(names, 0))
        for row in self.store.rows["stock_movements"].values():
            for name in names:
                sums[row["sku"], row["location_id"]][name] += row[name]
        for key, row in self.store.rows["inventory"].items():
            have = {name: row[name] or 0 for name in names}
            must(have == sums[key], "stock_is_the_sum_of_its_movements", (key, have, sums[key]))

    def _compare_journal(self, expected: Journal, table: Table, found: dict[tuple[Any, ...], Row]) -> None:
        json_columns = {column.name for column in table.columns if column.sql_type == "jsonb"}
        for row in found.values():
            values = tuple(
                json.loads(row[name]) if name in json_columns and row[name] is not None else row[name]
                for name in expected.columns
            )
            difference = expected.compare(values)
            must(difference is None, "tables_are_what_plain_folds_say", difference)
        missing = list(expected.missing())
        must(not missing, "tables_are_what_plain_folds_say", (expected.name, missing))


def _nothing_aside(aside: Sequence[Any]) -> None:
    must(not aside, "the_ledger_holds_facts_only", aside)
