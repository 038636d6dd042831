"""The progress of the ledger: what is still in flight between a command and the tables.

A record on an intake topic is in flight until the ledger's committed offset is past it; on a ledger topic, until the
positions of projector and reactions are past it. Nothing is in flight when all positions have reached the ends of all
topics and the ends have not moved meanwhile: a worker writes all results of a record before it moves its position.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import psycopg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg import sql

from events.catalogue import INTAKE_TOPICS, LEDGER_TOPICS
from gateway.operating.workers import WORKERS
from processors.ledger import WORKER as LEDGER
from processors.projector import WORKER as PROJECTOR
from processors.worker import Worker
from runtime.errors import Fault
from runtime.kafka import admin, consumer, end_offsets
from runtime.services import Services

#: The pause between two looks. Shorter asks the broker in vain, longer makes every caller wait. With much in flight,
#: looks are rarer, because each costs the broker as much as hundreds of records.
LOOK_SECONDS = 0.1
LOOK_SECONDS_MAX = 1.0
LOOK_AT_LEAST_RECORDS = 100_000
#: For one request for committed offsets, and for its repeats: on a new broker the group's topic takes seconds.
COMMITTED_SECONDS = 30.0
Offsets = Mapping[tuple[str, int], int]


class Flight(NamedTuple):
    """Records not yet decided, not yet reacted to, not yet in the tables, counted to the topics' `ends`."""

    undecided: int
    unanswered: int
    unprojected: int
    ends: Offsets

    @property
    def in_flight(self) -> int:
        return self.undecided + max(self.unanswered, self.unprojected)


class Gauge:
    """Measures what is in flight; reuses its clients between looks."""

    def __init__(self, services: Services, connection: psycopg.Connection[Any]) -> None:
        self._services = services
        self._connection = connection
        self._admin: AdminClient = admin(services)
        # Never subscribes: it only reads the group's committed offsets.
        self._committed = consumer(services, LEDGER.name)
        self._partitions: list[tuple[str, int]] = []
        self._intake = [services.topic(name) for name in INTAKE_TOPICS]
        self._ledger = [services.topic(name) for name in LEDGER_TOPICS]

    def decided(self) -> Offsets:
        """(full intake topic, partition) → next offset to decide, as the ledger has committed it."""
        places = [TopicPartition(topic, partition) for topic, partition in self._intake_partitions()]
        deadline = time.monotonic() + COMMITTED_SECONDS
        while True:
            try:
                found = self._committed.committed(places, timeout=COMMITTED_SECONDS)
                return {(p.topic, p.partition): max(0, p.offset) for p in found}
            except KafkaException as error:
                # A group's coordinator moves, or a new broker is just creating it; try again.
                if time.monotonic() > deadline:
                    raise Fault(
                        "the ledger's progress cannot be read",
                        str(error.args[0]),
                        "`order-ledger doctor` checks Kafka",
                    ) from error
                time.sleep(LOOK_SECONDS)

    def _intake_partitions(self) -> list[tuple[str, int]]:
        if not self._partitions:
            self._partitions = [place for place in self.ends() if place[0] in self._intake]
        return self._partitions

    def projected(self) -> Offsets:
        """(full ledger topic, partition) → next offset to project."""
        return self.followed(PROJECTOR)

    def followed(self, worker: Worker) -> Offsets:
        """(full ledger topic, partition) → next offset that this worker reads."""
        query = sql.SQL("SELECT topic, partition, next_offset FROM {} WHERE follower = %s")
        try:
            rows = self._connection.execute(query.format(sql.Identifier(worker.positions)), [worker.name]).fetchall()
        except psycopg.errors.UndefinedTable:  # the follower has not started yet: nothing is done
            self._connection.rollback()
            return {}
        self._connection.rollback()
        return {(self._services.topic(topic), partition): at for topic, partition, at in rows}

    def ends(self) -> Offsets:
        """(full topic, partition) → offset after the last record, of intake and ledger topics."""
        return end_offsets(self._services, [*self._intake, *self._ledger], self._admin)

    def ledger_ends(self) -> Offsets:
        """Like `ends`, but only for the ledger topics."""
        return end_offsets(self._services, self._ledger, self._admin)

    def look(self) -> Flight:
        """What is in flight now. The ends are read first; later records show in the next look."""
        ends = self.ends()
        ledger = {place: end for place, end in ends.items() if place[0] in self._ledger}
        intake = {place: end for place, end in ends.items() if place not in ledger}
        behind = {
            row.settles: _missing(*((intake, self.decided()) if row is LEDGER else (ledger, self.followed(row))))
            for row in WORKERS.values()
            if row.settles is not None
        }
        return Flight(**behind, ends=ends)


def settle(gauge: Gauge, timeout_seconds: float, on_look: Callable[[Flight], None] = lambda _: None) -> Flight:
    """Wait until nothing is in flight. Returns the last look; its `in_flight` is 0 except after a time-out."""
    deadline = time.monotonic() + timeout_seconds
    quiet: Offsets | None = None
    while True:
        flight = gauge.look()
        on_look(flight)
        if flight.in_flight == 0:
            if quiet == flight.ends:
                return flight
            quiet = flight.ends
            continue
        quiet = None
        if time.monotonic() > deadline:
            return flight
        time.sleep(min(LOOK_SECONDS_MAX, max(LOOK_SECONDS, flight.in_flight / LOOK_AT_LEAST_RECORDS)))


def wait_decided(
    gauge: Gauge,
    sent: Offsets,
    timeout_seconds: float,
    on_look: Callable[[], None] = lambda: None,
    answered: Callable[[], bool] = lambda: False,
) -> bool:
    """Wait until everything before the offsets in `sent` is decided and in the tables; False after a time-out.

    `answered` may return True earlier, because the ledger commits its progress up to a second after a decision.
    """
    deadline = time.monotonic() + timeout_seconds
    ends: Offsets | None = None
    while time.monotonic() < deadline:
        on_look()
        if answered():
            return True
        if ends is None and not _missing(sent, gauge.decided()):
            ends = gauge.ledger_ends()
        if ends is not None and not _missing(ends, gauge.projected()):
            return True
        time.sleep(LOOK_SECONDS / 4)
    return False


def _missing(wanted: Offsets, reached: Offsets) -> int:
    return sum(max(0, end - reached.get(place, 0)) for place, end in wanted.items())
