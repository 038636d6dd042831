"""What an order costs in its whole life, by process, and what it leaves on disk: the figures behind docs/scaling.md.

    python -m benchmarks.surge.cost --orders 8000 --json

Two halves. *Placing*: orders of 3 lines, until they are allocated. *Delivering*: their parcels leave, are scanned twice
and delivered (a `DispatchShipment` and three `RecordTracking` for each parcel), until the orders are delivered. Each
half is a backlog; a third as many orders warm up. CPU is that of the processes and their children.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.flow import note
from benchmarks.machine import calibration_seconds, cpu_seconds, spent
from benchmarks.ours import Ours, command
from benchmarks.place import Place, place
from benchmarks.sender import Sender
from benchmarks.subject import Record
from benchmarks.surge.disk import Disk
from benchmarks.traffic import Traffic
from gateway.operating.settling import Gauge, settle
from gateway.sending.commands import check
from processors.verify.check import verify
from projections.order_status.reader import count_by_status, read_order
from runtime.postgres import connect
from schemas.codec import Codec

SCANS = ("picked_up", "in_transit", "delivered")
#: Bounds a hang.
PATIENCE_SECONDS = 900.0


class Cost:
    """One run."""

    def __init__(self, where: Place) -> None:
        self._where, self._subject = where, Ours(where)
        self._traffic = Traffic()
        self._sender = Sender(where.kafka, 50)
        self._codec = Codec()

    def run(self, orders: int) -> dict[str, Any]:
        subject = self._subject
        try:
            subject.start()
            self._life(orders // 3)
            found = self._life(orders)
            with connect(subject.services, "bench-settle") as connection:
                flight = settle(Gauge(subject.services, connection), PATIENCE_SECONDS)
            wrong = [] if flight.in_flight == 0 else [f"records still waiting: {flight.in_flight}"]
            if not verify(subject.services, self._codec).equal:
                wrong.append("verify: the tables are not the fold of the ledger")
        finally:
            subject.stop()
        return {"orders": orders, **found, "wrong": wrong}

    def _life(self, count: int) -> dict[str, Any]:
        orders = [self._traffic.order() for _ in range(count)]
        ids = [order.order_id for order in orders]
        placing = self._half("placing", self._subject.records(orders), ids, "allocated")
        delivering = self._half("delivering", list(self._fulfilment(ids)), ids, "delivered")
        return {"placing": placing, "delivering": delivering}

    def _half(self, name: str, records: Sequence[Record], ids: Sequence[str], status: str) -> dict[str, Any]:
        """Send all at once, and wait until each order has this status."""
        subject, orders = self._subject, len(ids)
        self._quiet()
        disk, topics, before, begun = (
            Disk(self._where, subject.connection),
            subject.topics(),
            self._cpu(),
            time.monotonic(),
        )
        for record in records:
            self._sender.send(record)
        self._sender.finish()
        while count_by_status(subject.connection, ids).get(status, 0) < orders:
            subject.processes()
            if time.monotonic() - begun > PATIENCE_SECONDS:
                sys.exit(f"{name}: not within {PATIENCE_SECONDS:.0f} s: {count_by_status(subject.connection, ids)}")
            time.sleep(0.2)
        seconds = time.monotonic() - begun
        self._quiet()
        ends = subject.topics()
        row = {
            "commands_an_order": round(len(records) / orders, 2),
            "orders_per_second": round(orders / seconds),
            "cpu_us_an_order": spent(before, self._cpu(), orders),
            "records_an_order": {
                topic.removeprefix("ours."): round((end - topics[topic]) / orders, 2) for topic, end in ends.items()
            },
            "bytes_an_order": disk.since(orders),
        }
        note(name, row)
        return row

    def _quiet(self) -> None:
        """Wait until nothing is in flight, and the ledger has made its snapshot."""
        with connect(self._subject.services, "bench-settle") as connection:
            settle(Gauge(self._subject.services, connection), PATIENCE_SECONDS)
        time.sleep(4.0)

    def _fulfilment(self, ids: Sequence[str]) -> Iterator[Record]:
        for order_id in ids:
            order = read_order(self._subject.connection, order_id)
            assert order is not None
            parcels: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for line in order["lines"]:
                for location, units in line["locations"].items():
                    parcels[location].append({"line_id": line["line_id"], "quantity": units})
            for location, lines in parcels.items():
                parcel = {"order_id": order_id, "shipment_id": f"{order_id}-{location}"}
                how = {"location_id": location, "carrier": "dhl", "service": "parcel", "lines": lines}
                yield self._record("DispatchShipment", f"ship-{order_id}-{location}", **parcel, **how)
                for status in SCANS:
                    yield self._record("RecordTracking", f"{status}-{order_id}-{location}", **parcel, status=status)

    def _record(self, name: str, command_id: str, **data: Any) -> Record:
        parsed = check(command(name, command_id, "carrier", **data))
        return Record(self._subject.services.topic(parsed.type.topic), parsed.key, parsed.encode(self._codec))

    def _cpu(self) -> dict[str, float]:
        own = {name: cpu_seconds(pid) for name, pid in self._subject.processes().items()}
        return own | self._where.server_cpu(self._subject.connection.info.backend_pid)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="CPU and bytes of an order's whole life.",
        epilog="Example: python -m benchmarks.surge.cost --orders 8000 --json",
    )
    parser.add_argument("--orders", type=int, default=8_000)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args()
    with place() as where:
        results = {"calibration_seconds": round(calibration_seconds(), 4), **Cost(where).run(options.orders)}
    print(json.dumps(results, indent=None if options.json else 2))
    if results["wrong"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
