"""One order as it is now, read in one statement, hence of one moment.

read_order(connection, "order-1")["status"]  →  "partially_shipped"
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339

_TIMES = ("placed_at", "promised_by", "due_by", "release_at", "updated_at")
_LINE_TIMES = ("expected_at", "cancel_after")
_SHIPMENT_TIMES = ("expected_at", "dispatched_at", "delivered_at")
#: Orders fetched together: fewer costs round trips, more holds more of them in memory.
ROWS_AT_ONCE = 500
_RETURN_TIMES = ("requested_at", "received_at")
_AMENDMENT_TIMES = ("promised_by", "requested_at", "answered_at")

# Ids that are numbers come in their order (2 before 10): shorter first, then by text.
_ORDER = """
SELECT o.order_id, o.status, o.version, o.channel, o.customer_id, o.placed_at, o.promised_by, o.due_by, o.promise,
       o.country, o.region, o.service_level, o.allocation, o.release_at, o.currency, o.value_minor, o.charges_minor,
       o.refunded_minor, o.ordered, o.open, o.backordered, o.allocated, o.shipped, o.delivered, o.cancelled, o.returned,
       o.updated_at,
  (SELECT coalesce(jsonb_agg(h.hold ORDER BY h.hold), '[]')
   FROM order_holds AS h WHERE h.order_id = o.order_id AND h.active > 0) AS holds,
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'line_id', l.line_id, 'sku', l.sku, 'unit_price_minor', l.unit_price_minor, 'cancel_after', l.cancel_after,
      'customised', coalesce(l.customised, false), 'ordered', l.ordered, 'open', l.open, 'backordered', l.backordered,
      'allocated', l.allocated, 'shipped', l.shipped, 'delivered', l.delivered, 'cancelled', l.cancelled,
      'returned', l.returned, 'expected_at', l.expected_at,
      'exchange_for', l.exchange_for, 'held_until', 'return ' || l.held_until,
      'locations', (SELECT coalesce(jsonb_object_agg(p.location_id, p.allocated + p.shipped), '{}')
                    FROM order_line_locations AS p
                    WHERE p.order_id = l.order_id AND p.line_id = l.line_id AND p.allocated + p.shipped <> 0),
      'allocated_at', (SELECT coalesce(jsonb_object_agg(p.location_id, p.allocated), '{}')
                       FROM order_line_locations AS p
                       WHERE p.order_id = l.order_id AND p.line_id = l.line_id AND p.allocated > 0)
      ) ORDER BY length(l.line_id), l.line_id), '[]')
   FROM order_lines AS l WHERE l.order_id = o.order_id) AS lines,
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'shipment_id', s.shipment_id, 'location_id', s.location_id, 'carrier', s.carrier, 'service', s.service,
      'tracking_number', s.tracking_number, 'status', s.status, 'expected_at', s.expected_at,
      'dispatched_at', s.dispatched_at, 'delivered_at', s.delivered_at, 'on_time', s.on_time,
      'lines', (SELECT coalesce(jsonb_agg(jsonb_build_object('line_id', i.line_id, 'sku', i.sku, 'quantity', i.quantity)
                                ORDER BY length(i.line_id), i.line_id), '[]')
                FROM order_shipment_lines AS i WHERE i.order_id = s.order_id AND i.shipment_id = s.shipment_id)
      ) ORDER BY s.dispatched_at, s.shipment_id), '[]')
   FROM order_shipments AS s WHERE s.order_id = o.order_id) AS shipments,
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'return_id', r.return_id, 'rma', r.rma, 'status', r.status, 'resolution', r.resolution, 'announced', r.announced,
      'location_id', r.location_id, 'requested_at', r.requested_at, 'received_at', r.received_at,
      'lines', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'line_id', i.line_id, 'sku', i.sku, 'quantity', i.quantity, 'received', i.received,
                    'disposition', i.disposition, 'reason', i.reason, 'reason_code', i.reason_code)
                    ORDER BY length(i.line_id), i.line_id), '[]')
                FROM order_return_lines AS i WHERE i.order_id = r.order_id AND i.return_id = r.return_id)
      ) ORDER BY coalesce(r.requested_at, r.received_at), r.return_id), '[]')
   FROM order_returns AS r WHERE r.order_id = o.order_id) AS returns,
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'amendment_id', a.amendment_id, 'status', a.status, 'by', a.by, 'reason', a.reason, 'promised_by', a.promised_by,
      'requested_at', a.requested_at, 'answered_at', a.answered_at,
      'lines', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'line_id', i.line_id, 'sku', i.sku, 'ordered_before', i.ordered_before, 'ordered', i.ordered,
                    'available', i.available) ORDER BY length(i.line_id), i.line_id), '[]')
                FROM order_amendment_lines AS i
                WHERE i.order_id = a.order_id AND i.amendment_id = a.amendment_id)
      ) ORDER BY length(a.amendment_id), a.amendment_id), '[]')
   FROM order_amendments AS a WHERE a.order_id = o.order_id) AS amendments
FROM order_status AS o
"""


def read_order(connection: psycopg.Connection[Any], order_id: str) -> dict[str, Any] | None:
    """The order as `order --json` prints it, or null where there is no such order.

    Units in whole pieces, money in minor units of `currency`, times RFC 3339 in UTC. A line's `locations` says how many
    of its units are held at, or left from, each location; `expected_at` when units that wait are expected, as was told.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        order = cursor.execute(_ORDER + "WHERE o.order_id = %s", [order_id]).fetchone()
    return None if order is None else _readable(order)


def read_orders(connection: psycopg.Connection[Any], statuses: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All orders with one of these statuses, as `read_order` gives them, by order_id; one snapshot, little memory."""
    with connection.transaction(), connection.cursor("read_orders", row_factory=dict_row) as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(_ORDER + "WHERE o.status = ANY(%s) ORDER BY o.order_id", [list(statuses)])
        for order in cursor:
            yield _readable(order)


def _readable(order: dict[str, Any]) -> dict[str, Any]:
    _in_words(order, _TIMES)
    for line in order["lines"]:
        _in_words(line, _LINE_TIMES)
    for shipment in order["shipments"]:
        _in_words(shipment, _SHIPMENT_TIMES)
    for one in order["returns"]:
        _in_words(one, _RETURN_TIMES)
    for one in order["amendments"]:
        _in_words(one, _AMENDMENT_TIMES)
    return order


def _in_words(row: dict[str, Any], times: tuple[str, ...]) -> None:
    for name in times:
        row[name] = rfc3339(row[name])
