"""From a rule and the world to a problem in whole numbers.

Every candidate location is measured once, and a criterion becomes a sum of measures. Criteria that are compared one
after the other become one number: each is multiplied by more than the largest sum of all criteria after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import cache
from math import asin, ceil, cos, radians, sin, sqrt
from operator import itemgetter
from typing import Any, NamedTuple

from events.routing.language import Measure
from processors.routing.book import Group, ReadyRule, Router
from processors.routing.model import Coordinates, Place, Problem, Wanted, World

#: Means "unknown distance": more than half of the Earth's circumference (20,037 km), so farther than any place.
UNKNOWN_KM = 99_999

#: Means "never": a location that cannot send parcels.
NEVER_DAYS = 9_999

_EARTH_KM = 2 * 6371.0088
_DAY = timedelta(days=1)
_TENTHS = 10


class Measured(NamedTuple):
    """The measures of a location for an order; docs/routing.md explains them."""

    parcels: int
    cost: int
    distance: int
    days: int
    late_days: int
    wait_days: int
    backlog: int
    priority: int


#: The index of each measure in `Measured`.
_INDEX = {name: number for number, name in enumerate(Measured._fields)}


class Scene(NamedTuple):
    """An order, its rules and the world. `stock` has only usable units: above zero, without excluded locations."""

    router: Router
    wanted: Wanted
    world: World
    stock: Mapping[str, Mapping[str, int]]


class Looked(NamedTuple):
    """The candidates of an order. `measured` has those that no filter of places excludes, `names` those that none does.

    `limit`: parcels that the order may still have; `no_more`: none, except from where it has units already.
    """

    demand: Mapping[str, int]
    measured: Mapping[str, Measured]
    failures: Mapping[str, str]
    names: frozenset[str]
    limit: int | None
    no_more: bool


class Posed(NamedTuple):
    """A problem, and where its numbers come from. `failures`: location → filter that excludes it.

    `failed_units`: (SKU, location) → filter that excludes the SKU's stock there. `vectors`: each location's value per
    criterion. `unit_tables`: each criterion's value of a unit, by SKU, then location; None if it has none.
    """

    problem: Problem
    measured: Mapping[str, Measured]
    failures: Mapping[str, str]
    failed_units: Mapping[tuple[str, str], str]
    vectors: tuple[tuple[int, ...], ...]
    unit_tables: tuple[tuple[tuple[int, ...], ...] | None, ...]

    def unit_vector(self, sku: int, location: int) -> tuple[int, ...]:
        """A unit's value per criterion."""
        return tuple(0 if table is None else table[sku][location] for table in self.unit_tables)


def kilometres(place: Place, destination: Coordinates | None) -> int:
    """Kilometres along the surface, whole, so that a metre does not outweigh the cost; `UNKNOWN_KM` if unknown."""
    if destination is None or place.latitude is None or place.longitude is None:
        return UNKNOWN_KM
    here, there = radians(place.latitude), radians(destination[0])
    up = sin((there - here) / 2)
    along = sin(radians(destination[1] - place.longitude) / 2)
    return round(_EARTH_KM * asin(sqrt(up * up + cos(here) * cos(there) * along * along)))


def nearest_first(
    location_ids: Iterable[str], places: Mapping[str, Place], destination: Coordinates | None
) -> list[tuple[int, int, str]]:
    """(whole kilometres, cost, location) of each location, sorted: nearest, then cheapest, then by name."""
    ranked = []
    for location_id in location_ids:
        place = places.get(location_id) or Place(location_id)
        ranked.append((kilometres(place, destination), place.cost_minor_per_parcel or 0, location_id))
    return sorted(ranked)


