"""What the reactions know of the world, read from the projections: a few queries a batch, whatever its size.

    lookups.read({"MUG"}, [at])  -> Lookups(available={"MUG": {"WH1": 7}}, places={...}, kept={...}, ...)

The tables are a moment behind the log, and so may be the answer: the stock streams decide against the truth.
"""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

import psycopg

from events.routing.rules import RulesError, read_rules
from events.times import weeks_before
from processors.following.database import Database
from processors.reactions.sourcing import Lookups
from processors.reactions.timers import LineDue, OrderDue, ReceiptDue, ReservationDue
from processors.routing.book import Router, default_router
from processors.routing.channels import KeptBack
from processors.routing.default import IN_FORCE
from processors.routing.model import Place
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


_STOCK = """
    SELECT sku, location_id, available, NULL::bigint
    FROM inventory WHERE sku = ANY(%(skus)s) AND available > 0
"""

_STOCK_AND_PACE = """
    SELECT i.sku, i.location_id, i.available, p.shipped
    FROM inventory AS i
    LEFT JOIN (
        SELECT sku, location_id, sum(shipped)::bigint AS shipped
        FROM sku_weeks WHERE sku = ANY(%(skus)s) AND week >= %(first)s AND week < %(last)s
        GROUP BY sku, location_id
    ) AS p USING (sku, location_id)
    WHERE i.sku = ANY(%(skus)s) AND i.available > 0
"""

_KEPT = """
    SELECT sku, location_id, channel, CASE WHEN NOT excluded THEN buffer END
    FROM channel_rules WHERE buffer IS NOT NULL AND (%(skus)s::text[] IS NULL OR sku = ANY(%(skus)s))
"""

_LOAD = """
    SELECT location_id, NULL::date, count(DISTINCT order_id)
    FROM order_line_locations WHERE allocated > 0 GROUP BY location_id
    UNION ALL
    SELECT location_id, day, sum(dispatched)::bigint
    FROM location_days WHERE day = ANY(%(days)s) GROUP BY location_id, day
"""


class Load(NamedTuple):
    """How busy locations are: parcels that are planned and have not left; parcels that left, by day."""

    waiting: Mapping[str, int]
    sent: Mapping[tuple[str, date], int]


