"""Who stands in the queues that people work."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from projections.times import rfc3339

_COLUMNS = "queue, since, reason, detail, state, CASE WHEN state = 'closed' THEN resolution END AS resolution"


def read_queue(connection: psycopg.Connection[Any], queue: str | None = None) -> list[dict[str, Any]]:
    """Open entries, oldest first: `order_id`, `queue`, `since`, `reason`, `detail`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT order_id, queue, since, reason, detail FROM work_queue"
            " WHERE state = 'open' AND (%(queue)s::text IS NULL OR queue = %(queue)s)"
            " ORDER BY since, order_id, queue",
            {"queue": queue},
        ).fetchall()
    return [{**row, "since": rfc3339(row["since"])} for row in rows]


def read_queues_of(connection: psycopg.Connection[Any], order_id: str) -> list[dict[str, Any]]:
    """All queues that an order stood in, also those that are over (`state` closed, with their `resolution`)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"SELECT {_COLUMNS} FROM work_queue WHERE order_id = %s ORDER BY since, queue", [order_id]
        ).fetchall()
    return [{**row, "since": rfc3339(row["since"])} for row in rows]
