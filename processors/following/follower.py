"""A follower that takes facts one by one: the partitions of one process, read by the reader's rule.

    follower = Follower("reactions", decoder.read, stored_positions)
    offsets = follower.assign([("ledger.orders", 0)])    # where to read from
    read = follower.read(batch)                          # facts that count; read.again: partitions to read again
    ...                                                  # the host stores or sends its results
    again = follower.save(read.touched)                  # or: positions.move_all(connection, follower.moves(...))

It knows no transport: the caller reads Kafka, hands in the fetched records, and seeks where it is told to.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol

from processors.following.positions import Move, Partition, Position
from processors.following.reading import Decode, Fact, HoleError, Reading, Values
from runtime.errors import Fault
from runtime.logging import log

#: How often a partition may be read again from the same offset without progress. In a rebalance a client drops its
#: buffer, which causes one or two repeats. More repeats mean that the records are missing.
READ_AGAIN_MAX = 20


class Fetched(NamedTuple):
    """Fetched records of one partition: `values` are (offset, value) from `first_offset` on."""

    topic: str
    partition: int
    first_offset: int
    values: Values


class Read(NamedTuple, Generic[Fact]):
    """The result of a batch: facts that count, their partitions, and offsets from which to read partitions again."""

    facts: list[Fact]
    touched: Collection[Partition]
    again: dict[Partition, int]


class PositionStore(Protocol):
    """The interface of `processors.following.database.StoredPositions`."""

    def load(self, partitions: Collection[Partition]) -> dict[Partition, Position]: ...
    def stored(self, partitions: Collection[Partition]) -> dict[Partition, Position]: ...
    def save(self, moves: Mapping[Partition, Move]) -> set[Partition]: ...


class Follower(Generic[Fact]):
    """Not thread-safe, except `next_offsets`."""

    def __init__(self, name: str, decode: Decode[Fact], positions: PositionStore) -> None:
        self._name = name
        self._decode = decode
        self._positions = positions
        self._reading: dict[Partition, Reading[Fact]] = {}
        self._saved: dict[Partition, Position] = {}
        self._stuck: Counter[tuple[Partition, int]] = Counter()
        self._reported: dict[Partition, int] = {}

    @property
    def next_offsets(self) -> dict[Partition, int]:
        """The next offset of each assigned partition. May be called from another thread."""
        return {partition: reading.next_offset for partition, reading in self._reading.copy().items()}

    def assign(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Follow exactly these partitions from now on. Returns the offset to read each one from."""
        self._saved, self._reading = {}, {}
        return self.place(partitions)

    def place(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Read these partitions from their stored positions; forget what was known of them. Returns the offsets."""
        positions = self._positions.load(partitions) if partitions else {}
        for partition, position in positions.items():
            self._saved[partition] = position
            self._reading[partition] = Reading(position, self._decode)
        return {partition: position.next_offset for partition, position in positions.items()}

    def forget(self, partitions: Collection[Partition]) -> None:
        """These partitions now belong to another process. Records of theirs that still come are skipped."""
        for partition in partitions:
            self._saved.pop(partition, None)
            self._reading.pop(partition, None)

    def strayed(self) -> list[Partition]:
        """Partitions whose stored position is not the one that we saved last: another copy has moved it, or the
        database crashed or was restored and is behind.
        """
        found = self._positions.stored(list(self._saved)) if self._saved else {}
        return [partition for partition, position in self._saved.items() if found.get(partition) != position]

    def read(self, batch: Sequence[Fetched]) -> Read[Fact]:
        """The facts that count, in the order of the batch. Raises Fault for a hole that stays."""
        facts: list[Fact] = []
        touched: dict[Partition, None] = {}
        again: dict[Partition, int] = {}
        for topic, number, first_offset, values in batch:
            partition = (topic, number)
            reading = self._reading.get(partition)
            if reading is None or partition in again:
                continue  # buffered before a rebalance took the partition away, or after a hole
            try:
                facts += reading.read(first_offset, values)
                touched[partition] = None
            except HoleError as hole:
                again[partition] = self._read_again(partition, hole)
        return Read(facts, touched, again)

    def moves(self, touched: Collection[Partition]) -> dict[Partition, Move]:
        """The moves from the stored positions of these partitions to where they were read."""
        return {
            partition: Move(self._saved[partition].next_offset, self._reading[partition].position)
            for partition in touched
            if self._reading[partition].position != self._saved[partition]
        }

    def moved(self, touched: Collection[Partition], moves: Mapping[Partition, Move]) -> None:
        """These moves are stored now."""
        for partition, move in moves.items():
            self._saved[partition] = move.after
        for partition in touched:
            self._report(partition, self._reading[partition])

    def save(self, touched: Collection[Partition]) -> dict[Partition, int]:
        """Store how far these were read. Returns the partitions that another copy has moved meanwhile, with the offsets
        to read them from.
        """
        moves = self.moves(touched)
        overtaken = self._positions.save(moves)
        self.moved(touched, {partition: move for partition, move in moves.items() if partition not in overtaken})
        stored = self._positions.stored(list(overtaken)) if overtaken else {}
        again = []
        for partition in overtaken:
            if stored.get(partition) == moves[partition].after:
                self._saved[partition] = moves[partition].after  # our own commit, whose answer was lost
                continue
            log.info(f"{self._name}_overtaken", topic=partition[0], partition=partition[1])
            again.append(partition)
        return self.place(again)

    def _report(self, partition: Partition, reading: Reading[Fact]) -> None:
        """Log once per batch what was skipped for a reason that an operator should know."""
        strange = sum(reading.undecodable.values()) + reading.skipped.get("gap_or_other_rules", 0)
        if strange > self._reported.get(partition, 0):
            reasons = {**reading.skipped, **reading.undecodable}
            log.warning(f"{self._name}_passed_over", topic=partition[0], partition=partition[1], **reasons)
        self._reported[partition] = strange

    def _read_again(self, partition: Partition, hole: HoleError) -> int:
        key = (partition, hole.expected)
        self._stuck[key] += 1
        if self._stuck[key] > READ_AGAIN_MAX:
            raise Fault(
                f"{partition[0]}/{partition[1]} has a hole",
                f"the next offset is {hole.expected}, but the first readable one is {hole.found}",
                "facts were deleted from the topic: check its retention settings; `order-ledger doctor` shows more",
            )
        return hole.expected
