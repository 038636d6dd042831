"""Sends what a channel would send."""

from __future__ import annotations

import sys

from confluent_kafka import KafkaError, Message, Producer

from benchmarks.subject import Record


class Sender:
    """A producer with the settings of a channel; `linger_ms` 0 for a lone order."""

    def __init__(self, kafka: str, linger_ms: int) -> None:
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "linger.ms": linger_ms,
                "compression.type": "lz4",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                # Its servers go away before it does; what cannot be delivered is told by `finish`.
                "log_level": 2,
                "queue.buffering.max.messages": 1_000_000,
            }
        )

    def send(self, record: Record) -> None:
        self._producer.produce(record.topic, record.value, record.key, on_delivery=self._report)
        self._producer.poll(0)

    def _report(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)

    def finish(self) -> None:
        while self._producer.flush(1.0):
            pass
        if self._failed:
            sys.exit(f"Kafka did not take {len(self._failed)} records: {self._failed[0]}")
