"""The real projector on the log of a run: batches of any size, crashes around its transaction, a zombie beside it.

    tables = Tables(codec, truth, broker)
    tables.move(dice)      # a batch, a crash, a zombie, a restored backup
    tables.finish()        # to the end; then every row is what the plain folds of `processors.verify` say

What PostgreSQL does with a fold's rows is done here by a `MemoryStore`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import polars as pl
import psycopg

from processors.following.columns import Skip
from processors.following.positions import Move, Overtaken
from processors.projector.projector import Projector
from processors.slow_paths import Miss
from processors.verify.books import Books
from projections.catalogue import PROJECTIONS
from projections.model import Table
from tests.simulation.choices import Dice
from tests.simulation.failure import Broken, must
from tests.simulation.memory import Broker, Place, RememberingCodec
from tests.simulation.truth import Truth
from tests.support.memory_tables import MemoryStore, difference


class CrashingStore(MemoryStore):
    """`dies`: "before" or "after" the commit of the next write."""

    def __init__(self, truth: Truth) -> None:
        super().__init__()
        self._truth = truth
        self.dies: str | None = None

    def write(
        self,
        rows: Iterable[tuple[Table, pl.DataFrame]],
        moves: Mapping[Place, Move],
        skipped: Mapping[Place, Mapping[str, Skip]],
        misses: Mapping[Miss, int],
        begun: Callable[[str], pl.Series],
    ) -> None:
        """All of it or nothing. Raises Overtaken, or OperationalError where a crash was ordered."""
        dies, self.dies = self.dies, None
        if dies == "before":
            raise psycopg.OperationalError("the connection was lost before the commit")
        try:
            super().write(rows, moves, skipped, misses, begun)
        except AssertionError as error:
            raise Broken("a_row_comes_once", str(error)) from error
        for place, move in moves.items():
            self._truth.check_position("projector", place, move.after.next_offset, move.after.chain.last)
        if dies == "after":
            raise psycopg.OperationalError("the connection was lost after the commit")


class Tables:
    """Two projectors on one store: either may be the zombie."""

    def __init__(self, codec: RememberingCodec, truth: Truth, broker: Broker) -> None:
        self._truth = truth
        self._broker = broker
        self._codec = codec
        self.store = CrashingStore(truth)
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
        self._movements_add_up()
        different = difference(books, self.store.rows)
        must(different is None, "tables_are_what_plain_folds_say", different)
        # Readers of orders rely on it: no fact is about a line that was never placed.
        lines = self.store.rows["order_lines"]
        must(all(row["sku"] for row in lines.values()), "a_line_has_its_sku", lines.keys())

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


def _nothing_aside(aside: Sequence[Any]) -> None:
    must(not aside, "the_ledger_holds_facts_only", aside)
