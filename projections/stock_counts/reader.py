"""Counts that wait: to be repeated (`recount`), or for another person (`waiting`).

read_counts(connection)[0]["variance"]  →  -10
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339


def read_counts(connection: psycopg.Connection[Any], *, waiting_only: bool = True) -> list[dict[str, Any]]:
    """Oldest first; with those that were decided, where they are wanted too."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT sku, location_id, count_id, status, counted, counted_at, expected, variance, counted_by, reason,"
            " document, requested_at, decided_at, decided_by FROM stock_counts WHERE NOT %s OR status = 'waiting'"
            " UNION ALL"
            " SELECT sku, location_id, count_id, 'recount', counted, counted_at, expected, variance, counted_by,"
            " reason, document, asked_at, NULL, NULL FROM stock_recounts WHERE count_id IS NOT NULL"
            " ORDER BY requested_at, sku, location_id, count_id",
            [waiting_only],
        ).fetchall()
    for row in rows:
        for name in ("counted_at", "requested_at", "decided_at"):
            row[name] = rfc3339(row[name])
    return rows
