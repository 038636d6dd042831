"""Kafka Streams with exactly-once v2 as a subject: an app of two processors, and a sink that writes the tables."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import fastavro

from benchmarks.peers.kafka_streams import build
from benchmarks.peers.peer import Peer, lines_of
from benchmarks.place import Place
from benchmarks.subject import Record, tail
from benchmarks.traffic import Order, Receipt
from runtime.embedded.jars import pinned_version

#: The app leaves its transactions and its group in seconds.
STOP_SECONDS = 25.0
#: Place in `TYPES` of AvroSerde.java, from 1.
IDS = {"PlaceOrder": 1, "ReceiveStock": 3}


class Tuning(NamedTuple):
    """Milliseconds: how often it commits, and how long it waits for records."""

    commit: int
    poll: int


TUNED, USUAL = Tuning(20, 5), Tuning(100, 100)
JVM = (
    "-XX:+UseParallelGC",
    "-Dorg.apache.logging.log4j.level=WARN",
    # Avro's own fast paths.
    "-Dorg.apache.avro.specific.use_custom_coders=true",
    "-Dorg.apache.avro.fastread=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
HEAP = {"App": ("-Xms768m", "-Xmx768m"), "Sink": ("-Xms512m", "-Xmx512m")}


def schemas() -> dict[str, Any]:
    """The protocol's records by name."""
    known: dict[str, Any] = {}
    return {one["name"]: fastavro.parse_schema(one, known) for one in json.loads(build.PROTOCOL.read_text())["types"]}


class KafkaStreams(Peer):
    """App and sink, one JVM each."""

    #: A JVM compiles what runs often: after one round of 8,000 orders it is still at it.
    warm_ups = 3

    def __init__(self, place: Place, key: str, name: str, tuning: Tuning) -> None:
        super().__init__(place, key)
        self.name = name
        self.settings = (
            f"Kafka Streams {pinned_version(build.PINS)}, exactly-once v2, 2 threads, stores in memory with change "
            f"logs, commit every {tuning.commit} ms, poll {tuning.poll} ms, cache 128 MB, batches of 256 kB, lz4; "
            "sink: one COPY and one upsert a table and batch, offsets in the same transaction, synchronous_commit off. "
            "First location that has enough: no routing, no holds that lapse, no KPIs"
        )
        self._tuning = tuning
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._schemas = schemas()

    def start(self) -> None:
        path = build.class_path(self.place.cache)
        self.prepare()
        for main in HEAP:
            self._run(main, path)
        self.stock_up()

    def _run(self, main: str, path: str) -> None:
        at = self.postgres
        url = f"jdbc:postgresql://{at['host']}:{at['port']}/{at['dbname']}?user={at['user']}&password={at['password']}"
        more = {
            "JDBC": url,
            "STATE_DIR": str(self.place.folder / "streams-state"),
            "COMMIT": str(self._tuning.commit),
            "POLL_MS": str(self._tuning.poll),
        }
        with open(self._log(main), "ab") as log:
            self._running[main] = subprocess.Popen(
                [build.java(), *HEAP[main], *JVM, "-cp", path, f"peer.{main}"],
                env=self.env(**more),
                stdin=subprocess.PIPE,  # closed when we die, and then it ends
                stdout=log,
                stderr=log,
            )

    def _log(self, main: str) -> Path:
        return self.place.folder / f"{self.prefix}{main}.log"

    def processes(self) -> dict[str, int]:
        for main, process in self._running.items():
            if process.poll() is not None:
                sys.exit(f"{main} has ended with status {process.returncode}:\n{tail(self._log(main))}")
        return {main.lower(): process.pid for main, process in self._running.items()}

    def command(self, order: Order) -> Record:
        id_ = f"place-{order.order_id}"
        fields = {
            "id": id_,
            "channel": order.channel,
            "actor": None,
            "occurred_at": time.time_ns() // 1_000,
            "correlation_id": id_,
            "order_id": order.order_id,
            "customer_id": order.customer_id,
            "currency": "EUR",
            "lines": list(lines_of(order)),
            "country": "DE",
            "postcode": order.postcode,
        }
        return Record(self.prefix + "orders.commands", order.order_id.encode(), self._encode("PlaceOrder", fields))

    def receipt(self, receipt: Receipt) -> Record:
        fields = {
            "id": f"r-{receipt.sku}-{receipt.location_id}",
            "channel": "bench",
            "occurred_at": time.time_ns() // 1_000,
            "correlation_id": "opening",
            **receipt._asdict(),
        }
        return Record(self.prefix + "stock.commands", receipt.sku.encode(), self._encode("ReceiveStock", fields))

    def _encode(self, name: str, fields: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        out.write(bytes((0, 0, 0, 0, IDS[name])))
        fastavro.schemaless_writer(out, self._schemas[name], fields)
        return out.getvalue()

    def stop(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin is not None
            process.stdin.close()
        self.close()
