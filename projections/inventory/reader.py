"""Stock as it is now: all quantities of each SKU and location.

on_hand = available + reserved + safety + damaged + quality_hold. `incoming` is not part of it. `sellable` is what a
channel may be shown: available less the buffer, never below zero.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from projections.page import Page, read_page

_COLUMNS = (
    "sku, location_id, on_hand, available, reserved, safety, damaged, quality_hold, incoming,"
    " CASE WHEN EXISTS (SELECT FROM location_channels AS l WHERE l.location_id = inventory.location_id AND l.excluded)"
    " THEN 0 ELSE sellable END AS sellable,"
    " safety_stock, reorder_point, buffer, low_since, registered IS TRUE AS registered"
)


class Units(NamedTuple):
    """Units of a SKU at a location."""

    sku: str
    location_id: str
    units: int


class KeptUnits(NamedTuple):
    """Units that a rule keeps back from a channel (`*`: every channel without its own rule); None: all."""

    sku: str
    location_id: str
    channel: str
    units: int | None


class HeldUnits(NamedTuple):
    """Units reserved for an order or a cart, if the reservation expires."""

    order_id: str
    sku: str
    location_id: str
    units: int


class ReservationDue(NamedTuple):
    """A reservation whose time is over and that still has `quantity` units."""

    sku: str
    order_id: str
    line_id: str
    attempt: int
    location_id: str
    quantity: int
    expires_at: datetime


class ReceiptDue(NamedTuple):
    """A SKU with goods that were expected by now and are not marked overdue yet."""

    sku: str
    expected_at: datetime


class UnregisteredStock(NamedTuple):
    """Stock at an unregistered location: units on hand and incoming there, since `first_seen_at`."""

    location_id: str
    skus: int
    on_hand: int
    incoming: int
    first_seen_at: datetime


class StockTotals(NamedTuple):
    """All stock: how many places (SKU and location), how many SKUs, and their units."""

    places: int
    skus: int
    on_hand: int
    reserved: int


def read_inventory(
    connection: psycopg.Connection[Any],
    sku: str | None = None,
    location_id: str | None = None,
    *,
    low: bool = False,
    limit: int | None = None,
) -> Page:
    """Rows by SKU and location, or only those of one SKU or location. Units are whole pieces. `low`: only rows at or
    below their reorder point, the largest gap first.
    """
    return read_page(
        connection,
        f"SELECT count(*) OVER () AS total, {_COLUMNS} FROM inventory"
        " WHERE (%(sku)s::text IS NULL OR sku = %(sku)s) AND (%(location)s::text IS NULL OR location_id = %(location)s)"
        " AND (NOT %(low)s OR available <= reorder_point)"
        " ORDER BY CASE WHEN %(low)s THEN available - reorder_point END, sku, location_id LIMIT %(limit)s",
        {"sku": sku, "location": location_id, "low": low, "limit": limit},
        ("low_since",),
    )


def read_expected(
    connection: psycopg.Connection[Any],
    sku: str | None = None,
    location_id: str | None = None,
    *,
    limit: int | None = None,
) -> Page:
    """Incoming goods, soonest first: `sku`, `location_id`, `source` (purchase_order, transfer), `reference`,
    `quantity`, `expected_at` (null: unknown), `overdue`.
    """
    return read_page(
        connection,
        "SELECT count(*) OVER () AS total, sku, location_id, source, reference, quantity, expected_at, overdue"
        " FROM expected_receipts"
        " WHERE quantity > 0 AND (%(sku)s::text IS NULL OR sku = %(sku)s)"
        " AND (%(location)s::text IS NULL OR location_id = %(location)s)"
        " ORDER BY expected_at NULLS LAST, sku, source, reference, location_id LIMIT %(limit)s",
        {"sku": sku, "location": location_id, "limit": limit},
        ("expected_at",),
    )


def read_available(connection: psycopg.Connection[Any], skus: Collection[str] | None) -> list[Units]:
    """Available units of these SKUs (None: of all) at registered locations, only rows above 0."""
    rows = connection.execute(
        "SELECT sku, location_id, available FROM inventory"
        " WHERE available > 0 AND registered AND (%(skus)s::text[] IS NULL OR sku = ANY(%(skus)s))",
        {"skus": _listed(skus)},
    ).fetchall()
    return [Units(*row) for row in rows]


def read_kept_units(connection: psycopg.Connection[Any], skus: Collection[str] | None) -> list[KeptUnits]:
    """What the rules of these SKUs (None: of all) keep back from channels."""
    rows = connection.execute(
        "SELECT sku, location_id, channel, CASE WHEN NOT excluded THEN buffer END FROM channel_rules"
        " WHERE buffer IS NOT NULL AND (%(skus)s::text[] IS NULL OR sku = ANY(%(skus)s))",
        {"skus": _listed(skus)},
    ).fetchall()
    return [KeptUnits(*row) for row in rows]


def read_closed_channels(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """(location_id, channel) of each channel that a location does not serve (`*`: it serves none), sorted."""
    return connection.execute(
        "SELECT location_id, channel FROM location_channels WHERE excluded ORDER BY location_id, channel"
    ).fetchall()


def read_held_units(connection: psycopg.Connection[Any], orders: Collection[str]) -> list[HeldUnits]:
    """Units in reservations of these orders or carts that expire."""
    rows = connection.execute(
        "SELECT order_id, sku, location_id, sum(quantity)::bigint FROM expiring_reservations"
        " WHERE order_id = ANY(%s) AND quantity > 0 GROUP BY order_id, sku, location_id",
        [list(orders)],
    ).fetchall()
    return [HeldUnits(*row) for row in rows]


def read_reservations_due(connection: psycopg.Connection[Any], now: datetime, limit: int) -> list[ReservationDue]:
    """Reservations that expire by `now` and still have units, longest overdue first."""
    rows = connection.execute(
        "SELECT sku, order_id, line_id, attempt, location_id, quantity, expires_at FROM expiring_reservations"
        " WHERE quantity > 0 AND expires_at <= %s ORDER BY expires_at LIMIT %s",
        [now, limit],
    ).fetchall()
    return [ReservationDue(*row) for row in rows]


def read_receipts_due(connection: psycopg.Connection[Any], now: datetime, limit: int) -> list[ReceiptDue]:
    """Goods that were expected by `now` and are not marked overdue, longest overdue first."""
    rows = connection.execute(
        "SELECT sku, expected_at FROM expected_receipts"
        " WHERE quantity > 0 AND NOT overdue AND expected_at <= %s ORDER BY expected_at LIMIT %s",
        [now, limit],
    ).fetchall()
    return [ReceiptDue(*row) for row in rows]


def read_unregistered(connection: psycopg.Connection[Any]) -> list[UnregisteredStock]:
    """Stock at locations not known to be registered. A registered one is included until its answer comes."""
    rows = connection.execute(
        "SELECT location_id, count(*), sum(on_hand)::bigint, sum(incoming)::bigint, min(located_at) FROM inventory"
        " WHERE located_at IS NOT NULL AND registered IS NOT TRUE AND (on_hand <> 0 OR incoming <> 0)"
        " GROUP BY location_id ORDER BY location_id"
    ).fetchall()
    return [UnregisteredStock(*row) for row in rows]


def read_stock_totals(connection: psycopg.Connection[Any]) -> StockTotals:
    """The totals of all stock."""
    row = connection.execute(
        "SELECT count(*), count(DISTINCT sku), coalesce(sum(on_hand), 0)::bigint,"
        " coalesce(sum(reserved), 0)::bigint FROM inventory"
    ).fetchone()
    assert row is not None
    return StockTotals(*row)


def _listed(skus: Collection[str] | None) -> list[str] | None:
    return None if skus is None else list(skus)
