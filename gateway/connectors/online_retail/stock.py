"""SIMULATED stock around the real orders of Online Retail II: the file has no locations, levels, deliveries or counts.

All names show it: channel `simulated-warehouse`, actor `simulation`, ids that begin with `sim-`, locations that begin
with `SIM-`. The stock fits the slice: units that the slice sells and writes off are there in time, except for some 3 %.
These arrive the morning after they were first missing, so that a few lines are backordered and then allocated.

    for command in opening_stock(mapping, seed=7): ...      # a day before the first order
    for command in late_deliveries(mapping, seed=7): ...    # merge by occurred_at with mapping.commands()
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Row
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any, Final

import polars as pl

from gateway.connectors.online_retail.mapping import MAIN_LOCATION, Command, Mapping

SIMULATED_CHANNEL: Final = "simulated-warehouse"
SIMULATED_ACTOR: Final = "simulation"

LOCATIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "location_id": MAIN_LOCATION, "name": "Simulated warehouse Manchester", "kind": "warehouse", "country": "GB",
        "latitude": 53.4808, "longitude": -2.2426, "daily_capacity": 600, "cost_minor_per_parcel": 310,
    },
    {
        "location_id": "SIM-WH-SOUTH", "name": "Simulated warehouse Reading", "kind": "warehouse", "country": "GB",
        "latitude": 51.4543, "longitude": -0.9781, "daily_capacity": 300, "cost_minor_per_parcel": 340,
    },
    {
        "location_id": "SIM-WH-EU", "name": "Simulated warehouse Venlo", "kind": "third_party", "country": "NL",
        "latitude": 51.3704, "longitude": 6.1724, "daily_capacity": 200, "cost_minor_per_parcel": 520,
    },
)  # fmt: skip
"""The busiest day of the year has 153 orders. Each location alone could ship them, so capacity is no bottleneck."""

LATE_SHARE: Final = 0.03
"""Share of sold units that are missing at the opening. More makes most of the demo a shortage; with 0 nothing is
backordered."""
LATE_PART_OF_SKU: Final = 0.3
"""A short SKU lacks this share of what it sells, so the shortage hits a tenth of the SKUs and not all."""
MARGIN_SHARE: Final = 0.05
"""Delivered later in addition to what every SKU sells. Without it, one lost unit leaves the last order waiting for
ever."""
REORDER_SHARE_OF_SKUS: Final = 0.3
REORDER_PART_OF_NEED: Final = 0.1
"""Three SKUs in ten have a reorder point: a tenth of the slice's need."""
MISCOUNT_SHARE: Final = 0.005
"""Share of counts that differ; the ideal accuracy at peak is 99.5 %."""

