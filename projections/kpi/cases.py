"""What each KPI counts: one query per figure. It returns a row for each candidate: counted or left out, and why.

    id | order_id | at | channel, region, location, carrier | counted | good or seconds | why

A candidate is an order, a parcel, a count or a service case. `at` gives the day that it belongs to. A figure is a sum
over the counted rows. `why` of a row that is left out is one of a few fixed reasons. `docs/kpis.md` explains the rules.
"""

from __future__ import annotations

from typing import LiteralString

# An address may have no region; then the country is used.
_REGION: LiteralString = "coalesce(nullif(o.region, ''), o.country) AS region"
_ORDER: LiteralString = "o.order_id AS id, o.order_id, o.channel, o.region"


def _promised(moment: LiteralString, parcels: LiteralString, key: LiteralString) -> LiteralString:
    """A subquery `(…) AS m`: the promise that counted at a moment instead of the one given with the order.

    A null moment means now. The promise is the customer's last change up to the moment. Without one, and if the order
    was placed without a promise, it is the seller's first. Other promises by the seller never count. Few orders have
    rows here, so the subquery is joined as a small table.
    """
    return f"""(
        SELECT DISTINCT ON ({key}) {key}, p.due_by
        FROM kpi_promises AS p JOIN kpi_orders AS o USING (order_id) {parcels}
        WHERE p.due_by IS NOT NULL AND ({moment} IS NULL OR p.moved_at <= {moment})
              AND (NOT p.by_seller OR o.promised_by IS NULL)
        ORDER BY {key}, p.by_seller,
                 CASE WHEN NOT p.by_seller THEN p.moved_at END DESC, CASE WHEN NOT p.by_seller THEN p.version END DESC,
                 p.moved_at, p.version) AS m"""


#: The time by which a parcel is on time or late: when it left if the dispatch was promised, otherwise when it arrived.
_JUDGED_AT: LiteralString = "CASE WHEN o.promise = 'dispatch' THEN s.dispatched_at ELSE s.delivered_at END"

#: The latest such time of an order's parcels; null as long as a parcel has none or a unit has not left.
_LAST_JUDGED_AT: LiteralString = (
    "CASE WHEN o.shipped = o.ordered - o.cancelled AND s.judged = s.parcels THEN s.last_judged_at END"
)

#: Codes of complaints (in returns and cases) that count as wrong or damaged goods.
_WRONG: LiteralString = "('wrong_item', 'missing', 'not_as_described')"
_DAMAGED: LiteralString = "('damaged')"

