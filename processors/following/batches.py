"""A follower of facts in batches: records of many partitions become columns, and one comparison says which facts count.

    follower = BatchFollower(decoder.decode)
    follower.placed(positions)                   # as stored in PostgreSQL
    batch = follower.follow(records)             # accepted facts, positions to store, skipped facts
    ...                                          # the host writes rows and `batch.moves` in one transaction
    follower.moved(batch.moves)

Records of an incomplete decision are kept until the rest of it comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import polars as pl

from processors.following.columns import COLUMNS_ROWS_MIN, Accepted, Skip, accept, accept_few
from processors.following.positions import ChainState, Move, Partition, Position
from processors.slow_paths import Miss


class Record(Protocol):
    """The methods used of `confluent_kafka.Message`."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> Any: ...


class Garbage(NamedTuple):
    """A row that is no fact: its number, and why (`reason` is a stable word)."""

    row: int
    reason: str
    detail: str


class Columns(Protocol):
    """A decoded batch. `links`: row (`seq`) and link (`decision`, `follows`, `index`, `count`, `epoch`,
    `intake_offset`), in row order. `one_by_one`: rows that could not be decoded in columns.
    """

    @property
    def links(self) -> pl.DataFrame: ...
    @property
    def garbage(self) -> Sequence[Garbage]: ...
    @property
    def one_by_one(self) -> Mapping[Miss, int]: ...


Decoded = TypeVar("Decoded", bound=Columns)

Ends = Callable[[Decoded, Accepted], Mapping[Partition, int]]
"""The partitions that must be followed no further than an offset, because of what a batch has accepted."""


class Batch(NamedTuple, Generic[Decoded]):
    """`moves`: positions to store together with the results of the `accepted` rows of `decoded`. `skipped`: facts
    skipped before the new offsets. `aside`: records that are no facts, with reason and detail. `misses`: facts that
    were not decoded in columns, or not followed in one comparison.
    """

    decoded: Decoded
    accepted: Accepted
    moves: Mapping[Partition, Move]
    skipped: Mapping[Partition, Mapping[str, Skip]]
    aside: Sequence[tuple[Record, str, str]]
    misses: Mapping[Miss, int]


