"""Kafka and PostgreSQL in Docker, for tests on a machine with a Docker engine; testcontainers removes them later."""

from __future__ import annotations

from typing import Any

from runtime.embedded.jars import pinned_version

_started: list[Any] = []  # containers live as long as this process; then testcontainers' reaper ends them


def docker_answers() -> bool:
    """Whether this process can use a Docker engine: not without an engine, its Python client, or permission."""
    try:
        import docker
        from docker.errors import DockerException
    except ImportError:
        return False
    try:
        client = docker.from_env(timeout=3)  # type: ignore[attr-defined,unused-ignore]
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False


def start_kafka() -> str:
    """Bootstrap servers of the same Kafka version as the embedded one."""
    from testcontainers.kafka import KafkaContainer

    container = KafkaContainer(f"apache/kafka:{pinned_version()}").with_kraft()
    container.start()
    _started.append(container)
    return str(container.get_bootstrap_server())


def start_postgres() -> str:
    """Connection string of the same PostgreSQL version as the embedded one."""
    from testcontainers.postgres import PostgresContainer

    container = PostgresContainer("postgres:18", driver=None)
    container.start()
    _started.append(container)
    return str(container.get_connection_url())


def stop_all() -> None:
    """End all containers that were started here, at the end of a test session."""
    while _started:
        _started.pop().stop()
