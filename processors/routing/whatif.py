"""A period's orders routed again under some rules, one after the other, from one pool of stock.

    rerun(past, router) -> Totals(parcels=…, cost_minor=…, late_orders=…)

Units that an order takes are gone for the next one, and an order does not get units kept back from its channel. When a
location's daily capacity is used up, parcels wait there; it sends as many as it can every day. An order is late if the
rules' days on the road and the wait for capacity end after its promise. This is an estimate, the same for all rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from processors.routing.book import Router
from processors.routing.channels import NOTHING_KEPT, KeptBack, offered
from processors.routing.model import Place, Wanted, World
from processors.routing.objective import UNKNOWN_KM, Measured
from processors.routing.route import route


class Past(NamedTuple):
    """Orders by time; `whole` are the all-or-nothing orders. `stock` is all stock for them, `kept` the part of it kept
    back from each channel.
    """

    orders: tuple[Wanted, ...]
    whole: frozenset[str]
    stock: Mapping[str, Mapping[str, int]]
    places: Mapping[str, Place]
    weekly: Mapping[str, Mapping[str, float]] = {}
    kept: KeptBack = NOTHING_KEPT


@dataclass
class Totals:
    """The totals of a run. `kilometres` counts parcels with a known distance; money is in minor units."""

    orders: int = 0
    parcels: int = 0
    split_orders: int = 0
    cost_minor: int = 0
    kilometres: int = 0
    late_orders: int = 0
    units: int = 0
    units_without_location: int = 0
    queued_orders: int = 0
    unproved_plans: int = 0
    parcels_by_location: Counter[str] = field(default_factory=Counter)


def rerun(past: Past, router: Router, yardstick: Router | None = None) -> Totals:
    """Route the orders in sequence. `yardstick`: rules whose days on the road decide what is late; default: these."""
    roads = yardstick or router
    totals = Totals()
    stock = {sku: dict(held) for sku, held in past.stock.items()}
    waiting: dict[str, int] = {}
    today: date | None = None
    for wanted in past.orders:
        if today is not None and wanted.at.date() > today:
            _send(waiting, past.places, (wanted.at.date() - today).days)
        today = wanted.at.date()
        free = offered(stock, past.places, past.kept, wanted.channel, {need.sku for need in wanted.needs})
        found = route(wanted, router, World(free.stock, free.places, waiting, {}, past.weekly))
        asked = sum(need.quantity for need in wanted.needs)
        totals.orders += 1
        totals.units += asked
        whole = wanted.order_id in past.whole
        if found.outcome == "queue" or (whole and found.left_out):
            totals.queued_orders += 1
            totals.units_without_location += asked
            continue
        if whole and found.plan.short:
            totals.units_without_location += asked
            continue
        totals.units_without_location += sum(need.quantity for need in found.plan.short)
        totals.unproved_plans += found.plan.gap > 0
        for part in found.plan.parts:
            stock[part.sku][part.location_id] -= part.quantity
        used = {part.location_id for part in found.plan.parts}
        totals.split_orders += len(used) > 1
        measures = found.posed.measured
        totals.late_orders += any(_late(wanted, measures[name], roads) for name in used)
        for name in used:
            measured = measures[name]
            waiting[name] = waiting.get(name, 0) + 1
            totals.parcels += 1
            totals.cost_minor += measured.cost
            totals.kilometres += 0 if measured.distance == UNKNOWN_KM else measured.distance
            totals.parcels_by_location[name] += 1
    return totals


def _late(wanted: Wanted, measured: Measured, roads: Router) -> bool:
    days = measured.wait_days + roads.days_on_the_road(wanted.service_level, measured.distance)
    return wanted.due_by is not None and timedelta(days=days) > wanted.due_by - wanted.at


def _send(waiting: dict[str, int], places: Mapping[str, Place], days: int) -> None:
    """Every location sends as many parcels as it can on each of the days."""
    for name, parcels in list(waiting.items()):
        place = places.get(name)
        capacity = None if place is None else place.daily_capacity
        waiting[name] = 0 if capacity is None else max(0, parcels - capacity * days)