#: Comes before every query: the time of the newest fact, and parcels and orders with the promises that count for them.
#: PostgreSQL computes only the parts that a figure reads.
CONTEXT: LiteralString = f"""
    WITH clock AS MATERIALIZED (SELECT max(as_of) AS as_of FROM kpi_watermarks),
    parcels AS MATERIALIZED (
        SELECT s.order_id, s.shipment_id, s.location_id, s.carrier, s.dispatched_at, s.delivered_at, s.differed,
               o.channel, {_REGION}, o.promise, o.inferred, f.failed,
               -- All its units were replaced, so nobody waits for it any more, unless it arrived after all.
               s.replaced = s.units AND s.delivered_at IS NULL AS made_good,
               -- The carrier's newest scan counts: a lost parcel that is delivered later is not lost.
               CASE WHEN s.delivered_at IS NULL OR greatest(s.lost_at, s.to_sender_at) > s.delivered_at
                    THEN f.failed END AS astray,
               j.judged_at, coalesce(m.due_by, o.promised_by) AS due_by,
               coalesce(m.due_by, o.promised_by) - j.judged_at AS margin
        FROM (SELECT * FROM kpi_parcels WHERE units > 0) AS s JOIN kpi_orders AS o USING (order_id)
        CROSS JOIN LATERAL (SELECT {_JUDGED_AT} AS judged_at) AS j
        CROSS JOIN LATERAL (SELECT CASE
            WHEN s.lost_at >= coalesce(s.to_sender_at, '-infinity') THEN 'lost'
            WHEN s.to_sender_at IS NOT NULL THEN 'returned to sender'
            -- All undelivered units came back, and not from the customer. That needs no scan to show it.
            WHEN s.delivered_at IS NULL AND o.inferred = 0 AND o.shipped > o.delivered
                 AND o.shipped - o.delivered <= o.returned - o.returned_by_customer
            THEN 'returned to sender' END AS failed) AS f
        LEFT JOIN {_promised(_JUDGED_AT, "JOIN kpi_parcels AS s USING (order_id)", "order_id, s.shipment_id")}
             USING (order_id, shipment_id)),
    shipping AS MATERIALIZED (
        SELECT order_id, count(*) FILTER (WHERE NOT made_good) AS parcels,
               count(judged_at) FILTER (WHERE NOT made_good) AS judged,
               max(judged_at) FILTER (WHERE NOT made_good) AS last_judged_at,
               min(margin) FILTER (WHERE NOT made_good) AS margin,
               count(delivered_at) AS arrived, max(delivered_at) AS last_arrived_at,
               count(*) FILTER (WHERE delivered_at IS NULL AND failed IS NULL AND NOT made_good) AS under_way,
               nullif(concat_ws(', ', max(astray) FILTER (WHERE astray = 'lost'),
                                max(astray) FILTER (WHERE astray <> 'lost')), '') AS astray
        FROM parcels GROUP BY order_id),
    complaints AS MATERIALIZED (
        SELECT order_id, bool_or(reason_code IN {_DAMAGED}) AS damaged, bool_or(reason_code IN {_WRONG}) AS wrong,
               string_agg(DISTINCT replace(reason_code, '_', ' '), ', ' ORDER BY replace(reason_code, '_', ' '))
                   FILTER (WHERE reason_code IN {_DAMAGED} OR reason_code IN {_WRONG}) AS said
        FROM kpi_complaints GROUP BY order_id),
    orders AS MATERIALIZED (
        SELECT o.order_id, o.channel, {_REGION}, o.placed_at, o.promise, o.ordered, o.cancelled, o.removed_by_seller,
               o.removed_by_customer, o.delivered, o.returned, o.returned_by_customer, o.inferred,
               o.inferred_at, d.due_by, c.complete, s.margin, s.last_arrived_at, s.arrived, s.under_way,
               s.parcels - s.arrived - s.under_way AS gone,
               c.complete AND s.judged = s.parcels AND s.margin >= interval '0' AS on_time,
               s.astray IS NULL AND NOT coalesce(q.damaged, false) AS undamaged,
               o.crossed = 0 AND NOT coalesce(q.wrong, false) AS as_ordered,
               concat_ws(', ', CASE WHEN o.crossed > 0 THEN 'left though cancelled' END, s.astray, q.said) AS spoiled_by
        FROM kpi_orders AS o
        LEFT JOIN shipping AS s USING (order_id)
        LEFT JOIN complaints AS q USING (order_id)
        -- Complete: every unit that is still wanted has left.
        CROSS JOIN LATERAL (SELECT o.shipped > 0 AND o.shipped = o.ordered - o.cancelled AS complete) AS c
        LEFT JOIN {_promised(_LAST_JUDGED_AT, "LEFT JOIN shipping AS s USING (order_id)", "order_id")} USING (order_id)
        CROSS JOIN LATERAL (SELECT coalesce(m.due_by, o.promised_by) AS due_by) AS d)
"""

#: Why an order is not among the orders due, or null.
_NOT_DUE: LiteralString = """
        CASE WHEN o.ordered = o.cancelled AND o.removed_by_seller = 0 AND o.removed_by_customer > 0
             THEN 'cancelled by the customer before it left'
             WHEN o.ordered = o.cancelled AND o.removed_by_seller = 0
             THEN 'nothing to ship'
             WHEN o.due_by IS NULL THEN 'nothing promised'
             WHEN o.due_by > (SELECT as_of FROM clock) THEN 'not due yet' END"""
NOT_DUE: tuple[LiteralString, ...] = (
    "cancelled by the customer before it left",
    "nothing to ship",
    "nothing promised",
    "not due yet",
)

FULFILMENT: LiteralString = f"""
    SELECT {_ORDER}, coalesce(o.due_by, o.placed_at) AS at, n.why IS NULL AS counted,
           v.why = 'in time' AS good, coalesce(n.why, v.why) AS why
    FROM orders AS o
    CROSS JOIN LATERAL (SELECT {_NOT_DUE} AS why) AS n
    CROSS JOIN LATERAL (SELECT CASE
        WHEN o.removed_by_seller > 0 THEN 'cancelled by the seller'
        WHEN NOT o.complete THEN 'not shipped complete'
        WHEN NOT (o.undamaged AND o.as_ordered) THEN 'inaccurate: ' || o.spoiled_by
        WHEN o.on_time THEN 'in time'
        WHEN o.margin < interval '0' THEN 'late'
        WHEN o.inferred > 0 THEN 'arrived, nobody saw when'
        ELSE 'not delivered' END AS why) AS v"""

#: When an order's first parcel left, and from where. If several left at that time, the first location by name counts.
_FIRST: LiteralString = """(
        SELECT order_id, min(dispatched_at) AS first_shipped_at,
               (array_agg(location_id ORDER BY dispatched_at, location_id COLLATE "C"))[1] AS location
        FROM kpi_parcels WHERE units > 0 GROUP BY order_id) AS f"""

