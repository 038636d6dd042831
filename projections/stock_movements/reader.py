"""Movements of stock, and its quantities at an earlier time.

read_stock_as_of(connection, at=yesterday)                      yesterday's stock, as known today
read_stock_as_of(connection, at=yesterday, known_at=yesterday)  yesterday's stock, as known yesterday
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from events.times import rfc3339
from projections.page import Page, read_page


def read_movements(
    connection: psycopg.Connection[Any], sku: str, location_id: str | None = None, *, limit: int | None = None
) -> Page:
    """The newest `limit` movements of a SKU (all without one), oldest first. Quantities are changes, in units."""
    page = read_page(
        connection,
        "SELECT count(*) OVER () AS total, sku, location_id, version, kind, on_hand, reserved, damaged, quality_hold,"
        " reason, document, order_id, line_id, shipment_id, return_id, channel, actor, occurred_at, recorded_at"
        " FROM stock_movements"
        " WHERE sku = %(sku)s AND (%(location)s::text IS NULL OR location_id = %(location)s)"
        " ORDER BY version DESC, location_id DESC LIMIT %(limit)s",
        {"sku": sku, "location": location_id, "limit": limit},
        ("occurred_at", "recorded_at"),
    )
    page.reverse()
    return page


def read_stock_as_of(
    connection: psycopg.Connection[Any],
    sku: str | None = None,
    location_id: str | None = None,
    *,
    at: datetime | None = None,
    known_at: datetime | None = None,
    limit: int | None = None,
) -> Page:
    """on_hand, reserved, damaged and quality_hold per SKU and location at business time `at` (None: whenever it
    happened), as known at log time `known_at` (None: now).
    """
    return read_page(
        connection,
        "SELECT count(*) OVER () AS total, sku, location_id, sum(on_hand)::bigint AS on_hand,"
        " sum(reserved)::bigint AS reserved, sum(damaged)::bigint AS damaged, sum(quality_hold)::bigint AS quality_hold"
        " FROM stock_movements"
        " WHERE (%(at)s::timestamptz IS NULL OR occurred_at <= %(at)s)"
        " AND (%(known)s::timestamptz IS NULL OR recorded_at <= %(known)s)"
        " AND (%(sku)s::text IS NULL OR sku = %(sku)s)"
        " AND (%(location)s::text IS NULL OR location_id = %(location)s)"
        " GROUP BY sku, location_id ORDER BY sku, location_id LIMIT %(limit)s",
        {"at": at, "known": known_at, "sku": sku, "location": location_id, "limit": limit},
    )


def known_since(
    connection: psycopg.Connection[Any], sku: str | None, location_id: str | None
) -> tuple[str, str] | None:
    """When the first movement of this stock happened, and when the first was recorded; null if there is none."""
    found = connection.execute(
        "SELECT min(occurred_at), min(recorded_at) FROM stock_movements"
        " WHERE (%(sku)s::text IS NULL OR sku = %(sku)s)"
        " AND (%(location)s::text IS NULL OR location_id = %(location)s)",
        {"sku": sku, "location": location_id},
    ).fetchone()
    return None if found is None or found[0] is None else (rfc3339(found[0]), rfc3339(found[1]))
