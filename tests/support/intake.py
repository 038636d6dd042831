"""An intake partition in memory and the ledger that decides it.

intake = Intake("intake.stock")
intake.send(record(receive(5), "wms-1"))         # Decided | Repeated | SetAside | Forwarded
intake.last()                                    # ("StockReceived", {...})
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from events.catalogue import COMMANDS
from events.chain import ChainReader, Link
from processors.ledger.partition import Decided, EncodedFact, PartitionLedger
from schemas.codec import Codec

CODEC = Codec()
NOW = datetime(2026, 11, 27, 18, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
DAY_MS = 86_400_000


def record(data: Any, command_id: str = "web-1", *, channel: str = "web", **envelope: Any) -> bytes:
    """A command as a channel sends it; `data` may be changed to what no struct would hold."""
    row = COMMANDS[type(data).__name__]
    plain = with_defaults(data) | envelope.pop("hostile", {})
    base = {
        "id": command_id,
        "channel": channel,
        "actor": None,
        "occurred_at": NOW,
        "expected_version": None,
        "correlation_id": None,
        "causation_id": None,
    }
    return CODEC.encode(row.schema, base | envelope | {"data": plain})


def with_defaults(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: with_defaults(getattr(value, name)) for name in value.__struct_fields__}
    return [with_defaults(one) for one in value] if isinstance(value, tuple) else value


class Intake:
    """An intake partition and the ledger that decides it; alone, it is home to all keys."""

    def __init__(
        self, topic: str = "intake.orders", *, partition: int = 0, partitions: int = 1, epoch: int = 0
    ) -> None:
        self.ledger = PartitionLedger(topic, partition, partitions=partitions, codec=CODEC, epoch=epoch)
        self.facts: list[EncodedFact] = []

    def send(self, value: bytes | None, *, at_ms: int = NOW_MS, key: bytes | None = b"k") -> Any:
        outcome = self.ledger.decide(self.ledger.next_intake, at_ms, key, value)
        if isinstance(outcome, Decided):
            self.facts += outcome.facts
        return outcome

    def decoded(self) -> list[tuple[str, dict[str, Any]]]:
        return [(contract.name, fact) for contract, fact in (CODEC.decode(fact.value) for fact in self.facts)]

    def last(self) -> tuple[str, dict[str, Any]]:
        return self.decoded()[-1]

    def refusal(self) -> tuple[str, int | None]:
        name, fact = self.last()
        assert name == "CommandRefused", name
        return fact["data"]["code"], fact["data"]["at_most"]


def taken_over(intake: Intake, count: int | None = None) -> Intake:
    """A new owner that has read the first `count` facts of the ledger partition by the reader's rule."""
    ledger = intake.ledger
    other = Intake(ledger.intake_topic, partition=ledger.partition, partitions=ledger.partitions, epoch=ledger.epoch)
    reader: ChainReader[tuple[str, dict[str, Any]]] = ChainReader()
    for name, fact in intake.decoded()[:count]:
        for accepted in reader.read(Link(*(fact[field] for field in Link._fields)), (name, fact)):
            other.ledger.take_over(*accepted)
    other.facts = list(
        intake.facts[: sum(fact["intake_offset"] < other.ledger.next_intake for _, fact in intake.decoded())]
    )
    return other
