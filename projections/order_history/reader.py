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


class FactRow(NamedTuple):
    """A fact of an order: its name, its data as JSON has it, and the fields of the envelope that the table keeps."""

    order_id: str
    name: str
    data: dict[str, Any]
    envelope: dict[str, Any]


def read_facts(connection: psycopg.Connection[Any], order_id: str, until: datetime, limit: int) -> list[FactRow]:
    """The facts of an order that were recorded by `until`, in the order of their versions: the first `limit`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT fact, data, version, occurred_at, recorded_at, command_id, channel, actor, event_id,"
            " correlation_id FROM order_history WHERE order_id = %s AND recorded_at <= %s ORDER BY version LIMIT %s",
            [order_id, until, limit],
        ).fetchall()
    return [FactRow(order_id, row.pop("fact"), row.pop("data"), row) for row in rows]


def read_history(
    connection: psycopg.Connection[Any],
    order_id: str,
    *,
    known_at: datetime | None = None,
    occurred_by: datetime | None = None,
) -> list[dict[str, Any]]:
    """Facts in the order of their versions; empty for an unknown order. With `known_at`, those that were recorded by
    then; with `occurred_by`, those that had occurred by then.

    Keys: `version`, `fact`, `occurred_at`, `recorded_at`, `channel`, `actor`, `command_id`, `event_id`,
    `correlation_id`, and `data` as the fact's contract has it.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT version, fact, occurred_at, recorded_at, channel, actor, command_id, event_id, correlation_id, data"
            " FROM order_history WHERE order_id = %(order)s"
            " AND (%(known)s::timestamptz IS NULL OR recorded_at <= %(known)s)"
            " AND (%(occurred)s::timestamptz IS NULL OR occurred_at <= %(occurred)s) ORDER BY version",
            {"order": order_id, "known": known_at, "occurred": occurred_by},
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
