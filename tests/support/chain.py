"""Facts as they stand in a ledger partition, for tests of readers: bytes with a valid chain around them.

    log = ChainLog("ledger.orders", 0)
    log.decide("order-1", order_placed)                      # a decision of one fact
    log.decide("order-1", allocated, allocated_2)            # … of two
    log.records                                              # what a consumer would hand out

Facts are the structs of `events.*.facts`, or (name, data) where a test wants to leave the types.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from events.catalogue import FACTS, REFUSAL_SCHEMA
from events.chain import GENESIS, digest
from schemas.codec import Codec
from schemas.contracts import newest
from tests.support.plain_avro import encode_around, encode_data

#: Log time of the first decision; each later one is a second later.
BEGINNING = datetime(2026, 11, 27, 18, tzinfo=UTC)

CODEC = Codec()


@dataclass(slots=True)
class FactRecord:
    """A record as a consumer hands it out: the methods of `confluent_kafka.Message` that readers use."""

    topic_name: str
    partition_number: int
    position: int
    key_bytes: bytes | None
    value_bytes: bytes | None

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

    def headers(self) -> list[tuple[str, bytes | None]]:
        return []

    def error(self) -> None:
        return None


class ChainLog:
    """A ledger partition in memory. `records` may be shortened, repeated and mixed as a test likes."""

    def __init__(self, topic: str = "ledger.orders", partition: int = 0, *, last: int = GENESIS) -> None:
        self.topic = topic
        self.partition = partition
        self.last = last
        self.intake_offset = -1
        self.records: list[FactRecord] = []
        self._versions: dict[tuple[str, str], int] = {}

    def decide(
        self,
        stream_id: str,
        *facts: Any,
        channel: str = "web",
        command_id: str | None = None,
        occurred_at: datetime | None = None,
        recorded_at: datetime | None = None,
    ) -> list[FactRecord]:
        """Append a decision of these facts; its records."""
        self.intake_offset += 1
        return self.append(
            self.encode(
                stream_id,
                *facts,
                channel=channel,
                command_id=command_id,
                occurred_at=occurred_at,
                recorded_at=recorded_at,
            ),
            stream_id.encode(),
        )

    def encode(
        self,
        stream_id: str,
        *facts: Any,
        channel: str = "web",
        command_id: str | None = None,
        occurred_at: datetime | None = None,
        recorded_at: datetime | None = None,
    ) -> list[bytes]:
        """The bytes of a decision that follows the last one."""
        at = recorded_at or BEGINNING + timedelta(seconds=self.intake_offset)
        named = [named_fact(fact) for fact in facts]
        encoded = [(name, encode_data(name, data)) for name, data in named]
        decision = digest(self.last, 0, self.intake_offset, encoded)
        values = []
        for index, (name, data) in enumerate(encoded, start=1):
            stream = (self._kind(name), stream_id)
            version = self._versions[stream] = self._versions.get(stream, 0) + 1
            envelope: dict[str, Any] = {
                "event_id": f"{self.topic}/{self.partition}/{self.intake_offset}/{index}",
                "stream_id": stream_id,
                "stream_kind": stream[0],
                "version": version,
                "decision": decision,
                "follows": self.last,
                "index": index,
                "count": len(encoded),
                "epoch": 0,
                "intake_offset": self.intake_offset,
                "occurred_at": occurred_at or at,
                "recorded_at": at,
                "command_id": command_id or f"{self.topic}/{self.partition}/{self.intake_offset}",
                "correlation_id": stream_id,
                "causation_id": None,
                "channel": channel,
                "actor": None,
            }
            for field in newest(name).schema["fields"][:-1]:
                # Fields that came into the envelope later, and that no test here is about.
                envelope.setdefault(field["name"], 0 if field["type"] == "long" else "")
            values.append(encode_around(CODEC, name, envelope, data))
        self.last = decision
        return values

    def _kind(self, full_name: str) -> str:
        """The kind of stream that a fact stands in; a refusal stands in any."""
        name = full_name.rpartition(".")[2]
        of_topic = {"ledger.orders": "order", "ledger.stock": "stock", "ledger.service": "case"}
        return FACTS[name].kind if name in FACTS else of_topic[self.topic]

    def append(self, values: list[bytes] | list[bytes | None], key: bytes | None = None) -> list[FactRecord]:
        """Put bytes at the end of the log, whatever they are; their records."""
        first = self.records[-1].position + 1 if self.records else 0
        added = [
            FactRecord(self.topic, self.partition, first + number, key, value) for number, value in enumerate(values)
        ]
        self.records += added
        return added


def named_fact(fact: Any) -> tuple[str, dict[str, Any]]:
    """Full name and plain data of a fact's struct, or of (name, data)."""
    if isinstance(fact, tuple):
        name, data = fact
    else:
        name = type(fact).__name__
        data = msgspec.to_builtins(fact, builtin_types=(datetime,))
    full_name = full_name_of(name)
    return full_name, _complete(newest(full_name).schema["fields"][-1]["type"], data)


def full_name_of(name: str) -> str:
    """The Avro name of a fact."""
    return FACTS[name].schema if name in FACTS else REFUSAL_SCHEMA


def _complete(record: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Structs leave optional fields out; Avro's writer takes them as their defaults, at every depth."""
    return {field["name"]: data[field["name"]] for field in record["fields"] if field["name"] in data}
