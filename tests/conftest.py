"""Real services for every test that wants them: one Kafka and one PostgreSQL a session, a world of its own a test.

    def test_something(ledger_env): ...     # .settings, .services, .env: fresh topic prefix, fresh database

They are looked for as the product looks for them (configured, then Docker, then embedded), and stopped at the end,
also when the test run itself is killed.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr

from runtime.embedded.cluster import Embedded
from runtime.kafka import ADMIN_TIMEOUT_SECONDS, admin
from runtime.logging import hush_clients
from runtime.postgres import drop_database, ensure_database
from runtime.services import Services, find_services
from runtime.settings import Settings, default_cache
from tests.support import lanes

# A law does not become wrong because the machine is busy.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-durations", action="store_true", help="write tests/durations.csv from this run")


def pytest_configure(config: pytest.Config) -> None:
    """A shell's background job has Ctrl-C ignored, and so would all commands that a test interrupts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Brokers that live for minutes: compiling their code as for years cost a third of their time (measured).
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    if hasattr(config, "workerinput"):
        return
    config.pluginmanager.register(lanes.Durations(), "durations")
    if getattr(config.option, "numprocesses", None):
        config.pluginmanager.register(_SharedServices(), "shared-services")


class _SharedServices:
    """In a run of several processes the first one, which runs no test, keeps the services for all."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._services: Services | None = None

    @pytest.hookimpl
    def pytest_configure_node(self, node: Any) -> None:
        if self._services is None:
            self._services = self._open.enter_context(opened_services())
        node.workerinput["services"] = asdict(self._services)

    def pytest_unconfigure(self) -> None:
        self._open.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: at the end of a run no process waits long for the other."""
    lanes.sort(items)


def pytest_collection_finish() -> None:
    """Five thousand tests and what they import stay to the end: nobody has to look through them for garbage."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class LedgerEnv:
    """A world of its own on the session's services."""

    settings: Settings
    services: Services
    env: dict[str, str]  # for child processes: the whole environment, with ORDER_LEDGER_* pointing here


@contextmanager
def opened_services() -> Iterator[Services]:
    """Kafka and PostgreSQL that answer, and are gone at the end."""
    # Not below pytest's own temporary folder: that one is closed to other accounts, and PostgreSQL of root is one.
    folder = Path(tempfile.mkdtemp(prefix="order-ledger-test-"))
    folder.chmod(0o711)
    cache = Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache())
    settings = Settings(home=folder / "home", cache=cache)
    # fsync off: the machine does not crash in a test; processes may, and lose nothing by it.
    embedded = Embedded(settings.home, settings.cache, durable=False)
    embedded.stop_with_me()
    try:
        yield find_services(settings, allow_testcontainers=True, start=embedded)
    finally:
        from runtime.containers import stop_all

        hush_clients()
        stop_all()
        embedded.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    """Kafka and PostgreSQL that answer: those of the whole run, also where it has several processes."""
    shared = getattr(request.config, "workerinput", {}).get("services")
    if shared is not None:
        yield Services(**shared)
        return
    with opened_services() as found:
        yield found


@pytest.fixture
def ledger_env(services: Services, tmp_path: Path) -> Iterator[LedgerEnv]:
    """Fresh topics (by prefix) and a fresh database; both are removed afterwards."""
    with open_world(services, tmp_path) as env:
        yield env


@contextmanager
def open_world(services: Services, tmp_path: Path, *, replication: int = 1) -> Iterator[LedgerEnv]:
    """A world of its own on these services; its topics and its database are removed at the end."""
    name = f"t{uuid.uuid4().hex[:10]}"
    conninfo = ensure_database(services, name)
    settings = Settings(
        kafka=services.bootstrap_servers,
        kafka_security_protocol=services.kafka_config.get("security.protocol"),
        postgres=SecretStr(conninfo),
        topic_prefix=f"{name}.",
        replication=replication,
        home=tmp_path / "home",
    )
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ORDER_LEDGER_")}
    yield LedgerEnv(settings, find_services(settings), inherited | settings.as_env())
    _delete_topics(services, settings.topic_prefix)
    drop_database(services, name)


def _delete_topics(services: Services, prefix: str) -> None:
    """Whoever asks the broker what topics there are gets all: those of tests that are over made each look slower."""
    client = admin(services)
    names = [name for name in client.list_topics(timeout=ADMIN_TIMEOUT_SECONDS).topics if name.startswith(prefix)]
    for deleted in (client.delete_topics(names) if names else {}).values():
        deleted.result()
