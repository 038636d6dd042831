"""Kafka and PostgreSQL in memory, as far as the shells under test use them; their faults are calls.

    broker = Broker(partitions=2)
    broker.append("intake.orders", 0, key, value, at)      # → offset; whoever listens is told
    database = Database()                                  # what a ledger writer's snapshots need

`Producer` and `Consumer` stand where the writer's shell expects those of confluent_kafka. A produced record is on its
way until the simulation says that the broker has it; acknowledgements come with `poll`, as they do in librdkafka.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from confluent_kafka import KafkaError, TopicPartition
from psycopg import sql

from schemas.codec import Codec
from schemas.contracts import Contract

Place = tuple[str, int]
"""(topic, partition)."""

BEGINNING = datetime(2026, 11, 27, 18, tzinfo=UTC)


class RememberingCodec(Codec):
    """The real codec; what was decoded once is not decoded again, for a run reads the same bytes a dozen times."""

    def __init__(self) -> None:
        super().__init__()
        self._decoded: dict[bytes, tuple[Contract, dict[str, Any]]] = {}

    def decode(self, value: bytes | None) -> tuple[Contract, dict[str, Any]]:
        known = self._decoded.get(value) if value is not None else None
        if known is None:
            known = super().decode(value)
            assert value is not None
            self._decoded[value] = known
        return known

    def forget(self) -> None:
        """Before the next run."""
        self._decoded.clear()


class Message(NamedTuple):
    """A record as a consumer hands it out: the methods of `confluent_kafka.Message` that are used."""

    topic_name: str
    partition_number: int
    position: int
    key_bytes: bytes | None
    value_bytes: bytes | None
    at_ms: int

    def topic(self) -> str:
        return self.topic_name

    def partition(self) -> int:
        return self.partition_number

    def offset(self) -> int:
        return self.position

    def key(self) -> bytes | None:
        return self.key_bytes

    def value(self) -> bytes | None:
        return self.value_bytes

    def timestamp(self) -> tuple[int, int]:
        return 2, self.at_ms

    def headers(self) -> None:
        return None

    def error(self) -> None:
        return None


class Clock:
    """The world's time. `broker_ms` is what a broker stamps: it may lie a little, also backwards."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self.broker_lag = timedelta(0)

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @property
    def broker_ms(self) -> int:
        return int((self.now - self.broker_lag).timestamp() * 1000)


class Broker:
    """Partitions as lists; `listeners` are told of each record by topic prefix.

    Partitions that are `away` take nothing; what they hold can still be read.
    """

    def __init__(self, partitions: int, clock: Clock) -> None:
        self.partitions = partitions
        self.clock = clock
        self.logs: dict[Place, list[Message]] = defaultdict(list)
        self.listeners: list[tuple[str, Callable[[Message], None]]] = []
        self.away: set[Place] = set()

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> Message:
        """The record as it stands now."""
        log = self.logs[topic, partition]
        message = Message(topic, partition, len(log), key, value, self.clock.broker_ms)
        log.append(message)
        for prefix, listener in self.listeners:
            if topic.startswith(prefix):
                listener(message)
        return message

    def places(self, topics: Iterable[str]) -> list[Place]:
        return [(topic, partition) for topic in topics for partition in range(self.partitions)]

    def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        return {place: len(self.logs[place]) for place in self.places(topics)}


class OnItsWay(NamedTuple):
    """A produced record; `delivered` is the callback."""

    key: bytes | None
    value: bytes | None
    delivered: Callable[[KafkaError | None, Any], None]


LOST = KafkaError(KafkaError._MSG_TIMED_OUT)


class Producer:
    """Records wait per partition until the broker takes them (`advance`) or loses them (`lose`)."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.waiting: dict[Place, deque[OnItsWay]] = defaultdict(deque)
        self._said: deque[Callable[[], None]] = deque()
        #: How many records a flush still brings to the broker before it gives up; None: all of them.
        self.flush_reaches: int | None = None

    def produce(  # noqa: PLR0917 - the client's own signature
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        delivered: Callable[[KafkaError | None, Any], None],
        headers: Any = None,
    ) -> None:
        self.waiting[topic, max(partition, 0)].append(OnItsWay(key, value, delivered))

    def poll(self, _seconds: float = 0) -> int:
        """Tell what the broker has said since."""
        count = 0
        while self._said:
            self._said.popleft()()
            count += 1
        return count

    def flush(self, _seconds: float = 0) -> int:
        for place in list(self.waiting):
            self.advance(place, len(self.waiting[place]) if self.flush_reaches is None else self.flush_reaches)
        self.poll()
        return sum(map(len, self.waiting.values()))

    def advance(self, place: Place, count: int) -> int:
        """The broker takes the next `count` records of a partition; how many there were."""
        waiting = self.waiting[place]
        taken = 0
        while waiting and taken < count and place not in self._broker.away:
            one = waiting.popleft()
            message = self._broker.append(*place, one.key, one.value)
            self._said.append(lambda one=one, message=message: one.delivered(None, message))
            taken += 1
        return taken

    def lose(self, place: Place, first: int, count: int) -> int:
        """Records on their way are lost, those behind them are not; the sender will be told."""
        waiting = list(self.waiting[place])
        lost = waiting[first : first + count]
        del waiting[first : first + count]
        self.waiting[place] = deque(waiting)
        for one in lost:
            self._said.append(lambda one=one: one.delivered(LOST, None))
        return len(lost)


class Consumer:
    """Reads assigned partitions from where it was told to; serves also the reader of a takeover."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.at: dict[Place, int] = {}
        self.committed: dict[Place, int] = {}

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.at = {(p.topic, p.partition): p.offset for p in partitions}

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.at |= {(p.topic, p.partition): p.offset for p in partitions}

    def incremental_unassign(self, partitions: Sequence[TopicPartition]) -> None:
        for p in partitions:
            self.at.pop((p.topic, p.partition), None)

    def seek(self, p: TopicPartition) -> None:
        if (p.topic, p.partition) in self.at:
            self.at[p.topic, p.partition] = p.offset

    def position(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition, self.at[p.topic, p.partition]) for p in partitions]

    def consume(self, count: int, _seconds: float = 0) -> list[Message]:
        found: list[Message] = []
        for place, offset in self.at.items():
            records = self._broker.logs[place][offset : offset + count - len(found)]
            self.at[place] = offset + len(records)
            found += records
            if len(found) >= count:
                break
        return found

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        del asynchronous
        self.committed |= {(p.topic, p.partition): p.offset for p in offsets}

    def close(self) -> None:
        """Nothing is held open."""


