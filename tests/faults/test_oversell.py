"""Fault 9: two hundred clients want the same hundred units of ten SKUs, and ledgers die: no unit is promised twice."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from confluent_kafka import Producer

from gateway.sending.commands import parse
from runtime.kafka import producer
from schemas.codec import Codec
from tests.faults.ground import Ground, Sending, open_ground
from tests.support.oracle import Oracle
from tests.support.shop import PATIENCE_SECONDS, command, dispatch, place, receive

pytestmark = [pytest.mark.faults]

CLIENTS = 200
PRODUCERS = 8
SKUS = 10
#: A hundred units of each SKU.
UNITS = {"WH1": 34, "WH2": 33, "WH3": 33}
UNITS_PER_SKU = sum(UNITS.values())
#: Facts that a ledger writes before it dies, at most: the storm brings about two thousand.
FACTS_BEFORE_DEATH = 300


class EveryPrefix(Oracle):
    """Looks after each decision, as it stands on its partition, whether anything was promised that is not there."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.prefixes = 0
        self.received: Counter[str] = Counter()
        self.sold: Counter[str] = Counter()
        self._locations: dict[str, set[str]] = defaultdict(set)
        self._lines: dict[str, set[str]] = defaultdict(set)

    def _count(self, place: tuple[str, int], name: str, fact: dict[str, Any]) -> None:
        super()._count(place, name, fact)
        data = fact["data"]
        if name == "StockReceived":
            self.received[data["sku"]] += data["quantity"]
        if name == "StockShipped":
            self.sold[data["sku"]] += data["quantity"]
        if place[0] == "ledger.stock" and "location_id" in data:
            self._locations[data["sku"]].add(data["location_id"])
        if name == "OrderPlaced":
            self._lines[data["order_id"]] |= {line["line_id"] for line in data["lines"]}
        if fact["index"] == fact["count"]:
            self.prefixes += 1
            where = f"{place} after decision {fact['decision']} ({name})"
            if place[0] == "ledger.stock":
                self.wrong += [f"{where}: {what}" for what in self._oversold(fact["stream_id"])]
            elif place[0] == "ledger.orders":
                self.wrong += [f"{where}: {what}" for what in self._torn(fact["stream_id"])]

    def _oversold(self, sku: str) -> Iterator[str]:
        held = 0
        for location in self._locations[sku]:
            units = self.stock[sku, location]
            held += units["reserved"]
            if not 0 <= units["reserved"] <= units["on_hand"]:
                yield f"{sku} at {location}: {dict(units)}"
        if held + self.sold[sku] > self.received[sku]:
            yield f"{sku}: {held} held and {self.sold[sku]} sold of {self.received[sku]}"

    def _torn(self, order_id: str) -> Iterator[str]:
        for line_id in self._lines[order_id]:
            line = self.lines[order_id, line_id]
            parts = [line[name] for name in ("open", "backordered", "allocated", "shipped", "cancelled")]
            if sum(parts) != line["ordered"] or min(parts) < 0:
                yield f"{order_id}:{line_id} {dict(line)}"


