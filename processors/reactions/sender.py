"""Commands of the reactions on their way to the intake topics.

sender.send(asked)      # returns when all of them are in Kafka
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from events.catalogue import COMMANDS
from events.envelope import INTERNAL_CHANNEL
from processors.reactions.asked import Asked
from runtime import failpoints
from runtime.errors import Fault
from runtime.kafka import producer
from runtime.services import Services
from schemas.codec import Codec

#: How long a batch may take to be acknowledged. librdkafka gives a record up after a minute (runtime.kafka), so this
#: is only reached when its own clock is stuck; shorter would give up while a broker restarts.
FLUSH_TIMEOUT_SECONDS = 90.0

#: A full local queue is waited for in steps of this: shorter spins, longer idles while there is room again.
QUEUE_FULL_PAUSE_SECONDS = 0.05


def encode(codec: Codec, asked: Asked) -> bytes:
    """The record as it stands in the intake topic."""
    around = _Sent(asked.id, asked.actor, asked.occurred_at, asked.correlation_id, asked.causation_id, asked.data)
    return codec.encode_record(COMMANDS[asked.name].schema, around)


class _Sent(NamedTuple):
    """A command with what is around it."""

    id: str
    actor: str
    occurred_at: datetime
    correlation_id: str | None
    causation_id: str | None
    data: Any
    channel: str = INTERNAL_CHANNEL
    expected_version: int | None = None


class Sender:
    """Sends batches of commands, each to the partition that its key hashes to (murmur2, as everywhere)."""

    def __init__(self, services: Services, codec: Codec) -> None:
        self._codec = codec
        self._topic = {name: services.topic(row.topic) for name, row in COMMANDS.items()}
        self._failed: KafkaError | None = None
        # Only failures are reported: a callback for each of 10,000 commands a second would cost as much as encoding
        # them.
        self._producer: Producer = producer(services, linger_ms=5, on_delivery=self._reported, **_ONLY_ERRORS)

    def _reported(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = error

    def send(self, batch: Sequence[Asked]) -> None:
        """Return when Kafka has acknowledged all of them. Raises Fault when one could not be delivered.

        After a Fault some may be there and some not: the same facts ask for the same commands again.
        """
        for asked in batch:
            failpoints.reach("reactions.before_command")
            value = encode(self._codec, asked)
            while True:
                try:
                    self._producer.produce(self._topic[asked.name], value=value, key=asked.key.encode())
                    break
                except BufferError:
                    self._producer.poll(QUEUE_FULL_PAUSE_SECONDS)
        if not batch:
            self._producer.poll(0)  # takes its word of each attempt to reach a broker that is away
            return
        failpoints.reach("reactions.before_flush")
        left = self._producer.flush(FLUSH_TIMEOUT_SECONDS)
        if left or self._failed is not None:
            raise Fault(
                "commands of the reactions could not be sent",
                f"{left} unanswered; {self._failed or 'no error reported'}",
                "look at the broker's log; the worker stops, and sends the same commands again after a restart",
            )


_ONLY_ERRORS: dict[str, Any] = {"delivery_report_only_error": True}
