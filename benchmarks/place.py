"""The services of a benchmark: a Kafka and a PostgreSQL of its own, in a temporary folder, gone when it ends."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import cpu_seconds
from runtime.embedded import kafka_server, postgres_server
from runtime.embedded.cluster import Embedded
from runtime.services import find_services
from runtime.settings import Settings, default_cache

#: With a low priority on a busy machine a start takes minutes; the product gives it 90 s.
START_SECONDS = 1_800.0


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

    def bytes_on_disk(self) -> dict[str, int]:
        """Bytes of the log by topic, over its partitions: as compressed, with keys, headers and frames."""
        found: dict[str, int] = defaultdict(int)
        for log in self.folder.glob("home/kafka/node-*/data/*-*/*.log"):
            found[log.parent.name.rpartition("-")[0]] += log.stat().st_size
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
