"""Reads the figures: sums over the cases of each definition. One statement, so all are of one moment.

kpis(connection, by="channel")["groups"]["web"]["return_rate"]
    → {"value": 0.04, "numerator": 2, "denominator": 50, "unit": "ratio", …}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from decimal import Decimal
from math import prod
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from events.times import rfc3339
from projections.kpi.cases import CONTEXT
from projections.kpi.definitions import (
    COMPONENTS,
    DEFINITIONS,
    DIMENSIONS,
    LEFT_OTHERWISE,
    NOT_KNOWN,
    OPENABLE,
    PERFECT_ORDER_INDEX,
    PERFECT_ORDER_RATE,
    Definition,
    Dimension,
)
from projections.kpi.opening import Scope, bounds, check_dimension, group_of, in_range, interpreted, plain

#: Figures of one read. The perfect order index is made from the rate's row.
_READ = (*DEFINITIONS.values(), PERFECT_ORDER_RATE, LEFT_OTHERWISE)
_PERFECT = (PERFECT_ORDER_RATE.name, PERFECT_ORDER_INDEX.name)


def kpis(
    connection: psycopg.Connection[Any],
    *,
    from_: date | None = None,
    to: date | None = None,
    by: Dimension | None = None,
    figure: str | None = None,
    limit: int | None = None,
    scope: Scope | None = None,
) -> dict[str, Any]:
    """All figures, or one, as in `kpi --json`, for the days from `from_` to `to` (UTC, both included; None: no bound).
    With `scope`, only for these orders and counts.

    Keys: `kpis` {name: figure}, `perfect_order` (see `_perfect_order`), `left_otherwise_than_planned` (a figure; with
    `by` also its `groups`), `as_of` (the latest moment in the log, or null), `from`, `to`. With `by` also `by`,
    `groups` {group: {name: figure}} with the figures that the dimension applies to, and `total`, the number of groups.
    `limit` keeps the last days, or the first groups of another dimension. KeyError for an unknown figure, ValueError
    for a dimension that does not apply to it.

    A figure has `value` (null when the denominator is 0), `numerator`, `denominator`, `unit`, `ideal`, `ideal_met`,
    `definition`, `left_out` {reason: rows}, and its own extras. For hours the numerator is the sum of hours, the
    denominator the number of orders or cases.
    """
    if by is not None and by not in DIMENSIONS:
        raise ValueError(f"unknown dimension {by}: use one of {', '.join(DIMENSIONS)}")
    wanted = frozenset(OPENABLE) if figure is None else frozenset({OPENABLE[figure].name})
    if figure is not None:
        check_dimension(OPENABLE[figure], by)
    reads = [one for one in _READ if one.name in wanted or (one is PERFECT_ORDER_RATE and wanted & {*_PERFECT})]
    parts = sql.SQL(" UNION ALL ").join(_figure_query(one, by) for one in reads)
    with interpreted(connection) as cursor:
        cursor.execute(sql.SQL(CONTEXT) + parts, bounds(from_, to, scope))
        rows = cursor.fetchall()
    as_of = rfc3339(rows[0]["as_of"])
    totals: dict[str, dict[str, Any]] = {}
    groups: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["grp"] or ""):
        (totals if row["total"] else groups.setdefault(row["grp"], {}))[row["name"]] = row
    # Left-out rows have a day, too, often one on which nothing was counted.
    otherwise = {
        group: found.pop(LEFT_OTHERWISE.name) for group, found in groups.items() if LEFT_OTHERWISE.name in found
    }
    groups = {group: found for group, found in groups.items() if any(row["denominator"] for row in found.values())}
    names = sorted({*groups, *otherwise})
    total = len(names)
    if limit is not None:
        kept = frozenset(names[-limit:] if by == "day" else names[:limit])
        groups = {group: found for group, found in groups.items() if group in kept}
        otherwise = {group: found for group, found in otherwise.items() if group in kept}
    shown = [one for one in DEFINITIONS.values() if one.name in wanted]
    perfect = _perfect_order(totals[PERFECT_ORDER_RATE.name], wanted) if wanted & {*_PERFECT} else None
    apart = None
    if LEFT_OTHERWISE.name in wanted:
        apart = _figure(LEFT_OTHERWISE, totals[LEFT_OTHERWISE.name], as_of)
    answer: dict[str, Any] = {
        "kpis": _figures(totals, shown, as_of),
        **({} if perfect is None else {"perfect_order": perfect}),
        **({} if apart is None else {LEFT_OTHERWISE.name: apart}),
        "as_of": as_of,
        "from": from_.isoformat() if from_ else None,
        "to": to.isoformat() if to else None,
    }
    if by is not None:
        applying = [one for one in shown if by in one.applies_to]
        answer["by"] = by
        answer["total"] = total
        answer["groups"] = {group: _figures(found, applying, as_of) for group, found in groups.items()}
        if apart is not None:
            apart["groups"] = {group: _figure(LEFT_OTHERWISE, row, as_of) for group, row in otherwise.items()}
        if perfect is not None and by in PERFECT_ORDER_RATE.applies_to:
            perfect["groups"] = {
                group: _perfect_order(found.get(PERFECT_ORDER_RATE.name, _nothing(PERFECT_ORDER_RATE)), wanted)
                for group, found in groups.items()
            }
    return answer


def _figure_query(definition: Definition, by: Dimension | None) -> sql.Composed:
    """Rows of one figure: its total, and its groups if the dimension applies."""
    total, sets = sql.SQL("true AS total, NULL::text AS grp"), sql.SQL("()")
    if by is not None and by in definition.applies_to:
        total, sets = sql.SQL("grouping(grp) = 1 AS total, grp"), sql.SQL("(grp), ()")
    hours = definition.unit == "hours"
    counts = {reason: sql.SQL("count(*) FILTER (WHERE why = {})").format(reason) for reason in definition.left_out}
    extras = {key: sql.SQL(aggregate) for key, aggregate in definition.extras.items()}
    return sql.SQL(
        "SELECT {name}::text AS name, {total}, {numerator}::numeric AS numerator,"
        " count(*) FILTER (WHERE counted) AS denominator, {extras} AS extras, {left_out} AS left_out,"
        " (SELECT as_of FROM clock) AS as_of"
        " FROM (SELECT {group} AS grp, c.* FROM ({cases}) AS c {where}) AS g GROUP BY GROUPING SETS ({sets})"
    ).format(
        name=sql.Literal(definition.name),
        total=total,
        numerator=sql.SQL(
            "coalesce(sum(seconds) FILTER (WHERE counted), 0) / 3600"
            if hours
            else "count(*) FILTER (WHERE counted AND good)"
        ),
        extras=_json_object(extras),
        left_out=_json_object(counts),
        group=group_of(definition, by),
        cases=sql.SQL(definition.cases),
        where=in_range(definition),
        sets=sets,
    )


def _json_object(parts: Mapping[LiteralString, sql.Composable]) -> sql.Composed:
    listed = sql.SQL(", ").join(sql.SQL("{}, {}").format(sql.Literal(key), part) for key, part in parts.items())
    return sql.SQL("jsonb_build_object({})").format(listed)


def _figures(rows: dict[str, Any], definitions: Iterable[Definition], as_of: str | None) -> dict[str, Any]:
    """Figures by name. A figure without a case has denominator 0."""
    return {one.name: _figure(one, rows.get(one.name, _nothing(one)), as_of) for one in definitions}


def _figure(definition: Definition, row: dict[str, Any], as_of: str | None) -> dict[str, Any]:
    numerator, denominator = row["numerator"], row["denominator"]
    value = plain(numerator / denominator) if denominator else None
    figure = {
        "value": value,
        "numerator": int(numerator) if definition.unit == "ratio" else plain(numerator),
        "denominator": denominator,
        "unit": definition.unit,
        "ideal": None if definition.ideal is None else list(definition.ideal),
        "ideal_met": definition.meets(value),
        "definition": definition.label,
        "left_out": {reason: count for reason in definition.left_out if (count := row["left_out"][reason])},
        **{key: plain(row["extras"][key]) for key in definition.extras},
    }
    if definition.name == "return_rate":
        # Goods may still come back: a young cohort looks better than it will in the end.
        figure["returns_seen_until"] = as_of
    return figure


def _perfect_order(row: dict[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """The wanted perfect-order figures of one cohort: orders due, by the day of their promise.

    `perfect_order_rate`: orders with all four components / orders due. `perfect_order_index`: the product of the four
    components' rates, which are in `components`. `not_known`: what others count and no fact shows here.
    """
    due, good = row["denominator"], int(row["numerator"])
    components = {
        name: {"value": plain(Decimal(row["extras"][name]) / due) if due else None, "numerator": row["extras"][name],
               "denominator": due}
        for name in COMPONENTS
    }  # fmt: skip
    product = prod(Decimal(row["extras"][name]) / due for name in COMPONENTS) if due else None
    figures = {
        PERFECT_ORDER_RATE.name: {
            "value": plain(Decimal(good) / due) if due else None,
            "numerator": good,
            "denominator": due,
            "unit": "ratio",
            "definition": PERFECT_ORDER_RATE.label,
        },
        PERFECT_ORDER_INDEX.name: {
            "value": plain(product),
            "unit": "ratio",
            "definition": PERFECT_ORDER_INDEX.label,
        },
    }
    return {
        **{name: figure for name, figure in figures.items() if name in wanted},
        "components": components,
        "cohort": "orders due, by the day of their promise",
        "not_known": list(NOT_KNOWN),
    }


def _nothing(definition: Definition) -> dict[str, Any]:
    extras = dict.fromkeys(definition.extras, 0 if definition is PERFECT_ORDER_RATE else None)
    left_out = dict.fromkeys(definition.left_out, 0)
    return {"numerator": Decimal(0), "denominator": 0, "extras": extras, "left_out": left_out}