class BatchFollower(Generic[Decoded]):
    """Not thread-safe, except `positions`. `ended`: partitions that have come to an end, and the offset of it."""

    def __init__(
        self,
        decode: Callable[[Sequence[bytes | None], pl.DataFrame], Decoded],
        prefix: str = "",
        ends: Ends[Decoded] | None = None,
    ) -> None:
        self._decode = decode
        self._prefix = prefix
        self._ends = ends
        self.ended: dict[Partition, int] = {}
        self._positions: dict[Partition, Position] = {}
        # Records of an incomplete decision, and all records after its first fact.
        self._held: dict[Partition, list[Record]] = {}

    @property
    def positions(self) -> dict[Partition, Position]:
        """The last stored position of each placed partition. May be called from another thread."""
        return self._positions.copy()

    def placed(self, positions: Mapping[Partition, Position]) -> None:
        """Continue from these positions and forget what was known of the partitions."""
        for partition in positions:
            self._held.pop(partition, None)
            self.ended.pop(partition, None)
        self._positions.update(positions)

    def forget(self, partitions: Collection[Partition]) -> None:
        """These partitions now belong to another process. Records of theirs that still come are skipped."""
        for partition in partitions:
            self._positions.pop(partition, None)
            self._held.pop(partition, None)

    def follow(self, records: Iterable[Record]) -> Batch[Decoded] | None:
        """The batch of these records and those kept before; None if there are none."""
        self._hold(records)
        parts = sorted(partition for partition, held in self._held.items() if held)
        flat = [record for partition in parts for record in self._held[partition]]
        if not flat:
            return None
        decoded, accepted = self._accept(parts, flat)
        ended = {} if self._ends is None else self._ends(decoded, accepted)
        if ended:
            self.ended.update(ended)
            for partition, end in ended.items():
                self._held[partition] = [one for one in self._held[partition] if _offset(one) < end]
            return self.follow(())  # what is left, as if the rest had not come
        moves, skipped, aside = self._moves(parts, flat, decoded.garbage, accepted)
        return Batch(decoded, accepted, moves, skipped, aside, _misses(parts, decoded, accepted))

    def moved(self, moves: Mapping[Partition, Move]) -> None:
        """These moves are stored now."""
        for partition, move in moves.items():
            self._positions[partition] = move.after
            held = self._held[partition]
            self._held[partition] = [one for one in held if _offset(one) >= move.after.next_offset]

    def _hold(self, records: Iterable[Record]) -> None:
        """Append each record to those kept of its partition. Runs once per fact, so it uses local names."""
        next_offset: dict[tuple[str | None, int | None], int] = {}
        held: dict[tuple[str | None, int | None], list[Record]] = {}
        for record in records:
            place = record.topic(), record.partition()
            if place not in held:
                partition = self._partition(record)
                if partition in self._positions and partition not in self.ended:
                    held[place] = waiting = self._held.setdefault(partition, [])
                    known = self._positions[partition].next_offset
                    next_offset[place] = _offset(waiting[-1]) + 1 if waiting else known
                else:
                    held[place], next_offset[place] = [], 0  # another process has it, or it has ended: skipped
            offset = _offset(record)
            # After a seek a few older records may still come; they are already known.
            if offset >= next_offset[place]:
                held[place].append(record)
                next_offset[place] = offset + 1

    def _accept(self, parts: Sequence[Partition], flat: Sequence[Record]) -> tuple[Decoded, Accepted]:
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
        decoded = self._decode([record.value() for record in flat], position)
        seq = decoded.links["seq"]
        links = decoded.links.with_columns(part.gather(seq), offset.gather(seq))
        states: dict[int, ChainState] = {number: self._positions[one].chain for number, one in enumerate(parts)}
        follow = accept if links.height >= COLUMNS_ROWS_MIN else accept_few
        return decoded, follow(links, states)

    def _moves(
        self, parts: Sequence[Partition], flat: Sequence[Record], garbage: Sequence[Garbage], accepted: Accepted
    ) -> tuple[dict[Partition, Move], dict[Partition, dict[str, Skip]], list[tuple[Record, str, str]]]:
        moves: dict[Partition, Move] = {}
        skipped: dict[Partition, dict[str, Skip]] = {}
        aside: list[tuple[Record, str, str]] = []
        ends: dict[Partition, int] = {}
        for part, partition in enumerate(parts):
            followed = accepted.parts[part]
            before = self._positions[partition]
            end = _offset(self._held[partition][-1]) + 1 if followed.resume_at is None else followed.resume_at
            ends[partition] = end
            if end > before.next_offset:
                moves[partition] = Move(before.next_offset, Position(end, followed.state))
            if followed.skipped:
                skipped[partition] = dict(followed.skipped)
        for row, reason, detail in garbage:
            record = flat[row]
            partition = self._partition(record)
            if _offset(record) < ends[partition]:
                reasons = skipped.setdefault(partition, {})
                reasons[reason] = Skip(reasons.get(reason, Skip(0, 0)).facts + 1, _offset(record))
                aside.append((record, reason, detail))
        return moves, skipped, aside

    def _partition(self, record: Record) -> Partition:
        return str(record.topic()).removeprefix(self._prefix), int(record.partition() or 0)


def _misses(parts: Sequence[Partition], decoded: Columns, accepted: Accepted) -> Counter[Miss]:
    misses = Counter(decoded.one_by_one)
    for number, (topic, _) in enumerate(parts):
        one_by_one = accepted.parts[number].one_by_one
        if one_by_one is not None:
            why, facts = one_by_one
            misses[Miss("accept", why, topic)] += facts
    return misses


def _offset(record: Record) -> int:
    offset = record.offset()
    assert offset is not None, "a consumed record has an offset"
    return offset