def wait_days(place: Place, wanted: Wanted, world: World) -> int:
    """Days until the location can send one more parcel, after the parcels that wait there, at its daily capacity."""
    capacity = place.daily_capacity
    if capacity is None:
        return 0
    if capacity == 0:
        return NEVER_DAYS
    before = world.waiting.get(place.location_id, 0) + world.sent.get((place.location_id, wanted.at.date()), 0)
    return min(NEVER_DAYS, before // capacity)


def measure(router: Router, rule: ReadyRule, wanted: Wanted, world: World, place: Place) -> Measured:
    """All measures of a location for an order."""
    km = kilometres(place, wanted.destination)
    waits = wait_days(place, wanted, world)
    days = waits + router.days_on_the_road(wanted.service_level, km)
    late = 0
    if wanted.due_by is not None:
        over = ceil(days - (wanted.due_by - wanted.at) / _DAY)
        late = max(0, over)
    capacity = place.daily_capacity
    backlog = 100 * world.waiting.get(place.location_id, 0) // capacity if capacity else 0
    rank = rule.rank(place.location_id) if "priority" in rule.measures else 0
    return Measured(1, place.cost_minor_per_parcel or 0, km, days, late, waits, backlog, rank)


def look(scene: Scene, rule: ReadyRule) -> Looked:
    """The locations that have any of the order's SKUs, measured, and those that a filter excludes."""
    router, wanted, world, stock = scene
    demand: dict[str, int] = {}
    for need in wanted.needs:
        demand[need.sku] = demand.get(need.sku, 0) + need.quantity
    filters = rule.filters
    limit = rule.parcels_max(wanted.value_minor)
    if limit is not None:
        limit -= len(wanted.held_at)
    # An order that already has as many parcels as allowed can only add units to these.
    no_more = limit is not None and limit <= 0
    failures: dict[str, str] = {}
    measured: dict[str, Measured] = {}
    seen: set[str] = set()
    for sku in demand:
        for location_id in stock[sku]:
            if location_id in seen:
                continue
            seen.add(location_id)
            place = world.places.get(location_id) or Place(location_id)
            failure = rule.place_failure(place, wanted.country)
            if failure is None:
                found = measure(router, rule, wanted, world, place)
                measured[location_id] = found
                if filters.distance_km_max is not None and found.distance > filters.distance_km_max:
                    failure = "distance_km_max"
                elif filters.wait_days_max is not None and found.wait_days > filters.wait_days_max:
                    failure = "wait_days_max"
                elif found.wait_days == NEVER_DAYS:
                    failure = "daily_capacity"
                elif no_more and location_id not in wanted.held_at:
                    failure = "parcels_max"
            if failure is not None:
                failures[location_id] = failure
    return Looked(demand, measured, failures, frozenset(seen - failures.keys()), limit, no_more)


def first_has_all(scene: Scene, rule: ReadyRule, looked: Looked) -> str | None:
    """The best location, if it has the whole order: then it is the optimum, and there is no problem to solve.

    None where that is not known: the problem has to be posed. Each criterion must be one measure of locations. Then
    `fixed` of `pose` sorts locations as their measures do, one after the other; and no set of locations is better than
    the first one alone, because it fills every unit at the lowest price.
    """
    if rule.in_turn is None or not looked.names or not looked.demand:
        return None
    if looked.no_more or scene.wanted.held_at or rule.filters.supply_weeks_min is not None:
        return None
    values, measured = _values_of(rule.in_turn), looked.measured
    _, first = min((values(measured[name]), name) for name in looked.names)
    stock = scene.stock
    return first if all(stock[sku].get(first, 0) >= units for sku, units in looked.demand.items()) else None


@cache
def _values_of(measures: tuple[Measure, ...]) -> Callable[[Measured], Any]:
    return itemgetter(*(_INDEX[one] for one in measures))


def pose(scene: Scene, rule: ReadyRule, looked: Looked | None = None) -> Posed:
    """The problem of an order under a rule; `looked` is what `look` has found, if it is known already."""
    world, stock = scene.world, scene.stock
    demand, measured, failures, allowed, limit, no_more = looked or look(scene, rule)
    weeks_min = rule.filters.supply_weeks_min
    failed_units: dict[tuple[str, str], str] = {}
    names = sorted(allowed)
    skus = tuple(demand)
    rows: list[list[int]] = []
    for sku in skus:
        held = stock[sku]
        row = [min(held.get(name, 0), demand[sku]) for name in names]
        if weeks_min is not None:
            for number, name in enumerate(names):
                weeks = supply_weeks(world, sku, name, held.get(name, 0))
                if row[number] and weeks is not None and weeks < weeks_min:
                    failed_units[sku, name] = "supply_weeks_min"
                    row[number] = 0
        rows.append(row)
    vectors, tables, fixed, per_unit = _values(scene, rule, names, demand, measured)
    order = sorted(range(len(names)), key=lambda number: (fixed[number], names[number]))
    problem = Problem(
        locations=tuple(names[number] for number in order),
        skus=skus,
        demand=tuple(demand.values()),
        stock=tuple(tuple(row[number] for number in order) for row in rows),
        fixed=tuple(fixed[number] for number in order),
        per_unit=None if per_unit is None else tuple(tuple(row[number] for number in order) for row in per_unit),
        parcels_max=None if no_more else limit,
    )
    return Posed(
        problem,
        measured,
        failures,
        failed_units,
        tuple(vectors[number] for number in order),
        tuple(
            None if table is None else tuple(tuple(row[number] for number in order) for row in table)
            for table in tables
        ),
    )


def supply_weeks(world: World, sku: str, location_id: str, units: int) -> float | None:
    """Weeks that the units last at the recent pace of sales; None if none were sold there."""
    pace = world.weekly.get(sku, {}).get(location_id, 0)
    return units / pace if pace > 0 else None


def _unit_row(group: Group, scene: Scene, sku: str, names: list[str]) -> list[int]:
    """A criterion's value of a unit of the SKU at each location."""
    row = [0] * len(names)
    for measure_name, weight in group.per_unit:
        if measure_name == "markdown":
            percent = scene.router.percent_off
            row = [value + weight * (100 - percent(sku, name)) for value, name in zip(row, names, strict=True)]
            continue
        pace = scene.world.weekly.get(sku)
        if not pace:
            continue
        held, target = scene.stock[sku], scene.router.book.supply.weeks_target
        for number, name in enumerate(names):
            weekly = pace.get(name, 0)
            if weekly > 0:
                short = ceil(_TENTHS * (target - held.get(name, 0) / weekly))
                if short > 0:
                    row[number] += weight * short
    return row


def _values(
    scene: Scene, rule: ReadyRule, names: list[str], demand: Mapping[str, int], measured: Mapping[str, Measured]
) -> tuple[list[tuple[int, ...]], list[list[list[int]] | None], list[int], list[list[int]] | None]:
    """Each location's value per criterion, all criteria as one number, and the same per unit if units differ."""
    held = set(scene.wanted.held_at)
    rows = [measured[name] for name in names]
    columns: list[list[int]] = []
    unit_tables: list[list[list[int]] | None] = []
    ceilings: list[int] = []
    for group in rule.groups:
        column = [0] * len(names)
        for measure_name, weight in group.per_location:
            index = _INDEX[measure_name]
            column = [value + weight * row[index] for value, row in zip(column, rows, strict=True)]
        if held:
            column = [0 if name in held else value for name, value in zip(names, column, strict=True)]
        highest = sum(column)
        table = None
        if group.per_unit:
            table = [_unit_row(group, scene, sku, names) for sku in demand]
            highest += sum(wanted * max(row, default=0) for wanted, row in zip(demand.values(), table, strict=True))
        columns.append(column)
        unit_tables.append(table)
        ceilings.append(highest)
    fixed = [0] * len(names)
    per_unit: list[list[int]] | None = None
    scale = 1
    for column, table, highest in zip(reversed(columns), reversed(unit_tables), reversed(ceilings), strict=True):
        if highest:
            fixed = [have + scale * more for have, more in zip(fixed, column, strict=True)]
            if table is not None:
                before = per_unit or [[0] * len(names) for _ in demand]
                per_unit = [
                    [have + scale * more for have, more in zip(row, extra, strict=True)]
                    for row, extra in zip(before, table, strict=True)
                ]
        scale *= highest + 1
    return list(zip(*columns, strict=True)), unit_tables, fixed, per_unit