#: The time that an order was on a customer's hold, between release_at and the first shipment. Where holds overlap, the
#: time counts once. A hold that was not released before the shipment ends with the shipment.
_HELD: LiteralString = f"""(
        SELECT u.order_id, sum(upper(u.span) - lower(u.span)) AS held
        FROM (SELECT c.order_id, unnest(range_agg(tstzrange(c.since, c.until))) AS span
              FROM (SELECT s.order_id, greatest(s.changed_at, p.placed_at, p.release_at) AS since,
                           least(s.until, f.first_shipped_at) AS until
                    FROM (SELECT order_id, held, changed_at,
                                 lead(changed_at) OVER (PARTITION BY order_id ORDER BY version) AS until
                          FROM kpi_holds) AS s
                    JOIN kpi_orders AS p USING (order_id) JOIN {_FIRST} USING (order_id)
                    WHERE s.held) AS c
              WHERE c.since < c.until
              GROUP BY c.order_id) AS u
        GROUP BY u.order_id) AS h"""

PROCESSING: LiteralString = f"""
    SELECT o.order_id AS id, o.order_id, o.channel, {_REGION}, coalesce(f.first_shipped_at, o.placed_at) AS at,
           f.first_shipped_at IS NOT NULL AS counted, f.location,
           extract(epoch FROM t.elapsed - r.waited - coalesce(h.held, interval '0')) AS seconds,
           extract(epoch FROM t.elapsed) AS elapsed_seconds,
           extract(epoch FROM coalesce(h.held, interval '0')) AS held_seconds,
           extract(epoch FROM r.waited) AS waited_seconds,
           CASE WHEN f.first_shipped_at IS NULL AND o.ordered = o.cancelled THEN 'nothing to ship'
                WHEN f.first_shipped_at IS NULL THEN 'not shipped yet'
                WHEN h.held > interval '0' AND r.waited > interval '0' THEN 'less a hold and the time before release'
                WHEN h.held > interval '0' THEN 'less the time on a customer''s hold'
                WHEN r.waited > interval '0' THEN 'less the time before release'
                ELSE 'placed to first shipment' END AS why
    FROM kpi_orders AS o LEFT JOIN {_FIRST} USING (order_id)
    -- By the warehouse's clock, a parcel may have left before the order was placed. Then the time is 0, not negative.
    CROSS JOIN LATERAL (SELECT greatest(f.first_shipped_at, o.placed_at) - o.placed_at AS elapsed) AS t
    CROSS JOIN LATERAL (
        SELECT least(greatest(o.release_at - o.placed_at, interval '0'), t.elapsed) AS waited) AS r
    LEFT JOIN {_HELD} USING (order_id)"""
NOT_PROCESSED: tuple[LiteralString, ...] = ("nothing to ship", "not shipped yet")

ACCURACY: LiteralString = """
    SELECT c.sku || ' at ' || c.location_id AS id, NULL AS order_id, c.counted_at AS at, c.location_id AS location,
           c.count_id, true AS counted, c.accurate AS good, abs(c.variance) AS off_by, c.counted AS units,
           CASE WHEN c.accurate THEN 'within tolerance'
                ELSE 'off by ' || c.variance || ', tolerance ' || c.tolerance END AS why
    FROM kpi_counts AS c"""

#: Why an order does not count as delivered, or null. Parcels that the carrier lost or brings back will not arrive. If a
#: customer sent back goods without a delivery scan, parcels of the order without a scan may have arrived, too.
_NOT_DELIVERED: LiteralString = """
        WHEN o.ordered = o.cancelled THEN 'nothing to ship'
        WHEN NOT o.complete THEN 'not shipped complete'
        WHEN o.under_way > 0 AND o.inferred = 0 THEN 'on its way'
        WHEN o.arrived = 0 AND o.under_way = 0 THEN 'lost or returned to sender'"""
NOT_DELIVERED: tuple[LiteralString, ...] = (
    "nothing to ship",
    "not shipped complete",
    "on its way",
    "lost or returned to sender",
)

_EARLY_OR_LATE: LiteralString = """CASE WHEN o.margin >= interval '0' THEN 'on time, early by ' ELSE 'late by ' END
                           || round(abs(extract(epoch FROM o.margin)) / 3600, 1) || ' h'"""

ON_TIME: LiteralString = f"""
    SELECT {_ORDER}, coalesce(o.last_arrived_at, o.placed_at) AS at, n.why IS NULL AS counted, o.on_time AS good,
           extract(epoch FROM o.margin) AS early_seconds, o.gone > 0 AS lacking,
           coalesce(n.why, CASE WHEN o.gone > 0 THEN 'not whole: ' || o.spoiled_by ELSE {_EARLY_OR_LATE} END) AS why
    FROM orders AS o
    CROSS JOIN LATERAL (SELECT CASE {_NOT_DELIVERED}
        WHEN o.promise = 'dispatch' THEN 'only its dispatch was promised'
        WHEN o.due_by IS NULL THEN 'nothing promised'
        WHEN o.under_way > 0 AND o.gone = 0 AND coalesce(o.margin >= interval '0', true)
        THEN 'arrived, nobody saw when' END AS why) AS n"""
