"""Accepted facts into tables: decode a batch, see what counts, fold it, write rows and offsets together.

    projector = Projector(store, codec, PROJECTIONS.values(), set_aside)
    offsets = projector.place({("ledger.orders", 3): topic_id})      # where to read on
    projector.take(records)                                          # written when it returns

The same code serves the live tables, a rebuild in a schema of its own and the past (`processors.projector.span`): only
the start, the end and the schema differ. It knows no consumer: whoever reads Kafka hands in records of any partitions,
those of one partition in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import polars as pl

from processors.projector.accept import Accepted, ChainState, Skip, accept
from processors.projector.decode import Decoded, Decoder, Garbage
from processors.projector.write import Move, Partition, Position, Store
from processors.slow_paths import Miss
from projections.model import FactBatch, Projection, Table
from projections.tables import fold
from runtime import failpoints
from schemas.codec import Codec


class Record(Protocol):
    """What is needed of a `confluent_kafka.Message`."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> Any: ...


#: Keeps a record that is no fact: record, reason (a stable word), detail. Must have kept it when it returns.
SetAside = Callable[[Sequence[tuple[Record, str, str]]], None]


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
        self, store: Store, codec: Codec, projections: Iterable[Projection], set_aside: SetAside, prefix: str = ""
    ) -> None:
        self._store = store
        self._decoder = Decoder(codec)
        self._projections = tuple(projections)
        self._set_aside = set_aside
        self._prefix = prefix
        self._positions: dict[Partition, Position] = {}
        # Records of a decision that is not complete yet, and what came after its first fact.
        self._held: dict[Partition, list[Record]] = {}

    def place(
        self, topic_ids: Mapping[Partition, str], start: Mapping[Partition, Position] | None = None
    ) -> dict[Partition, int]:
        """Read from the store how far the partitions are; the offset of each to read on from. Replaces what was
        known.
        """
        positions = self._store.positions(topic_ids, start)
        for partition in topic_ids:
            self._held.pop(partition, None)
        self._positions.update(positions)
        return {partition: position.next_offset for partition, position in positions.items()}

    def agrees(self) -> bool:
        """Whether the store is where we believe it to be. If not, place anew: another process was faster, or the
        database has lost its last moments in a crash, or it was restored to an older backup.
        """
        return self._store.agrees({partition: position.next_offset for partition, position in self._positions.items()})

    def forget(self, partitions: Collection[Partition]) -> None:
        """These partitions are somebody else's from now on; records of theirs that still come are passed over."""
        for partition in partitions:
            self._positions.pop(partition, None)
            self._held.pop(partition, None)

    @property
    def next_offsets(self) -> dict[Partition, int]:
        """Of each partition that is placed. May be asked from another thread."""
        return {partition: position.next_offset for partition, position in self._positions.copy().items()}

    def take(self, records: Iterable[Record]) -> Taken:
        """Fold and write a batch. Raises Overtaken (place anew, then read again from there), psycopg.OperationalError
        (nothing is known to be written: call again with no records, or place anew), and whatever a fold raises."""
        self._hold(records)
        parts = sorted(partition for partition, held in self._held.items() if held)
        flat = [record for partition in parts for record in self._held[partition]]
        if not flat:
            return Taken(0, 0, 0, {}, {})
        decoded, accepted = self._follow(parts, flat)
        failpoints.reach("projector.fold")
        rows = self._fold(decoded, accepted)
        moves, skipped, garbage = self._moves(parts, flat, decoded.garbage, accepted)
        if garbage:
            self._set_aside(garbage)
        misses = _misses(parts, decoded, accepted)
        if moves:
            self._store.write(rows, moves, skipped, misses)
        for move in moves:
            self._positions[move.partition] = move.position
            held = self._held[move.partition]
            self._held[move.partition] = [one for one in held if _offset(one) >= move.position.next_offset]
        passed_over = sum(skip.facts for reasons in skipped.values() for skip in reasons.values())
        written = sum(frame.height for _, frame in rows)
        next_offsets = {move.partition: move.position.next_offset for move in moves}
        return Taken(len(accepted.rows), written, passed_over, next_offsets, misses)

    def _hold(self, records: Iterable[Record]) -> None:
        """Put each record behind those of its partition that wait. Runs once per fact: hence the local names."""
        next_offset: dict[tuple[str | None, int | None], int] = {}
        held: dict[tuple[str | None, int | None], list[Record]] = {}
        for record in records:
            place = record.topic(), record.partition()
            if place not in held:
                partition = (str(place[0]).removeprefix(self._prefix), int(place[1] or 0))
                if partition in self._positions:
                    held[place] = waiting = self._held.setdefault(partition, [])
                    known = self._positions[partition].next_offset
                    next_offset[place] = _offset(waiting[-1]) + 1 if waiting else known
                else:
                    held[place], next_offset[place] = [], 0  # somebody else's by now: passed over
            offset = _offset(record)
            # After a seek a few records of before may still come: they are known.
            if offset >= next_offset[place]:
                held[place].append(record)
                next_offset[place] = offset + 1

    def _follow(self, parts: Sequence[Partition], flat: Sequence[Record]) -> tuple[Decoded, Accepted]:
        part_of_row = [part for part, partition in enumerate(parts) for _ in self._held[partition]]
        part = pl.Series("part", part_of_row, pl.Int64)
        offset = pl.Series("offset", [_offset(record) for record in flat], pl.Int64)
        position = pl.DataFrame(
            {
                "topic": pl.Series([topic for topic, _ in parts], dtype=pl.String).gather(part),
                "partition": pl.Series([number for _, number in parts], dtype=pl.Int32).gather(part),
                "offset": offset,
            }
        )
        decoded = self._decoder.decode([record.value() for record in flat], position)
        seq = decoded.links["seq"]
        links = decoded.links.with_columns(part.gather(seq), offset.gather(seq))
        states: dict[int, ChainState] = {number: self._positions[one].chain for number, one in enumerate(parts)}
        return decoded, accept(links, states)

    def _fold(self, decoded: Decoded, accepted: Accepted) -> list[tuple[Table, pl.DataFrame]]:
        batch = FactBatch(_counted(decoded, accepted))
        rows = []
        for projection in self._projections:
            tables = {table.name: table for table in projection.tables}
            rows += [(tables[name], frame) for name, frame in fold(projection, batch).items()]
        return rows

    def _moves(
        self, parts: Sequence[Partition], flat: Sequence[Record], garbage: Sequence[Garbage], accepted: Accepted
    ) -> tuple[list[Move], dict[Partition, dict[str, Skip]], list[tuple[Record, str, str]]]:
        """Steps of the partitions, what was passed over before their new offsets, and which records were no facts."""
        moves: list[Move] = []
        skipped: dict[Partition, dict[str, Skip]] = {}
        aside: list[tuple[Record, str, str]] = []
        ends: dict[Partition, int] = {}
        for part, partition in enumerate(parts):
            followed = accepted.parts[part]
            before = self._positions[partition]
            end = _offset(self._held[partition][-1]) + 1 if followed.resume_at is None else followed.resume_at
            ends[partition] = end
            if end > before.next_offset:
                moves.append(Move(partition, before.next_offset, Position(end, followed.state)))
            if followed.skipped:
                skipped[partition] = dict(followed.skipped)
        for row, reason, detail in garbage:
            record = flat[row]
            partition = (str(record.topic()).removeprefix(self._prefix), int(record.partition() or 0))
            if _offset(record) < ends[partition]:
                reasons = skipped.setdefault(partition, {})
                reasons[reason] = Skip(reasons.get(reason, Skip(0, 0)).facts + 1, _offset(record))
                aside.append((record, reason, detail))
        return moves, skipped, aside


def _misses(parts: Sequence[Partition], decoded: Decoded, accepted: Accepted) -> Counter[Miss]:
    """Facts of the batch that were not decoded in columns, or not followed in one comparison."""
    misses = Counter(decoded.one_by_one)
    for number, (topic, _) in enumerate(parts):
        one_by_one = accepted.parts[number].one_by_one
        if one_by_one is not None:
            why, facts = one_by_one
            misses[Miss("accept", why, topic)] += facts
    return misses


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


def _offset(record: Record) -> int:
    offset = record.offset()
    assert offset is not None, "a consumed record has an offset"
    return offset
