"""Counts that wait for a second count (`recount`) or for approval (`waiting`).

read_counts(connection)[0]["variance"]  →  -10
"""

from __future__ import annotations

from typing import Any

import psycopg

from projections.page import Page, read_page


def read_counts(connection: psycopg.Connection[Any], *, waiting_only: bool = True, limit: int | None = None) -> Page:
    """Counts, oldest first; without `waiting_only` also those already decided."""
    return read_page(
        connection,
        "SELECT count(*) OVER () AS total, c.* FROM ("
        "SELECT sku, location_id, count_id, status, counted, counted_at, expected, variance, counted_by, reason,"
        " document, requested_at, decided_at, decided_by FROM stock_counts"
        " WHERE NOT %(waiting)s OR status = 'waiting'"
        " UNION ALL"
        " SELECT sku, location_id, count_id, 'recount', counted, counted_at, expected, variance, counted_by,"
        " reason, document, asked_at, NULL, NULL FROM stock_recounts WHERE count_id IS NOT NULL"
        ") AS c ORDER BY requested_at, sku, location_id, count_id LIMIT %(limit)s",
        {"waiting": waiting_only, "limit": limit},
        ("counted_at", "requested_at", "decided_at"),
    )