class Storm:
    """The clients of one round. `placed` are the orders with how they want to be allocated."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._codec = Codec()
        services = ground.shop.env.services
        self._topic = {name: services.topic(f"intake.{name}") for name in ("orders", "stock")}
        self._producers: list[Producer] = [producer(services) for _ in range(PRODUCERS)]
        self.placed: dict[str, str] = {}
        self.failed: list[str] = []

    def sku(self, number: int) -> str:
        return f"{self._ground.prefix}-s{number}"

    def run(self) -> None:
        """All clients at once; returns when Kafka has every command. AssertionError where it did not take one."""
        clients = [threading.Thread(target=self._client, args=[number]) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        for sender in self._producers:
            assert sender.flush(PATIENCE_SECONDS) == 0
        assert not self.failed, self.failed[0]

    def _client(self, number: int) -> None:
        draw = Random(f"{self._ground.seed}:{number}")
        sender = self._producers[number % PRODUCERS]
        time.sleep(draw.uniform(0, 1.5))  # they do not all come in the same millisecond
        wanted = sorted(draw.sample(range(SKUS), draw.randint(1, 4)), reverse=bool(number % 2))
        lines = [(self.sku(one), draw.randint(1, 9)) for one in wanted]
        order_id = f"{self._ground.prefix}-o{number}"
        mode = draw.choice(("ship_available", "all_or_nothing"))
        self.placed[order_id] = mode
        fate = draw.random()
        if fate < 0.3:
            self._send(sender, self._hold(draw, number))
        self._send(sender, place(order_id, *lines, allocation=mode))
        if fate > 0.75:
            time.sleep(draw.uniform(0, 1))
            if fate > 0.9:
                some = [{"line_id": "1", "quantity": 1}]
                self._send(sender, command("CancelOrder", order_id=order_id, reason="one less", lines=some))
            else:
                self._send(sender, command("CancelOrder", order_id=order_id, reason="too slow"))

    def _hold(self, draw: Random, number: int) -> dict[str, Any]:
        """Another system holds units for a customer at its till, for seconds."""
        lapses = datetime.now(UTC) + timedelta(seconds=draw.uniform(0.5, 4))
        return command(
            "ReserveStock",
            channel="till",
            sku=self.sku(draw.randrange(SKUS)),
            location_id=draw.choice(list(UNITS)),
            quantity=draw.randint(1, 12),
            order_id=f"{self._ground.prefix}-t{number}",
            line_id="1",
            attempt=1,
            expires_at=lapses.isoformat().replace("+00:00", "Z"),
        )

    def _send(self, sender: Producer, document: dict[str, Any]) -> None:
        parsed = parse(json.dumps(document).encode())
        asked = (document["channel"], document["id"])

        def delivered(error: Any, _: Any) -> None:
            if error is None:
                self._ground.acknowledged.add(asked)
            else:
                self.failed.append(f"{asked}: {error}")

        topic = self._topic["stock" if document["command"] == "ReserveStock" else "orders"]
        sender.produce(topic, parsed.encode(self._codec), parsed.key, on_delivery=delivered)
        sender.poll(0)


def test_two_hundred_clients_never_get_the_hundred_and_first_unit(fault_env: Any, tmp_path: Path) -> None:
    """Pass: after every single decision held ≤ on hand at each location and held + sold ≤ 100 for each SKU; at the end
    each line's units are in final places, all-or-nothing orders have all or nothing, and no hold is without a line.

    Seen to fail: where `ReserveStock` was decided against what is on hand, held or not, it said "1990 things are wrong,
    the first: ('ledger.stock', 6) after decision …: r1-s1 at WH1: {'on_hand': 34, 'reserved': 35}".
    """
    with (
        open_ground(fault_env, tmp_path, "reactions", "projector") as ground,
        closing(EveryPrefix(fault_env)) as oracle,
    ):
        ground.oracle = oracle
        storms: list[Storm] = []
        ground.shop.start("ledger")
        for draw in ground.rounds(lambda: _judge(ground, storms[-1])):
            prefixes = oracle.prefixes
            storm = Storm(ground)
            storms.append(storm)
            ground.shop.publish(*(receive(storm.sku(n), at, units) for n in range(SKUS) for at, units in UNITS.items()))
            ground.shop.settle()  # the SKUs have joined their locations
            ground.shop.workers.kill("ledger")
            ground.shop.start("ledger", failpoints=_deadly(draw))
            sending = Sending(storm.run)
            for following in (_deadly(draw), ""):
                ground.shop.wait_until_dead("ledger")
                ground.shop.start("ledger", failpoints=following)
            sending.join()
            _wait_until_holds_have_lapsed(ground)
            _send_parcels(ground, draw)
            ground.shop.settle()
            oracle.read()
            ground.notes |= {"orders": len(storm.placed), "prefixes": oracle.prefixes - prefixes, "ledger killed": 2}


def _deadly(draw: Random) -> str:
    return f"ledger.before_fact:{draw.randint(20, FACTS_BEFORE_DEATH)}=kill"


def _wait_until_holds_have_lapsed(ground: Ground) -> None:
    """The reactions' timer sends what ends them; it is due within seconds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    left: Any = None
    while time.monotonic() < deadline:
        ground.shop.settle()
        left = ground.shop.connection.execute("SELECT sum(quantity) FROM expiring_reservations").fetchone()
        if not left[0]:
            return
        time.sleep(0.1)
    raise AssertionError(f"seed {ground.seed}: {left} units are still held after their time\n{ground.shop.tail()}")


