"""Orders as they are now. An order is read in one statement, so all its parts are of one moment.

read_order(connection, "order-1")["status"]  →  "partially_shipped"
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from events.times import rfc3339

_TIMES = ("placed_at", "promised_by", "due_by", "release_at", "updated_at")
_LINE_TIMES = ("expected_at", "cancel_after")
_SHIPMENT_TIMES = ("expected_at", "dispatched_at", "delivered_at")
#: Orders fetched at a time. Fewer cost round trips, more cost memory.
ROWS_AT_ONCE = 500
_RETURN_TIMES = ("requested_at", "received_at")
_AMENDMENT_TIMES = ("promised_by", "requested_at", "answered_at")

# Ids are sorted by length, then by text, so that numbers are in their order (2 before 10).
_ORDER = """
SELECT o.order_id, o.status, o.version, o.channel, o.customer_id, o.placed_at, o.promised_by, o.due_by, o.promise,
       o.country, o.region, o.service_level, o.allocation, o.release_at, o.currency, o.value_minor, o.charges_minor,
       o.refunded_minor, o.ordered, o.open, o.backordered, o.allocated, o.shipped, o.delivered, o.cancelled, o.returned,
       o.returned_by_customer, o.replaced, o.written_off, o.updated_at,
  (SELECT coalesce(jsonb_agg(h.hold ORDER BY h.hold), '[]')
   FROM order_holds AS h WHERE h.order_id = o.order_id AND h.active > 0) AS holds,
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'line_id', l.line_id, 'sku', l.sku, 'unit_price_minor', l.unit_price_minor, 'cancel_after', l.cancel_after,
      'customised', coalesce(l.customised, false), 'ordered', l.ordered, 'open', l.open, 'backordered', l.backordered,
      'allocated', l.allocated, 'shipped', l.shipped, 'delivered', l.delivered, 'cancelled', l.cancelled,
      'returned', l.returned, 'returned_by_customer', l.returned_by_customer, 'replaced', l.replaced,
      'written_off', l.written_off, 'expected_at', l.expected_at,
      'exchange_for', l.exchange_for, 'held_for_return', l.held_for_return,
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
      'lines', (SELECT coalesce(jsonb_agg(jsonb_build_object('line_id', i.line_id, 'sku', i.sku, 'quantity', i.quantity,
                                                                    'replaced', i.replaced)
                                ORDER BY length(i.line_id), i.line_id), '[]')
                FROM order_shipment_lines AS i WHERE i.order_id = s.order_id AND i.shipment_id = s.shipment_id)
      ) ORDER BY s.dispatched_at, s.shipment_id), '[]')
   FROM order_shipments AS s WHERE s.order_id = o.order_id) AS shipments,
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'return_id', r.return_id, 'rma', r.rma, 'status', r.status, 'cause', r.cause, 'resolution', r.resolution,
      'announced', r.announced,
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


class OrderDue(NamedTuple):
    """An order whose `release_at` has come: it has open units and was never sourced."""

    order_id: str
    release_at: datetime


class LineDue(NamedTuple):
    """An order, at this version, with a line past its `cancel_after` that has units without stock."""

    order_id: str
    version: int
    cancel_after: datetime


class LineUnits(NamedTuple):
    """Units of a line that the customer gets, and those of them that have not left."""

    line_id: str
    sku: str
    wanted: int
    left: int


class UnitsAt(NamedTuple):
    """Units of a SKU that are allocated at a location, or left there, for some orders."""

    sku: str
    location_id: str
    units: int


class OrderTotals(NamedTuple):
    """How many orders have units, how many units these are, and how many units have no location."""

    orders: int
    units: int
    without_location: int


class OrderParcel(NamedTuple):
    """A parcel of an order that left a location or is planned there. `late` if it arrived after its promise."""

    order_id: str
    location_id: str
    late: bool


def read_order(connection: psycopg.Connection[Any], order_id: str) -> dict[str, Any] | None:
    """The order as `order --json` prints it, or None if there is no such order.

    Units are whole pieces, money is in minor units of `currency`, times are RFC 3339 in UTC. A line's `locations` says
    how many of its units are allocated at, or left from, each location. `expected_at` is the date that the customer was
    told for waiting units.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        order = cursor.execute(_ORDER + "WHERE o.order_id = %s", [order_id]).fetchone()
    return None if order is None else _readable(order)


def read_orders(connection: psycopg.Connection[Any], statuses: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All orders with one of these statuses, as in `read_order`, by order_id. Of one moment; needs little memory."""
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


def read_orders_due(connection: psycopg.Connection[Any], now: datetime, limit: int) -> list[OrderDue]:
    """Orders to be released by `now`, longest overdue first."""
    rows = connection.execute(
        "SELECT order_id, release_at FROM order_status"
        " WHERE NOT released AND release_at <= %s AND open > 0 ORDER BY release_at LIMIT %s",
        [now, limit],
    ).fetchall()
    return [OrderDue(*row) for row in rows]


