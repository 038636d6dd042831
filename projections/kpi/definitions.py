"""The six definitions: which rows a figure counts, and what makes a row a success. Source: the product's vocabulary.

A definition is a query that yields one row for each thing counted, its *case* (an order due, a parcel delivered, a
count):

    id | at (the moment whose day it belongs to) | channel, region, location, carrier | good or hours | why

The figure is a sum over these rows and nothing else, so it always opens to exactly what it counted. Whoever changes
what a figure means raises its `version`; `docs/kpis.md` says all of this in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, LiteralString

Unit = Literal["ratio", "hours"]
Dimension = Literal["channel", "region", "location", "carrier", "day"]
DIMENSIONS: tuple[Dimension, ...] = ("channel", "region", "location", "carrier", "day")


@dataclass(frozen=True, slots=True)
class Definition:
    """How a figure is made.

    `cases`: SQL with the columns above; a ratio has `good` (boolean), an hours figure `hours` (numeric). `ideal`: the
    range at peak; `better` says on which side of it is still good. `applies_to`: dimensions that a case has one value
    of. `extras`: further aggregates over the cases, by the name they get in JSON.
    """

    name: str
    version: int
    unit: Unit
    ideal: tuple[float, float]
    better: Literal["higher", "lower"]
    applies_to: frozenset[Dimension]
    cases: LiteralString
    extras: Mapping[LiteralString, LiteralString] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name and version, as figures carry it: `return_rate/1`."""
        return f"{self.name}/{self.version}"

    def meets(self, value: float | None) -> bool | None:
        """Whether a value is as good as the ideal asks, or better; null without a value."""
        if value is None:
            return None
        low, high = self.ideal
        return value >= low if self.better == "higher" else value < high


# A region may be left out of an address; then the country stands for it.
_ORDER_REGION: LiteralString = "coalesce(nullif(o.region, ''), o.country)"

_FULFILMENT: LiteralString = f"""
    SELECT o.order_id AS id, o.due_by AS at, o.channel, {_ORDER_REGION} AS region,
           v.why = 'in time' AS good, v.why
    FROM kpi_orders AS o
    CROSS JOIN LATERAL (SELECT CASE
        WHEN o.removed_by_seller > 0 THEN 'cancelled by the seller'
        WHEN o.shipped = 0 AND o.ordered = o.cancelled THEN 'cancelled by the customer after release'
        WHEN o.shipped < o.ordered - o.cancelled THEN 'not shipped complete'
        WHEN o.errors > 0 THEN 'fulfilment error'
        WHEN o.last_shipped_at > o.due_by THEN 'late'
        ELSE 'in time' END AS why) AS v
    WHERE o.due_by <= (SELECT as_of FROM clock)
      -- Nothing was left to fulfil before anything was set apart for it: such an order was never due.
      AND NOT (o.cancelled_before_release = o.ordered AND o.removed_by_seller = 0)"""

_PROCESSING: LiteralString = f"""
    SELECT o.order_id AS id, o.first_shipped_at AS at, o.channel, {_ORDER_REGION} AS region,
           o.first_location_id AS location,
           (extract(epoch FROM
               o.first_shipped_at - o.placed_at - r.waited - coalesce(h.held, interval '0')) / 3600) AS hours,
           (extract(epoch FROM o.first_shipped_at - o.placed_at) / 3600) AS elapsed_hours,
           (extract(epoch FROM coalesce(h.held, interval '0')) / 3600) AS held_hours,
           (extract(epoch FROM r.waited) / 3600) AS waited_hours,
           CASE WHEN h.held > interval '0' AND r.waited > interval '0' THEN 'less a hold and the time before release'
                WHEN h.held > interval '0' THEN 'less the time on a customer''s hold'
                WHEN r.waited > interval '0' THEN 'less the time before release'
                ELSE 'placed to first shipment' END AS why
    FROM kpi_orders AS o
    CROSS JOIN LATERAL (
        SELECT greatest(interval '0',
            least(coalesce(o.release_at, o.placed_at), o.first_shipped_at) - o.placed_at) AS waited) AS r
    LEFT JOIN (
        -- Each hold from its setting to its lifting, cut to the time between release and first shipment, so that
        -- no minute is taken off twice and a hold that nobody lifted ends with the shipment.
        SELECT s.order_id, sum(greatest(interval '0',
                   least(s.until, p.first_shipped_at) - greatest(s.changed_at, p.placed_at, p.release_at))) AS held
        FROM (SELECT order_id, held, changed_at,
                     lead(changed_at) OVER (PARTITION BY order_id ORDER BY version) AS until
              FROM kpi_holds) AS s
        JOIN kpi_orders AS p USING (order_id)
        WHERE s.held AND p.first_shipped_at IS NOT NULL
        GROUP BY s.order_id) AS h USING (order_id)
    WHERE o.first_shipped_at IS NOT NULL"""

