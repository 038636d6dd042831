"""How a writer becomes the owner of partitions: the snapshot, then the tail of the log by the readers' rule.

    taken = take_over({("intake.orders", 3): "intake.orders"}, settings, services, codec, hands, group="ledger")
    taken.ledgers["intake.orders", 3].next_intake        # decide on from here

What it needs from PostgreSQL and from the process comes in through `Hands`.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from events.chain import ChainReader, Link
from events.streams import StreamKey
from processors.ledger import snapshots
from processors.ledger.partition import Need, PartitionLedger
from processors.slow_paths import Miss
from runtime import failpoints
from runtime.errors import Fault
from runtime.kafka import consumer, end_offsets, start_offsets
from runtime.logging import log
from runtime.services import Services
from runtime.settings import Settings
from schemas.codec import Codec, UndecodableError

# Facts folded at a time: fewer asks PostgreSQL for their streams more often, more is only memory.
TAIL_RECORDS_MAX = 5_000

#: (full intake topic, partition).
Place = tuple[str, int]
_Reader = ChainReader[tuple[str, dict[str, Any]]]


class Hands(NamedTuple):
    """What a takeover does with the world: work on the database (waited for when it is away), fetch streams of
    snapshots into ledgers, and whether to stop.
    """

    with_database: Callable[[Callable[[psycopg.Connection[Any]], None]], None]
    fetch: Callable[[Sequence[tuple[PartitionLedger, Sequence[Need]]]], None]
    stop: threading.Event


class TakenOver(NamedTuple):
    """The ledgers, each as the log has it up to the offset in `ends`, how many facts were read for that, and those
    among them that a snapshot should have spared.
    """

    ledgers: Mapping[Place, PartitionLedger]
    ends: Mapping[Place, int]
    facts_read: int
    misses: Mapping[Miss, int]


class _Tail:
    """One ledger partition on the way to being owned."""

    def __init__(self, topic: str, ledger: PartitionLedger, position: snapshots.Position | None) -> None:
        self.topic = topic
        self.ledger = ledger
        # A snapshot holds what the broker has acknowledged; should it have lost that again, the snapshot is of another
        # history. So reading begins with the last record that the snapshot counts, which must be there.
        self.start = position.last_offset if position else 0
        self.expected = position.decision if position else None
        self.facts_read = 0
        self.reader: _Reader = (
            ChainReader(position.decision, position.epoch, position.next_intake - 1) if position else ChainReader()
        )


class _NotOnTheLogError(Exception):
    """The record that a snapshot ends with is not on the log."""

    def __init__(self, tail: _Tail) -> None:
        super().__init__(f"the log of {tail.topic}/{tail.ledger.partition} lacks the last decision of the snapshot")
        self.tail = tail


def take_over(
    places: Mapping[Place, str], settings: Settings, services: Services, codec: Codec, hands: Hands, *, group: str
) -> TakenOver:
    """Ledgers of these places (by intake topic without prefix). Raises Fault where intake and ledger do not belong
    together.
    """
    tails: dict[Place, _Tail] = {}
    distrusted: set[tuple[str, int]] = set()

    def load(connection: psycopg.Connection[Any]) -> None:
        # One moment for all: a position and streams of two moments would not fit, and be thrown away.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for (topic, partition), name in places.items():
            ledger = PartitionLedger(name, partition, partitions=settings.partitions, codec=codec, epoch=settings.epoch)
            full_topic = services.topic(ledger.ledger_topic)
            trusted = (full_topic, partition) not in distrusted
            position = snapshots.load(connection, full_topic, ledger) if trusted else None
            tails[topic, partition] = _Tail(full_topic, ledger, position)

    failpoints.reach("ledger.takeover")
    while True:
        hands.with_database(load)
        try:
            ends = _read_tails(services, list(tails.values()), codec, hands, group)
        except snapshots.SnapshotMovedError as error:  # restored, or saved by a rival, in just this moment
            log.warning("takeover_begins_again", why=str(error))
            continue
        except _NotOnTheLogError as error:
            log.error("snapshot_not_on_the_log", why=str(error), hint="did a broker lose acknowledged records?")
            distrusted.add((error.tail.topic, error.tail.ledger.partition))
            continue
        ledgers = {place: tail.ledger for place, tail in tails.items()}
        _check_intake(services, ledgers)
        misses: Counter[Miss] = Counter()
        for tail in tails.values():
            if tail.facts_read and tail.ledger.memory.saved_offset < 0:
                known = (tail.topic, tail.ledger.partition) in distrusted
                why = "snapshot_not_on_the_log" if known else "no_snapshot"
                misses[Miss("takeover", why, tail.ledger.ledger_topic)] += tail.facts_read
        return TakenOver(
            ledgers,
            {place: ends[t.topic, t.ledger.partition] for place, t in tails.items()},
            sum(tail.facts_read for tail in tails.values()),
            misses,
        )


def _read_tails(
    services: Services, tails: Sequence[_Tail], codec: Codec, hands: Hands, group: str
) -> dict[tuple[str, int], int]:
    """Fold what stands on the ledger partitions behind the snapshots; the end of each."""
    by_place = {(tail.topic, tail.ledger.partition): tail for tail in tails}
    tail_reader = consumer(services, f"{group}-takeover")
    try:
        known = end_offsets(services, {tail.topic for tail in tails})
        ends = {place: known[place] for place in by_place}
        left = {place for place, tail in by_place.items() if tail.start < ends[place]}
        for place, tail in by_place.items():
            if tail.expected is not None and place not in left:
                raise _NotOnTheLogError(tail)
        tail_reader.assign([TopicPartition(*place, by_place[place].start) for place in left])
        while left and not hands.stop.is_set():
            accepted: list[tuple[PartitionLedger, str, dict[str, Any]]] = []
            for message in tail_reader.consume(TAIL_RECORDS_MAX, 0.1):
                if message.error() is not None:
                    log.warning("ledger_read_failed", error=str(message.error()))
                    continue
                place = (message.topic() or "", message.partition() or 0)
                offset = message.offset() or 0
                tail = by_place[place]
                if tail.expected is not None:
                    if (offset, _decision(codec, message)) != (tail.start, tail.expected):
                        raise _NotOnTheLogError(tail)
                    tail.expected = None
                elif offset < ends[place]:
                    tail.facts_read += 1
                    counted = _accepted(codec, tail.reader, message)
                    if counted:
                        tail.ledger.last_offset = offset
                    accepted += ((tail.ledger, *fact) for fact in counted)
                if offset >= ends[place] - 1:
                    left.discard(place)
            _fold(accepted, hands)
            # Records that nobody can see (markers of foreign transactions) end some partitions.
            for place, position in _positions(tail_reader, left):
                if position >= ends[place]:
                    left.discard(place)
    finally:
        tail_reader.close()
    return ends


def _fold(accepted: Sequence[tuple[PartitionLedger, str, dict[str, Any]]], hands: Hands) -> None:
    """Facts into the ledgers' states, once those that stand in a snapshot were fetched."""
    needs: dict[int, tuple[PartitionLedger, list[Need]]] = {}
    for ledger, _, record in accepted:
        memory = ledger.memory
        if memory.saved_offset >= 0 and (key := StreamKey.of(record)) not in memory.streams:
            needs.setdefault(id(ledger), (ledger, []))[1].append(Need(key, None))
    if needs:
        hands.fetch(list(needs.values()))
    for ledger, name, record in accepted:
        ledger.take_over(name, record)


