"""The rows behind a figure: those that it counted, and those that it left out, with the reason.

behind(connection, "return_rate", by="channel", group="web")["rows"][0]
    → {"id": "A-1001", "order_id": "A-1001", "at": "2026-12-01T10:00:00Z", "counted": true, "good": true, "why": …}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from events.times import day_after, rfc3339
from projections.kpi.cases import CONTEXT
from projections.kpi.definitions import COMPONENTS, DIMENSIONS, OPENABLE, Definition, Dimension

#: Digits after the point: an hour value exact to the microsecond has ten; nobody acts on more than six.
DIGITS = 6

_IN_RANGE = sql.SQL(
    "WHERE (%(from)s::timestamptz IS NULL OR at >= %(from)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)"
    " AND (%(orders)s::text[] IS NULL OR {of_scope})"
)
#: `scope` of a definition → the condition for its cases.
_OF_SCOPE = {
    "order_id": sql.SQL("order_id = ANY(%(orders)s)"),
    "count_id": sql.SQL("(id, count_id) IN (SELECT * FROM unnest(%(counted)s::text[], %(count_ids)s::text[]))"),
}


class Scope(NamedTuple):
    """Some orders, and some stock counts: (`sku at location`, count_id). Time does not select counts: two runs count
    the same places at the same moment, and a count from a clock that is ahead gets another time."""

    orders: Collection[str]
    counted: Collection[tuple[str, str]] = ()


def behind(
    connection: psycopg.Connection[Any],
    name: str,
    *,
    from_: date | None = None,
    to: date | None = None,
    by: Dimension | None = None,
    group: str | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """`rows`: what a figure counted, the bad ones first; `left_out`: what it did not count, by day. All of one moment.

    A row has `id` (an order, "order parcel", "sku at location" or a case), `order_id` if there is one, `at`, `good`
    or `hours` with the exact `seconds`, and `why`; with `by` also `group`; for the perfect order its components. The
    figure's numerator is the number of good rows, or the sum of hours; its denominator is the number of rows.
    `group` keeps one group, `limit` that many rows of each list; `total` is the number of rows of each list. KeyError
    for an unknown figure. ValueError for a dimension that does not apply to it, or a group without a dimension.
    """
    definition = OPENABLE[name]
    check_dimension(definition, by)
    if group is not None and by is None:
        raise ValueError("a group belongs to a dimension: name the dimension as well")
    hours = definition.unit == "hours"
    spoils = "NOT good" if definition.better == "higher" else "good"
    with interpreted(connection) as cursor:
        cursor.execute(
            sql.SQL(CONTEXT)
            + sql.SQL(
                "SELECT * FROM (SELECT {columns}, count(*) OVER (PARTITION BY counted) AS of_all,"
                " row_number() OVER (PARTITION BY counted ORDER BY {order}, at, id)"
                " AS place FROM (SELECT {grp} AS grp, c.* FROM ({cases}) AS c {where}) AS g"
                " WHERE %(group)s::text IS NULL OR grp = %(group)s) AS h"
                " WHERE %(limit)s::bigint IS NULL OR place <= %(limit)s ORDER BY counted DESC, place"
            ).format(
                columns=sql.SQL(", ").join(_columns(definition, by)),
                order=sql.SQL("CASE WHEN counted THEN seconds END DESC" if hours else f"(counted AND {spoils}) DESC"),
                grp=group_of(definition, by),
                cases=sql.SQL(definition.cases),
                where=in_range(definition),
            ),
            bounds(from_, to) | {"group": group, "limit": limit},
        )
        found = cursor.fetchall()
    rows, left_out = [], []
    total = {"rows": 0, "left_out": 0}
    for row in found:
        del row["place"]
        total["rows" if row["counted"] else "left_out"] = row.pop("of_all")
        if row.pop("counted"):
            rows.append(_case(definition, row))
        else:
            left_out.append({key: plain(row[key]) for key in row if key not in _JUDGED})
    return {"kpi": definition.label, "rows": rows, "left_out": left_out, "total": total}


def check_dimension(definition: Definition, by: Dimension | None) -> None:
    """Raise ValueError if the dimension does not apply to the figure."""
    if by is not None and by not in definition.applies_to:
        dimensions = ", ".join(one for one in DIMENSIONS if one in definition.applies_to)
        of_parcels = "" if definition.name != "on_time_delivery_rate" else "; for parcels use on_time_parcel_rate"
        raise ValueError(f"{definition.name} is not counted by {by}, but by {dimensions}{of_parcels}")


_JUDGED = frozenset({"good", "seconds", *COMPONENTS})


def _columns(definition: Definition, by: Dimension | None) -> list[sql.Composable]:
    names = ["id", "order_id", "at", "counted", "seconds" if definition.unit == "hours" else "good", "why"]
    if definition.extras.keys() >= set(COMPONENTS):
        names += COMPONENTS
    columns: list[sql.Composable] = [sql.Identifier(name) for name in names]
    return [*columns, sql.SQL('grp AS "group"')] if by is not None else columns


def _case(definition: Definition, row: dict[str, Any]) -> dict[str, Any]:
    if definition.unit == "hours":
        row["hours"] = row["seconds"] / 3600
    return {key: plain(value) for key, value in row.items()}


def group_of(definition: Definition, by: Dimension | None) -> sql.Composable:
    """The case's value of a dimension, as SQL; 'unknown' if it has none."""
    if by is None or by not in definition.applies_to:
        return sql.SQL("NULL::text")
    if by == "day":
        return sql.SQL("(at AT TIME ZONE 'UTC')::date::text COLLATE \"C\"")
    # Sorted by bytes: sorting by language takes several times as long and differs between databases.
    return sql.SQL("coalesce({}::text, 'unknown') COLLATE \"C\"").format(sql.Identifier(by))


@contextmanager
def interpreted(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Cursor[dict[str, Any]]]:
    """A cursor in a transaction without JIT: a figure has hundreds of small expressions, and compiling them takes
    several times as long as counting 300,000 orders."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SET LOCAL jit TO off")
        yield cursor


def in_range(definition: Definition) -> sql.Composed:
    """The condition for cases of some days and a scope; `bounds` gives its values."""
    return _IN_RANGE.format(of_scope=_OF_SCOPE[definition.scope])


def bounds(from_: date | None, to: date | None, scope: Scope | None = None) -> dict[str, Any]:
    """Values for `in_range`."""
    return {
        "from": _midnight(from_) if from_ else None,
        "until": _midnight(day_after(to)) if to else None,
        "orders": None if scope is None else list(scope.orders),
        "counted": [] if scope is None else [place for place, _ in scope.counted],
        "count_ids": [] if scope is None else [count_id for _, count_id in scope.counted],
    }


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def plain(value: Any) -> Any:
    """A row's value for JSON."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Decimal | float):
        return round(float(value), DIGITS)
    return value