def _send_parcels(ground: Ground, draw: Random) -> None:
    """A third of what is allocated leaves the warehouses, while everything else stays as it is."""
    orders = ground.shop.connection.execute(
        "SELECT order_id FROM order_lines WHERE order_id LIKE %s GROUP BY 1 HAVING sum(allocated) > 0 ORDER BY 1",
        [f"{ground.prefix}-o%"],
    ).fetchall()
    parcels = []
    for (order_id,) in draw.sample(orders, len(orders) // 3):
        for line in ground.shop.order(order_id)["lines"]:
            for location_id, units in line["locations"].items():
                parcel = f"{order_id}-{line['line_id']}-{location_id}"
                parcels.append(dispatch(order_id, parcel, location_id, (line["line_id"], units)))
    report = ground.shop.publish(*parcels)
    assert report.counts["accepted"] == len(parcels), report.outcomes
    ground.notes["parcels"] = len(parcels)


def _judge(ground: Ground, storm: Storm) -> None:
    pattern = f"{ground.prefix}-%"
    rows = ground.shop.connection.execute(
        "SELECT order_id, sku, open, backordered, allocated, shipped, cancelled, ordered FROM order_lines"
        " WHERE order_id LIKE %s",
        [pattern],
    ).fetchall()
    orders: dict[str, Counter[str]] = defaultdict(Counter)
    promised: Counter[str] = Counter()
    waiting: dict[str, set[str]] = defaultdict(set)
    for order_id, sku, opened, backordered, allocated, shipped, cancelled, ordered in rows:
        assert opened == 0, (ground.seed, order_id)
        assert ordered == backordered + allocated + shipped + cancelled, (ground.seed, order_id)
        orders[order_id].update(waiting=backordered, got=allocated + shipped)
        promised[sku] += allocated + shipped
        if backordered and storm.placed[order_id] == "ship_available":
            waiting[sku].add(order_id)
    assert orders.keys() == storm.placed.keys()
    for order_id, units in orders.items():
        if storm.placed[order_id] == "all_or_nothing":
            assert not (units["waiting"] and units["got"]), (ground.seed, order_id, dict(units))
    stock = ground.shop.connection.execute(
        "SELECT sku, sum(on_hand), sum(reserved), sum(available) FROM inventory WHERE sku LIKE %s GROUP BY 1", [pattern]
    ).fetchall()
    rows = ground.shop.connection.execute(
        "SELECT sku, sum(allocated) FROM order_lines WHERE order_id LIKE %s GROUP BY 1", [pattern]
    ).fetchall()
    allocated_units = dict(rows)
    assert len(stock) == SKUS
    idle = 0
    for sku, on_hand, reserved, available in stock:
        assert promised[sku] <= UNITS_PER_SKU, (ground.seed, sku, promised[sku])
        assert reserved == allocated_units.get(sku, 0), (ground.seed, sku, reserved, allocated_units)
        assert on_hand == reserved + available, (ground.seed, sku)
        if waiting[sku]:
            idle += available
    assert idle == 0, (ground.seed, f"{idle} units are free while somebody waits who takes any of them")
