"""The topics as bytes: read whole, written to as anybody could; and the rows of a schema.

for record in read_topics(env, ("intake.orders",)): record.place, record.value
places = write(env, [("intake.orders", 3, b"key", b"no command")])
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from projections.catalogue import PROJECTIONS
from runtime.kafka import end_offsets, producer
from tests.support.oracle import INTAKE, LEDGER

__all__ = ["INTAKE", "LEDGER", "Raw", "read_topics", "rows_of", "table_names", "write"]

#: Time for Kafka to take or to hand out a batch: a busy machine needs a second, a hang must still end with a message.
PATIENCE_SECONDS = 60.0


class Raw(NamedTuple):
    """A record as it stands in Kafka; `topic` without prefix, `timestamp_ms` as the broker (or the writer) set it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def place(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


def read_topics(env: Any, topics: Sequence[str]) -> list[Raw]:
    """Every record that the topics hold now, in the order of each partition."""
    prefix = env.services.topic_prefix
    reader = Consumer({**env.services.kafka_config, "group.id": f"{prefix}raw", "enable.auto.commit": False})
    try:
        ends = end_offsets(env.services, [prefix + name for name in topics])
        left = {place for place, end in ends.items() if end}
        reader.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in left])
        records = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left:
            assert time.monotonic() < deadline, f"Kafka does not hand out {sorted(left)}"
            for message in reader.consume(10_000, 0.2):
                if message.error() is not None:
                    continue  # a leader that is just found out; the record comes all the same
                place = (str(message.topic()), int(message.partition() or 0))
                offset = int(message.offset() or 0)
                if offset < ends[place]:
                    records.append(_raw(message, prefix))
                if offset + 1 >= ends[place]:
                    left.discard(place)
        return records
    finally:
        reader.close()


def _raw(message: Message, prefix: str) -> Raw:
    key: Any = message.key()
    value: Any = message.value()
    topic = str(message.topic()).removeprefix(prefix)
    headers: Any = message.headers() or ()
    number, offset = int(message.partition() or 0), int(message.offset() or 0)
    return Raw(topic, number, offset, message.timestamp()[1], key, value, tuple(headers))


def write(
    env: Any, records: Iterable[tuple[str, int, bytes | None, bytes | None]], **settings: Any
) -> list[tuple[str, int, int]]:
    """Put (topic, partition, key, value) on their topics, in this order; the place that each one got."""
    sender = producer(env.services, **settings)
    places: dict[int, tuple[str, int, int]] = {}
    failed = []
    count = 0

    for topic, partition, key, value in records:

        def delivered(error: Any, message: Message, number: int = count, topic: str = topic) -> None:
            if error is not None:
                failed.append(str(error))
            places[number] = (topic, int(message.partition() or 0), int(message.offset() or 0))

        sender.produce(env.services.topic(topic), value, key, partition, on_delivery=delivered)
        sender.poll(0)
        count += 1
    assert sender.flush(PATIENCE_SECONDS) == 0, "Kafka did not take the records in time"
    assert not failed, failed[:3]
    return [places[number] for number in range(count)]


def rows_of(connection: Any, schema: str, names: Iterable[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tables in a schema, as text, sorted."""
    return {
        name: sorted(connection.execute(f"SELECT to_jsonb(t)::text FROM {schema}.{name} AS t").fetchall())
        for name in names
    }


def table_names() -> list[str]:
    """The tables of all projections."""
    return sorted(table.name for projection in PROJECTIONS.values() for table in projection.tables)