def _decision(codec: Codec, message: Message) -> int | None:
    """The decision of the fact in this record."""
    value: Any = message.value()
    try:
        contract, record = codec.decode(value)
    except UndecodableError:
        return None
    return int(record["decision"]) if contract.is_fact else None


def _accepted(codec: Codec, reader: _Reader, message: Message) -> Sequence[tuple[str, dict[str, Any]]]:
    """The facts that count now that this record was read."""
    value: Any = message.value()
    try:
        contract, record = codec.decode(value)
    except UndecodableError as error:
        log.warning("foreign_bytes_on_ledger", offset=message.offset(), reason=error.reason)
        return ()
    if not contract.is_fact:
        return ()
    return reader.read(Link.of(record), (contract.name, record))


def _check_intake(services: Services, ledgers: Mapping[tuple[str, int], PartitionLedger]) -> None:
    """Fault where intake topics are not the ones that the ledger has answered."""
    topics = {topic for topic, _ in ledgers}
    firsts, ends = start_offsets(services, topics), end_offsets(services, topics)
    for place, ledger in ledgers.items():
        topic, partition = place
        if ledger.next_intake > ends[place]:
            raise Fault(
                f"{topic}/{partition} has {ends[place]} records, but the ledger has answered {ledger.next_intake}",
                "the intake topic was recreated, or the broker lost records",
                "if it was recreated on purpose, raise ORDER_LEDGER_EPOCH by one",
            )
        if firsts[place] > ledger.next_intake:
            log.error(
                "intake_hole",
                topic=topic,
                partition=partition,
                unanswered=firsts[place] - ledger.next_intake,
                hint="retention deleted commands before they were decided; ask the channels to send them again",
            )


def _positions(reader: Consumer, places: Iterable[tuple[str, int]]) -> list[tuple[tuple[str, int], int]]:
    asked = [TopicPartition(*place) for place in places]
    if not asked:
        return []
    with contextlib.suppress(KafkaException):  # not known yet: asked again in the next round
        return [((p.topic, p.partition), p.offset) for p in reader.position(asked)]
    return []