def read_lines_due(connection: psycopg.Connection[Any], now: datetime, limit: int) -> list[LineDue]:
    """Orders with lines to be cancelled by `now`, longest overdue first. What replaces others is not given up."""
    rows = connection.execute(
        "SELECT o.order_id, o.version, min(l.cancel_after) FROM order_lines AS l"
        " JOIN order_status AS o USING (order_id)"
        " WHERE l.cancel_after <= %s AND l.open + l.backordered > l.replaced"
        " GROUP BY o.order_id, o.version ORDER BY 3 LIMIT %s",
        [now, limit],
    ).fetchall()
    return [LineDue(*row) for row in rows]


def read_waiting_parcels(connection: psycopg.Connection[Any]) -> list[tuple[str, int]]:
    """(location_id, parcels): one parcel for each order with units allocated there that have not left."""
    return connection.execute(
        "SELECT location_id, count(DISTINCT order_id) FROM order_line_locations WHERE allocated > 0"
        " GROUP BY location_id"
    ).fetchall()


def read_line_units(connection: psycopg.Connection[Any], order_id: str) -> list[LineUnits]:
    """The lines of an order by their id, as text."""
    rows = connection.execute(
        "SELECT line_id, sku, ordered - cancelled, ordered - cancelled - shipped FROM order_lines"
        " WHERE order_id = %s ORDER BY line_id",
        [order_id],
    ).fetchall()
    return [LineUnits(*row) for row in rows]


def read_held(connection: psycopg.Connection[Any], order_id: str) -> list[UnitsAt]:
    """Units allocated to the order, by SKU and location."""
    rows = connection.execute(
        "SELECT l.sku, p.location_id, sum(p.allocated)::bigint FROM order_line_locations AS p"
        " JOIN order_lines AS l USING (order_id, line_id)"
        " WHERE p.order_id = %s AND p.allocated > 0 GROUP BY l.sku, p.location_id",
        [order_id],
    ).fetchall()
    return [UnitsAt(*row) for row in rows]


def read_placed_between(connection: psycopg.Connection[Any], first: datetime, last: datetime) -> list[str]:
    """Orders placed from `first` to before `last`, by that time and their id."""
    rows = connection.execute(
        "SELECT order_id FROM order_status WHERE placed_at >= %s AND placed_at < %s ORDER BY placed_at, order_id",
        [first, last],
    ).fetchall()
    return [order_id for (order_id,) in rows]


def read_given_since(connection: psycopg.Connection[Any], first: datetime) -> list[UnitsAt]:
    """Units allocated to, or shipped for, orders placed from `first` on."""
    rows = connection.execute(
        "SELECT l.sku, p.location_id, sum(p.allocated + p.shipped)::bigint FROM order_status AS s"
        " JOIN order_line_locations AS p USING (order_id) JOIN order_lines AS l USING (order_id, line_id)"
        " WHERE s.placed_at >= %s GROUP BY l.sku, p.location_id",
        [first],
    ).fetchall()
    return [UnitsAt(*row) for row in rows]


def read_totals_between(connection: psycopg.Connection[Any], first: datetime, last: datetime) -> OrderTotals:
    """The totals of the orders placed from `first` to before `last`."""
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE ordered > 0), coalesce(sum(ordered), 0)::bigint,"
        " coalesce(sum(open + backordered), 0)::bigint"
        " FROM order_status WHERE placed_at >= %s AND placed_at < %s",
        [first, last],
    ).fetchone()
    assert row is not None
    return OrderTotals(*row)


def read_parcels_between(connection: psycopg.Connection[Any], first: datetime, last: datetime) -> list[OrderParcel]:
    """Parcels of the orders placed from `first` to before `last`: those that left, and those planned by allocation."""
    rows = connection.execute(
        "SELECT s.order_id, x.location_id, x.late FROM order_status AS s JOIN ("
        " SELECT order_id, location_id, on_time IS FALSE AS late FROM order_shipments WHERE status <> 'retracted'"
        " UNION ALL"
        " SELECT DISTINCT order_id, location_id, false FROM order_line_locations WHERE allocated > 0"
        ") AS x USING (order_id) WHERE s.placed_at >= %s AND s.placed_at < %s",
        [first, last],
    ).fetchall()
    return [OrderParcel(*row) for row in rows]


def count_by_status(connection: psycopg.Connection[Any], orders: Collection[str]) -> dict[str, int]:
    """How many of these orders have each status, the most frequent first."""
    rows = connection.execute(
        "SELECT status, count(*) FROM order_status WHERE order_id = ANY(%s) GROUP BY 1 ORDER BY 2 DESC, 1",
        [list(orders)],
    ).fetchall()
    return dict(rows)


def count_all_by_status(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How many orders have each status; reads all of them."""
    return dict(connection.execute("SELECT status, count(*) FROM order_status GROUP BY 1").fetchall())


def those_with_status(connection: psycopg.Connection[Any], orders: Collection[str], status: str) -> list[str]:
    """Those of these orders that have this status."""
    rows = connection.execute(
        "SELECT order_id FROM order_status WHERE order_id = ANY(%s) AND status = %s", [list(orders), status]
    ).fetchall()
    return [order_id for (order_id,) in rows]


def count_others(connection: psycopg.Connection[Any], orders: Collection[str]) -> int:
    """How many other orders there are."""
    row = connection.execute(
        "SELECT count(*) FROM order_status WHERE NOT order_id = ANY(%s)", [list(orders)]
    ).fetchone()
    assert row is not None
    return int(row[0])
