"""A shop on real services: workers as processes, commands in, tables out. What journeys are told with.

with open_shop(ledger_env, "ledger", "reactions", "projector") as shop:
    shop.publish(command("ReceiveStock", sku="mug", location_id="WH1", quantity=1))
    shop.settle()
    assert shop.stock("mug", "WH1")["available"] == 1
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli.workers import start_worker
from gateway.operating.settling import Gauge, settle
from gateway.reading.orders import order_document
from gateway.sending.publishing import Report, publish_lines
from processors.subjects import codec_for
from processors.topics import ensure_topics
from processors.verify.check import Report as Verified
from processors.verify.check import verify
from projections.inventory.reader import read_inventory
from projections.order_history.reader import read_history
from runtime.postgres import connect
from runtime.process import Workers

#: On a busy two-core machine a rebalance and a takeover take seconds; a hang must still end a test with a message.
PATIENCE_SECONDS = 180.0

_PLACES = ("location_id", "to_location_id")

_numbers = itertools.count(1)


def command(
    name: str,
    /,
    channel: str = "web",
    id: str | None = None,
    at: str | None = None,
    **data: Any,
) -> dict[str, Any]:
    """A command as a channel sends it; a fresh id unless one is given."""
    return {
        "command": name,
        "id": id or f"t-{next(_numbers)}",
        "channel": channel,
        "occurred_at": at or "2026-11-27T18:00:00Z",
        "data": data,
    }


def place(order_id: str, *lines: tuple[str, int], at: str | None = None, **data: Any) -> dict[str, Any]:
    """PlaceOrder with one line per (sku, quantity), numbered from 1."""
    return command(
        "PlaceOrder",
        at=at,
        order_id=order_id,
        customer_id="c-1",
        currency="EUR",
        lines=[
            {"line_id": str(number), "sku": sku, "quantity": quantity, "unit_price_minor": 1_000}
            for number, (sku, quantity) in enumerate(lines, start=1)
        ],
        ship_to={"country": "DE"},
        **data,
    )


def open_places(*location_ids: str) -> list[dict[str, Any]]:
    """Registrations of locations; the same commands each time, so that one that is there already is no error."""
    return [
        command("RegisterLocation", "wms", id=f"open-{name}"[:200], location_id=name, name=name, kind="warehouse")
        for name in location_ids
    ]


def receive(sku: str, location_id: str, quantity: int) -> dict[str, Any]:
    return command("ReceiveStock", channel="wms", sku=sku, location_id=location_id, quantity=quantity)


def dispatch(order_id: str, shipment_id: str, location_id: str, *lines: tuple[str, int]) -> dict[str, Any]:
    return command(
        "DispatchShipment",
        channel="wms",
        order_id=order_id,
        shipment_id=shipment_id,
        location_id=location_id,
        carrier="carrier",
        service="standard",
        lines=[{"line_id": line_id, "quantity": quantity} for line_id, quantity in lines],
    )


class Shop:
    """The running ledger; every answer is read from the tables."""

    def __init__(self, env: Any, workers: Workers, logs: Path) -> None:
        self.env = env
        self.workers = workers
        self.logs = logs
        self.connection = connect(env.services, "test", autocommit=True)
        self.gauge = Gauge(env.services, self.connection)
        #: Locations that were registered; with `registers` false a test does that itself.
        self.opened: set[str] = set()
        self.registers = True

    def start(self, *names: str, failpoints: str = "", module: str = "gateway.cli", **variables: str) -> None:
        """Start workers by label: `ledger`, or `ledger-2` for another one of that kind.

        `failpoints` as in `runtime.failpoints`; `variables` are more of the environment.
        """
        env = {**self.env.env, **variables}
        if failpoints:
            env["ORDER_LEDGER_FAILPOINTS"] = failpoints
        for name in names:
            start_worker(self.workers, name, env, self.logs / f"{name}.log", module)

    def wait_until_dead(self, name: str) -> int:
        """The exit status of a worker that ends by itself (negative: by that signal)."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for ended in self.workers.ended():
                if ended.name == name:
                    return ended.status
            time.sleep(0.02)
        raise AssertionError(f"{name} still runs\n{self.tail()}")

    def wait_for_line(self, name: str, *words: str) -> str:
        """The first line of a worker's log that holds all the words, as soon as it is there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for line in (self.logs / f"{name}.log").read_text(errors="replace").splitlines():
                if all(word in line for word in words):
                    return line
            time.sleep(0.05)
        raise AssertionError(f"{name} never said {words}\n{self.tail()}")

    def publish(self, *commands: dict[str, Any], wait: bool = True) -> Report:
        """Publish and, unless told otherwise, wait until each is decided.

        Somebody has registered the locations of these stories: whatever stock comes to is opened first.
        """
        named = {one["data"]["location_id"] for one in commands if one["command"] == "RegisterLocation"}
        self.opened |= named
        places = {one["data"].get(name) for one in commands if "sku" in one["data"] for name in _PLACES}
        unknown = sorted(place for place in places - self.opened if place)
        if unknown and self.registers:
            self.opened.update(unknown)
            self.publish_bytes([json.dumps(one).encode() for one in open_places(*unknown)], wait=wait)
        return self.publish_bytes([json.dumps(c).encode() for c in commands], wait=wait)

    def publish_bytes(self, lines: Iterable[bytes], *, wait: bool = True) -> Report:
        with connect(self.env.services, "test-publish") as connection:
            return publish_lines(
                self.env.settings,
                self.env.services,
                connection,
                lines,
                wait=wait,
                timeout_seconds=PATIENCE_SECONDS,
            )

    def accepted(self, *commands: dict[str, Any]) -> None:
        """Publish, settle, and see that all were accepted."""
        report = self.publish(*commands)
        assert report.counts.get("accepted", 0) == len(commands), report.outcomes
        self.settle()

    def settle(self) -> None:
        flight = settle(self.gauge, PATIENCE_SECONDS)
        assert flight.in_flight == 0, (flight[:3], self.tail())

    def order(self, order_id: str) -> dict[str, Any]:
        order = order_document(self.connection, order_id)
        assert order is not None, order_id
        return order

    def line(self, order_id: str, line_id: str = "1") -> dict[str, Any]:
        line: dict[str, Any] = next(row for row in self.order(order_id)["lines"] if row["line_id"] == line_id)
        assert line["ordered"] == sum(
            line[name] for name in ("open", "backordered", "allocated", "shipped", "cancelled")
        ), line
        return line

    def stock(self, sku: str, location_id: str) -> dict[str, Any]:
        (row,) = read_inventory(self.connection, sku, location_id)
        parts = ("available", "reserved", "safety", "damaged", "quality_hold")
        assert row["on_hand"] == sum(row[name] for name in parts), row
        return row

    def facts(self, order_id: str) -> list[str]:
        return [row["fact"] for row in read_history(self.connection, order_id)]

    def verify(self) -> Verified:
        services = self.env.services
        return verify(services, codec_for(services.schema_registry, services.topic_prefix))

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every projection table, sorted as text; without what depends on when it was recorded."""
        names = sorted(self.verify().tables)
        return {
            name: sorted(self.connection.execute(f"SELECT to_jsonb(t)::text FROM {name} AS t").fetchall())
            for name in names
        }

    def tail(self, lines: int = 15) -> str:
        """The end of each worker's log, for a message that helps."""
        return "\n".join(
            f"== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            for path in sorted(self.logs.glob("*.log"))
        )


@contextmanager
def open_shop(env: Any, *names: str, logs: Path) -> Iterator[Shop]:
    """Topics made, workers started; all stopped at the end."""
    ensure_topics(env.services, env.settings)
    logs.mkdir(parents=True, exist_ok=True)
    with Workers() as workers:
        shop = Shop(env, workers, logs)
        try:
            shop.start(*names)
            yield shop
        finally:
            shop.connection.close()
