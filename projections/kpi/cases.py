"""What each figure counts: queries over the base rows, one row per candidate, counted or left out, and why.

    id | order_id | at (whose day it belongs to) | channel, region, location, carrier | counted | good or seconds | why

Everything that could have been counted is a row, also what is left out; a figure is a sum over the rows that are
counted and nothing else. So it always opens to exactly what it counted, and to what it did not. `why` of a row that is
left out is one of a few fixed reasons. `docs/kpis.md` says all of this in words.
"""

from __future__ import annotations

from typing import LiteralString

# A region may be left out of an address; then the country stands for it.
_REGION: LiteralString = "coalesce(nullif(o.region, ''), o.country) AS region"
_ORDER: LiteralString = f"o.order_id AS id, o.order_id, o.channel, {_REGION}"

#: Every unit that is still wanted has left.
_SHIPPED: LiteralString = "o.shipped > 0 AND o.shipped = o.ordered - o.cancelled"
#: … and has been seen to arrive.
_DELIVERED: LiteralString = f"{_SHIPPED} AND o.delivered >= o.shipped"


def _promised(moment: LiteralString, parcels: LiteralString = "", key: LiteralString = "o.order_id") -> LiteralString:
    """Promises that replaced the one given when the order was placed, as of a moment (null: all of them): (…) AS m.

    The customer's last one before that moment; where nothing had been promised before, the seller's first. A promise
    that the seller moves is never one of them. Few orders have any, so this is joined as a small table.
    """
    return f"""(
        SELECT DISTINCT ON ({key}) {key}, p.due_by
        FROM kpi_promises AS p JOIN kpi_orders AS o USING (order_id) {parcels}
        WHERE ({moment} IS NULL OR p.moved_at <= {moment}) AND (NOT p.by_seller OR o.promised_by IS NULL)
        ORDER BY {key}, p.by_seller,
                 CASE WHEN NOT p.by_seller THEN p.moved_at END DESC, CASE WHEN NOT p.by_seller THEN p.version END DESC,
                 p.moved_at, p.version) AS m"""


#: Why an order is not among the orders due, or null. Needs `o` and the promise that counts, `d.due_by`.
_NOT_DUE: LiteralString = """
        CASE WHEN o.ordered = o.cancelled AND o.removed_by_seller = 0 AND o.removed_by_customer > 0
                  AND (o.released_version IS NULL OR o.withdrawn_version < o.released_version)
             THEN 'cancelled by the customer before release'
             WHEN o.ordered = o.cancelled AND o.removed_by_seller = 0 AND o.removed_by_customer = 0
             THEN 'nothing to ship'
             WHEN d.due_by IS NULL THEN 'nothing promised'
             WHEN d.due_by > (SELECT as_of FROM clock) THEN 'not due yet' END"""
NOT_DUE: tuple[LiteralString, ...] = (
    "cancelled by the customer before release",
    "nothing to ship",
    "nothing promised",
    "not due yet",
)

FULFILMENT: LiteralString = f"""
    SELECT {_ORDER}, coalesce(d.due_by, o.placed_at) AS at, n.why IS NULL AS counted,
           v.why = 'in time' AS good, coalesce(n.why, v.why) AS why
    FROM kpi_orders AS o
    LEFT JOIN {_promised(f"CASE WHEN {_SHIPPED} THEN o.last_shipped_at END")} USING (order_id)
    CROSS JOIN LATERAL (SELECT coalesce(m.due_by, o.promised_by) AS due_by) AS d
    CROSS JOIN LATERAL (SELECT {_NOT_DUE} AS why) AS n
    CROSS JOIN LATERAL (SELECT CASE
        WHEN o.removed_by_seller > 0 THEN 'cancelled by the seller'
        WHEN o.shipped = 0 AND o.ordered = o.cancelled THEN 'cancelled by the customer after release'
        WHEN o.shipped < o.ordered - o.cancelled THEN 'not shipped complete'
        WHEN o.deviations + o.failures > 0 THEN 'fulfilment error'
        WHEN o.last_shipped_at > d.due_by THEN 'late'
        ELSE 'in time' END AS why) AS v"""

