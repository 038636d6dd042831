"""What became of commands from outside: here, those that were refused, newest first."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339


def read_rejections(
    connection: psycopg.Connection[Any], *, channel: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Rows of `channel`, `id` (the command's), `stream_id`, `command`, `code`, `what`, `detail`, `hint`,
    `recorded_at`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT channel, command_id AS id, stream_id, command, code, what, detail, hint, recorded_at"
            " FROM answers WHERE outcome = 'refused' AND (%(channel)s::text IS NULL OR channel = %(channel)s)"
            " ORDER BY recorded_at DESC, topic, partition, intake_offset DESC LIMIT %(limit)s",
            {"channel": channel, "limit": limit},
        ).fetchall()
    for row in rows:
        row["recorded_at"] = rfc3339(row["recorded_at"])
    return rows