_SPLITS: Final = ((0.60, (1.0, 0.0, 0.0)), (0.85, (0.7, 0.3, 0.0)), (1.00, (0.6, 0.25, 0.15)))
"""Cumulated chance -> shares of a SKU's stock per location: most lines fit in the main one."""
_DELIVERY_TIME: Final = time(6, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Need:
    sku: str
    sold: int
    written_off: int
    late: int
    parts: tuple[float, float, float]
    reorder: bool

    @property
    def opening(self) -> int:
        return self.sold + self.written_off - self.late


def opening_stock(mapping: Mapping, *, seed: int) -> list[Command]:
    """RegisterLocation x 3, ReceiveStock per SKU and location, SetStockPolicy for some: a day before the first order.

    The units received are about 97 % of what the slice sells and writes off. Empty if the slice sells nothing.
    """
    needs = _needs(mapping, seed)
    if not needs:
        return []
    at = _stamp(_first_order_at(mapping) - timedelta(days=1))
    ids = f"sim-{_label(mapping)}-s{seed}"
    # Every slice sends the same locations, and perhaps policies. Their ids follow from their content, so they are
    # duplicates. With new ids they would be refused, because they change nothing.
    commands = [
        _simulated("RegisterLocation", f"sim-location-{location['location_id']}", at, dict(location))
        for location in LOCATIONS
    ]
    for need in needs:
        for location_id, quantity in _spread(need):
            data = {
                "sku": need.sku,
                "location_id": location_id,
                "quantity": quantity,
                "purchase_order": f"{ids}-opening",
            }
            commands.append(_simulated("ReceiveStock", f"{ids}-open-{need.sku}-{location_id}", at, data))
    for need in needs:
        if need.reorder:
            point = max(1, round(need.sold * REORDER_PART_OF_NEED))
            data = {"sku": need.sku, "location_id": MAIN_LOCATION, "reorder_point": point}
            commands.append(_simulated("SetStockPolicy", f"sim-policy-{need.sku}-{point}", at, data))
    return commands


def late_deliveries(mapping: Mapping, *, seed: int) -> list[Command]:
    """ReceiveStock at the main location, by time: the missing units and 5 % more.

    They come the morning (06:00 UTC) after a SKU first ran short; for SKUs that never ran short, the morning after the
    last order.
    """
    needs = _needs(mapping, seed)
    if not needs:
        return []
    short_since = _short_since(mapping, needs)
    last: datetime = mapping.line_rows.item(-1, "at")
    ids = f"sim-{_label(mapping)}-s{seed}"
    commands = []
    for need in needs:
        quantity = need.late + max(1, round(need.sold * MARGIN_SHARE))
        at = _stamp(_next_morning(short_since.get(need.sku, last)))
        data = {"sku": need.sku, "location_id": MAIN_LOCATION, "quantity": quantity, "purchase_order": f"{ids}-late"}
        commands.append(_simulated("ReceiveStock", f"{ids}-late-{need.sku}", at, data))
    return sorted(commands, key=lambda command: str(command["occurred_at"]))


def cycle_counts(inventory_rows: Iterable[Row[str, Any]], *, seed: int, at: datetime) -> list[Command]:
    """CountStock for every row {sku, location_id, on_hand} read back from the ledger; 0.5 % are off by 1 to 3 units.

    `at` (aware) is the time of the on-hand figures. A record below zero is counted as 0.
    """
    random = Random(f"counts-{seed}")  # noqa: S311 - a simulation that must repeat
    moment = _stamp(at)
    commands = []
    for row in sorted(inventory_rows, key=lambda row: (str(row["sku"]), str(row["location_id"]))):
        off = random.random() < MISCOUNT_SHARE
        error = random.choice((-3, -2, -1, 1, 2, 3)) if off else 0
        counted = max(0, int(row["on_hand"]) + error)
        data = {"sku": row["sku"], "location_id": row["location_id"], "counted": counted, "counted_at": moment}
        name = f"sim-count-{moment}-s{seed}-{row['sku']}-{row['location_id']}"
        commands.append(_simulated("CountStock", name, moment, data))
    return commands


def _needs(mapping: Mapping, seed: int) -> list[_Need]:
    """Per SKU of the slice, by code: its need, its late units, its locations. Empty if nothing is sold."""
    if not mapping.line_rows.height:
        return []
    sold: dict[str, int] = dict(mapping.line_rows.group_by("sku").agg(pl.col("quantity").sum()).sort("sku").iter_rows())
    written_off: dict[str, int] = {}
    for command in mapping.adjustments():
        sku, delta = command["data"]["sku"], command["data"]["quantity_delta"]
        if delta < 0:
            written_off[sku] = written_off.get(sku, 0) - delta
    random = Random(f"stock-{seed}")  # noqa: S311 - a simulation that must repeat
    late = _late_units(sold, random)
    needs = []
    for sku in sorted(sold.keys() | written_off.keys()):
        draw, reorder = random.random(), random.random() < REORDER_SHARE_OF_SKUS
        parts = next(parts for chance, parts in _SPLITS if draw <= chance)
        needs.append(_Need(sku, sold.get(sku, 0), written_off.get(sku, 0), late.get(sku, 0), parts, reorder))
    return needs


def _late_units(sold: dict[str, int], random: Random) -> dict[str, int]:
    budget = round(sum(sold.values()) * LATE_SHARE)
    late: dict[str, int] = {}
    for sku in random.sample(sorted(sold), len(sold)):
        units = min(budget, max(1, round(sold[sku] * LATE_PART_OF_SKU)))
        if units:
            late[sku] = units
            budget -= units
    return late


def _spread(need: _Need) -> list[tuple[str, int]]:
    """Quantities per location; the smaller ones are rounded down. Units to be written off are at the main one."""
    sellable = max(0, need.sold - need.late)
    others = [
        (location["location_id"], int(sellable * part)) for location, part in zip(LOCATIONS, need.parts, strict=True)
    ][1:]
    main = (MAIN_LOCATION, need.opening - sum(quantity for _, quantity in others))
    return [(location_id, quantity) for location_id, quantity in (main, *others) if quantity > 0]


def _short_since(mapping: Mapping, needs: list[_Need]) -> dict[str, datetime]:
    """SKU -> time of the first line that the opening stock, without write-offs, does not cover."""
    sellable = pl.DataFrame(
        [(need.sku, need.sold - need.late) for need in needs if need.late],
        schema={"sku": pl.String, "sellable": pl.Int64},
        orient="row",
    )
    running = mapping.line_rows.join(sellable, on="sku", maintain_order="left").with_columns(
        pl.col("quantity").cum_sum().over("sku").alias("so_far")
    )
    first = running.filter(pl.col("so_far") > pl.col("sellable")).group_by("sku").agg(pl.col("at").min())
    return dict(first.iter_rows())


def _first_order_at(mapping: Mapping) -> datetime:
    first: datetime = mapping.order_rows.item(0, "at")
    return first


def _next_morning(at: datetime) -> datetime:
    return datetime.combine(at.date() + timedelta(days=1), _DELIVERY_TIME)


def _label(mapping: Mapping) -> str:
    """Part of every id, so that the stock of two slices adds up instead of clashing."""
    return f"{mapping.first_date}-{mapping.last_date}"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _simulated(name: str, command_id: str, occurred_at: str, data: dict[str, Any]) -> Command:
    return {
        "command": name, "id": command_id, "channel": SIMULATED_CHANNEL, "actor": SIMULATED_ACTOR, "occurred_at":
        occurred_at, "data": data,
    }  # fmt: skip
