"""The limit of one SKU: all orders want the same one, so one stream of one partition, and one writer, decides them all.

    python -m benchmarks.surge.hot --orders 6000 --json          (--decide: only the part without services)

Deciding alone: what a `ReserveStock` costs when so many reservations are held already. Then the whole flow, orders of
one line and one unit: over 1,000 SKUs, all for one SKU with stock for all, and all for one SKU whose stock runs out in
the middle. A unit that was sold and was not there ends with status 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from benchmarks.flow import note
from benchmarks.machine import calibration_seconds, cpu_seconds, rss_mb, spent
from benchmarks.ours import Ours, command
from benchmarks.place import Place, place
from benchmarks.sender import Sender
from benchmarks.subject import compare
from benchmarks.traffic import CHANNELS, LOCATIONS, SKUS, Line, Order
from events.stock.commands import ConfirmLocation, ReceiveStock, ReserveStock
from gateway.operating.settling import Gauge, settle
from processors.ledger.partition import Decided, PartitionLedger
from processors.ledger.snapshots import stored
from processors.reactions.asked import Asked
from processors.reactions.sender import encode
from processors.verify.check import verify
from projections.inventory.reader import read_inventory
from projections.order_status.reader import count_by_status
from runtime.postgres import connect
from schemas.codec import Codec

HOT = "HOT"
BEGINNING = datetime(2026, 11, 27, 18, tzinfo=UTC)
BEGINNING_MS = int(BEGINNING.timestamp() * 1000)
#: How many reservations are held when one more is timed.
HELD = (1_000, 10_000, 50_000, 100_000)
#: Reservations that are timed at each of these. Fewer is noise, more changes what is measured.
TIMED = 2_000
#: Bounds a hang.
PATIENCE_SECONDS = 600.0


class Stock:
    """One SKU at one location, in memory, and what a ledger does with the reactions' commands."""

    def __init__(self, units: int) -> None:
        self._codec = Codec()
        self._ledger = PartitionLedger("intake.stock", 0, partitions=1, codec=self._codec)
        self._sent = self.orders = 0
        self.take([self.receipt(units), self._asked(ConfirmLocation(sku=HOT, location_id="L0", registered=True))])

    def reservations(self, count: int) -> list[bytes]:
        """As sourcing asks for them, each for an order of its own."""
        first, self.orders = self.orders, self.orders + count
        return [
            self._asked(
                ReserveStock(sku=HOT, location_id="L0", quantity=1, order_id=f"o-{n:08}", line_id="1", attempt=1001)
            )
            for n in range(first, self.orders)
        ]

    def receipt(self, units: int) -> bytes:
        return self._asked(ReceiveStock(sku=HOT, location_id="L0", quantity=units))

    def _asked(self, data: Any) -> bytes:
        self._sent += 1
        return encode(self._codec, Asked(f"c-{self._sent:08}", data, "sourcing", BEGINNING, None, None))

    def take(self, values: Sequence[bytes]) -> tuple[float, Counter[str]]:
        """CPU seconds to decide these commands, and the facts by name."""
        begun, answers = time.process_time(), []
        for value in values:
            at = self._ledger.next_intake
            answers.append(self._ledger.decide(at, BEGINNING_MS + at, None, value))
        seconds = time.process_time() - begun
        facts = [fact for answer in answers if isinstance(answer, Decided) for fact in answer.facts]
        return seconds, Counter(self._codec.decode(fact.value)[0].name for fact in facts)

    def snapshot(self) -> tuple[float, int]:
        """CPU seconds and bytes of the SKU in a snapshot, which holds all of it, however little has changed."""
        (stream,) = self._ledger.memory.to_save(0).streams
        self._ledger.memory.not_saved()
        begun = time.process_time()
        size = len(stored(stream))
        return time.process_time() - begun, size


def deciding() -> list[dict[str, Any]]:
    """What a reservation and a snapshot cost, in CPU of one process, when so many reservations are held."""
    found = []
    gc.disable()  # as the ledger worker does
    stock = Stock(10_000_000)
    for held in HELD:
        stock.take(stock.reservations(max(0, held - stock.orders)))
        seconds, facts = stock.take(stock.reservations(TIMED))
        if facts != {"StockReserved": TIMED}:
            raise ArithmeticError(f"not every unit was reserved: {facts}")
        snapshot_seconds, size = stock.snapshot()
        found.append(
            {
                "held": held,
                "cpu_us_a_reservation": round(seconds / TIMED * 1e6, 1),
                "snapshot_mb": round(size / 1e6, 2),
                "snapshot_cpu_ms": round(snapshot_seconds * 1000, 1),
            }
        )
    gc.enable()
    return found