#: Each customer's hold from its setting to its lifting, cut to the time between release and first shipment; the union
#: of them, so that no minute is taken off twice, and one that nobody lifted ends with the shipment.
_HELD: LiteralString = """(
        SELECT u.order_id, sum(upper(u.span) - lower(u.span)) AS held
        FROM (SELECT c.order_id, unnest(range_agg(tstzrange(c.since, c.until))) AS span
              FROM (SELECT s.order_id, greatest(s.changed_at, p.placed_at, p.release_at) AS since,
                           least(s.until, p.first_shipped_at) AS until
                    FROM (SELECT order_id, held, changed_at,
                                 lead(changed_at) OVER (PARTITION BY order_id ORDER BY version) AS until
                          FROM kpi_holds) AS s
                    JOIN kpi_orders AS p USING (order_id)
                    WHERE s.held AND p.first_shipped_at IS NOT NULL) AS c
              WHERE c.since < c.until
              GROUP BY c.order_id) AS u
        GROUP BY u.order_id) AS h"""

PROCESSING: LiteralString = f"""
    SELECT {_ORDER}, coalesce(o.first_shipped_at, o.placed_at) AS at, o.first_shipped_at IS NOT NULL AS counted,
           (SELECT min(p.location_id) FROM kpi_parcels AS p
            WHERE p.order_id = o.order_id AND p.dispatched_at = o.first_shipped_at) AS location,
           extract(epoch FROM t.elapsed - r.waited - coalesce(h.held, interval '0')) AS seconds,
           extract(epoch FROM t.elapsed) AS elapsed_seconds,
           extract(epoch FROM coalesce(h.held, interval '0')) AS held_seconds,
           extract(epoch FROM r.waited) AS waited_seconds,
           CASE WHEN o.first_shipped_at IS NULL AND o.ordered = o.cancelled THEN 'nothing to ship'
                WHEN o.first_shipped_at IS NULL THEN 'not shipped yet'
                WHEN h.held > interval '0' AND r.waited > interval '0' THEN 'less a hold and the time before release'
                WHEN h.held > interval '0' THEN 'less the time on a customer''s hold'
                WHEN r.waited > interval '0' THEN 'less the time before release'
                ELSE 'placed to first shipment' END AS why
    FROM kpi_orders AS o
    -- A parcel that by its own clock left before the order was placed took no time, rather than less than none.
    CROSS JOIN LATERAL (SELECT greatest(o.first_shipped_at, o.placed_at) - o.placed_at AS elapsed) AS t
    CROSS JOIN LATERAL (
        SELECT least(greatest(o.release_at - o.placed_at, interval '0'), t.elapsed) AS waited) AS r
    LEFT JOIN {_HELD} USING (order_id)"""
NOT_PROCESSED: tuple[LiteralString, ...] = ("nothing to ship", "not shipped yet")

ACCURACY: LiteralString = """
    SELECT c.sku || ' at ' || c.location_id AS id, NULL AS order_id, c.counted_at AS at, c.location_id AS location,
           true AS counted, c.accurate AS good, abs(c.variance) AS off_by, c.counted AS units,
           CASE WHEN c.accurate THEN 'within tolerance'
                ELSE 'off by ' || c.variance || ', tolerance ' || c.tolerance END AS why
    FROM kpi_counts AS c"""

ON_TIME: LiteralString = f"""
    SELECT s.order_id || ' ' || s.shipment_id AS id, s.order_id, coalesce(s.delivered_at, s.dispatched_at) AS at,
           o.channel, {_REGION}, s.location_id AS location, s.carrier, n.why IS NULL AS counted,
           s.delivered_at <= d.due_by AS good, extract(epoch FROM d.due_by - s.delivered_at) AS early_seconds,
           coalesce(n.why, CASE WHEN s.delivered_at <= d.due_by THEN 'on time, early by '
                                ELSE 'late by ' END
                           || round(abs(extract(epoch FROM d.due_by - s.delivered_at)) / 3600, 1) || ' h') AS why
    FROM kpi_parcels AS s JOIN kpi_orders AS o USING (order_id)
    LEFT JOIN {
    _promised("s.delivered_at", parcels="JOIN kpi_parcels AS s USING (order_id)", key="order_id, s.shipment_id")
} USING (order_id, shipment_id)
    CROSS JOIN LATERAL (SELECT coalesce(m.due_by, o.promised_by) AS due_by) AS d
    CROSS JOIN LATERAL (SELECT CASE
        WHEN s.delivered_at IS NOT NULL AND d.due_by IS NULL THEN 'nothing promised'
        WHEN s.delivered_at IS NOT NULL THEN NULL
        WHEN s.failed = 'lost' THEN 'lost'
        WHEN s.failed IS NOT NULL THEN 'returned to sender'
        WHEN o.inferred > 0 THEN 'arrived, nobody saw when'
        ELSE 'on its way' END AS why) AS n"""
