"""Requests to both services; if one cannot answer, the command ends with an error."""

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
    """The running services; ends the command if they do not run."""
    try:
        return find_services(Settings())
    except Fault as error:
        fail_with(error)


def codec() -> Codec:
    """The codec for their records."""
    services = running_services()
    return codec_for(services.schema_registry, services.topic_prefix)


def asked(question: Callable[[Services], Answer]) -> Answer:
    """The services' answer; ends the command if there is none."""
    try:
        return question(running_services())
    except (Fault, KafkaException) as error:
        fail_with(error)


def fail_with(error: Exception) -> NoReturn:
    """End the command with this error."""
    if isinstance(error, Fault):
        fail(error.what, error.detail, error.hint)
    service = "PostgreSQL" if isinstance(error, psycopg.Error) else "Kafka"
    fail(f"{service} could not answer", str(error).strip(), "`order-ledger doctor` shows what is reachable")
