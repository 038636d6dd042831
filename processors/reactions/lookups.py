"""What the reactions know of the world, read from the projections: one query a batch.

    lookups.read({"MUG"})       -> Lookups(sellable={"MUG": {"WH1": 5}}, available={"MUG": {"WH1": 7}}, places={...})

The tables are a moment behind the log, and so may be the answer: the stock streams decide against the truth.
"""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import psycopg

from processors.reactions.plan import Place
from processors.reactions.positions import Database
from processors.reactions.sourcing import Lookups
from processors.reactions.timers import OrderDue, ReceiptDue, ReservationDue

#: Locations change a few times a day. Shorter asks for them again and again; longer keeps a new location unknown.
PLACES_KEPT_SECONDS = 5.0

#: Rows a timer takes in one round, oldest first. Fewer would let a surge of holds (a sale with short expiry) lapse
#: late, more make one round long.
DUE_ROWS_MAX = 5_000


class ProjectionLookups:
    """Reads inventory, locations and what is due. `clock` gives seconds that only grow."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._places: Mapping[str, Place] = {}
        self._places_until = float("-inf")

    def read(self, skus: Collection[str], carts: Collection[str] = ()) -> Lookups:
        """Stock of the SKUs where there is any, the locations, and what the carts hold. No query at all where no SKU is
        asked for.
        """
        if not skus:
            return Lookups({}, {}, self._places)

        def ask(connection: psycopg.Connection[Any]) -> list[Any]:
            return connection.execute(
                "SELECT sku, location_id, sellable, available FROM inventory WHERE sku = ANY(%s) AND available > 0",
                [list(skus)],
            ).fetchall()

        sellable: dict[str, dict[str, int]] = {}
        available: dict[str, dict[str, int]] = {}
        for sku, location_id, units_sellable, units_available in self._database.run(ask):
            sellable.setdefault(sku, {})[location_id] = units_sellable
            available.setdefault(sku, {})[location_id] = units_available
        return Lookups(sellable, available, self._known_places(), self._held_by(carts) if carts else {})

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

    def _known_places(self) -> Mapping[str, Place]:
        if self._clock() >= self._places_until:

            def ask(connection: psycopg.Connection[Any]) -> list[Any]:
                return connection.execute(
                    "SELECT location_id, latitude, longitude, cost_minor_per_parcel FROM locations"
                ).fetchall()

            self._places = {row[0]: Place(*row) for row in self._database.run(ask)}
            self._places_until = self._clock() + PLACES_KEPT_SECONDS
        return self._places

    def due(self, now: datetime) -> tuple[list[ReservationDue], list[OrderDue], list[ReceiptDue]]:
        """Holds, orders and expected goods whose time has come by `now`, longest overdue first."""

        def ask(connection: psycopg.Connection[Any]) -> tuple[list[Any], list[Any], list[Any]]:
            made = "SELECT to_regclass('expected_receipts') IS NOT NULL AND to_regclass('order_status') IS NOT NULL"
            if connection.execute(made).fetchone() != (True,):
                return [], [], []  # the projector has not started yet: nothing can be due
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
            return reservations, orders, receipts

        reservations, orders, receipts = self._database.run(ask)
        return (
            [ReservationDue(*row) for row in reservations],
            [OrderDue(*row) for row in orders],
            [ReceiptDue(*row) for row in receipts],
        )
