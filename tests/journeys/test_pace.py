"""A history told step by step, at once, or with its orders shuffled, comes to the same orders, stock and figures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import zip_longest
from random import Random
from typing import Any

import pytest

from projections.inventory.reader import read_inventory
from projections.kpi.reader import kpis
from tests.support.shop import Shop, command

pytestmark = pytest.mark.journey

ORDERS = 24
PLACES = ("WH1", "WH2")
SKUS = ("cup", "pot", "tray")

Steps = list[dict[str, Any]]


def history(channel: str, random: Random) -> tuple[Steps, dict[str, Steps]]:
    """Stock for all, and the commands of each order in their sequence; all that the seed decides is the same for all
    channels.
    """
    needed = {(sku, place): 0 for sku in SKUS for place in PLACES}
    orders: dict[str, Steps] = {}
    for number in range(ORDERS):
        order_id = f"{channel}-{number:02}"
        ids = {"order_id": order_id}
        numbers = iter(range(100))

        def tell(name: str, at: str, ids: dict[str, str] = ids, numbers: Iterator[int] = numbers, **data: Any) -> Any:
            return command(name, channel, id=f"{ids['order_id']}:{next(numbers)}", at=at, **ids, **data)

        lines = {str(n): (random.choice(SKUS), random.randint(1, 4)) for n in range(1, random.randint(2, 4))}
        steps = [
            tell(
                "PlaceOrder",
                "2024-11-04T08:00:00Z",
                customer_id="c-1",
                currency="EUR",
                ship_to={"country": "DE"},
                promised_by="2024-11-08",
                allocation="all_or_nothing" if number % 4 == 0 else "ship_available",
                lines=[
                    {"line_id": line, "sku": f"{channel}-{sku}", "quantity": units, "unit_price_minor": 1_000}
                    for line, (sku, units) in lines.items()
                ],
            )
        ]
        left = {line: units for line, (_, units) in lines.items()}
        if number % 5 == 1:
            steps.append(tell("HoldOrder", "2024-11-04T09:00:00Z", hold="payment"))
            steps.append(tell("ReleaseHold", "2024-11-04T10:00:00Z", hold="payment"))
        if number % 3 == 1:
            left["1"] += 2
            steps.append(tell("AmendOrder", "2024-11-04T11:00:00Z", lines=[{"line_id": "1", "quantity": left["1"]}]))
        if number % 6 == 4:
            left["1"] -= 1
            steps.append(tell("AmendOrder", "2024-11-04T12:00:00Z", lines=[{"line_id": "1", "quantity": left["1"]}]))
        if number % 8 == 5:
            left["1"] -= 1
            cut = [{"line_id": "1", "quantity": 1}]
            steps.append(tell("CancelOrder", "2024-11-04T13:00:00Z", reason="too many", by="customer", lines=cut))
        if number % 8 == 7:
            left = {}
            steps.append(tell("CancelOrder", "2024-11-04T13:00:00Z", reason="changed mind", by="customer"))
        for line, units in left.items():
            needed[lines[line][0], PLACES[number % 2]] += units
        shipped: dict[str, int] = {}
        parcels = 0 if number % 6 == 3 else 1 + number % 2
        for parcel in range(parcels):
            last = parcel == parcels - 1
            inside = {line: units if last else units // 2 for line, units in left.items()}
            inside = {line: units for line, units in inside.items() if units}
            if not inside:
                continue
            for line, units in inside.items():
                left[line] -= units
                shipped[line] = shipped.get(line, 0) + units
            day = 5 + (number + parcel) % 4
            steps.append(
                tell(
                    "DispatchShipment",
                    f"2024-11-{day:02}T15:00:00Z",
                    shipment_id=f"p{parcel}",
                    location_id=PLACES[number % 2],
                    carrier="DHL",
                    service="parcel",
                    lines=[{"line_id": line, "quantity": units} for line, units in inside.items()],
                )
            )
            if number % 7 != 6:
                delivered = f"2024-11-{day + 2:02}T11:00:00Z"
                steps.append(tell("RecordTracking", delivered, shipment_id=f"p{parcel}", status="delivered"))
        if number % 7 == 2 and shipped.get("1"):
            back = [{"line_id": "1", "quantity": 1, "disposition": "restock"}]
            steps.append(tell("ReceiveReturn", "2024-11-14T12:00:00Z", return_id="r1", location_id="WH1", lines=back))
            steps.append(
                tell("IssueRefund", "2024-11-15T12:00:00Z", return_id="r1", amount_minor=1_000, reason="returned")
            )
        orders[order_id] = steps
    stock = [
        command(
            "ReceiveStock",
            channel,
            id=f"{channel}:{sku}:{place}",
            at="2024-11-01T08:00:00Z",
            sku=f"{channel}-{sku}",
            location_id=place,
            quantity=units + 8,
        )
        for (sku, place), units in needed.items()
    ]
    return stock, orders


def tell_slowly(shop: Shop, orders: dict[str, Steps], _: Random) -> None:
    for together in zip_longest(*orders.values()):
        shop.accepted(*(step for step in together if step is not None))


def tell_at_once(shop: Shop, orders: dict[str, Steps], _: Random) -> None:
    shop.accepted(*(step for steps in orders.values() for step in steps))


def tell_shuffled(shop: Shop, orders: dict[str, Steps], random: Random) -> None:
    left = {order_id: list(steps) for order_id, steps in orders.items()}
    told = []
    while left:
        order_id = random.choice(sorted(left))
        told.append(left[order_id].pop(0))
        if not left[order_id]:
            del left[order_id]
    shop.accepted(*told)


def outcome(shop: Shop, channel: str) -> dict[str, Any]:
    """What must be the same, without the channel's name in it."""
    orders = {}
    for number in range(ORDERS):
        order = shop.order(f"{channel}-{number:02}")
        lines = [
            {name: value for name, value in line.items() if isinstance(value, int)} | {"line_id": line["line_id"]}
            for line in order["lines"]
        ]
        orders[number] = {"status": order["status"], "holds": order["holds"], "lines": lines}
        orders[number]["shipments"] = _unnamed(order["shipments"], channel)
        orders[number]["returns"] = [{**one, "rma": ""} for one in _unnamed(order["returns"], channel)]
    stock = {
        (row["sku"].removeprefix(f"{channel}-"), row["location_id"]): row["on_hand"]
        for row in read_inventory(shop.connection)
        if row["sku"].startswith(f"{channel}-")
    }
    figures = kpis(shop.connection, by="channel")
    return {"orders": orders, "stock": stock, "kpis": figures["groups"][channel]}


def _unnamed(rows: list[dict[str, Any]], channel: str) -> Any:
    return json.loads(json.dumps(rows).replace(f"{channel}-", ""))


def test_a_history_comes_to_the_same_however_it_is_told(shop: Shop) -> None:
    seed = int(os.environ.get("ORDER_LEDGER_TEST_SEED", "1"))
    print(f"seed {seed}")
    found = {}
    for channel, tell in (("slow", tell_slowly), ("once", tell_at_once), ("shuffled", tell_shuffled)):
        stock, orders = history(channel, Random(seed))
        shop.accepted(*stock)
        tell(shop, orders, Random(seed))
        found[channel] = outcome(shop, channel)
    for channel in ("once", "shuffled"):
        for what, expected in found["slow"].items():
            for key, value in expected.items():
                assert found[channel][what][key] == value, (channel, what, key)
    assert not shop.connection.execute("SELECT sku FROM inventory WHERE available < 0").fetchall()
    assert shop.verify().equal
