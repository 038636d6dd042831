"""Reads the work queues."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339
from projections.page import Page, read_page

_COLUMNS = "queue, since, reason, detail, state, CASE WHEN state = 'closed' THEN resolution END AS resolution"


def read_queue(connection: psycopg.Connection[Any], queue: str | None = None, limit: int | None = None) -> Page:
    """Open entries, oldest first: `order_id`, `queue`, `since`, `reason`, `detail`, and the order's `open` units and
    `due_by` (null: nothing was promised).
    """
    return read_page(
        connection,
        "SELECT count(*) OVER () AS total, w.order_id, w.queue, w.since, w.reason, w.detail, o.open, o.due_by"
        " FROM work_queue AS w LEFT JOIN order_status AS o USING (order_id)"
        " WHERE w.state = 'open' AND (%(queue)s::text IS NULL OR w.queue = %(queue)s)"
        " ORDER BY w.since, w.order_id, w.queue LIMIT %(limit)s",
        {"queue": queue, "limit": limit},
        ("since", "due_by"),
    )


def read_queues_of(connection: psycopg.Connection[Any], order_id: str) -> list[dict[str, Any]]:
    """All queues that an order was in, including those that are over (`state` closed, with their `resolution`)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"SELECT {_COLUMNS} FROM work_queue WHERE order_id = %s ORDER BY since, queue", [order_id]
        ).fetchall()
    return [{**row, "since": rfc3339(row["since"])} for row in rows]