NOT_ON_TIME: tuple[LiteralString, ...] = (
    *NOT_DELIVERED,
    "only its dispatch was promised",
    "nothing promised",
    "arrived, nobody saw when",
)

_PARCEL: LiteralString = """o.order_id || ' ' || o.shipment_id AS id, o.order_id, o.channel, o.region,
           o.location_id AS location, o.carrier"""

ON_TIME_PARCELS: LiteralString = f"""
    SELECT {_PARCEL}, coalesce(o.delivered_at, o.dispatched_at) AS at, n.why IS NULL AS counted,
           o.margin >= interval '0' AS good, extract(epoch FROM o.margin) AS early_seconds,
           coalesce(n.why, {_EARLY_OR_LATE}) AS why
    FROM parcels AS o
    CROSS JOIN LATERAL (SELECT CASE
        WHEN o.delivered_at IS NULL AND o.failed IS NOT NULL THEN o.failed
        WHEN o.delivered_at IS NULL AND o.inferred > 0 THEN 'arrived, nobody saw when'
        WHEN o.delivered_at IS NULL THEN 'on its way'
        WHEN o.promise = 'dispatch' THEN 'only its dispatch was promised'
        WHEN o.due_by IS NULL THEN 'nothing promised' END AS why) AS n"""
PARCEL_NOT_ON_TIME: tuple[LiteralString, ...] = (
    "lost",
    "returned to sender",
    "arrived, nobody saw when",
    "on its way",
    "only its dispatch was promised",
    "nothing promised",
)

LEFT_OTHERWISE: LiteralString = f"""
    SELECT {_PARCEL}, o.dispatched_at AS at, true AS counted, o.differed > 0 AS good,
           CASE WHEN o.differed > 0 THEN 'left otherwise than planned' ELSE 'left as planned' END AS why
    FROM parcels AS o"""

CASES: LiteralString = """
    SELECT c.case_id AS id, c.order_id,
           CASE WHEN c.state = 'resolved' THEN c.resolved_at ELSE c.opened_at END AS at, c.channel,
           c.state = 'resolved' AS counted, c.reopened,
           extract(epoch FROM greatest(c.resolved_at - c.opened_at, interval '0')) AS seconds,
           CASE WHEN c.state = 'open' AND c.reopened > 0 THEN 'reopened, not resolved again yet'
                WHEN c.state = 'open' THEN 'not resolved yet'
                WHEN c.reopened > 0 THEN 'reopened ' || c.reopened || ' times: to its last resolution'
                ELSE 'opened to resolved' END AS why
    FROM cases AS c"""
NOT_RESOLVED: tuple[LiteralString, ...] = ("not resolved yet", "reopened, not resolved again yet")

RETURNS: LiteralString = f"""
    SELECT {_ORDER}, coalesce(CASE WHEN o.under_way = 0 THEN o.last_arrived_at
                                   ELSE greatest(o.last_arrived_at, o.inferred_at) END, o.placed_at) AS at,
           n.why IS NULL AS counted, o.returned_by_customer > 0 AS good, o.returned_by_customer AS units_returned,
           o.delivered AS units_delivered, o.returned - o.returned_by_customer AS units_back_otherwise,
           coalesce(n.why, o.returned_by_customer || ' of ' || o.delivered || ' units came back') AS why
    FROM orders AS o
    CROSS JOIN LATERAL (SELECT CASE {_NOT_DELIVERED} END AS why) AS n"""

PERFECT: LiteralString = f"""
    SELECT {_ORDER}, coalesce(o.due_by, o.placed_at) AS at, n.why IS NULL AS counted,
           c.complete, o.on_time, o.undamaged, o.as_ordered AS accurate,
           c.complete AND o.on_time AND o.undamaged AND o.as_ordered AS good,
           coalesce(n.why, nullif(concat_ws(', ',
               CASE WHEN NOT c.complete THEN 'not complete' END, CASE WHEN NOT o.on_time THEN 'not on time' END,
               CASE WHEN NOT o.undamaged THEN 'damaged or lost' END,
               CASE WHEN NOT o.as_ordered THEN 'not as ordered' END), ''), 'perfect') AS why
    FROM orders AS o
    CROSS JOIN LATERAL (SELECT {_NOT_DUE} AS why) AS n
    CROSS JOIN LATERAL (SELECT o.complete AND o.gone = 0 AND (o.under_way = 0 OR o.inferred > 0)
                               AND o.removed_by_seller = 0 AS complete) AS c"""
