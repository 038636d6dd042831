"""What became of commands from outside: here, those that were refused, newest first."""

from __future__ import annotations

from typing import Any

import psycopg

from projections.page import Page, read_page


def read_rejections(
    connection: psycopg.Connection[Any], *, channel: str | None = None, limit: int | None = None
) -> Page:
    """Rows of `channel`, `id` (the command's), `stream_id`, `command`, `code`, `what`, `detail`, `hint`,
    `recorded_at`."""
    return read_page(
        connection,
        "SELECT count(*) OVER () AS total, channel, command_id AS id, stream_id, command, code, what, detail, hint,"
        " recorded_at"
        " FROM answers WHERE outcome = 'refused' AND (%(channel)s::text IS NULL OR channel = %(channel)s)"
        " ORDER BY recorded_at DESC, topic, partition, intake_offset DESC LIMIT %(limit)s",
        {"channel": channel, "limit": limit},
        ("recorded_at",),
    )
