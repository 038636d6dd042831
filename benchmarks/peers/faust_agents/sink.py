"""Facts → tables by a Faust agent: a batch is folded in memory, and each key is written once.

    PREFIX=faust. BOOTSTRAP=host:port DATABASE=conninfo python -m benchmarks.peers.faust_agents.sink

Faust commits offsets to Kafka after the rows: a crash between the two adds the batch again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks.peers.faust_agents.app import app_of, run, topic_of

#: Facts of one transaction, and how long to wait for more: a lone order waits that long.
TOGETHER, WITHIN_SECONDS = 5_000, 0.05
ENVELOPE = ("fact", "event_id", "command_id", "version", "occurred_at", "recorded_at", "channel", "correlation_id")

ORDERS = """
INSERT INTO peer_orders AS t (order_id, version, channel, customer_id, currency, placed_at, country, open, allocated,
  refused, ordered, value_minor, updated_at)
VALUES (%(order_id)s, %(version)s, %(channel)s, %(customer_id)s, %(currency)s, %(placed_at)s, %(country)s, %(open)s,
  %(allocated)s, %(refused)s, %(ordered)s, %(value)s, %(updated_at)s)
ON CONFLICT (order_id) DO UPDATE SET version = greatest(t.version, excluded.version),
  channel = coalesce(excluded.channel, t.channel), customer_id = coalesce(excluded.customer_id, t.customer_id),
  currency = coalesce(excluded.currency, t.currency), placed_at = coalesce(excluded.placed_at, t.placed_at),
  country = coalesce(excluded.country, t.country), open = t.open + excluded.open,
  allocated = t.allocated + excluded.allocated, refused = t.refused + excluded.refused,
  ordered = t.ordered + excluded.ordered, value_minor = t.value_minor + excluded.value_minor,
  updated_at = excluded.updated_at
"""
LINES = """
INSERT INTO peer_lines AS t (order_id, line_id, sku, unit_price_minor, location_id, open, allocated, refused, ordered)
VALUES (%(order_id)s, %(line_id)s, %(sku)s, %(price)s, %(location_id)s, %(open)s, %(allocated)s, %(refused)s,
  %(ordered)s)
ON CONFLICT (order_id, line_id) DO UPDATE SET
  unit_price_minor = coalesce(excluded.unit_price_minor, t.unit_price_minor),
  location_id = coalesce(excluded.location_id, t.location_id), open = t.open + excluded.open,
  allocated = t.allocated + excluded.allocated, refused = t.refused + excluded.refused,
  ordered = t.ordered + excluded.ordered
"""
STOCK = """
INSERT INTO peer_stock AS t (sku, location_id, on_hand, reserved)
VALUES (%(sku)s, %(location_id)s, %(on_hand)s, %(reserved)s)
ON CONFLICT (sku, location_id) DO UPDATE SET on_hand = t.on_hand + excluded.on_hand,
  reserved = t.reserved + excluded.reserved
"""
HISTORY = """
COPY peer_history (order_id, version, fact, occurred_at, recorded_at, command_id, channel, event_id, correlation_id,
  data) FROM STDIN
"""


class Batch:
    """What the facts of one batch add to each row."""

    def __init__(self, facts: Sequence[dict[str, Any]]) -> None:
        self.facts = facts
        self.orders: dict[str, dict[str, Any]] = {}
        self.lines: dict[tuple[str, str], dict[str, Any]] = {}
        self.stock: dict[tuple[str, str], dict[str, Any]] = {}
        self.allocated_orders = 0
        for fact in facts:
            self._add(fact)

    def _add(self, fact: dict[str, Any]) -> None:
        match fact["fact"]:
            case "OrderPlaced":
                order = self._order(fact)
                order |= {name: fact[name] for name in ("channel", "customer_id", "currency", "country")}
                order["placed_at"] = moment(fact["occurred_at"])
                for line in fact["lines"]:
                    units, price = line["quantity"], line["unit_price_minor"]
                    order["ordered"] += units
                    order["open"] += units
                    order["value"] += units * price
                    row = self._line(fact["order_id"], line["line_id"], line["sku"])
                    row["price"] = price
                    row["ordered"] += units
                    row["open"] += units
            case "LineAllocated" | "LineRefused" as name:
                order = self._order(fact)
                row = self._line(fact["order_id"], fact["line_id"], fact["sku"])
                row["location_id"] = fact["location_id"]
                for one in (order, row):
                    one["open"] -= fact["quantity"]
                    one["allocated" if name == "LineAllocated" else "refused"] += fact["quantity"]
            case "OrderAllocated":
                self._order(fact)
                self.allocated_orders += 1
            case "StockReceived":
                self._stock(fact)["on_hand"] += fact["quantity"]
            case "StockReserved":
                self._stock(fact)["reserved"] += fact["quantity"]

    def _order(self, fact: dict[str, Any]) -> dict[str, Any]:
        order = self.orders.get(fact["order_id"])
        if order is None:
            order = self.orders[fact["order_id"]] = {
                "order_id": fact["order_id"],
                **dict.fromkeys(("channel", "customer_id", "currency", "placed_at", "country")),
                **dict.fromkeys(("version", "open", "allocated", "refused", "ordered", "value"), 0),
            }
        order["version"] = max(order["version"], fact["version"])
        order["updated_at"] = moment(fact["recorded_at"])
        return order

    def _line(self, order_id: str, line_id: str, sku: str) -> dict[str, Any]:
        line = self.lines.get((order_id, line_id))
        if line is None:
            line = self.lines[order_id, line_id] = {
                "order_id": order_id,
                "line_id": line_id,
                "sku": sku,
                **dict.fromkeys(("price", "location_id")),
                **dict.fromkeys(("open", "allocated", "refused", "ordered"), 0),
            }
        return line

    def _stock(self, fact: dict[str, Any]) -> dict[str, Any]:
        at = fact["sku"], fact["location_id"]
        if at not in self.stock:
            self.stock[at] = {"sku": at[0], "location_id": at[1], "on_hand": 0, "reserved": 0}
        return self.stock[at]

    async def write(self, connection: psycopg.AsyncConnection[Any]) -> None:
        async with connection.transaction(), connection.cursor() as cursor:
            async with cursor.copy(HISTORY) as copy:
                for fact in self.facts:
                    await copy.write_row(row_of(fact))
            for statement, rows in ((ORDERS, self.orders), (LINES, self.lines), (STOCK, self.stock)):
                if rows:
                    await cursor.executemany(statement, list(rows.values()))
            await cursor.execute(
                "UPDATE sink_progress SET facts = facts + %s, allocated_orders = allocated_orders + %s",
                [len(self.facts), self.allocated_orders],
            )


def row_of(fact: dict[str, Any]) -> tuple[Any, ...]:
    data = json.dumps({name: value for name, value in fact.items() if name not in ENVELOPE})
    return (
        fact.get("order_id"), fact["version"], fact["fact"], moment(fact["occurred_at"]), moment(fact["recorded_at"]),
        fact["command_id"], fact["channel"], fact["event_id"], fact["correlation_id"], data,
    )  # fmt: skip


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


app = app_of("sink")


async def write(facts: Any) -> None:
    connection = await psycopg.AsyncConnection.connect(os.environ["DATABASE"], autocommit=True)
    async for batch in facts.take(TOGETHER, within=WITHIN_SECONDS):
        await Batch(batch).write(connection)


app.agent(topic_of(app, "ledger.orders", "ledger.stock"), name="write")(write)

if __name__ == "__main__":
    run(app)
