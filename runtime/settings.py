"""Settings from the environment (`ORDER_LEDGER_*`); unset means embedded services in a folder of this installation.

    ORDER_LEDGER_KAFKA=broker-1:9092,broker-2:9092
    ORDER_LEDGER_POSTGRES="host=db dbname=ledger user=ledger"

A folder per installation (not per user, not per current directory): two projects on one machine never meet, and the
command finds the same data from whatever directory it is called. Downloads are the same for all: they have a cache of
their own, which several installations may share (a lock guards it).
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_home() -> Path:
    """The data folder of this installation: under the user's data folder, named after the environment it runs in."""
    prefix = Path(sys.prefix).resolve()
    name = prefix.parent.name if prefix.name in {".venv", "venv", "env"} else prefix.name
    digest = hashlib.sha256(str(prefix).encode()).hexdigest()[:8]
    return platformdirs.user_data_path("order-ledger") / f"{name or 'root'}-{digest}"


def default_cache() -> Path:
    """Downloads that any installation may use: each file is checked against a pinned sum on every start."""
    return platformdirs.user_cache_path("order-ledger")


class Settings(BaseSettings):
    """All settings; field `kafka_sasl_username` is `ORDER_LEDGER_KAFKA_SASL_USERNAME` in the environment."""

    model_config = SettingsConfigDict(env_prefix="ORDER_LEDGER_", extra="ignore", frozen=True)

    kafka: str | None = Field(default=None, description="Bootstrap servers, `host:port,host:port`; unset: embedded")
    kafka_security_protocol: str | None = Field(default=None, description="plaintext, ssl, sasl_plaintext, sasl_ssl")
    kafka_sasl_mechanism: str | None = Field(
        default=None, description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"
    )
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_location: str | None = None
    kafka_ssl_certificate_location: str | None = None
    kafka_ssl_key_location: str | None = None
    kafka_ssl_key_password: SecretStr | None = None
    kafka_group_protocol: Literal["classic", "consumer"] = Field(
        default="classic",
        description="How ledger and projector share partitions; consumer is KIP-848. Reactions (Faust): always classic",
    )
    kafka_session_timeout_seconds: float | None = Field(
        default=None,
        ge=1,
        le=300,
        description="A worker that is not heard of for so long loses its partitions; unset: 10, reactions 6",
    )

    postgres: SecretStr | None = Field(default=None, description="libpq connection string or URI; unset: embedded")
    schema_registry: str | None = Field(default=None, description="URL of a schema registry; unset: the ledger's own")

    home: Path = Field(default_factory=default_home, description="Data and logs of the embedded services")
    cache: Path = Field(default_factory=default_cache, description="Downloads, may be shared by installations")

    partitions: int = Field(
        default=12, ge=1, le=10_000, description="Partitions of each topic; fixed when topics are made"
    )
    epoch: int = Field(default=0, ge=0, description="Generation of the intake topics; raised when they are made anew")
    replication: int = Field(default=1, ge=1, le=7, description="Copies of each partition; 3 on a cluster that matters")
    topic_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$", description="Before each topic and group name")
    stall_seconds: float = Field(
        default=60.0, ge=5, description="A worker that stands still for so long while there is work ends itself"
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING, ERROR")

    def kafka_client_config(self) -> dict[str, str]:
        """librdkafka properties of the configured cluster: address and security; empty when none is configured."""
        if self.kafka is None:
            return {}
        config = {"bootstrap.servers": self.kafka}
        for field in _PASSED_THROUGH:
            value = getattr(self, field)
            if value is not None:
                text = value.get_secret_value() if isinstance(value, SecretStr) else value
                config[field.removeprefix("kafka_").replace("_", ".")] = text
        return config

    def kafka_consumer_config(self) -> dict[str, str]:
        """librdkafka properties of consumers alone, whatever cluster they are on; empty when nothing is set."""
        config: dict[str, str] = {}
        if self.kafka_group_protocol != "classic":
            config["group.protocol"] = self.kafka_group_protocol
        if self.kafka_session_timeout_seconds is not None:
            config["session.timeout.ms"] = str(round(self.kafka_session_timeout_seconds * 1000))
        return config

    def postgres_conninfo(self) -> str | None:
        """The configured connection string, in the clear, for the driver only."""
        return self.postgres.get_secret_value() if self.postgres else None

    def as_env(self) -> dict[str, str]:
        """The same settings as environment variables, for child processes: what was set, with paths absolute."""
        env: dict[str, str] = {}
        for field in type(self).model_fields:
            value = getattr(self, field)
            if value is None:
                continue
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            env[f"ORDER_LEDGER_{field.upper()}"] = text
        return env


_OF_CONSUMERS = ("kafka_group_protocol", "kafka_session_timeout_seconds")
_PASSED_THROUGH = tuple(
    name for name in Settings.model_fields if name.startswith("kafka_") and name not in _OF_CONSUMERS
)