class Database:
    """The tables of snapshots, behind the few calls that `processors.ledger.snapshots` makes of a connection."""

    isolation_level: Any = None

    def __init__(self) -> None:
        self.positions: dict[Place, tuple[Any, ...]] = {}
        self.streams: dict[Place, dict[tuple[str, str], tuple[int, bytes]]] = defaultdict(dict)
        self.answers: dict[Place, dict[tuple[int, int], tuple[int, int]]] = defaultdict(dict)
        self._rows: list[tuple[Any, ...]] = []
        self.staged: dict[str, list[tuple[Any, ...]]] = {}
        self.rowcount = 0

    def backup(self) -> Database:
        """A copy to restore from."""
        backup = Database()
        backup.restore(self, streams=True)
        return backup

    def restore(self, backup: Database, *, streams: bool) -> None:
        """Go back to a backup; without `streams` the other tables stay as they are: one was restored by itself."""
        self.positions = dict(backup.positions)
        if streams:
            self.streams = defaultdict(dict, {place: dict(rows) for place, rows in backup.streams.items()})
            self.answers = defaultdict(dict, {place: dict(rows) for place, rows in backup.answers.items()})

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Every call is its own transaction; none is cut in the middle."""

    def transaction(self) -> Database:
        return self

    def cursor(self, *, binary: bool = False) -> Database:
        del binary
        return self

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None

    def copy(self, query: str, _values: Sequence[Any] = ()) -> _Copy:
        return _Copy(self, query.split()[1], _values)

    def execute(self, query: str, values: Sequence[Any] = ()) -> Database:
        match _statement(query):
            case "SELECT", "ledger_positions":
                row = self.positions.get((values[0], values[1]))
                self._rows = [] if row is None else [row]
            case "SELECT", "ledger_streams" if "ledger_answers" in query:
                places, streams, answers = zip(*values[:2], strict=True), self.streams, self.answers
                self._rows = [
                    (*place, streams[place].get(("", ""), (-1,))[0], answers[place].get((0, 0), (-1,))[0])
                    for place in places
                ]
            case "SELECT", "ledger_streams":
                self._rows = [
                    (topic, partition, kind, stream_id, *self.streams[topic, partition][kind, stream_id])
                    for topic, partition, kind, stream_id in zip(*values, strict=True)
                    if (kind, stream_id) in self.streams[topic, partition]
                ]
            case "SELECT", "ledger_answers":
                self._rows = [
                    (topic, partition, command, body, day, reused_by)
                    for topic, partition, wanted in zip(*values, strict=True)
                    for (command, reused_by), (body, day) in self.answers[topic, partition].items()
                    if command == wanted
                ]
            case "INSERT", "ledger_positions":
                topic, partition, *position = values
                self.positions[topic, partition] = tuple(position)
            case "INSERT", "ledger_streams":
                self.streams[values[0], values[1]] |= {
                    (kind, stream_id): (version, state)
                    for kind, stream_id, version, state in self.staged.pop("staged_streams")
                }
            case "INSERT", "ledger_answers":
                self.answers[values[0], values[1]] |= {
                    (command, reused_by): (body, day)
                    for command, reused_by, body, day in self.staged.pop("staged_answers")
                }
            case "DELETE", "ledger_streams":
                self.streams[values[0], values[1]].clear()
            case "DELETE", "ledger_answers":
                kept = self.answers[values[0], values[1]] if len(values) == 3 else {}
                self.answers[values[0], values[1]] = {k: row for k, row in kept.items() if row[1] >= values[2]}
            case (("CREATE" | "SELECT" | "DO"), _):
                self._rows = []
            case other:
                raise AssertionError(f"the database in memory does not know {other}: {query}")
        return self

    def executemany(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        match _statement(query):
            case "INSERT", "forwarded_commands" | "slow_paths":
                pass  # counted for people only
            case other:
                raise AssertionError(f"the database in memory does not know {other}: {query}")


class _Copy:
    """COPY into a staging table, or of the commands that have an answer, in PostgreSQL's binary format."""

    def __init__(self, database: Database, table: str, values: Sequence[Any]) -> None:
        if table.startswith("staged_"):
            self.write_row = database.staged.setdefault(table, []).append
        else:
            answers = database.answers[values[0], values[1]]
            self._rows = [struct.pack(">hiq", 1, 8, command) for command, _ in answers if command]

    def set_types(self, _: Sequence[str]) -> None:
        """Rows are kept as they are."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
        yield from self._rows
        yield struct.pack(">h", -1)


def _statement(query: str | sql.Composed) -> tuple[str, str]:
    words = re.findall(r"\w+", query if isinstance(query, str) else query.as_string())
    table = next((word for word in words if word.startswith(("ledger_", "forwarded_", "slow_"))), "")
    return words[0], table
