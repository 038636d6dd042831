"""One batch: facts in, commands out, position saved. In this order, so that a crash anywhere only repeats commands.

    engine.handle([Fetched("ledger.orders", 0, first_offset=7, values=[(7, b"...")])])  -> partitions to read again

Blocking; runs in a thread of its own, one batch at a time.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from events.envelope import AnyRecorded
from processors.reactions.asked import Asked
from processors.reactions.positions import Move, Partition
from processors.reactions.reader import FactDecoder, HoleError, PartitionReading, Position, Values
from processors.reactions.sourcing import Lookups
from processors.reactions.timers import due
from processors.reactions.wiring import carts_to_look_up, moments_of, react, skus_to_look_up
from processors.slow_paths import Miss, report
from projections.inventory.reader import ReceiptDue, ReservationDue
from projections.order_status.reader import LineDue, OrderDue
from runtime import failpoints
from runtime.errors import Fault
from runtime.logging import log

#: How often a partition may be read again from the same offset without getting on. Once or twice is Faust letting go
#: of what it had buffered in a rebalance; more means that the records are not there.
READ_AGAIN_MAX = 20

#: A command that a timer has sent is not sent again for so long: the tables show its effect only a moment later.
#: Shorter sends repeats (harmless, but work for the ledger); longer delays the second attempt after a lost one.
TIMER_REPEAT_SECONDS = 30.0


class Fetched(NamedTuple):
    """Records of one partition as they were fetched: `values` are (offset, value) from `first_offset` on."""

    topic: str
    partition: int
    first_offset: int
    values: Values


class PositionStore(Protocol):
    """What `Positions` is."""

    def load(self, partitions: Collection[Partition]) -> dict[Partition, Position]: ...
    def save(self, moves: Mapping[Partition, Move]) -> set[Partition]: ...
    def count(self, misses: Mapping[Miss, int]) -> None: ...


class LookupSource(Protocol):
    """What `ProjectionLookups` is."""

    def read(self, skus: Collection[str], carts: Collection[str], moments: Collection[datetime]) -> Lookups: ...
    def due(self, now: datetime) -> tuple[list[ReservationDue], list[OrderDue], list[ReceiptDue], list[LineDue]]: ...


class CommandSender(Protocol):
    """What `Sender` is."""

    def send(self, batch: Sequence[Asked]) -> None: ...


class Engine:
    """Reads partitions by the reader's rule and sends what the reactions ask for."""

    def __init__(
        self, decoder: FactDecoder, positions: PositionStore, lookups: LookupSource, sender: CommandSender
    ) -> None:
        self._decoder = decoder
        self._positions = positions
        self._lookups = lookups
        self._sender = sender
        self._reading: dict[Partition, PartitionReading] = {}
        self._saved: dict[Partition, Position] = {}
        self._stuck: Counter[tuple[Partition, int]] = Counter()
        self._reported: dict[Partition, int] = {}
        self._timer_sent: dict[str, float] = {}
        self.commands_sent = 0

    @property
    def next_offsets(self) -> dict[Partition, int]:
        """Offset that comes next, of each partition at hand."""
        return {partition: reading.next_offset for partition, reading in self._reading.items()}

    def assign(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Take exactly these partitions from now on; the offset to read each one on from."""
        positions = self._positions.load(partitions) if partitions else {}
        self._saved = dict(positions)
        self._reading = {partition: PartitionReading(at, self._decoder) for partition, at in positions.items()}
        return {partition: at.next_offset for partition, at in positions.items()}

    def reload(self, partition: Partition) -> int | None:
        """The offset to read this partition on from, as somebody else has moved it; None where it is not ours any
        more.
        """
        if partition not in self._reading:
            return None
        position = self._positions.load([partition])[partition]
        self._saved[partition] = position
        self._reading[partition] = PartitionReading(position, self._decoder)
        return position.next_offset

    def look_back(self) -> dict[Partition, int]:
        """Offsets to read again from, of partitions whose saved position is not the one that we saved last: another
        copy has moved it, or the database crashed or was restored and is behind.
        """
        found = self._positions.load(list(self._saved)) if self._saved else {}
        again = {}
        for partition, position in found.items():
            if position != self._saved[partition]:
                self._saved[partition] = position
                self._reading[partition] = PartitionReading(position, self._decoder)
                again[partition] = position.next_offset
        return again

    def handle(self, batch: Sequence[Fetched]) -> dict[Partition, int]:
        """Send what the batch asks for, then save the positions.

        Returns the offsets that partitions must be read again from: records were missing before these, or another copy
        has moved the position (what we sent then are repeats, which the ledger knows).
        """
        again: dict[Partition, int] = {}
        facts: list[AnyRecorded] = []
        touched: dict[Partition, PartitionReading] = {}
        for topic, number, first_offset, values in batch:
            partition = (topic, number)
            reading = self._reading.get(partition)
            if reading is None or partition in again:
                continue  # buffered before a rebalance took the partition away, or behind a hole
            try:
                facts += reading.read(first_offset, values)
                touched[partition] = reading
            except HoleError as hole:
                again[partition] = self._read_again(partition, hole)
        failpoints.reach("reactions.react")
        asked = react(facts, self._look_up(facts)) if facts else []
        self._sender.send(asked)
        self.commands_sent += len(asked)
        self._save(touched, again)
        misses = _misses(asked)
        if misses:
            report("reactions", misses)
            self._positions.count(misses)
        return again

    def _look_up(self, facts: Sequence[AnyRecorded]) -> Lookups:
        return self._lookups.read(skus_to_look_up(facts), carts_to_look_up(facts), moments_of(facts))

    def _save(self, touched: Mapping[Partition, PartitionReading], again: dict[Partition, int]) -> None:
        moves = {
            partition: Move(self._saved[partition].next_offset, reading.position)
            for partition, reading in touched.items()
            if reading.position != self._saved[partition]
        }
        failpoints.reach("reactions.before_position")
        overtaken = self._positions.save(moves)
        failpoints.reach("reactions.after_position")
        for partition, move in moves.items():
            if partition in overtaken:
                offset = self.reload(partition)
                log.info("reactions_overtaken", topic=partition[0], partition=partition[1], next_offset=offset)
                if offset is not None:
                    again[partition] = offset
            else:
                self._saved[partition] = move.after
        for partition, reading in touched.items():
            self._report(partition, reading)

    def _report(self, partition: Partition, reading: PartitionReading) -> None:
        """Say once per batch what was passed over for a reason that an operator should know."""
        strange = sum(reading.undecodable.values()) + reading.skipped.get("gap_or_other_rules", 0)
        if strange > self._reported.get(partition, 0):
            reasons = {**reading.skipped, **reading.undecodable}
            log.warning("reactions_passed_over", topic=partition[0], partition=partition[1], **reasons)
        self._reported[partition] = strange

    def _read_again(self, partition: Partition, hole: HoleError) -> int:
        key = (partition, hole.expected)
        self._stuck[key] += 1
        if self._stuck[key] > READ_AGAIN_MAX:
            raise Fault(
                f"{partition[0]}/{partition[1]} has a hole",
                f"offset {hole.expected} comes next, the first that can be read is {hole.found}",
                "facts were deleted from the topic: look at its retention settings; `order-ledger doctor` tells more",
            )
        return hole.expected

    def ring(self, now: datetime, monotonic_seconds: float) -> int:
        """Send the commands of timers that are due at `now`; how many were sent."""
        overdue = self._lookups.due(now)
        sent_lately = {
            command_id: at
            for command_id, at in self._timer_sent.items()
            if monotonic_seconds - at < TIMER_REPEAT_SECONDS
        }
        asked = [row for row in due(*overdue, now) if row.id not in sent_lately]
        self._sender.send(asked)
        self._timer_sent = sent_lately | dict.fromkeys((row.id for row in asked), monotonic_seconds)
        return len(asked)


def _misses(asked: Sequence[Asked]) -> Counter[Miss]:
    """Orders whose plan was not proved to be the best, by the reaction that made it."""
    plans = {(row.actor, row.causation_id) for row in asked if row.unproved}
    return Counter(Miss("route", "not_proved", actor) for actor, _ in plans)
