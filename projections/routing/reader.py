"""The routing rules, as they were last set."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339


def read_rules_rows(connection: psycopg.Connection[Any], rules_id: str | None = None) -> list[dict[str, Any]]:
    """Rows by id: `rules_id`, `number` (version), `name`, `text`, `set_at`, `set_by`; only one where an id is given."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT rules_id, number, name, text, set_at, set_by FROM routing_rules"
            " WHERE %(id)s::text IS NULL OR rules_id = %(id)s ORDER BY rules_id",
            {"id": rules_id},
        ).fetchall()
    for row in rows:
        row["set_at"] = rfc3339(row["set_at"])
    return rows
