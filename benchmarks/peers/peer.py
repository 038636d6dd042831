"""What the peers have in common: topics and tables of the same shape, and the same questions at the end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from benchmarks.place import Place
from benchmarks.sender import Sender
from benchmarks.subject import Record, compare
from benchmarks.traffic import LINES, LOCATIONS, SKUS, UNITS_IN_STOCK, Order, Receipt, Traffic, receipts
from runtime.kafka import TopicSpec, admin, create_topics, end_offsets
from runtime.postgres import connect, ensure_database
from runtime.services import find_services
from runtime.settings import Settings

PARTITIONS = 12
TOPICS = ("orders.commands", "stock.commands", "ledger.orders", "ledger.stock")
TABLES = (Path(__file__).parent / "tables.sql").read_text()
#: Facts of an order: placed, allocated, and for each line reserved and allocated.
FACTS_AN_ORDER = 2 + 2 * LINES
RECEIPTS = SKUS * len(LOCATIONS)
#: Bounds a hang: to receive the stock takes seconds.
PATIENCE_SECONDS = 600.0

#: Asked at the end, when nothing is on its way.
TOTALS = f"""
SELECT (SELECT count(*) FROM peer_orders) AS "orders",
  (SELECT count(*) FROM peer_orders WHERE status = 'allocated' AND open = 0) AS "allocated orders",
  (SELECT count(*) FROM peer_lines WHERE allocated = ordered AND location_id IS NOT NULL) AS "allocated lines",
  (SELECT coalesce(sum(ordered), 0) FROM peer_orders) AS "units ordered",
  (SELECT coalesce(sum(allocated), 0) FROM peer_lines) AS "units allocated",
  (SELECT sum(on_hand) FROM peer_stock) AS "units on hand",
  (SELECT sum(reserved) FROM peer_stock) AS "units reserved",
  (SELECT count(*) FROM peer_stock WHERE available < 0) AS "oversold",
  (SELECT count(*) FROM peer_history) AS "rows of history",
  (SELECT count(DISTINCT event_id) FROM peer_history) AS "facts",
  (SELECT count(*) FROM (SELECT sku, sum(allocated) AS units FROM peer_lines GROUP BY sku) AS taken
    JOIN (SELECT sku, sum(reserved) AS units FROM peer_stock GROUP BY sku) AS held USING (sku)
    WHERE taken.units <> held.units) AS "SKUs whose lines and stock differ",
  (SELECT count(*) FROM (SELECT count(*) AS facts, max(version) AS version FROM peer_history
    WHERE fact IN ('OrderPlaced', 'LineAllocated', 'OrderAllocated') GROUP BY order_id) AS each_order
    WHERE facts <> {LINES + 2} OR version <> {LINES + 2}) AS "orders with gaps in their history"
"""


def wanted_totals(traffic: Traffic) -> dict[str, int]:
    facts = RECEIPTS + FACTS_AN_ORDER * traffic.orders
    return {
        "orders": traffic.orders,
        "allocated orders": traffic.orders,
        "allocated lines": traffic.lines,
        "units ordered": traffic.units,
        "units allocated": traffic.units,
        "units on hand": RECEIPTS * UNITS_IN_STOCK,
        "units reserved": traffic.units,
        "oversold": 0,
        "rows of history": facts,
        "facts": facts,
        "SKUs whose lines and stock differ": 0,
        "orders with gaps in their history": 0,
    }


class Peer(ABC):
    """Topics and tables of its own on the servers of a benchmark; `key` names them."""

    warm_ups = 1
    share = 1.0

    def __init__(self, place: Place, key: str) -> None:
        self.place = place
        self.prefix = f"{key}."
        first = find_services(Settings(kafka=place.kafka, postgres=SecretStr(place.postgres)))
        self.database = f"bench_{key.replace('-', '_')}"
        conninfo = ensure_database(first, self.database)
        self.postgres: dict[str, Any] = conninfo_to_dict(conninfo)
        self.conninfo = conninfo
        self.services = find_services(
            Settings(kafka=place.kafka, postgres=SecretStr(conninfo), topic_prefix=self.prefix)
        )
        self.connection = connect(self.services, "bench", autocommit=True)

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a process of this peer."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ORDER_LEDGER_")}
        return ours | {"PREFIX": self.prefix, "BOOTSTRAP": self.place.kafka} | more

    def prepare(self, changelogs: Iterable[str] = ()) -> None:
        """Make the tables and the topics."""
        self.connection.execute(TABLES)
        compacted = {"cleanup.policy": "compact"}
        specs = [TopicSpec(self.prefix + name, PARTITIONS) for name in TOPICS]
        specs += [TopicSpec(self.prefix + name, PARTITIONS, config=compacted) for name in changelogs]
        create_topics(self.services, specs)

    def stock_up(self) -> None:
        """Send the stock, and wait until it is in the tables."""
        sender = Sender(self.place.kafka, 50)
        for receipt in receipts():
            sender.send(self.receipt(receipt))
        sender.finish()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.progress()[0] < RECEIPTS:
            self.processes()
            if time.monotonic() > deadline:
                sys.exit(f"the stock is not in the tables after {PATIENCE_SECONDS:.0f} s")
            time.sleep(0.1)

    @abstractmethod
    def receipt(self, receipt: Receipt) -> Record:
        """The command that receives stock, as the peer reads it."""

    @abstractmethod
    def processes(self) -> dict[str, int]:
        """Process id by name. Exits when one has ended by itself."""

    @abstractmethod
    def command(self, order: Order) -> Record:
        """The command that places an order, as the peer reads it."""

    def records(self, orders: Iterable[Order]) -> list[Record]:
        return [self.command(order) for order in orders]

    def progress(self) -> tuple[int, int]:
        """Facts in the tables, and allocated orders among them."""
        ((facts, orders),) = self.connection.execute("SELECT facts, allocated_orders FROM sink_progress").fetchall()
        return facts, orders

    def visible(self) -> int:
        facts, orders = self.progress()
        return int(min(orders, (facts - RECEIPTS) // FACTS_AN_ORDER))

    def sees(self, order_id: str) -> bool:
        row = self.connection.execute("SELECT status FROM peer_orders WHERE order_id = %s", [order_id]).fetchone()
        return row == ("allocated",)

    def topics(self) -> dict[str, int]:
        listed = admin(self.services).list_topics(timeout=30).topics
        names = sorted(name for name in listed if name.startswith(self.prefix))
        counts = dict.fromkeys(names, 0)
        for (topic, _), end in end_offsets(self.services, names).items():
            counts[topic] += end
        return counts

    def wrong(self, traffic: Traffic) -> list[str]:
        cursor = self.connection.execute(TOTALS)
        assert cursor.description is not None
        (row,) = cursor.fetchall()
        return compare(dict(zip((one.name for one in cursor.description), row, strict=True)), wanted_totals(traffic))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()


def lines_of(order: Order) -> Iterator[dict[str, Any]]:
    return (line._asdict() for line in order.lines)
