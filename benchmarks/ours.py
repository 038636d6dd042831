"""The ledger as a subject of the benchmarks: its workers as processes, its commands as a channel sends them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.place import Place
from benchmarks.subject import Record, compare, tail
from benchmarks.traffic import LOCATIONS, Order, Traffic, receipts
from events.catalogue import DEAD_LETTERS, INTAKE_TOPICS, LEDGER_TOPICS
from gateway.operating.settling import Gauge, settle
from gateway.sending.commands import check
from gateway.sending.publishing import send_all
from processors.subjects import codec_for
from processors.topics import ensure_topics
from processors.verify.check import verify
from projections.inventory.reader import read_stock_totals
from projections.order_status.reader import count_by_status, count_others
from runtime.kafka import end_offsets
from runtime.postgres import connect, ensure_database
from runtime.process import Workers
from runtime.services import find_services
from runtime.settings import Settings

WORKERS = ("ledger", "reactions", "projector")
#: Bounds a hang: to receive the stock takes seconds.
PATIENCE_SECONDS = 600.0
#: Orders asked for in one look.
LOOK_AT = 500


def command(name: str, command_id: str, channel: str, /, **data: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return {"command": name, "id": command_id, "channel": channel, "occurred_at": at, "data": data}


def opening() -> Iterator[dict[str, Any]]:
    """Locations, then stock."""
    for name, latitude, longitude in LOCATIONS:
        where = {"latitude": latitude, "longitude": longitude, "country": "DE"}
        yield command(
            "RegisterLocation", f"open-{name}", "bench", location_id=name, name=name, kind="warehouse", **where
        )
    for receipt in receipts():
        yield command("ReceiveStock", f"r-{receipt.sku}-{receipt.location_id}", "bench", **receipt._asdict())


def place_order(order: Order) -> dict[str, Any]:
    return command(
        "PlaceOrder",
        f"place-{order.order_id}",
        order.channel,
        order_id=order.order_id,
        customer_id=order.customer_id,
        currency="EUR",
        ship_to={"country": "DE", "postcode": order.postcode},
        lines=[line._asdict() for line in order.lines],
    )


class Ours:
    """Ledger, reactions and projector, one process each."""

    name = "order-ledger"
    database = "bench_ours"
    warm_ups = 1
    share = 1.0

    def __init__(self, place: Place, *, prefix: str = "ours.", partitions: int = 12) -> None:
        first = Settings(kafka=place.kafka, postgres=SecretStr(place.postgres))
        database = ensure_database(find_services(first), self.database)
        self.prefix = prefix
        self._config = Settings(
            kafka=place.kafka,
            postgres=SecretStr(database),
            home=place.folder / "home",
            topic_prefix=prefix,
            partitions=partitions,
        )
        self.partitions = partitions
        self.settings = f"{partitions} partitions, one process of each worker"
        self.services = find_services(self._config)
        self._logs = place.folder
        self._workers = Workers()
        self._codec = codec_for(None, prefix)
        self._asked: list[str] = []
        self._taken_away: set[str] = set()
        self._seen = 0
        self.connection = connect(self.services, "bench", autocommit=True)

    def start(self) -> None:
        ensure_topics(self.services, self._config)
        for name in WORKERS:
            self._start(name, name)
        self.tell(opening())
        # On a connection of its own: while it waits, it rolls back.
        with connect(self.services, "bench-settle") as connection:
            flight = settle(Gauge(self.services, connection), PATIENCE_SECONDS)
        if flight.in_flight:
            sys.exit(f"the stock is not in the tables after {PATIENCE_SECONDS:.0f} s: {flight}")

    def tell(self, commands: Iterable[dict[str, Any]]) -> None:
        """Send commands, and return when Kafka has them."""
        send_all(self._config, self.services, commands, lambda _: None)

    def add(self, worker: str, name: str) -> None:
        """Start one more process of a worker."""
        self._taken_away.discard(name)
        self._start(worker, name)

    def take_away(self, name: str) -> None:
        """Ask a process to finish what it has in hand and to end."""
        self._taken_away.add(name)
        status = self._workers.end(name)
        if status:
            sys.exit(f"{name} was asked to end, and ended with status {status}:\n{tail(self._log(name))}")

    def _start(self, worker: str, name: str) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("ORDER_LEDGER_")} | self._config.as_env()
        self._workers.start(name, ["run", "--only", worker], env=env, log=self._log(name))

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def processes(self) -> dict[str, int]:
        for ended in self._workers.ended():
            if ended.name not in self._taken_away:
                sys.exit(f"{ended.name} has ended with status {ended.status}:\n{tail(self._log(ended.name))}")
        return self._workers.alive()

    def records(self, orders: Iterable[Order]) -> list[Record]:
        parsed = []
        for order in orders:
            self._asked.append(order.order_id)
            parsed.append(check(place_order(order)))
        return [Record(self.services.topic(p.type.topic), p.key, p.encode(self._codec)) for p in parsed]

    def visible(self) -> int:
        # Only the oldest that were not yet seen: a look at all of them, ten times a second, took half a core.
        while oldest := self._asked[self._seen : self._seen + LOOK_AT]:
            found = count_by_status(self.connection, oldest).get("allocated", 0)
            if found < len(oldest):
                return self._seen + found
            self._seen += found
        return self._seen

    def sees(self, order_id: str) -> bool:
        return count_by_status(self.connection, [order_id]) == {"allocated": 1}

    def topics(self) -> dict[str, int]:
        names = [self.services.topic(name) for name in (*INTAKE_TOPICS, *LEDGER_TOPICS, DEAD_LETTERS)]
        counts = dict.fromkeys(names, 0)
        for (topic, _), end in end_offsets(self.services, names).items():
            counts[topic] += end
        return counts

    def wrong(self, traffic: Traffic) -> list[str]:
        with connect(self.services, "bench-settle") as connection:
            settle(Gauge(self.services, connection), PATIENCE_SECONDS)
        stock = read_stock_totals(self.connection)
        found = {
            "allocated orders": count_by_status(self.connection, self._asked).get("allocated", 0),
            "other orders": count_others(self.connection, self._asked),
            "units on hand": stock.on_hand,
            "units reserved": stock.reserved,
            "dead letters": self.topics()[self.services.topic(DEAD_LETTERS)],
        }
        wanted = {
            "allocated orders": traffic.orders,
            "other orders": 0,
            "units on hand": sum(receipt.quantity for receipt in receipts()),
            "units reserved": traffic.units,
            "dead letters": 0,
        }
        # All rows of all tables, by code that shares nothing with the projector.
        report = verify(self.services, self._codec)
        return compare(found, wanted) + ([] if report.equal else ["verify: the tables are not the fold of the ledger"])

    def stop(self) -> None:
        self._workers.stop()
        with contextlib.suppress(OSError):
            self.connection.close()
