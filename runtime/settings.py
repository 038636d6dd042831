"""Settings from the environment (`ORDER_LEDGER_*`); unset means embedded services in a folder of this installation.

    ORDER_LEDGER_KAFKA=broker-1:9092,broker-2:9092
    ORDER_LEDGER_POSTGRES="host=db dbname=ledger user=ledger"

Each installation has its own data folder, so two projects on one machine never share data, and the command finds its
data from any directory. Downloads have a separate cache that installations may share (a lock guards it).

Unknown names and impossible values are refused. Otherwise a misspelt ORDER_LEDGER_KAFKA would start an embedded Kafka
with one copy of everything, and nobody would notice until the disk fails.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from runtime.errors import Fault
from runtime.failpoints import VARIABLE as FAILPOINTS

PREFIX = "ORDER_LEDGER_"
PORT_MAX = 65_535
WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with
EPOCH_MAX = 2**31 - 1  # nobody creates the topics again more often; the contracts and tables hold 64 bits

#: Variables that Kubernetes sets in each container for a Service called order-ledger or order-ledger-SOMETHING. The
#: value of a bare …_PORT shows whether it is one of them or a misspelt setting of ours.
_OF_KUBERNETES = re.compile(r"(SERVICE_|(\w+_)?(SERVICE_HOST$|SERVICE_PORT(_|$)|PORT_\d+_(TCP|UDP|SCTP)(_|$)))")
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9.])?")
_CREDENTIALS = re.compile(r"[^/\s]*@")  # in an address, pasted by mistake: kept out of logs


def default_home() -> Path:
    """The data folder of this installation: in the user's data folder, named after the Python environment."""
    prefix = Path(sys.prefix).resolve()
    name = prefix.parent.name if prefix.name in {".venv", "venv", "env"} else prefix.name
    digest = hashlib.sha256(str(prefix).encode(errors="surrogateescape")).hexdigest()[:8]
    return platformdirs.user_data_path("order-ledger") / f"{name or 'root'}-{digest}"


def default_cache() -> Path:
    """The folder for downloads of all installations: each file is checked against a pinned sum on every start."""
    return platformdirs.user_cache_path("order-ledger")


def _host(text: str) -> str:
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not _HOST_NAME.fullmatch(host):
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError(f"{text!r} is no host name and no address") from None
    return host


def _brokers(text: str) -> str:
    """`host:port,host:port` without spaces."""
    brokers = [broker.strip() for broker in text.split(",")]
    for broker in brokers:
        if "://" in broker or "@" in broker:
            raise ValueError("Write host:port,host:port, without a scheme and without credentials")
        found = re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d+))?", broker)
        if found is None or not found[1]:
            raise ValueError(f"{broker!r} is not host:port. Write host:port,host:port")
        _host(found[1])
        if found[2] is not None and not 1 <= int(found[2][:6]) <= PORT_MAX:
            raise ValueError(f"The port of {broker!r} is not between 1 and {PORT_MAX}")
    return ",".join(brokers)


def _conninfo(secret: SecretStr) -> SecretStr:
    """A string that libpq can read. libpq's own error may show part of the password, so it is not repeated."""
    from psycopg import ProgrammingError  # imported here: every command reads settings, and this takes 0.1 s
    from psycopg.conninfo import conninfo_to_dict

    text = secret.get_secret_value()
    try:
        parts = conninfo_to_dict(text)
    except ProgrammingError:
        parts = {}
    if not parts:
        raise ValueError(
            'libpq cannot read it (the value is not shown, it may hold a password). Write "host=db dbname=ledger '
            'user=ledger" or postgresql://user@host:5432/ledger; put a value with a space in single quotes'
        )
    for port in filter(None, str(parts.get("port") or "").split(",")):
        if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= PORT_MAX):
            raise ValueError(f"Its port is not between 1 and {PORT_MAX}")
    return secret


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or (parts.port or 1) > PORT_MAX:
        raise ValueError("Write a URL: http://host:8081 or https://host:8081")
    return text


