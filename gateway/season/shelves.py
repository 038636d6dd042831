"""Locations and stock: the opening stock before the season, and a delivery after it.

Stock is sized from the expected demand, with a margin for everything except a few deals that sell out
(`Season.short_ranks`). The later delivery is sized from the real demand of `orders`, and covers most of the missing
units.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, NamedTuple

from gateway.season.baskets import Assortment
from gateway.season.baskets import orders as placed_orders
from gateway.season.days import check
from gateway.season.form import WAREHOUSE_CHANNEL, Command, command, run_name
from gateway.season.parameters import SEASON, Season
from gateway.season.world import LOCATIONS, MAIN_WAREHOUSES, Product


class Shelf(NamedTuple):
    """Stock of a product at a location: `sellable` units, plus `safety` units that must not be sold."""

    sku: str
    location_id: str
    sellable: int
    safety: int
    reorder_point: int
    buffers: Mapping[str, int]


def opening(seed: int, orders: int, surge: float = 10.0, *, season: Season = SEASON) -> Iterator[Command]:
    """RegisterLocation, then SetStockPolicy and ReceiveStock per product and location, before the first order.

    Raises ValueError for a negative number of orders or a surge outside 1 to 1000.
    """
    check(orders, surge)
    run, at = run_name(seed, orders, surge), season.stocked_at
    # Every season sends the same locations. Their ids follow from their content, so they are duplicates. With new ids
    # they would be refused, because they change nothing.
    for location in LOCATIONS:
        yield command(
            "RegisterLocation",
            f"sim-{location.location_id}",
            WAREHOUSE_CHANNEL,
            at - timedelta(days=1),
            asdict(location),
        )
    for number, shelf in enumerate(shelves(orders, season)):
        then, place = at + timedelta(seconds=number), {"sku": shelf.sku, "location_id": shelf.location_id}
        policy = {"safety_stock": shelf.safety, "reorder_point": shelf.reorder_point}
        buffers = {"buffers": dict(shelf.buffers)} if shelf.buffers else {}
        stem = f"{run}-{shelf.location_id}-{shelf.sku}"
        said = f"sim-{shelf.location_id}-{shelf.sku}-policy-{shelf.safety}-{shelf.reorder_point}"
        yield command("SetStockPolicy", said, WAREHOUSE_CHANNEL, then, {**place, **policy, **buffers})
        received = {**place, "quantity": shelf.sellable + shelf.safety, "purchase_order": f"{run}-opening"}
        yield command("ReceiveStock", f"{stem}-opening", WAREHOUSE_CHANNEL, then, received)


def restock(seed: int, orders: int, surge: float = 10.0, *, season: Season = SEASON) -> Iterator[Command]:
    """ReceiveStock for `restocked_share` of the units that the season's orders lack: at the first warehouse, later."""
    run = run_name(seed, orders, surge)
    for number, (sku, lacking) in enumerate(sorted(shortfall(seed, orders, surge, season=season).items())):
        data = {
            "sku": sku,
            "location_id": MAIN_WAREHOUSES[0],
            "quantity": math.ceil(lacking * season.restocked_share),
            "purchase_order": f"{run}-restock",
        }
        then = season.restocked_at + timedelta(seconds=number)
        yield command("ReceiveStock", f"{run}-{sku}-restock", WAREHOUSE_CHANNEL, then, data)


def shortfall(seed: int, orders: int, surge: float = 10.0, *, season: Season = SEASON) -> dict[str, int]:
    """Units by SKU that the season's orders, less cancelled units, need beyond the sellable opening stock."""
    wanted = demand(placed_orders(seed, orders, surge, season=season))
    for shelf in shelves(orders, season):
        wanted[shelf.sku] -= shelf.sellable
    return {sku: units for sku, units in wanted.items() if units > 0}


def demand(commands: Iterator[Command]) -> Counter[str]:
    """Units by SKU that the commands of `orders` need in the end. The first body of an id counts, as in the ledger."""
    wanted: dict[str, dict[str, tuple[str, int]]] = {}
    for said in commands:
        data: dict[str, Any] = said["data"]
        match said["command"]:
            case "PlaceOrder":
                lines = {line["line_id"]: (line["sku"], line["quantity"]) for line in data["lines"]}
                wanted.setdefault(data["order_id"], lines)
            case "AmendOrder":
                kept = wanted[data["order_id"]]
                kept.update((line["line_id"], (kept[line["line_id"]][0], line["quantity"])) for line in data["lines"])
            case "CancelOrder":
                gone = [line["line_id"] for line in data.get("lines", ())] or list(wanted[data["order_id"]])
                for line_id in gone:
                    del wanted[data["order_id"]][line_id]
            case _:  # holds and cases do not change the demand
                pass
    units: Counter[str] = Counter()
    for lines in wanted.values():
        for sku, quantity in lines.values():
            units[sku] += quantity
    return units


def shelves(orders: int, season: Season = SEASON) -> Iterator[Shelf]:
    """The opening stock: all products in both warehouses; the best sellers also in stores and at the third party."""
    assortment = Assortment(orders, season)
    units = orders * _mean(season.lines_weights) * _mean(season.quantity_weights)
    for item, share in zip(assortment.products, assortment.shares, strict=True):
        yield from _shelves_of(item, units * share, season)


def _shelves_of(item: Product, expected: float, season: Season) -> Iterator[Shelf]:
    """The margin is a fifth plus three standard deviations of a Poisson demand: one in a thousand runs out."""
    cover = dict(season.short_ranks).get(item.rank)
    total = (
        math.ceil(expected * 1.2 + 3 * math.sqrt(expected) + 4) if cover is None else max(2, round(expected * cover))
    )
    stores = [place.location_id for place in LOCATIONS if place.kind == "store"] if item.rank <= 40 else []
    third = [place.location_id for place in LOCATIONS if place.kind == "third_party"] if item.rank <= 30 else []
    spread = dict.fromkeys(stores, total * 2 // 100) | dict.fromkeys(third, total * 8 // 100)
    left = total - sum(spread.values())
    first, second = MAIN_WAREHOUSES
    spread |= {first: left - left * 2 // 5, second: left * 2 // 5}
    for location_id, sellable in sorted(spread.items()):
        if sellable:
            # A store does not sell its last unit on the marketplace: a customer in the store may be holding it.
            buffers = {"simulated-marketplace": 1} if location_id in stores else {}
            yield Shelf(item.sku, location_id, sellable, 1 + sellable // 100, 2 + sellable // 10, buffers)


def _mean(weights: tuple[float, ...]) -> float:
    return sum(number * weight for number, weight in enumerate(weights, start=1)) / sum(weights)