NOT_ON_TIME: tuple[LiteralString, ...] = (
    "nothing promised",
    "lost",
    "returned to sender",
    "arrived, nobody saw when",
    "on its way",
)

CASES: LiteralString = """
    SELECT c.case_id AS id, c.order_id, CASE WHEN s.resolved THEN c.resolved_at ELSE c.opened_at END AS at, c.channel,
           s.resolved AS counted, c.reopened,
           extract(epoch FROM greatest(c.resolved_at - c.opened_at, interval '0')) AS seconds,
           CASE WHEN NOT s.resolved AND c.reopened > 0 THEN 'reopened, not resolved again yet'
                WHEN NOT s.resolved THEN 'not resolved yet'
                WHEN c.reopened > 0 THEN 'reopened ' || c.reopened || ' times: to its last resolution'
                ELSE 'opened to resolved' END AS why
    FROM kpi_cases AS c
    CROSS JOIN LATERAL (
        SELECT coalesce(c.resolved_version > coalesce(c.reopened_version, 0), false) AS resolved) AS s"""
NOT_RESOLVED: tuple[LiteralString, ...] = ("not resolved yet", "reopened, not resolved again yet")

RETURNS: LiteralString = f"""
    SELECT {_ORDER}, coalesce(o.delivered_at, o.placed_at) AS at, n.why IS NULL AS counted,
           o.returned > 0 AS good, o.returned AS units_returned, o.delivered AS units_delivered,
           coalesce(n.why, o.returned || ' of ' || o.delivered || ' units came back') AS why
    FROM kpi_orders AS o
    -- An order is delivered when nothing of it is on its way: what a carrier lost or took back will not arrive, and
    -- once goods came back that no scan had shown, a missing scan says nothing.
    LEFT JOIN (SELECT order_id, sum(units) AS gone FROM kpi_parcels
               WHERE failed IS NOT NULL AND delivered_at IS NULL GROUP BY order_id) AS g USING (order_id)
    CROSS JOIN LATERAL (SELECT CASE
        WHEN o.ordered = o.cancelled THEN 'nothing to ship'
        WHEN o.shipped < o.ordered - o.cancelled THEN 'not shipped complete'
        WHEN o.delivered + coalesce(g.gone, 0) < o.shipped AND o.inferred = 0 THEN 'on its way'
        WHEN o.delivered = 0 THEN 'lost or returned to sender' END AS why) AS n"""
NOT_DELIVERED: tuple[LiteralString, ...] = (
    "nothing to ship",
    "not shipped complete",
    "on its way",
    "lost or returned to sender",
)

PERFECT: LiteralString = f"""
    SELECT {_ORDER}, coalesce(d.due_by, o.placed_at) AS at, n.why IS NULL AS counted,
           c.complete, c.on_time, c.undamaged, c.accurate,
           c.complete AND c.on_time AND c.undamaged AND c.accurate AS good,
           coalesce(n.why, nullif(concat_ws(', ',
               CASE WHEN NOT c.complete THEN 'not complete' END, CASE WHEN NOT c.on_time THEN 'not on time' END,
               CASE WHEN NOT c.undamaged THEN 'damaged or lost' END,
               CASE WHEN NOT c.accurate THEN 'otherwise than planned' END), ''), 'perfect') AS why
    FROM kpi_orders AS o
    LEFT JOIN {_promised(f"CASE WHEN {_DELIVERED} THEN o.delivered_at END")} USING (order_id)
    CROSS JOIN LATERAL (SELECT coalesce(m.due_by, o.promised_by) AS due_by) AS d
    CROSS JOIN LATERAL (SELECT {_NOT_DUE} AS why) AS n
    CROSS JOIN LATERAL (SELECT {_SHIPPED} AND (o.delivered >= o.shipped OR o.inferred > 0)
                                   AND o.removed_by_seller = 0 AS complete,
                               {_DELIVERED} AND o.delivered_at <= d.due_by AS on_time,
                               o.failures = 0 AND o.damaged = 0 AS undamaged,
                               o.deviations = 0 AS accurate) AS c"""
