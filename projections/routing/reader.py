"""The newest routing rules, how busy each location was, and how fast stock sells."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339


class Dispatched(NamedTuple):
    """Parcels that left a location on a day (UTC)."""

    location_id: str
    day: date
    parcels: int


class Shipped(NamedTuple):
    """Units of a SKU that left a location in some weeks."""

    sku: str
    location_id: str
    units: int


def read_rules_rows(connection: psycopg.Connection[Any], rules_id: str | None = None) -> list[dict[str, Any]]:
    """Rows by id, or only the one with the id: `rules_id`, `number` (version), `name`, `text`, `set_at`, `set_by`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT rules_id, number, name, text, set_at, set_by FROM routing_rules"
            " WHERE %(id)s::text IS NULL OR rules_id = %(id)s ORDER BY rules_id",
            {"id": rules_id},
        ).fetchall()
    for row in rows:
        row["set_at"] = rfc3339(row["set_at"])
    return rows


def read_dispatched(connection: psycopg.Connection[Any], days: Collection[date]) -> list[Dispatched]:
    """Parcels that left on these days, by location."""
    rows = connection.execute(
        "SELECT location_id, day, sum(dispatched)::bigint FROM location_days"
        " WHERE day = ANY(%s) GROUP BY location_id, day",
        [list(days)],
    ).fetchall()
    return [Dispatched(*row) for row in rows]


def read_shipped(
    connection: psycopg.Connection[Any], skus: Collection[str] | None, first: date, last: date
) -> list[Shipped]:
    """Units of these SKUs (None: of all) that left in the weeks from `first` to before `last` (Mondays)."""
    rows = connection.execute(
        "SELECT sku, location_id, sum(shipped)::bigint FROM sku_weeks"
        " WHERE week >= %(first)s AND week < %(last)s AND (%(skus)s::text[] IS NULL OR sku = ANY(%(skus)s))"
        " GROUP BY sku, location_id",
        {"first": first, "last": last, "skus": None if skus is None else list(skus)},
    ).fetchall()
    return [Shipped(*row) for row in rows]
