"""Find Kafka and PostgreSQL: configured services first, then (tests only) Docker, then the embedded services.

    services = find_services(Settings())
    producer(services).produce(services.topic("intake.orders"), …)

Each is found separately: a configured Kafka works with an embedded PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from runtime.embedded.cluster import Embedded
from runtime.errors import Fault
from runtime.settings import Settings

Origin = Literal["configured", "testcontainers", "embedded"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses of running services, and the topic prefix, which separates two ledgers on one Kafka."""

    # Both may hold passwords, so they stay out of tracebacks and logs.
    kafka_config: Mapping[str, str] = field(repr=False)  # librdkafka: bootstrap.servers and security
    postgres: str = field(repr=False)  # libpq connection string
    kafka_origin: Origin
    postgres_origin: Origin
    topic_prefix: str = ""
    schema_registry: str | None = None
    #: librdkafka properties for consumers only (group protocol, session time-out): other clients would warn about them.
    consumer_config: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> Origin:
        """`embedded` if at least one is embedded, else `testcontainers` if at least one is, else `configured`."""
        order: tuple[Origin, ...] = ("embedded", "testcontainers", "configured")
        return min(self.kafka_origin, self.postgres_origin, key=order.index)

    @property
    def bootstrap_servers(self) -> str:
        return self.kafka_config["bootstrap.servers"]

    def topic(self, name: str) -> str:
        """The full name of a topic on the broker."""
        return self.topic_prefix + name

    def group(self, name: str) -> str:
        """The full name of a consumer group on the broker."""
        return self.topic_prefix + name


def find_services(
    settings: Settings,
    *,
    allow_testcontainers: bool = False,
    say: Say | None = None,
    start: Embedded | None = None,
) -> Services:
    """The services that are configured or run embedded. Raises Fault if one is neither.

    With `start`, missing services are started there: the embedded services of the settings (`up`), or others (tests:
    several nodes, no fsync).
    """
    kafka: tuple[Mapping[str, str], Origin] | None = None
    postgres: tuple[str, Origin] | None = None
    if settings.kafka is not None:
        kafka = settings.kafka_client_config(), "configured"
    conninfo = settings.postgres_conninfo()
    if conninfo is not None:
        postgres = conninfo, "configured"
    if allow_testcontainers and (kafka is None or postgres is None):
        # Imported here because it is a development dependency; the product never uses Docker.
        from runtime.containers import docker_answers, start_kafka, start_postgres

        if docker_answers():
            kafka = kafka or ({"bootstrap.servers": start_kafka()}, "testcontainers")
            postgres = postgres or (start_postgres(), "testcontainers")
    if kafka is None or postgres is None:
        if start is None:
            addresses = embedded(settings).running()
        else:
            addresses = start.up(kafka=kafka is None, postgres=postgres is None, say=say)
        if addresses.kafka is not None:
            kafka = kafka or ({"bootstrap.servers": addresses.kafka}, "embedded")
        if addresses.postgres is not None:
            postgres = postgres or (addresses.postgres, "embedded")
    if kafka is None or postgres is None:
        raise not_up(settings, kafka=kafka is not None, postgres=postgres is not None)
    return Services(
        kafka_config=kafka[0],
        postgres=postgres[0],
        kafka_origin=kafka[1],
        postgres_origin=postgres[1],
        topic_prefix=settings.topic_prefix,
        schema_registry=settings.schema_registry,
        consumer_config=settings.kafka_consumer_config(),
    )


def not_up(settings: Settings, *, kafka: bool = False, postgres: bool = False) -> Fault:
    """The error for missing services; True means that this service is there."""
    absent = {"Kafka": kafka, "PostgreSQL": postgres}
    names = [name for name, there in absent.items() if not there]
    kinds = " and ".join(f"ORDER_LEDGER_{'KAFKA' if name == 'Kafka' else 'POSTGRES'}" for name in names)
    return Fault(
        "the services are not up",
        f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not configured, and not running in "
        f"{settings.home}",
        f"`order-ledger up` starts them; or set {kinds}",
    )


def embedded(settings: Settings) -> Embedded:
    """The embedded services of these settings, running or not."""
    return Embedded(settings.home, settings.cache)


def up(settings: Settings, say: Say | None = None) -> Services:
    """Make sure that both services answer; services that this starts outlive this process."""
    return find_services(settings, say=say, start=embedded(settings))


def down(settings: Settings) -> bool:
    """Stop the embedded services of this installation, not configured ones. Returns whether any ran."""
    servers = embedded(settings)
    running = servers.running()
    servers.down()
    return running.kafka is not None or running.postgres is not None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service as `status` shows it, without passwords."""

    name: str
    origin: Origin
    address: str | None
    up: bool
    pid: int | None = None
    log: str | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def status(settings: Settings) -> list[ServiceStatus]:
    """The state of each service, from the service itself; starts nothing."""
    return [_kafka_status(settings), _postgres_status(settings)]


def _not_running(name: str, origin: Origin, log: Path | None) -> ServiceStatus:
    """An embedded service that does not run. `log` is given only if nobody stopped it."""
    problem = None if log is None else f"has ended without being stopped; its log is {log}"
    return ServiceStatus(name, origin, None, up=False, log=None if log is None else str(log), problem=problem)


def _kafka_status(settings: Settings) -> ServiceStatus:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    servers = embedded(settings)
    origin: Origin = "configured" if settings.kafka else "embedded"
    address = settings.kafka or servers.running().kafka
    if address is None:
        ended = servers.kafka.ended_by_itself()
        return _not_running("kafka", origin, servers.kafka.log_file() if ended else None)
    config = settings.kafka_client_config() or {"bootstrap.servers": address}
    problem: str | None = None
    try:
        AdminClient({**config, "log_level": 0}).list_topics(timeout=5)
    except KafkaException as error:
        problem = str(error.args[0])
    pid = None if settings.kafka else next(iter(servers.kafka.pids().values()), None)
    log = None if settings.kafka else str(servers.kafka.log_file())
    return ServiceStatus("kafka", origin, address, problem is None, pid, log, problem)


def _postgres_status(settings: Settings) -> ServiceStatus:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    servers = embedded(settings)
    configured = settings.postgres_conninfo()
    origin: Origin = "configured" if configured else "embedded"
    conninfo = configured or servers.running().postgres
    if conninfo is None:
        ended = servers.postgres.ended_by_itself()
        return _not_running("postgres", origin, servers.postgres.log_file if ended else None)
    parts = conninfo_to_dict(conninfo)
    address = f"{parts.get('host', 'local')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
    problem: str | None = None
    try:
        with psycopg.connect(conninfo, connect_timeout=5) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:
        problem = str(error).strip().splitlines()[0]
    pid = None if configured else servers.postgres.pid()
    log = None if configured else str(servers.postgres.log_file)
    return ServiceStatus("postgres", origin, address, problem is None, pid, log, problem)
