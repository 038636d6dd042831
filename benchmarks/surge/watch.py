"""What is measured along a surge: once a second the whole, ten times a second where projector and reactions are.

All times are seconds since the beginning.
"""

from __future__ import annotations

import contextlib
import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psutil
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.machine import cpu_seconds, rss_mb
from benchmarks.ours import Ours
from benchmarks.place import Place
from benchmarks.subject import Connection
from benchmarks.surge.standing import GAP_SECONDS, Partition, Standstill, standstills
from events.catalogue import LEDGER_OF_INTAKE, LEDGER_TOPICS
from gateway.operating.settling import Gauge
from processors.subjects import codec_for
from projections.order_status.reader import count_all_by_status
from runtime.kafka import consumer, end_offsets
from runtime.postgres import connect
from runtime.services import Services

ROW_SECONDS = 1.0
#: How exactly a standstill of a follower is measured. More often costs PostgreSQL more queries.
POSITION_SECONDS = 0.1
FOLLOWERS = ("reactions", "projector")
#: Bounds a hang: to read the log of a surge takes seconds.
READ_SECONDS = 300.0


class Row(NamedTuple):
    """One second. `waiting` is records by worker; `cpu` (seconds so far) and `rss` (MB) are by process."""

    at: float
    sent: int
    visible: int
    waiting: Mapping[str, int]
    cpu: Mapping[str, float]
    rss: Mapping[str, float]


@dataclass
class Watch:
    """`sent` counts the orders sent so far."""

    place: Place
    subject: Ours
    sent: Callable[[], int]
    began: float
    rows: list[Row] = field(default_factory=list)
    moves: dict[str, dict[Partition, list[tuple[float, int]]]] = field(
        default_factory=lambda: {name: defaultdict(list) for name in FOLLOWERS}
    )
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        self._stop.set()

    def look(self, without: Sequence[int]) -> None:
        """A row a second until stopped. The backends `without` are the benchmark's own."""
        with connect(self.subject.services, "bench-watch", autocommit=True) as connection:
            gauge = Gauge(self.subject.services, connection)
            backends = [*without, connection.info.backend_pid]
            while not self._stop.wait(max(0.0, ROW_SECONDS - (self._now % ROW_SECONDS))):
                self.rows.append(self._row(gauge, connection, backends))

    def _row(self, gauge: Gauge, connection: Connection, backends: Sequence[int]) -> Row:
        at, sent = self._now, self.sent()
        visible = count_all_by_status(connection).get("allocated", 0)
        flight = gauge.look()
        waiting = {"ledger": flight.undecided, "reactions": flight.unanswered, "projector": flight.unprojected}
        pids = self.subject.processes()
        cpu: dict[str, float] = {}
        rss: dict[str, float] = {}
        for name, pid in pids.items():
            with contextlib.suppress(psutil.NoSuchProcess):  # it was taken away just now
                cpu[name], rss[name] = cpu_seconds(pid), rss_mb(pid)
        cpu["Kafka"] = cpu_seconds(self.place.kafka_pid)
        cpu["PostgreSQL"] = cpu_seconds(self.place.postgres_pid, without=backends)
        # A backend that is just ending is counted nowhere, or twice.
        before = self.rows[-1].cpu if self.rows else {}
        cpu = {name: max(seconds, before.get(name, 0.0)) for name, seconds in cpu.items()}
        return Row(at, sent, visible, waiting, cpu, rss)

    def follow(self, connection: Connection) -> None:
        """Note each move of projector and reactions, until stopped."""
        last: dict[tuple[str, str, int], int] = {}
        query = "SELECT follower, topic, partition, next_offset FROM follower_positions"
        while not self._stop.wait(POSITION_SECONDS):
            now = self._now
            for follower, topic, partition, at in connection.execute(query).fetchall():
                if follower in self.moves and last.get((follower, topic, partition)) != at:
                    last[follower, topic, partition] = at
                    self.moves[follower][topic, partition].append((now, at))

    @property
    def _now(self) -> float:
        return time.monotonic() - self.began


def owners(client: AdminClient, services: Services, worker: str) -> dict[Partition, str]:
    """Which member has each partition, by the ledger topic of that number."""
    group = services.group(worker)
    described = client.describe_consumer_groups([group], request_timeout=10.0)[group].result()
    found = {}
    for member in described.members:
        for one in member.assignment.topic_partitions if member.assignment is not None else ():
            topic = one.topic.removeprefix(services.topic_prefix)
            found[LEDGER_OF_INTAKE.get(topic, topic), one.partition] = member.member_id
    return found


class Log(NamedTuple):
    """A ledger partition: when each fact was written, and pauses of the ledger while a command waited."""

    written: Sequence[float]
    stood: Sequence[Standstill]


def read_log(services: Services, began_at: float) -> dict[Partition, Log]:
    """All ledger partitions. `began_at` is the beginning by the clock of the machine, which is the broker's, too.

    A fact has the time at which the ledger sent it, and in it the time at which its command had come.
    """
    codec = codec_for(None, services.topic_prefix)
    written: dict[Partition, array[float]] = defaultdict(lambda: array("d"))
    stood: dict[Partition, list[Standstill]] = defaultdict(list)
    for message in _messages(services):
        partition = message.topic().removeprefix(services.topic_prefix), message.partition()
        at = message.timestamp()[1] / 1000 - began_at
        times = written[partition]
        # Decided, not sent, is what a pause is about: the facts of one batch are sent together.
        if times and at - times[-1] >= GAP_SECONDS:
            _, fact = codec.decode(message.value())
            came = fact["recorded_at"].timestamp() - began_at
            stood[partition].append(Standstill(max(times[-1], min(came, at)), at))
        times.append(at)
    return {partition: Log(times, stood[partition]) for partition, times in written.items()}


def _messages(services: Services) -> Iterator[Any]:
    ends = end_offsets(services, [services.topic(name) for name in LEDGER_TOPICS])
    left = sum(ends.values())
    reader = consumer(services, "bench-read")
    try:
        reader.assign([TopicPartition(topic, partition, 0) for topic, partition in ends])
        deadline = time.monotonic() + READ_SECONDS
        while left > 0:
            for message in reader.consume(10_000, 0.5):
                if message.error() is None:
                    left -= 1
                    yield message
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left:,} facts were not read within {READ_SECONDS:.0f} s")
    finally:
        reader.close()


class Stood(NamedTuple):
    """Of one kind of worker: every standstill, and when each partition moved."""

    still: Mapping[Partition, Sequence[Standstill]]
    moved_at: Mapping[Partition, Sequence[float]]


def stood_still(watch: Watch, log: Mapping[Partition, Log]) -> dict[str, Stood]:
    """By worker. What is known of followers is exact to POSITION_SECONDS."""
    found = {
        "ledger": Stood(
            {partition: one.stood for partition, one in log.items()},
            {partition: one.written for partition, one in log.items()},
        )
    }
    for follower, partitions in watch.moves.items():
        found[follower] = Stood(
            {
                partition: list(standstills(moves, log[partition].written if partition in log else ()))
                for partition, moves in partitions.items()
            },
            {partition: [at for at, _ in moves] for partition, moves in partitions.items()},
        )
    return found
