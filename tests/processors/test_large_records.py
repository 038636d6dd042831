"""Records that are larger than a topic takes must neither stop a partition nor get lost."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from processors.dead_letters import ORIGINAL_BYTES_MAX, Place, dead_letter_headers
from processors.ledger.partition import FACT_BYTES_MAX, Decided, PartitionLedger
from processors.topics import COMMAND_RECORD_BYTES_MAX, DEAD_LETTER_BYTES_MAX, FACT_RECORD_BYTES_MAX
from runtime.kafka import _PRODUCER
from schemas.codec import Codec
from tests.events import builders as b
from tests.support.intake import NOW_MS, record

CODEC = Codec()


def _large(order_id: str, texts: int) -> bytes:
    """PlaceOrder with so many notes of 4,000 characters."""
    order = b.place(order_id=order_id)
    line = replace(order.lines[0], attributes={f"note {number}": "x" * 4_000 for number in range(texts)})
    return record(replace(order, lines=(line,)), f"of {order_id}")


def _decide(ledger: PartitionLedger, value: bytes) -> list[tuple[str, dict[str, Any]]]:
    outcome = ledger.decide(ledger.next_intake, NOW_MS, b"k", value)
    assert isinstance(outcome, Decided), outcome
    return [(contract.name, fact) for contract, fact in (CODEC.decode(fact.value) for fact in outcome.facts)]


def test_what_would_not_fit_into_a_fact_is_refused_and_leaves_the_order_as_it_was() -> None:
    ledger = PartitionLedger("intake.orders", 0, partitions=1, codec=CODEC)
    ((name, fact),) = _decide(ledger, _large("o-1", FACT_BYTES_MAX // 4_000 + 1))
    assert name == "CommandRefused"
    assert fact["data"]["code"] == "limit"
    assert fact["version"] == 1
    assert "5,000,000" in fact["data"]["detail"]
    ((name, fact),) = _decide(ledger, record(b.place(order_id="o-1"), "smaller"))
    assert (name, fact["version"]) == ("OrderPlaced", 2)


def test_the_largest_command_a_topic_takes_becomes_a_fact_that_its_topic_takes() -> None:
    ledger = PartitionLedger("intake.orders", 0, partitions=1, codec=CODEC)
    command = _large("o-1", COMMAND_RECORD_BYTES_MAX // 4_050)
    assert len(command) > 1_100_000
    ((name, _),) = _decide(ledger, command)
    assert name == "OrderPlaced"


def test_each_topic_takes_what_comes_to_it_from_the_others() -> None:
    said_about_it = sum(len(name) + len(value or b"") for name, value in _headers_of_many())
    assert FACT_RECORD_BYTES_MAX > FACT_BYTES_MAX
    assert FACT_RECORD_BYTES_MAX + said_about_it < DEAD_LETTER_BYTES_MAX
    assert _PRODUCER["message.max.bytes"] > DEAD_LETTER_BYTES_MAX


def test_of_very_many_headers_only_the_first_are_kept_and_it_says_so() -> None:
    kept = _headers_of_many()
    assert kept[-1] == ("headers_left_out", b"true")
    assert ("original.0", b"") in kept
    assert sum(len(name) + len(value or b"") for name, value in kept) < ORIGINAL_BYTES_MAX + 10_000


def _headers_of_many() -> list[tuple[str, bytes | None]]:
    original = [(str(number), b"") for number in range(300_000)]
    return dead_letter_headers(Place("intake.orders", 0, 0), "no_frame", "ü" * 5_000, original)