_ACCURACY: LiteralString = """
    SELECT c.sku || ' at ' || c.location_id AS id, c.counted_at AS at, c.location_id AS location,
           c.accurate AS good, abs(c.variance) AS off_by, c.counted,
           CASE WHEN c.accurate THEN 'within tolerance'
                ELSE 'off by ' || c.variance || ', tolerance ' || c.tolerance END AS why
    FROM kpi_counts AS c"""

_ON_TIME: LiteralString = f"""
    SELECT d.order_id || ' ' || d.shipment_id AS id, d.delivered_at AS at, o.channel, {_ORDER_REGION} AS region,
           d.location_id AS location, d.carrier, d.on_time AS good,
           CASE WHEN d.on_time THEN 'on time'
                ELSE 'late by ' || round(extract(epoch FROM d.delivered_at - d.due_by) / 3600, 1) || ' h' END AS why
    FROM kpi_deliveries AS d JOIN kpi_orders AS o USING (order_id)
    WHERE d.on_time IS NOT NULL"""

_CASES: LiteralString = """
    SELECT c.case_id AS id, c.resolved_at AS at, c.channel,
           (extract(epoch FROM c.resolved_at - c.opened_at) / 3600) AS hours, c.reopened,
           CASE WHEN c.reopened > 0 THEN 'reopened ' || c.reopened || ' times: to its last resolution'
                ELSE 'opened to resolved' END AS why
    FROM kpi_cases AS c
    WHERE c.resolved_version > coalesce(c.reopened_version, 0)"""

_RETURNS: LiteralString = f"""
    SELECT o.order_id AS id, o.delivered_at AS at, o.channel, {_ORDER_REGION} AS region,
           o.returned > 0 AS good, o.returned AS units_returned, o.delivered AS units_delivered,
           o.returned || ' of ' || o.delivered || ' units came back' AS why
    FROM kpi_orders AS o
    -- The statuses delivered, partially_returned and returned, as order_status derives them.
    WHERE o.shipped > 0 AND o.shipped = o.ordered - o.cancelled AND (o.delivered = o.shipped OR o.returned > 0)"""

_PERCENTILES: Mapping[LiteralString, LiteralString] = {
    "p50": "percentile_cont(0.5) WITHIN GROUP (ORDER BY hours)",
    "p90": "percentile_cont(0.9) WITHIN GROUP (ORDER BY hours)",
}

_DEFINITIONS = (
    Definition(
        "order_fulfillment_rate",
        1,
        "ratio",
        (0.98, 0.99),
        "higher",
        frozenset({"channel", "region", "day"}),
        _FULFILMENT,
        {
            "late": "count(*) FILTER (WHERE why = 'late')",
            "incomplete": "count(*) FILTER (WHERE why = 'not shipped complete')",
            "with_error": "count(*) FILTER (WHERE why = 'fulfilment error')",
            "cancelled_by_seller": "count(*) FILTER (WHERE why = 'cancelled by the seller')",
            "cancelled_by_customer_after_release": (
                "count(*) FILTER (WHERE why = 'cancelled by the customer after release')"
            ),
        },
    ),
    Definition(
        "order_processing_hours",
        1,
        "hours",
        (0.0, 24.0),
        "lower",
        frozenset({"channel", "region", "location", "day"}),
        _PROCESSING,
        {
            **_PERCENTILES,
            "elapsed_hours": "avg(elapsed_hours)",
            "customer_hold_hours": "avg(held_hours)",
            "before_release_hours": "avg(waited_hours)",
        },
    ),
    Definition(
        "inventory_accuracy",
        1,
        "ratio",
        (0.995, 1.0),
        "higher",
        frozenset({"location", "day"}),
        _ACCURACY,
        {"units_counted": "coalesce(sum(counted), 0)", "units_off": "coalesce(sum(off_by), 0)"},
    ),
    Definition(
        "on_time_delivery_rate",
        1,
        "ratio",
        (0.95, 0.97),
        "higher",
        frozenset({"channel", "region", "location", "carrier", "day"}),
        _ON_TIME,
    ),
    Definition(
        "case_resolution_hours",
        1,
        "hours",
        (0.0, 2.0),
        "lower",
        frozenset({"channel", "day"}),
        _CASES,
        {**_PERCENTILES, "reopened": "count(*) FILTER (WHERE reopened > 0)"},
    ),
    Definition(
        "return_rate",
        1,
        "ratio",
        (0.0, 0.05),
        "lower",
        frozenset({"channel", "region", "day"}),
        _RETURNS,
        {
            "units_returned": "coalesce(sum(units_returned), 0)",
            "units_delivered": "coalesce(sum(units_delivered), 0)",
        },
    ),
)

#: By name, in the order in which they are shown.
DEFINITIONS: Mapping[str, Definition] = {definition.name: definition for definition in _DEFINITIONS}
