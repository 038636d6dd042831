"""Members of a group: the protocol and the session that the settings ask for, and what is told when one is shut out."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from confluent_kafka import KafkaError

from runtime.errors import Fault
from runtime.kafka import TopicSpec, consumer, create_topics, is_fatal, producer
from runtime.settings import Settings

PATIENCE_SECONDS = 60.0


def test_group_settings_reach_consumers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_LEDGER_KAFKA", "broker:9092")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_GROUP_PROTOCOL", "consumer")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SESSION_TIMEOUT_SECONDS", "2.5")
    settings = Settings()
    assert settings.kafka_client_config() == {"bootstrap.servers": "broker:9092"}
    assert settings.kafka_consumer_config() == {"group.protocol": "consumer", "session.timeout.ms": "2500"}
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_GROUP_PROTOCOL", "modern")
    with pytest.raises(Fault, match="ORDER_LEDGER_KAFKA_GROUP_PROTOCOL is 'modern'"):
        Settings()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_member_of_either_protocol_reads_and_a_second_life_is_let_in(ledger_env: Any, protocol: str) -> None:
    """The first life says no word, as after a crash. By the classic protocol the second has its partitions at once.
    Under `consumer` the broker keeps the name of a worker that has died until its session is over; so the name is not
    used there, and the second life is a new member.

    Seen to fail: with the name it got a fatal error ("The instance ID is still used by another member"), once, in an
    event that is not marked as fatal, and was silent from then on.
    """
    services = dataclasses.replace(
        ledger_env.services, consumer_config={"group.protocol": protocol, "session.timeout.ms": "3000"}
    )
    topic = services.topic("read")
    create_topics(services, [TopicSpec(topic, 2)])
    sender = producer(services)
    sender.produce(topic, b"one")
    assert sender.flush(PATIENCE_SECONDS) == 0
    first = consumer(services, "readers", group_instance_id="me")
    first.subscribe([topic])
    assert _value(first) == b"one"
    second = consumer(services, "readers", group_instance_id="me")
    told: list[int] = []
    second.subscribe([topic], on_assign=lambda _, partitions: told.append(len(partitions)))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(told) and time.monotonic() < deadline:
        if protocol == "consumer":
            first.poll(0)  # lives on beside it, and shares: nobody waits here until the broker has given it up
        message = second.poll(0.1)
        assert message is None or message.error() is None or not is_fatal(message.error()), message.error()
    assert told[-1:] == [2 if protocol == "classic" else 1]
    second.close()
    first.close()


def _value(reader: Any) -> bytes | None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        message = reader.poll(0.2)
        if message is not None:
            error = message.error()
            assert error is None or not is_fatal(error), error
            if error is None:
                value: bytes = message.value()
                return value
    return None


def test_a_fatal_error_is_known_although_its_event_is_not_marked_as_one() -> None:
    assert is_fatal(KafkaError(KafkaError._FATAL))
    assert not is_fatal(KafkaError(KafkaError._TRANSPORT))