def _stock_parameters(skus: Collection[str], moments: Collection[datetime]) -> dict[str, Any]:
    if not moments:
        return {"skus": list(skus)}
    # The one in the middle: a clock that lies about one order leads the others of a batch nowhere.
    first, last = weeks_before(sorted(moments)[len(moments) // 2].date(), PACE_WEEKS)
    return {"skus": list(skus), "first": first, "last": last}


def read_load(connection: psycopg.Connection[Any], moments: Collection[datetime]) -> Load:
    """What waits at each location, and what left there on the days of these moments."""
    # These days and not all between them: one clock that lies would have the whole history read.
    days = {"days": list({moment.date() for moment in moments})}
    waiting: dict[str, int] = {}
    sent: dict[tuple[str, date], int] = {}
    for location_id, day, parcels in connection.execute(_LOAD, days).fetchall():
        if day is None:
            waiting[location_id] = parcels
        else:
            sent[location_id, day] = parcels
    return Load(waiting, sent)


def read_kept(connection: psycopg.Connection[Any], skus: Collection[str] | None) -> KeptBack:
    """What is kept back from channels by rules of SKUs (None: all SKUs), where there is any rule."""
    kept: dict[str, dict[str, dict[str, int | None]]] = {}
    wanted = None if skus is None else list(skus)
    for sku, location_id, channel, units in connection.execute(_KEPT, {"skus": wanted}):
        kept.setdefault(sku, {}).setdefault(location_id, {})[channel] = units
    return kept


def read_places(connection: psycopg.Connection[Any]) -> dict[str, Place]:
    """The locations, as they were last registered."""
    rows = connection.execute(
        "SELECT o.location_id, o.latitude, o.longitude, o.cost_minor_per_parcel, o.kind, o.country, o.daily_capacity,"
        " array(SELECT l.channel FROM location_channels AS l"
        "       WHERE l.location_id = o.location_id AND l.excluded ORDER BY l.channel)"
        " FROM locations AS o"
    ).fetchall()
    return {row[0]: Place(*row)._replace(excluded_channels=tuple(row[-1])) for row in rows}


def read_router(connection: psycopg.Connection[Any], known: Router) -> Router:
    """The rules in force: `known` where these are they still; those that ship where nobody has published any.

    Raises Fault for a text that this build cannot read: written by a newer one.
    """
    row = connection.execute("SELECT number, text FROM routing_rules WHERE rules_id = %s", [IN_FORCE]).fetchone()
    if row is None:
        return default_router()
    number, text = row
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
        pace = self._router.needs_pace and bool(moments)
        with_load = any(place.daily_capacity is not None for place in self._places.values()) and bool(moments)

        def ask(connection: psycopg.Connection[Any]) -> tuple[list[Any], KeptBack, Load]:
            stock = connection.execute(_STOCK_AND_PACE if pace else _STOCK, _stock_parameters(skus, moments))
            rows = stock.fetchall()
            load = read_load(connection, moments) if with_load else Load({}, {})
            return rows, read_kept(connection, skus), load

        rows, kept, load = self._database.run(ask)
        available: dict[str, dict[str, int]] = {}
        weekly: dict[str, dict[str, float]] = {}
        for sku, location_id, units, shipped in rows:
            available.setdefault(sku, {})[location_id] = units
            if shipped:
                weekly.setdefault(sku, {})[location_id] = shipped / PACE_WEEKS
        return Lookups(
            available,
            self._places,
            kept,
            self._held_by(carts) if carts else {},
            self._router,
            load.waiting,
            load.sent,
            weekly,
        )

    def _held_by(self, carts: Collection[str]) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
        """Units by cart, SKU and location. What has lapsed since is refused by the stock stream."""

        def ask(connection: psycopg.Connection[Any]) -> list[Any]:
            return connection.execute(
                "SELECT order_id, sku, location_id, sum(quantity)::bigint FROM expiring_reservations"
                " WHERE order_id = ANY(%s) AND quantity > 0 GROUP BY order_id, sku, location_id",
                [list(carts)],
            ).fetchall()

        held: dict[str, dict[str, dict[str, int]]] = {}
        for cart_id, sku, location_id, units in self._database.run(ask):
            held.setdefault(cart_id, {}).setdefault(sku, {})[location_id] = units
        return held

    def _refresh(self) -> None:
        if self._clock() < self._places_until:
            return

        def ask(connection: psycopg.Connection[Any]) -> tuple[dict[str, Place], Router]:
            return read_places(connection), read_router(connection, self._router)

        self._places, self._router = self._database.run(ask)
        self._places_until = self._clock() + PLACES_KEPT_SECONDS

    def due(self, now: datetime) -> tuple[list[ReservationDue], list[OrderDue], list[ReceiptDue], list[LineDue]]:
        """Holds, orders, expected goods and lines whose time has come by `now`, longest overdue first."""

        def ask(connection: psycopg.Connection[Any]) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
            made = "SELECT to_regclass('expected_receipts') IS NOT NULL AND to_regclass('order_status') IS NOT NULL"
            if connection.execute(made).fetchone() != (True,):
                return [], [], [], []  # the projector has not started yet: nothing can be due
            reservations = connection.execute(
                "SELECT sku, order_id, line_id, attempt, location_id, quantity, expires_at FROM expiring_reservations"
                " WHERE quantity > 0 AND expires_at <= %s ORDER BY expires_at LIMIT %s",
                [now, DUE_ROWS_MAX],
            ).fetchall()
            orders = connection.execute(
                "SELECT order_id, release_at FROM order_status"
                " WHERE NOT released AND release_at <= %s AND open > 0 ORDER BY release_at LIMIT %s",
                [now, DUE_ROWS_MAX],
            ).fetchall()
            receipts = connection.execute(
                "SELECT sku, expected_at FROM expected_receipts"
                " WHERE quantity > 0 AND NOT overdue AND expected_at <= %s ORDER BY expected_at LIMIT %s",
                [now, DUE_ROWS_MAX],
            ).fetchall()
            lines = connection.execute(
                "SELECT o.order_id, o.version, min(l.cancel_after) FROM order_lines AS l"
                " JOIN order_status AS o USING (order_id)"
                " WHERE l.cancel_after <= %s AND l.open + l.backordered > 0 GROUP BY o.order_id ORDER BY 3 LIMIT %s",
                [now, DUE_ROWS_MAX],
            ).fetchall()
            return reservations, orders, receipts, lines

        reservations, orders, receipts, lines = self._database.run(ask)
        return (
            [ReservationDue(*row) for row in reservations],
            [OrderDue(*row) for row in orders],
            [ReceiptDue(*row) for row in receipts],
            [LineDue(*row) for row in lines],
        )
