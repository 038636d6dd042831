"""Questions to both services, with an answer in words where one of them cannot be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

import psycopg
from confluent_kafka import KafkaException

from gateway.cli.terminal import fail
from processors.subjects import codec_for
from runtime.errors import Fault
from runtime.services import Services, find_services
from runtime.settings import Settings
from schemas.codec import Codec

Answer = TypeVar("Answer")


def running_services() -> Services:
    """The services that run; ends the command where they do not."""
    try:
        return find_services(Settings())
    except Fault as error:
        fail_with(error)


def codec() -> Codec:
    """What reads and writes their records."""
    services = running_services()
    return codec_for(services.schema_registry, services.topic_prefix)


def asked(question: Callable[[Services], Answer]) -> Answer:
    """What the services answer; ends the command where they do not."""
    try:
        return question(running_services())
    except (Fault, KafkaException) as error:
        fail_with(error)


def fail_with(error: Exception) -> NoReturn:
    """End the command with what went wrong."""
    if isinstance(error, Fault):
        fail(error.what, error.detail, error.hint)
    service = "PostgreSQL" if isinstance(error, psycopg.Error) else "Kafka"
    fail(f"{service} could not answer", str(error).strip(), "`order-ledger doctor` shows what is reachable")