class Flow:
    """The whole flow, one kind of load after the other."""

    def __init__(self, where: Place) -> None:
        self._where = where
        self._subject = Ours(where)
        self._draw = Random(11)
        self._sender = Sender(where.kafka, 50)
        self._number = 0

    def run(self, orders: int) -> dict[str, Any]:
        subject = self._subject
        try:
            subject.start()
            self._receive("HOT-ENOUGH", 10 * orders)
            self._receive("HOT-SCARCE", orders // 2)
            self._load(orders // 3, None, orders // 3)  # warms up
            found = {
                "over 1,000 SKUs": self._load(orders, None, orders),
                "one SKU": self._load(orders, "HOT-ENOUGH", orders),
                "one SKU, stock for half": self._load(orders, "HOT-SCARCE", orders // 2),
            }
            report = verify(subject.services, Codec())
            wrong = [] if report.equal else ["verify: the tables are not the fold of the ledger"]
            for sku, reserved in (("HOT-ENOUGH", orders), ("HOT-SCARCE", orders // 2)):
                wrong += self._wrong(sku, reserved)
        finally:
            subject.stop()
        return {"loads": found, "wrong": wrong}

    def _receive(self, sku: str, units: int) -> None:
        what = {"sku": sku, "location_id": LOCATIONS[0][0], "quantity": units}
        self._subject.tell([command("ReceiveStock", f"r-{sku}", "bench", **what)])

    def _load(self, orders: int, sku: str | None, allocated: int) -> dict[str, Any]:
        """A backlog, until every order is allocated or waits for stock."""
        made = list(self._orders(orders, sku))
        ids = [order.order_id for order in made]
        records = self._subject.records(made)
        before, begun = self._cpu(), time.monotonic()
        for record in records:
            self._sender.send(record)
        self._sender.finish()
        found: dict[str, int] = {}
        while found.get("allocated", 0) + found.get("backordered", 0) < orders:
            self._subject.processes()
            if time.monotonic() - begun > PATIENCE_SECONDS:
                sys.exit(f"not within {PATIENCE_SECONDS:.0f} s: {found} of {orders:,}")
            time.sleep(0.1)
            found = count_by_status(self._subject.connection, ids)
        seconds = time.monotonic() - begun
        after = self._cpu()
        if found.get("allocated", 0) != allocated:
            sys.exit(f"{found.get('allocated', 0):,} orders of {sku} are allocated, not {allocated:,}")
        row = {
            "orders": orders,
            "allocated": allocated,
            "orders_per_second": round(orders / seconds),
            "cpu_us_an_order": spent(before, after, orders),
            "cores": {name: round((after[name] - before[name]) / seconds, 2) for name in after},
            "rss_mb": {name: rss_mb(pid) for name, pid in self._subject.processes().items()},
        }
        note(sku or "many SKUs", row)
        return row

    def _orders(self, count: int, sku: str | None) -> Iterator[Order]:
        for _ in range(count):
            self._number += 1
            wanted = sku or f"SKU-{self._draw.randrange(SKUS):05}"
            line = Line("1", wanted, 1, 1_999)
            yield Order(f"h-{self._number:08}", self._draw.choice(CHANNELS), "C000001", "10115", (line,))

    def _cpu(self) -> dict[str, float]:
        own = {name: cpu_seconds(pid) for name, pid in self._subject.processes().items()}
        return own | self._where.server_cpu(self._subject.connection.info.backend_pid)

    def _wrong(self, sku: str, reserved: int) -> list[str]:
        with connect(self._subject.services, "bench-settle") as connection:
            settle(Gauge(self._subject.services, connection), PATIENCE_SECONDS)
        (row,) = read_inventory(self._subject.connection, sku)
        wanted = {"reserved": reserved, "available": row["on_hand"] - reserved}
        return [f"{sku}: {one}" for one in compare({name: row[name] for name in wanted}, wanted)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Orders a second for a single SKU, and what bounds it.",
        epilog="Example: python -m benchmarks.surge.hot --orders 6000 --json",
    )
    parser.add_argument("--orders", type=int, default=6_000, help="orders of each load")
    parser.add_argument("--decide", action="store_true", help="only deciding, without services")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args()
    results: dict[str, Any] = {
        "calibration_seconds": round(calibration_seconds(), 4),
        "wrong": [],
        "deciding": deciding(),
    }
    if not options.decide:
        with place() as where:
            results |= Flow(where).run(options.orders)
    print(json.dumps(results, indent=None if options.json else 2))
    if results["wrong"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
