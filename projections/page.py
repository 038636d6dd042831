"""Rows of a listing, and how many there are in all: a reader that shows fifty must say that there are more.

page = read_page(connection, "SELECT count(*) OVER () AS total, sku FROM inventory ORDER BY sku LIMIT %(limit)s", …)
len(page), page.total, page.fields        # 50, 550, ("sku",)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339


class Page(list[dict[str, Any]]):
    """Rows; `total`: how many there are without a limit; `fields`: the column names, even if there is no row."""

    def __init__(self, rows: Iterable[dict[str, Any]], total: int, fields: tuple[str, ...]) -> None:
        super().__init__(rows)
        self.total = total
        self.fields = fields


def read_page(
    connection: psycopg.Connection[Any], query: str, parameters: Mapping[str, Any], times: tuple[str, ...] = ()
) -> Page:
    """The rows of a query with the column `count(*) OVER () AS total`. One statement, so all is of one moment.

    `times` are the columns to show as RFC 3339.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.encode(), parameters).fetchall()
        fields = tuple(column.name for column in cursor.description or () if column.name != "total")
    total = rows[0]["total"] if rows else 0
    for row in rows:
        del row["total"]
        for name in times:
            row[name] = rfc3339(row[name])
    return Page(rows, total, fields)
