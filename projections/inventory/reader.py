"""Stock as it is now: for each SKU and location every quantity of the identity.

on_hand = available + reserved + safety + damaged + quality_hold; `incoming` stands outside; `sellable` is what a
channel may be shown: available less the buffer, never below zero.
"""

from __future__ import annotations

from typing import Any

import psycopg

from projections.page import Page, read_page

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
    low: bool = False,
    limit: int | None = None,
) -> Page:
    """Rows by SKU and location; all of them unless a SKU or a location is named. Units in whole pieces. `low`: only
    those whose available units are at or below their reorder point, the most lacking first.
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
    """Goods on their way, soonest first: `sku`, `location_id`, `source` (purchase_order, transfer), `reference`,
    `quantity`, `expected_at` (null: nobody said when), `overdue`.
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
