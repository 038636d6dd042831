"""Stock as it is now: for each SKU and location every quantity of the identity.

on_hand = available + reserved + safety + damaged + quality_hold; `incoming` stands outside; `sellable` is what a
channel may be shown: available less the buffer, never below zero.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339

_COLUMNS = (
    "sku, location_id, on_hand, available, reserved, safety, damaged, quality_hold, incoming,"
    " CASE WHEN EXISTS (SELECT FROM location_channels AS l WHERE l.location_id = inventory.location_id AND l.excluded)"
    " THEN 0 ELSE sellable END AS sellable,"
    " safety_stock, reorder_point, buffer, low_since"
)


def read_inventory(
    connection: psycopg.Connection[Any],
    sku: str | None = None,
    location_id: str | None = None,
    *,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Rows by SKU and location; all of them unless a SKU or a location is named. Units in whole pieces."""
    return _rows(
        connection,
        f"SELECT {_COLUMNS} FROM inventory"
        " WHERE (%(sku)s::text IS NULL OR sku = %(sku)s) AND (%(location)s::text IS NULL OR location_id = %(location)s)"
        " ORDER BY sku, location_id LIMIT %(limit)s",
        {"sku": sku, "location": location_id, "limit": limit},
    )


def read_low_stock(
    connection: psycopg.Connection[Any], location_id: str | None = None, *, limit: int | None = None
) -> list[dict[str, Any]]:
    """Rows whose available units are at or below their reorder point, the most lacking first; see `read_inventory`."""
    return _rows(
        connection,
        f"SELECT {_COLUMNS} FROM inventory"
        " WHERE available <= reorder_point AND (%(location)s::text IS NULL OR location_id = %(location)s)"
        " ORDER BY available - reorder_point, sku, location_id LIMIT %(limit)s",
        {"location": location_id, "limit": limit},
    )


def read_expected(
    connection: psycopg.Connection[Any], sku: str | None = None, location_id: str | None = None
) -> list[dict[str, Any]]:
    """Goods on their way, soonest first: `sku`, `location_id`, `source` (purchase_order, transfer), `reference`,
    `quantity`, `expected_at` (null: nobody said when), `overdue`.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT sku, location_id, source, reference, quantity, expected_at, overdue FROM expected_receipts"
            " WHERE quantity > 0 AND (%(sku)s::text IS NULL OR sku = %(sku)s)"
            " AND (%(location)s::text IS NULL OR location_id = %(location)s)"
            " ORDER BY expected_at NULLS LAST, sku, source, reference, location_id",
            {"sku": sku, "location": location_id},
        ).fetchall()
    for row in rows:
        row["expected_at"] = rfc3339(row["expected_at"])
    return rows


def _rows(connection: psycopg.Connection[Any], query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.encode(), parameters).fetchall()
    for row in rows:
        row["low_since"] = rfc3339(row["low_since"])
    return rows
