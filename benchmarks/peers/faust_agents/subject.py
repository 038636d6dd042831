"""Plain Faust agents as a subject: one process decides, one writes the tables."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.faust_agents.app import changelogs
from benchmarks.peers.peer import Peer, lines_of
from benchmarks.place import Place
from benchmarks.subject import Record, tail
from benchmarks.traffic import Order, Receipt
from runtime.process import Workers

PROGRAMS = ("agents", "sink")


class FaustAgents(Peer):
    """Agents and sink, one process each."""

    name = "Faust agents"
    share = 0.25
    settings = (
        f"Faust {version('faust-streaming')}, aiokafka {version('aiokafka')}, JSON, tables in memory with change logs, "
        "batches of 256 kB, lz4; sink: batches of up to 5,000 facts within 50 ms, COPY and upserts by executemany. "
        "Lacks: at least once only (a crash may repeat facts, and the sink then adds them again); an event whose "
        "handler raises counts as handled; no routing, no holds that lapse, no KPIs"
    )

    def __init__(self, place: Place, key: str) -> None:
        super().__init__(place, key)
        self._workers = Workers()

    def start(self) -> None:
        self.prepare(changelogs())
        for name in PROGRAMS:
            self._workers.start(
                name,
                ["worker"],
                module=f"benchmarks.peers.faust_agents.{name}",
                env=self.env(DATABASE=self.conninfo),
                log=self._log(name),
            )
        self.stock_up()

    def _log(self, name: str) -> Path:
        return self.place.folder / f"{self.prefix}{name}.log"

    def processes(self) -> dict[str, int]:
        for ended in self._workers.ended():
            sys.exit(f"{ended.name} has ended with status {ended.status}:\n{tail(self._log(ended.name))}")
        return self._workers.alive()

    def command(self, order: Order) -> Record:
        id_ = f"place-{order.order_id}"
        fields = {
            "command": "PlaceOrder",
            "id": id_,
            "channel": order.channel,
            "occurred_at": time.time(),
            "correlation_id": id_,
            "order_id": order.order_id,
            "customer_id": order.customer_id,
            "currency": "EUR",
            "lines": list(lines_of(order)),
            "country": "DE",
            "postcode": order.postcode,
        }
        return Record(self.prefix + "orders.commands", order.order_id.encode(), json.dumps(fields).encode())

    def receipt(self, receipt: Receipt) -> Record:
        fields = {
            "command": "ReceiveStock",
            "id": f"r-{receipt.sku}-{receipt.location_id}",
            "channel": "bench",
            "occurred_at": time.time(),
            "correlation_id": "opening",
            **receipt._asdict(),
        }
        return Record(self.prefix + "stock.commands", receipt.sku.encode(), json.dumps(fields).encode())

    def stop(self) -> None:
        self._workers.stop()
        self.close()
