"""Accepted facts into tables: decode a batch, see what counts, fold it, write rows and offsets together.

    projector = Projector(store, codec, PROJECTIONS.values(), set_aside)
    offsets = projector.place({("ledger.orders", 3): topic_id})      # where to read on
    projector.take(records)                                          # written when it returns

The same code serves the live tables, a rebuild in a schema of its own and the past (`processors.projector.span`): only
the start, the end, the schema and the store (`write`, or `bare` for new tables) differ. It knows no consumer: whoever
reads Kafka hands in records of any partitions, those of one partition in order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from processors.following.batches import Batch, BatchFollower, Ends, Record
from processors.following.columns import Accepted
from processors.following.positions import Partition, Position
from processors.projector.ahead import ahead
from processors.projector.decode import Decoded, Decoder
from processors.projector.write import Store
from processors.slow_paths import Miss
from projections.model import FactBatch, Projection, Table
from projections.tables import folded
from runtime import failpoints
from schemas.codec import Codec

#: Keeps a record that is no fact: record, reason (a stable word), detail. Must have kept it when it returns.
SetAside = Callable[[Sequence[tuple[Record, str, str]]], None]


#: Of the accepted facts, those that the folds see; positions pass all.
Sees = Callable[[Mapping[str, pl.DataFrame]], Mapping[str, pl.DataFrame]]

#: From so many facts on, folding and writing overlap. With fewer, to hand rows from thread to thread takes longer than
#: it saves.
AHEAD_FACTS_MIN = 5_000


class Taken(NamedTuple):
    """What a batch came to: facts folded, rows written, facts passed over, the partitions' new offsets, and the facts
    that went a slow way.
    """

    facts: int
    rows: int
    skipped: int
    next_offsets: Mapping[Partition, int]
    misses: Mapping[Miss, int]


class Projector:
    """Folds records into the tables of a store. Not for several threads."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        projections: Iterable[Projection],
        set_aside: SetAside,
        prefix: str = "",
        *,
        ends: Ends[Decoded] | None = None,
        sees: Sees | None = None,
    ) -> None:
        self._store = store
        self._sees = sees
        self._follower: BatchFollower[Decoded] = BatchFollower(Decoder(codec).decode, prefix, ends)
        self._projections = tuple(projections)
        self._set_aside = set_aside

    def place(
        self, topic_ids: Mapping[Partition, str], start: Mapping[Partition, Position] | None = None
    ) -> dict[Partition, int]:
        """Read from the store how far the partitions are; the offset of each to read on from. Replaces what was
        known.
        """
        positions = self._store.positions(topic_ids, start)
        self._follower.placed(positions)
        return {partition: position.next_offset for partition, position in positions.items()}

    def agrees(self) -> bool:
        """Whether the store is where we believe it to be. If not, place anew: another process was faster, or the
        database has lost its last moments in a crash, or it was restored to an older backup.
        """
        known = self._follower.positions
        return self._store.stored(known) == known

    def forget(self, partitions: Collection[Partition]) -> None:
        """These partitions are somebody else's from now on; records of theirs that still come are passed over."""
        self._follower.forget(partitions)

    @property
    def next_offsets(self) -> dict[Partition, int]:
        """Of each partition that is placed. May be asked from another thread."""
        return {partition: position.next_offset for partition, position in self._follower.positions.items()}

    @property
    def ended(self) -> Mapping[Partition, int]:
        """The partitions that have come to the end that `ends` has found, and that end."""
        return self._follower.ended

    def take(self, records: Iterable[Record]) -> Taken:
        """Fold and write a batch. Raises Overtaken (place anew, then read again from there), psycopg.OperationalError
        (nothing is known to be written: call again with no records, or place anew), and whatever a fold raises."""
        batch = self._follower.follow(records)
        if batch is None:
            return Taken(0, 0, 0, {}, {})
        failpoints.reach("projector.fold")
        written = self._write(batch)
        self._follower.moved(batch.moves)
        passed_over = sum(skip.facts for reasons in batch.skipped.values() for skip in reasons.values())
        next_offsets = {partition: move.after.next_offset for partition, move in batch.moves.items()}
        return Taken(len(batch.accepted.rows), written, passed_over, next_offsets, batch.misses)

    def _write(self, batch: Batch[Decoded]) -> int:
        """How many rows were written. PostgreSQL takes in a table of a large batch while the next one is folded."""
        frames: Mapping[str, pl.DataFrame] = _counted(batch.decoded, batch.accepted)
        facts = FactBatch(frames if self._sees is None else self._sees(frames))
        folded = self._fold(facts)
        if batch.aside or not batch.moves or facts.count() < AHEAD_FACTS_MIN:
            rows = list(folded)
            if batch.aside:
                self._set_aside(batch.aside)
            if batch.moves:
                self._store.write(rows, batch.moves, batch.skipped, batch.misses, facts.begun)
            return sum(frame.height for _, frame in rows)
        written = 0

        def counted() -> Iterator[tuple[Table, pl.DataFrame]]:
            nonlocal written
            for table, frame in coming:
                written += frame.height
                yield table, frame

        with ahead(folded) as coming:
            self._store.write(counted(), batch.moves, batch.skipped, batch.misses, facts.begun)
        return written

    def _fold(self, facts: FactBatch) -> Iterator[tuple[Table, pl.DataFrame]]:
        for projection in self._projections:
            yield from folded(projection, facts)


def _counted(decoded: Decoded, accepted: Accepted) -> dict[str, pl.DataFrame]:
    """Frames of the accepted facts alone, `seq` being their order as readers see them."""
    everything = accepted.rows.len() == decoded.links.height
    if everything and accepted.rows.is_sorted():
        return decoded.frames
    order = pl.DataFrame({"seq": accepted.rows}).with_row_index("rank").with_columns(pl.col("rank").cast(pl.Int64))
    frames = {}
    for name, frame in decoded.frames.items():
        kept = frame.join(order, on="seq", how="inner").sort("rank")
        if kept.height:
            frames[name] = kept.with_columns(seq="rank").drop("rank")
    return frames
