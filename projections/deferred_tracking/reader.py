"""Reads deferred scans: those that wait, those that are due to expire, and those that expired."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339

#: Orders named of expired scans: enough to see whose they are.
NAMED_MAX = 5
_TIMES = ("scanned_at", "deferred_at", "ends_at", "ended_at")


class TrackingDue(NamedTuple):
    """An order with scans that are due to expire, and when the first of them was."""

    order_id: str
    ends_at: datetime


class DeferredTotals(NamedTuple):
    """How many scans wait, and when the first wait ends; how many have expired, when the last one did, and the newest
    ones' orders.
    """

    waiting: int
    first_ends_at: datetime | None
    expired: int
    last_expired_at: datetime | None
    expired_orders: list[str]


def read_tracking_due(connection: psycopg.Connection[Any], now: datetime, limit: int) -> list[TrackingDue]:
    """Orders with scans that have waited long enough by `now`, longest overdue first."""
    rows = connection.execute(
        "SELECT order_id, min(ends_at) FROM deferred_tracking WHERE ended IS NULL AND ends_at <= %s"
        " GROUP BY order_id ORDER BY 2, 1 LIMIT %s",
        [now, limit],
    ).fetchall()
    return [TrackingDue(*row) for row in rows]


def read_deferred_of(connection: psycopg.Connection[Any], order_id: str) -> list[dict[str, Any]]:
    """The order's scans that wait (`state` waiting) or expired. Applied scans are shown with their parcel."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT number, waits_for, status, state, scanned_at, deferred_at, ends_at, ended_at"
            " FROM deferred_tracking WHERE order_id = %s AND state <> 'applied' ORDER BY number",
            [order_id],
        ).fetchall()
    return [{**row, **{name: rfc3339(row[name]) for name in _TIMES}} for row in rows]


def read_deferred_totals(connection: psycopg.Connection[Any]) -> DeferredTotals:
    """The totals of all orders."""
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE ended IS NULL), min(ends_at) FILTER (WHERE ended IS NULL),"
        " count(*) FILTER (WHERE ended = 'expired'), max(ended_at) FILTER (WHERE ended = 'expired'),"
        " ARRAY(SELECT order_id FROM deferred_tracking WHERE ended = 'expired' ORDER BY ended_at DESC, 1 LIMIT %s)"
        " FROM deferred_tracking WHERE ended IS NULL OR ended = 'expired'",
        [NAMED_MAX],
    ).fetchone()
    assert row is not None
    return DeferredTotals(*row)
