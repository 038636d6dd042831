"""How stock came to be what it is: its movements, and its quantities at another time.

read_stock_as_of(connection, at=yesterday)                      what was there yesterday, as known today
read_stock_as_of(connection, at=yesterday, known_at=yesterday)  what was thought to be there
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339


def read_movements(
    connection: psycopg.Connection[Any], sku: str, location_id: str | None = None, *, limit: int | None = None
) -> list[dict[str, Any]]:
    """The newest `limit` movements of a SKU (all without one), oldest first. Quantities are changes, in units."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT sku, location_id, version, kind, on_hand, reserved, damaged, quality_hold, reason, document,"
            " order_id, line_id, shipment_id, return_id, channel, actor, occurred_at, recorded_at FROM stock_movements"
            " WHERE sku = %(sku)s AND (%(location)s::text IS NULL OR location_id = %(location)s)"
            " ORDER BY version DESC, location_id DESC LIMIT %(limit)s",
            {"sku": sku, "location": location_id, "limit": limit},
        ).fetchall()
    for row in rows:
        row["occurred_at"] = rfc3339(row["occurred_at"])
        row["recorded_at"] = rfc3339(row["recorded_at"])
    return rows[::-1]


def read_stock_as_of(
    connection: psycopg.Connection[Any],
    sku: str | None = None,
    location_id: str | None = None,
    *,
    at: datetime,
    known_at: datetime | None = None,
) -> list[dict[str, Any]]:
    """on_hand, reserved, damaged and quality_hold per SKU and location at business time `at`, from what was on record
    at log time `known_at` (None: all that is known now).
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT sku, location_id, sum(on_hand)::bigint AS on_hand, sum(reserved)::bigint AS reserved,"
            " sum(damaged)::bigint AS damaged, sum(quality_hold)::bigint AS quality_hold FROM stock_movements"
            " WHERE occurred_at <= %(at)s AND (%(known)s::timestamptz IS NULL OR recorded_at <= %(known)s)"
            " AND (%(sku)s::text IS NULL OR sku = %(sku)s)"
            " AND (%(location)s::text IS NULL OR location_id = %(location)s)"
            " GROUP BY sku, location_id ORDER BY sku, location_id",
            {"at": at, "known": known_at, "sku": sku, "location": location_id},
        ).fetchall()
