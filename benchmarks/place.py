"""The services of a benchmark: a Kafka and a PostgreSQL of its own, in a temporary folder, gone when it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from benchmarks.machine import cpu_seconds
from runtime.embedded import kafka_server, postgres_server
from runtime.embedded.cluster import Embedded
from runtime.kafka import admin
from runtime.postgres import drop_database
from runtime.services import find_services
from runtime.settings import Settings, default_cache

#: With a low priority on a busy machine a start takes minutes; the product gives it 90 s.
START_SECONDS = 1_800.0
#: To remove some dozens of topics; bounds a hang.
CLEAR_SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """Where the servers listen, and their processes."""

    folder: Path
    cache: Path
    kafka: str
    postgres: str
    kafka_pid: int
    postgres_pid: int

    def server_cpu(self, own_backend: int) -> dict[str, float]:
        """CPU seconds of both servers; `own_backend` is the benchmark's own connection, which no product needs."""
        return {
            "Kafka": cpu_seconds(self.kafka_pid),
            "PostgreSQL": cpu_seconds(self.postgres_pid, without=[own_backend]),
        }

    def clear(self, database: str, prefix: str) -> None:
        """Remove what a subject has left, so that vacuuming and deleting it is not the next one's CPU."""
        services = find_services(Settings(kafka=self.kafka, postgres=SecretStr(self.postgres)))
        drop_database(services, database)
        client = admin(services)
        topics = [name for name in client.list_topics(timeout=CLEAR_SECONDS).topics if name.startswith(prefix)]
        if topics:
            for answer in client.delete_topics(topics, request_timeout=CLEAR_SECONDS).values():
                answer.result(CLEAR_SECONDS)

    def bytes_on_disk(self) -> dict[str, int]:
        """Bytes of the log by topic, over its partitions: as compressed, with keys, headers and frames."""
        found: dict[str, int] = defaultdict(int)
        for node in (self.folder / "home" / "kafka").glob("node-*"):
            for partition in [one.name for one in (node / "data").iterdir()]:
                # A topic that was deleted is renamed, and disappears under our eyes.
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    logs = [one for one in (node / "data" / partition).iterdir() if one.suffix == ".log"]
                    found[partition.rpartition("-")[0]] += sum(one.stat().st_size for one in logs)
        return dict(found)


@contextmanager
def place() -> Iterator[Place]:
    """Start both servers, and remove them with all their data at the end, whatever ends us."""
    folder = Path(tempfile.mkdtemp(prefix="order-ledger-bench-"))
    folder.chmod(0o711)  # PostgreSQL runs as another account when we are root
    cache = Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache())
    embedded = Embedded(folder / "home", cache)
    embedded.stop_with_me()
    kafka_server.READY_TIMEOUT_SECONDS = postgres_server.READY_TIMEOUT_SECONDS = START_SECONDS
    try:
        found = find_services(Settings(home=folder / "home", cache=cache), start=embedded)
        postgres_pid = embedded.postgres.pid()
        if found.origin != "embedded" or postgres_pid is None:
            sys.exit("unset ORDER_LEDGER_KAFKA and ORDER_LEDGER_POSTGRES: a benchmark measures servers of its own")
        kafka_pid = next(iter(embedded.kafka.pids().values()))
        yield Place(folder, cache, found.bootstrap_servers, found.postgres, kafka_pid, postgres_pid)
    finally:
        embedded.destroy()
        shutil.rmtree(folder, ignore_errors=True)
