"""The six figures, read: sums over the cases of each definition, in one statement, hence of one moment.

kpis(connection, by="channel")["groups"]["web"]["return_rate"]
    → {"value": 0.04, "numerator": 2, "denominator": 50, "unit": "ratio", …}
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from projections.kpi.definitions import DEFINITIONS, DIMENSIONS, Definition, Dimension
from projections.times import rfc3339

#: Digits after the point: a microsecond in hours has ten, nobody acts on more than the sixth.
DIGITS = 6

_CLOCK = sql.SQL("WITH clock AS MATERIALIZED (SELECT max(as_of) AS as_of FROM kpi_watermarks) ")


def kpis(
    connection: psycopg.Connection[Any],
    *,
    from_: date | None = None,
    to: date | None = None,
    by: Dimension | None = None,
) -> dict[str, Any]:
    """All figures of the days from `from_` to `to` (UTC, both included; null: no bound), as `kpi --json` prints them.

    Keys: `kpis` {name: figure}, `as_of` (the latest moment the log has seen, or null), `from`, `to`; with `by` also
    `by` and `groups` {group: {name: figure}}, where a figure appears when the dimension applies to it. A figure has
    `value` (null when the denominator is 0), `numerator`, `denominator`, `unit`, `ideal`, `ideal_met`, `definition`,
    and extras of its own. For hours the numerator is the sum of hours, the denominator the number of orders or cases.
    """
    if by is not None and by not in DIMENSIONS:
        raise ValueError(f"{by} is none of {', '.join(DIMENSIONS)}")
    parts = sql.SQL(" UNION ALL ").join(_figure_query(one, by) for one in DEFINITIONS.values())
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_CLOCK + parts, _bounds(from_, to))
        rows = cursor.fetchall()
    totals: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["grp"] or ""):
        figures = totals if row["total"] else groups.setdefault(row["grp"], {})
        figures[row["name"]] = _figure(DEFINITIONS[row["name"]], row)
    answer: dict[str, Any] = {
        "kpis": _in_order(totals),
        "as_of": rfc3339(rows[0]["as_of"]),
        "from": from_.isoformat() if from_ else None,
        "to": to.isoformat() if to else None,
    }
    if by is not None:
        answer["by"] = by
        answer["groups"] = {group: _in_order(_completed(figures, by)) for group, figures in groups.items()}
    return answer


def kpi_orders_behind(
    connection: psycopg.Connection[Any],
    name: str,
    *,
    from_: date | None = None,
    to: date | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """What a figure counted, the cases that spoil it first: rows of `id`, `at`, `good` or `hours`, and `why`.

    `id` is an order, "order parcel", "sku at location" or a case. KeyError for an unknown figure.
    """
    definition = DEFINITIONS[name]
    columns, order = sql.SQL("good"), sql.SQL("good" if definition.better == "higher" else "good DESC")
    if definition.unit == "hours":
        columns, order = sql.SQL("hours"), sql.SQL("hours DESC")
    query = _CLOCK + sql.SQL(
        "SELECT id, at, {columns}, why FROM ({cases}) AS c {where} ORDER BY {order}, at, id"
    ).format(columns=columns, cases=sql.SQL(definition.cases), where=_IN_RANGE, order=order)
    if limit is not None:
        query += sql.SQL(" LIMIT {}").format(sql.Literal(limit))
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(query, _bounds(from_, to))
        found = cursor.fetchall()
    return [{key: _plain(value) for key, value in row.items()} for row in found]


_IN_RANGE = sql.SQL(
    "WHERE (%(from)s::timestamptz IS NULL OR at >= %(from)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)"
)


def _bounds(from_: date | None, to: date | None) -> dict[str, datetime | None]:
    return {"from": _midnight(from_) if from_ else None, "until": _midnight(to + timedelta(days=1)) if to else None}


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _figure_query(definition: Definition, by: Dimension | None) -> sql.Composed:
    """Rows of one figure: its total, and its groups where the dimension applies."""
    group: sql.Composable = sql.SQL("NULL")
    total, sets = sql.SQL("true AS total, NULL::text AS grp"), sql.SQL("()")
    if by is not None and by in definition.applies_to:
        group = sql.SQL("(at AT TIME ZONE 'UTC')::date::text") if by == "day" else sql.Identifier(by)
        total, sets = sql.SQL("grouping(grp) = 1 AS total, grp"), sql.SQL("(grp), ()")
    hours = definition.unit == "hours"
    extras = sql.SQL(", ").join(
        sql.SQL("{}, {}").format(sql.Literal(key), sql.SQL(aggregate)) for key, aggregate in definition.extras.items()
    )
    return sql.SQL(
        "SELECT {name}::text AS name, {total}, {numerator}::numeric AS numerator,"
        " count(*) AS denominator, jsonb_build_object({extras}) AS extras, (SELECT as_of FROM clock) AS as_of"
        " FROM (SELECT coalesce({group}::text, 'unknown') AS grp, c.* FROM ({cases}) AS c {where}) AS g"
        " GROUP BY GROUPING SETS ({sets})"
    ).format(
        name=sql.Literal(definition.name),
        total=total,
        numerator=sql.SQL("coalesce(sum(hours), 0)" if hours else "count(*) FILTER (WHERE good)"),
        extras=extras,
        group=group,
        cases=sql.SQL(definition.cases),
        where=_IN_RANGE,
        sets=sets,
    )


def _figure(definition: Definition, row: dict[str, Any]) -> dict[str, Any]:
    numerator, denominator = row["numerator"], row["denominator"]
    value = _plain(numerator / denominator) if denominator else None
    return {
        "value": value,
        "numerator": int(numerator) if definition.unit == "ratio" else _plain(numerator),
        "denominator": denominator,
        "unit": definition.unit,
        "ideal": list(definition.ideal),
        "ideal_met": definition.meets(value),
        "definition": definition.label,
        **{key: _plain(extra) for key, extra in row["extras"].items()},
    }


def _completed(figures: dict[str, Any], by: Dimension) -> dict[str, Any]:
    """Every figure that the dimension applies to; one without a case in this group has denominator 0."""
    return {
        name: figures.get(name) or _figure(definition, _nothing(definition))
        for name, definition in DEFINITIONS.items()
        if by in definition.applies_to
    }


def _nothing(definition: Definition) -> dict[str, Any]:
    return {"numerator": Decimal(0), "denominator": 0, "extras": dict.fromkeys(definition.extras)}


def _in_order(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: figures[name] for name in DEFINITIONS if name in figures}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Decimal | float):
        return round(float(value), DIGITS)
    return value
