"""The whole history of one order, refusals included, as the ledger has it.

read_history(connection, "order-1")[0]["fact"]  →  "OrderPlaced"
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339


def read_history(connection: psycopg.Connection[Any], order_id: str) -> list[dict[str, Any]]:
    """Facts in the order of their versions; empty for an unknown order.

    Keys: `version`, `fact`, `occurred_at`, `recorded_at`, `channel`, `actor`, `command_id`, `event_id`,
    `correlation_id`, and `data` as the fact's contract has it.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT version, fact, occurred_at, recorded_at, channel, actor, command_id, event_id, correlation_id, data"
            " FROM order_history WHERE order_id = %s ORDER BY version",
            [order_id],
        ).fetchall()
    for row in rows:
        row["occurred_at"] = rfc3339(row["occurred_at"])
        row["recorded_at"] = rfc3339(row["recorded_at"])
    return rows
