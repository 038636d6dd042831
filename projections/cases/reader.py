"""The service cases about one order, and those that are open."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339
from projections.page import Page, read_page


def read_cases_of(connection: psycopg.Connection[Any], order_id: str) -> list[dict[str, Any]]:
    """By the time they were opened: `case_id`, `channel`, `topic`, `urgency`, `opened_at`, `state` (open, resolved),
    `resolved_at` (the last time; null while it is open) and how many times it was `reopened`.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT case_id, channel, topic, urgency, opened_at, reopened, state,"
            " CASE WHEN state = 'resolved' THEN resolved_at END AS resolved_at"
            " FROM cases WHERE order_id = %s ORDER BY opened_at, case_id",
            [order_id],
        ).fetchall()
    return [{**row, "opened_at": rfc3339(row["opened_at"]), "resolved_at": rfc3339(row["resolved_at"])} for row in rows]


def read_open_cases(connection: psycopg.Connection[Any], topic: str | None = None, *, limit: int | None = None) -> Page:
    """Cases that nobody has resolved, oldest first: `case_id`, `order_id` (null: about none), `channel`, `topic`,
    `urgency`, `opened_at`.
    """
    return read_page(
        connection,
        "SELECT count(*) OVER () AS total, case_id, order_id, channel, topic, urgency, opened_at FROM cases"
        " WHERE opened_at IS NOT NULL AND state = 'open'"
        " AND (%(topic)s::text IS NULL OR topic = %(topic)s) ORDER BY opened_at, case_id LIMIT %(limit)s",
        {"topic": topic, "limit": limit},
        ("opened_at",),
    )