def _webhook_secret(secret: SecretStr) -> SecretStr:
    """`whsec_` and Base64 of 24 to 64 bytes, as in the Standard Webhooks specification."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(WEBHOOK_SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(WEBHOOK_SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(
            f"A secret is {WEBHOOK_SECRET_PREFIX} and Base64 of 24 to 64 random bytes (the value is not shown)."
            f' Make one: echo "{WEBHOOK_SECRET_PREFIX}$(openssl rand -base64 32)"'
        )
    return secret


def _folder(path: Path) -> Path:
    if not str(path).strip() or path == Path():
        raise ValueError("It names no folder. Write a path, or unset the variable")
    try:
        whole = path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("~ cannot be used, because this account has no home folder. Write an absolute path") from None
    try:
        str(whole).encode()
    except UnicodeEncodeError:
        raise ValueError("It is not UTF-8, and Java reads paths as UTF-8. Write another path") from None
    if os.path.exists(whole) and not os.path.isdir(whole):  # noqa: PTH110, PTH112 - pathlib raises below a closed folder
        raise ValueError("It is a file. Write the path of a folder")
    return whole


def _jars_folder(path: Path) -> Path:
    if os.pathsep in str(path):
        raise ValueError(f"Its path has a {os.pathsep!r}, which separates files for Java. Write another path")
    return _folder(path)


def _prefix(text: str) -> str:
    # Kafka allows 249 characters for prefix and name.
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,200}", text):
        raise ValueError("Kafka allows letters, digits, '.', '_' and '-'; at most 200 characters here")
    return text


def _file(text: str) -> str:
    if not os.access(text, os.R_OK):
        raise ValueError("There is no such file, or this account may not read it")
    return text


def _own_port(value: object) -> object:
    if isinstance(value, str) and _KUBERNETES_PORT.match(value):
        raise ValueError(
            "Kubernetes sets this for a Service called order-ledger-api. Give the variable a number in the container's "
            "env, or set enableServiceLinks: false, or give the Service another name"
        )
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("It is empty. Give it a value, or unset the variable")
    return text


def _secret_not_empty(secret: SecretStr) -> SecretStr:
    _not_empty(secret.get_secret_value())
    return secret


Text = Annotated[str, AfterValidator(_not_empty)]
Secret = Annotated[SecretStr, AfterValidator(_secret_not_empty)]
File = Annotated[Text, AfterValidator(_file)]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
Protocol = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Settings(BaseModel):
    """All settings; field `kafka_sasl_username` is `ORDER_LEDGER_KAFKA_SASL_USERNAME` in the environment.

    Raises Fault for a value that cannot be used and for a name in the environment that is no setting.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    kafka: Annotated[Text, AfterValidator(_brokers)] | None = Field(
        default=None, description="Bootstrap servers, `host:port,host:port`; unset: embedded"
    )
    kafka_security_protocol: Annotated[Protocol, BeforeValidator(_lower)] | None = None
    kafka_sasl_mechanism: Annotated[Mechanism, BeforeValidator(_upper)] | None = None
    kafka_sasl_username: Text | None = None
    kafka_sasl_password: Secret | None = None
    kafka_ssl_ca_location: File | None = None
    kafka_ssl_certificate_location: File | None = None
    kafka_ssl_key_location: File | None = None
    kafka_ssl_key_password: Secret | None = None
    kafka_group_protocol: Literal["classic", "consumer"] = Field(
        default="classic",
        description="How ledger and projector share partitions; consumer is KIP-848. Reactions (Faust): always classic",
    )
    kafka_session_timeout_seconds: float | None = Field(
        default=None,
        ge=1,
        le=300,
        description="A silent worker loses its partitions after this time; unset: 10, reactions 6",
    )

    postgres: Annotated[Secret, AfterValidator(_conninfo)] | None = Field(
        default=None, description="libpq connection string or URI; unset: embedded"
    )
    schema_registry: Annotated[Text, AfterValidator(_url)] | None = Field(
        default=None, description="URL of a schema registry; unset: the ledger's own"
    )

    home: Annotated[Path, AfterValidator(_folder)] = Field(
        default_factory=default_home, description="Data and logs of the embedded services"
    )
    cache: Annotated[Path, AfterValidator(_jars_folder)] = Field(
        default_factory=default_cache,
        description="Downloads; installations may share it",
    )

    api_host: Annotated[Text, AfterValidator(_host)] = Field(
        default="127.0.0.1", description="Address to listen on; another one opens the API to the network"
    )
    api_port: Annotated[int, BeforeValidator(_own_port)] = Field(
        default=8085, ge=0, le=PORT_MAX, description="Port to listen on; 0 takes any free one"
    )

    webhook_url: Annotated[Text, AfterValidator(_url)] | None = Field(
        default=None, description="Facts are sent here as they happen; unset: nowhere"
    )
    webhook_secret: Annotated[Secret, AfterValidator(_webhook_secret)] | None = Field(
        default=None, description="Signs the calls: `whsec_` and Base64 of 24 to 64 bytes"
    )
    webhook_facts: Text | None = Field(
        default=None, description="Names of the facts that are sent, separated by commas; unset: all facts of orders"
    )

    partitions: int = Field(
        default=12, ge=1, le=10_000, description="Partitions of each topic; fixed when topics are created"
    )
    epoch: int = Field(
        default=0, ge=0, le=EPOCH_MAX, description="Generation of the intake topics; raise it when you recreate them"
    )
    replication: int = Field(default=1, ge=1, le=7, description="Copies of each partition; use 3 in production")
    topic_prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        default="", description="Before each topic and group name"
    )
    stall_seconds: float = Field(
        default=60.0,
        ge=5,
        le=86_400,
        description="A worker that makes no progress for this time, while there is work, ends itself",
    )
    ledger_memory_mb: int = Field(
        default=300,
        ge=0,
        le=1_000_000,
        description="Memory in MB that a ledger worker uses for orders and SKUs; the process takes 200 to 300 MB more",
    )
    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = "INFO"

    def __init__(self, **values: Any) -> None:
        """Arguments win over the environment."""
        super().__init__(**{**_from(os.environ), **values})

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Report all problems at once, under the names in the environment."""
        problems = unknown_names(os.environ)
        try:
            settings = handler(values)
        except ValidationError as error:
            problems += [_in_plain_words(one) for one in error.errors(include_url=False)]
        else:
            problems += settings._without_effect()  # noqa: SLF001 - of this class
            if not problems:
                return settings
        raise Fault(
            "A setting is wrong" if len(problems) == 1 else f"{len(problems)} settings are wrong",
            "\n          ".join(problems),
            "correct it in the environment; unset means the default. docs/operating.md lists all settings",
        )

    def _without_effect(self) -> list[str]:
        """Settings that have no effect: somebody may believe that they protect a connection."""
        problems = self._half_a_webhook()
        given = [name for name in _PASSED_THROUGH if getattr(self, name) is not None]
        if self.kafka is None:
            problems += [f"{_variable(name)} is set, but {_variable('kafka')} is not" for name in given]
            if self.replication > 1:
                problems.append(
                    f"{_variable('replication')} is {self.replication}, but {_variable('kafka')} is not set: the "
                    "embedded Kafka is one broker with one copy"
                )
            return problems
        protocol = self.kafka_security_protocol or "plaintext"
        for name in given:
            part = name.split("_")[1]
            if part in {"sasl", "ssl"} and part not in protocol.split("_"):
                problems.append(
                    f"{_variable(name)} is set, but {_variable('kafka_security_protocol')} is {protocol}, which does "
                    "not use it"
                )
        if protocol.startswith("sasl"):
            needed = ["kafka_sasl_mechanism"]
            if self.kafka_sasl_mechanism not in {None, "OAUTHBEARER"}:
                needed += ["kafka_sasl_username", "kafka_sasl_password"]
            problems += [
                f"{_variable(name)} is not set. {_variable('kafka_security_protocol')}={protocol} needs it"
                for name in needed
                if getattr(self, name) is None
            ]
        return problems

    def _half_a_webhook(self) -> list[str]:
        names = ["webhook_secret", "webhook_facts"]
        if self.webhook_url is not None:
            needed = self.webhook_secret is None
            return [f"{_variable('webhook_secret')} is not set. {_variable('webhook_url')} needs it"] if needed else []
        return [
            f"{_variable(name)} is set, but {_variable('webhook_url')} is not"
            for name in names
            if getattr(self, name) is not None
        ]

    def kafka_client_config(self) -> dict[str, str]:
        """librdkafka properties of the configured cluster: address and security; empty if none is configured."""
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
        """librdkafka properties for consumers only, on any cluster; empty if nothing is set."""
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
        """The settings as environment variables for child processes, with absolute paths."""
        env: dict[str, str] = {}
        for field in type(self).model_fields:
            value = getattr(self, field)
            if value is None:
                continue
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            env[_variable(field)] = text
        return env


_OF_CONSUMERS = ("kafka_group_protocol", "kafka_session_timeout_seconds")
_PASSED_THROUGH = tuple(
    name for name in Settings.model_fields if name.startswith("kafka_") and name not in _OF_CONSUMERS
)
_SECRETS = ("kafka_sasl_password", "kafka_ssl_key_password", "postgres", "webhook_secret")


def _from(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings in an environment, by field; names in upper or lower case.

    pydantic-settings does this and more, but its import would add 0.1 s to every command.
    """
    spelt = {name.upper(): value for name, value in environment.items()}
    return {field: spelt[name] for field in Settings.model_fields if (name := _variable(field)) in spelt}


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """One sentence for each `ORDER_LEDGER_*` that is not a setting and does not come from the tests or Kubernetes."""
    known = [_variable(field) for field in Settings.model_fields]
    problems = []
    for name, value in sorted(environment.items()):
        spelt = name.upper()  # settings are read in any case
        rest = spelt.removeprefix(PREFIX)
        if (
            rest == spelt
            or spelt in {*known, FAILPOINTS}
            or rest.startswith("TEST_")
            or _OF_KUBERNETES.match(rest)
            or (rest.endswith("PORT") and _KUBERNETES_PORT.match(value))
        ):
            continue
        (nearest,) = difflib.get_close_matches(rest, [one.removeprefix(PREFIX) for one in known], 1, 0)
        problems.append(f"{name} is not a setting. The nearest one is {PREFIX}{nearest}")
    return problems


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _in_plain_words(problem: ErrorDetails) -> str:
    """The variable and its value as they were set, and the allowed values."""
    field = str(problem["loc"][0])
    name = next((name for name in os.environ if name.upper() == _variable(field)), _variable(field))
    said = problem["msg"].removeprefix("Value error, ").replace("Input should", "It should", 1)
    limits = Settings.model_fields[field].metadata
    least, most = (next((getattr(one, end) for one in limits if hasattr(one, end)), None) for end in ("ge", "le"))
    if least is not None and problem["type"] != "value_error":
        said = f"It should be a number from {least} to {most}"
    if field in _SECRETS:
        return f"{name}: {said}"
    value = _CREDENTIALS.sub("…@", os.environ.get(name, str(problem["input"])))
    return f"{name} is {value!r}. {said}"
