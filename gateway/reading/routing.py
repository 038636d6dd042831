"""The input of `route` and `what-if`: orders, stock and locations, from the ledger's tables or from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg

from events.form import flaws, in_words
from events.locations.commands import RegisterLocation
from events.orders.commands import PlaceOrder
from events.orders.facts import OrderPlaced
from events.promises import UnreadablePromiseError, promise_end
from events.times import day_after
from events.values import UtcTime
from gateway.sending.json_reading import BadJsonError, read_json
from gateway.sending.sources import read_source
from processors.reactions.lookups import (
    read_kept,
    read_load,
    read_places,
    read_router,
    read_stock,
    read_weekly,
)
from processors.reactions.sourcing import wanted_by
from processors.routing.book import Router, default_router
from processors.routing.channels import offered
from processors.routing.model import Availability, Need, Place, Wanted, World
from processors.routing.whatif import Past, Totals
from projections.order_history.reader import read_placed
from projections.order_status.reader import (
    read_given_since,
    read_held,
    read_line_units,
    read_parcels_between,
    read_placed_between,
    read_totals_between,
)
from runtime.errors import Fault

_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file for `--stock`: units by SKU and location, and optionally other data that replaces the ledger's.

    `waiting`: parcels by location. `weekly`: units that leave in a week, by SKU and location.
    """

    stock: dict[str, dict[str, int]]
    locations: tuple[RegisterLocation, ...] | None = None
    waiting: dict[str, int] | None = None
    weekly: dict[str, dict[str, float]] | None = None
    order: PlaceOrder | None = None
    channel: str = "web"
    at: UtcTime | None = None


def read_scenario(file: Path) -> Scenario:
    """The scenario in a JSON file. Raises Fault."""
    hint = 'a JSON object: {"stock": {"SKU": {"LOCATION": 5}}}, docs/routing.md'
    try:
        document = read_json(read_source(file))
        if found := flaws(document, Scenario):
            raise Fault(f"{file} cannot be used", in_words(found)[0], hint)
        return msgspec.convert(document, Scenario)
    except BadJsonError as error:
        raise Fault(f"{file} cannot be used", f"{error.what}: {error.detail}", hint) from error
    except msgspec.ValidationError as error:
        raise Fault(f"{file} cannot be used", str(error), hint) from error


def scenario_order(scenario: Scenario) -> Wanted | None:
    """The order in the file, if there is one."""
    order = scenario.order
    if order is None:
        return None
    at = scenario.at or datetime.now(UTC)
    try:
        due_by = (
            promise_end(order.promised_by, country=order.ship_to.country, time_zone=order.ship_to.time_zone)
            if order.promised_by is not None
            else None
        )
    except UnreadablePromiseError as error:
        raise Fault(
            "the order in the file cannot be used", f"promised_by is {error}", "docs/for-channels.md"
        ) from error
    return Wanted(
        order_id=order.order_id,
        needs=tuple(Need(line.line_id, line.sku, line.quantity) for line in order.lines),
        at=at,
        channel=scenario.channel,
        service_level=order.service_level,
        country=order.ship_to.country,
        region=order.ship_to.region,
        value_minor=sum(line.quantity * line.unit_price_minor for line in order.lines)
        + sum(charge.amount_minor for charge in order.charges),
        destination=None
        if order.ship_to.latitude is None or order.ship_to.longitude is None
        else (order.ship_to.latitude, order.ship_to.longitude),
        due_by=due_by,
    )


def scenario_places(scenario: Scenario) -> dict[str, Place] | None:
    """The locations in the file, if there are any."""
    if scenario.locations is None:
        return None
    return {one.location_id: place_of(one) for one in scenario.locations}


def place_of(one: RegisterLocation) -> Place:
    """The location as a `Place` for routing."""
    return Place(
        one.location_id, one.latitude, one.longitude, one.cost_minor_per_parcel, one.kind, one.country,
        one.daily_capacity,
    )  # fmt: skip


class Now(NamedTuple):
    """An order to be routed now, and the world as if the order held no stock.

    `kept_back`: units by SKU and location that are available, but not to the order's channel.
    """

    wanted: Wanted
    world: World
    router: Router
    again: bool
    kept_back: Mapping[str, Mapping[str, int]] = {}


