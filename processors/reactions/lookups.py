"""What the reactions know of the world, read from the projections: a few queries a batch, whatever its size.

    lookups.read({"MUG"}, [at])  -> Lookups(available={"MUG": {"WH1": 7}}, places={...}, kept={...}, ...)

The tables are a moment behind the log, and so may be the answer: the stock streams decide against the truth.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import psycopg

from events.routing.rules import RulesError, read_rules
from events.times import weeks_before
from processors.following.database import Database
from processors.reactions.rows import Due
from processors.reactions.sourcing import Lookups
from processors.routing.book import Router, default_router
from processors.routing.channels import KeptBack
from processors.routing.default import IN_FORCE
from processors.routing.model import Availability, Place
from projections.inventory.reader import read_available, read_closed_channels, read_held_units, read_kept_units
from projections.locations.reader import read_locations
from projections.order_status.reader import read_waiting_parcels
from projections.routing.reader import read_dispatched, read_rules_rows, read_shipped
from runtime.errors import Fault

#: Locations and rules change a few times a day. Shorter asks for them again and again; longer keeps a new location
#: unknown, and routes by old rules.
PLACES_KEPT_SECONDS = 5.0

#: Whole weeks that the pace of a SKU at a location is taken from. Fewer make a quiet week look like plenty; more are
#: slow to see a season begin.
PACE_WEEKS = 4

#: Rows a timer takes in one round, oldest first. Fewer would let a surge of holds (a sale with short expiry) lapse
#: late, more make one round long.
DUE_ROWS_MAX = 5_000


class Load(NamedTuple):
    """How busy locations are: parcels that are planned and have not left; parcels that left, by day."""

    waiting: Mapping[str, int]
    sent: Mapping[tuple[str, date], int]


def read_load(connection: psycopg.Connection[Any], moments: Collection[datetime]) -> Load:
    """What waits at each location, and what left there on the days of these moments."""
    # These days and not all between them: one clock that lies would have the whole history read.
    sent = read_dispatched(connection, {moment.date() for moment in moments})
    return Load(dict(read_waiting_parcels(connection)), {(row.location_id, row.day): row.parcels for row in sent})


def read_stock(connection: psycopg.Connection[Any], skus: Collection[str] | None) -> dict[str, dict[str, int]]:
    """Available units of these SKUs (None: of all), by location, where there are any."""
    stock: dict[str, dict[str, int]] = {}
    for sku, location_id, units in read_available(connection, skus):
        stock.setdefault(sku, {})[location_id] = units
    return stock


def read_weekly(
    connection: psycopg.Connection[Any], day: date, skus: Collection[str] | None
) -> dict[str, dict[str, float]]:
    """Units of these SKUs (None: of all) that left each location in a week, on average, before the week of this day."""
    weekly: dict[str, dict[str, float]] = {}
    for sku, location_id, units in read_shipped(connection, skus, *weeks_before(day, PACE_WEEKS)):
        weekly.setdefault(sku, {})[location_id] = units / PACE_WEEKS
    return weekly


def read_kept(connection: psycopg.Connection[Any], skus: Collection[str] | None) -> KeptBack:
    """What is kept back from channels by rules of SKUs (None: all SKUs), where there is any rule."""
    kept: dict[str, dict[str, dict[str, int | None]]] = {}
    for sku, location_id, channel, units in read_kept_units(connection, skus):
        kept.setdefault(sku, {}).setdefault(location_id, {})[channel] = units
    return kept


def read_places(connection: psycopg.Connection[Any]) -> dict[str, Place]:
    """The locations, as they were last registered."""
    closed: dict[str, list[str]] = {}
    for location_id, channel in read_closed_channels(connection):
        closed.setdefault(location_id, []).append(channel)
    return {
        row["location_id"]: Place(
            row["location_id"],
            row["latitude"],
            row["longitude"],
            row["cost_minor_per_parcel"],
            row["kind"],
            row["country"],
            row["daily_capacity"],
            tuple(closed.get(row["location_id"], ())),
        )
        for row in read_locations(connection)
    }


def read_router(connection: psycopg.Connection[Any], known: Router) -> Router:
    """The rules in force: `known` where these are they still; those that ship where nobody has published any.

    Raises Fault for a text that this build cannot read: written by a newer one.
    """
    rows = read_rules_rows(connection, IN_FORCE)
    if not rows:
        return default_router()
    number, text = rows[0]["number"], rows[0]["text"]
    if known.number == number:
        return known
    try:
        return Router(read_rules(text), number)
    except RulesError as error:
        raise Fault(
            f"the routing rules in force (version {number}) cannot be read", error.detail, "run the newer build"
        ) from error


class ProjectionLookups:
    """Reads inventory, locations and what is due. `clock` gives seconds that only grow."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._places: Mapping[str, Place] = {}
        self._router = default_router()
        self._places_until = float("-inf")

    def read(self, skus: Collection[str], carts: Collection[str] = (), moments: Collection[datetime] = ()) -> Lookups:
        """Stock of the SKUs where there is any, the locations and how busy they are, the rules, and what the carts
        hold. `moments` are those of the plans. No query at all where no SKU is asked for.
        """
        if not skus:
            return Lookups({}, self._places, router=self._router)
        self._refresh()
        with_load = any(place.daily_capacity is not None for place in self._places.values()) and bool(moments)

        # The one in the middle: a clock that lies about one order leads the others of a batch nowhere.
        day = sorted(moments)[len(moments) // 2].date() if moments else None

        def ask(connection: psycopg.Connection[Any]) -> Lookups:
            stock = read_stock(connection, skus)
            load = read_load(connection, moments) if with_load else Load({}, {})
            return Lookups(
                stock,
                self._places,
                read_kept(connection, skus),
                _held_by(connection, carts) if carts else {},
                self._router,
                load.waiting,
                load.sent,
                read_weekly(connection, day, stock) if day is not None and self._router.needs_pace else {},
            )

        return self._database.run(ask)

    def _refresh(self) -> None:
        if self._clock() < self._places_until:
            return

        def ask(connection: psycopg.Connection[Any]) -> tuple[dict[str, Place], Router]:
            return read_places(connection), read_router(connection, self._router)

        self._places, self._router = self._database.run(ask)
        self._places_until = self._clock() + PLACES_KEPT_SECONDS

    def due(self, queries: Sequence[Due], now: datetime) -> list[Sequence[Any]]:
        """What each of these queries says is due by `now`, longest overdue first."""

        def ask(connection: psycopg.Connection[Any]) -> list[Sequence[Any]]:
            try:
                with connection.transaction():
                    return [query(connection, now, DUE_ROWS_MAX) for query in queries]
            except psycopg.errors.UndefinedTable:
                return [()] * len(queries)  # the projector has not started yet: nothing can be due

        return self._database.run(ask)


def _held_by(connection: psycopg.Connection[Any], carts: Collection[str]) -> Mapping[str, Availability]:
    """Units by cart, SKU and location. What has lapsed since is refused by the stock stream."""
    held: dict[str, dict[str, dict[str, int]]] = {}
    for cart_id, sku, location_id, units in read_held_units(connection, carts):
        held.setdefault(cart_id, {}).setdefault(sku, {})[location_id] = units
    return held
