"""The whole history of one order, refusals included.

read_history(connection, "order-1")[0]["fact"]  →  "OrderPlaced"
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339


class Placed(NamedTuple):
    """The OrderPlaced of an order: its data, its time by the channel's clock, and its channel."""

    data: dict[str, Any]
    occurred_at: datetime
    channel: str


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


def read_placed(connection: psycopg.Connection[Any], orders: Sequence[str]) -> list[Placed]:
    """How these orders were placed, in the order of `orders`. Unknown ones are left out."""
    rows = connection.execute(
        "SELECT data, occurred_at, channel FROM unnest(%s::text[]) WITH ORDINALITY AS w (order_id, place)"
        " JOIN order_history USING (order_id) WHERE fact = 'OrderPlaced' ORDER BY place",
        [list(orders)],
    ).fetchall()
    return [Placed(*row) for row in rows]


def read_telling_order(connection: psycopg.Connection[Any], orders: Collection[str]) -> str | None:
    """One of these orders with an eventful but readable history; None if none was shipped.

    Its facts are in the order of their times: a story that jumps back and forth is a bad example.
    """
    row = connection.execute(
        """
        SELECT order_id FROM order_status AS o
        WHERE shipped > 0 AND order_id = ANY(%s) AND NOT EXISTS (
            SELECT FROM (SELECT occurred_at, lag(occurred_at) OVER (ORDER BY version) AS before
                         FROM order_history AS h WHERE h.order_id = o.order_id) AS told
            WHERE occurred_at < before)
        ORDER BY (returned > 0)::int + (cancelled > 0)::int + (version BETWEEN 8 AND 40)::int
               + (EXISTS (SELECT FROM order_history AS h
                          WHERE h.order_id = o.order_id AND fact = 'LineBackordered'))::int
                 DESC, version, order_id
        LIMIT 1
        """,
        [list(orders)],
    ).fetchone()
    return row[0] if row else None