def read_now(connection: psycopg.Connection[Any], order_id: str) -> Now | None:
    """The order's unshipped units, as if it held no stock; if all are shipped, all its units (`again`). None: no order.

    The time is when it was placed; stock and rules are the present ones.
    """
    found = read_placed(connection, [order_id])
    if not found:
        return None
    data, at, channel = found[0]
    lines = read_line_units(connection, order_id)
    again = not any(line.left for line in lines)
    needs = tuple(
        Need(line_id, sku, wanted if again else left)
        for line_id, sku, wanted, left in lines
        if (wanted if again else left) > 0
    )
    held = read_held(connection, order_id)
    wanted = wanted_by(_placed(data), at, channel)._replace(needs=needs)
    skus = sorted({need.sku for need in needs})
    places, free, kept_back = read_free(connection, channel, skus)
    stock = {sku: dict(by_place) for sku, by_place in free.items()}
    for sku, location_id, units in held:
        stock.setdefault(sku, {})[location_id] = stock.get(sku, {}).get(location_id, 0) + units
    load = read_load(connection, [at])
    waiting = dict(load.waiting)
    for location_id in {row.location_id for row in held}:
        waiting[location_id] = waiting.get(location_id, 1) - 1
    world = World(stock, places, waiting, load.sent, read_weekly(connection, at.date(), skus))
    return Now(
        wanted,
        world,
        read_router(connection, default_router()),
        again,
        kept_back,
    )


def _placed(data: Mapping[str, Any]) -> OrderPlaced:
    return msgspec.convert(data, OrderPlaced)


def read_free(
    connection: psycopg.Connection[Any], channel: str, skus: list[str]
) -> tuple[Mapping[str, Place], Availability, dict[str, dict[str, int]]]:
    """All locations, the units of these SKUs that a channel may have, and the units that are kept back from it."""
    places = read_places(connection)
    there = read_stock(connection, skus)
    free = offered(there, places, read_kept(connection, skus), channel, skus).stock
    kept_back = {
        sku: {place: kept for place, units in held.items() if (kept := units - free.get(sku, {}).get(place, 0))}
        for sku, held in there.items()
    }
    return places, free, {sku: kept for sku, kept in kept_back.items() if kept}


class History(NamedTuple):
    """A period: its orders with the stock that they could get, and what really happened (None: unknown)."""

    past: Past
    actual: Totals | None
    simulated: tuple[str, ...]


def read_history(connection: psycopg.Connection[Any], first: date, last: date, promise_days: int | None) -> History:
    """The orders placed on these days (UTC). Their stock is what is available now, plus what orders placed since the
    first day hold or were sent.
    """
    start, end = _start(first), _start(day_after(last))
    rows = read_placed(connection, read_placed_between(connection, start, end))
    placed = [(_placed(data), at, channel) for data, at, channel in rows]
    orders = tuple(
        promised(wanted_by(order, at, channel), promise_days) for order, at, channel in placed if order.lines
    )
    stock = read_stock(connection, None)
    for sku, location_id, units in read_given_since(connection, start):
        held = stock.setdefault(sku, {})
        held[location_id] = held.get(location_id, 0) + units
    places = read_places(connection)
    whole = frozenset(order.order_id for order, _, _ in placed if order.allocation == "all_or_nothing")
    past = Past(orders, whole, stock, places, read_weekly(connection, first, None), read_kept(connection, None))
    simulated = tuple(name for name in sorted(places) if name.startswith("SIM-"))
    return History(past, _actual(connection, start, end, places), simulated)


def promised(wanted: Wanted, days: int | None) -> Wanted:
    """The order; if it has no promise and `days` is given, with a promise that many days after it was placed."""
    if days is None or wanted.due_by is not None:
        return wanted
    return wanted._replace(due_by=wanted.at + min(timedelta(days=days), _LAST_MOMENT - wanted.at))


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _actual(connection: psycopg.Connection[Any], start: datetime, end: datetime, places: Mapping[str, Place]) -> Totals:
    """What happened to the orders: parcels that left, and parcels that are planned for allocated units."""
    totals = Totals()
    totals.orders, totals.units, totals.units_without_location = read_totals_between(connection, start, end)
    parcels = read_parcels_between(connection, start, end)
    of_order = Counter(order_id for order_id, _, _ in parcels)
    totals.parcels = len(parcels)
    totals.split_orders = sum(count > 1 for count in of_order.values())
    totals.late_orders = len({order_id for order_id, _, late in parcels if late})
    for _, location_id, _ in parcels:
        place = places.get(location_id)
        totals.cost_minor += (place.cost_minor_per_parcel or 0) if place else 0
        totals.parcels_by_location[location_id] += 1
    return totals
