"""The tables of `order_status`; what their columns mean stands in `table.sql`."""

from projections.model import Column, Table

#: Units of a line, each in one of these, and how far the shipped ones came. `ordered` is the sum of the first five.
COUNTERS = ("open", "backordered", "allocated", "shipped", "cancelled", "ordered", "delivered", "returned")

_COUNTER_COLUMNS = tuple(Column(name, "bigint", "sum") for name in COUNTERS)

ORDER_STATUS = Table(
    "order_status",
    (
        Column("order_id", "text", "key"),
        Column("version", "bigint", "max"),
        Column("channel", "text", "last"),
        Column("customer_id", "text", "last"),
        Column("currency", "text", "last"),
        Column("placed_at", "timestamptz", "last"),
        Column("promised_by", "timestamptz", "last"),
        Column("promise", "text", "last"),
        Column("due_by", "timestamptz", "last"),
        Column("country", "text", "last"),
        Column("region", "text", "last"),
        Column("service_level", "text", "last"),
        Column("allocation", "text", "last"),
        Column("release_at", "timestamptz", "last"),
        Column("released", "boolean", "last"),
        *_COUNTER_COLUMNS,
        Column("value_minor", "bigint", "sum"),
        Column("charges_minor", "bigint", "sum"),
        Column("refunded_minor", "bigint", "sum"),
        Column("active_holds", "bigint", "sum"),
        Column("updated_at", "timestamptz", "max"),
    ),
    born_with="placed_at",
)

ORDER_HOLDS = Table(
    "order_holds",
    (Column("order_id", "text", "key"), Column("hold", "text", "key"), Column("active", "bigint", "sum")),
)

ORDER_LINES = Table(
    "order_lines",
    (
        Column("order_id", "text", "key"),
        Column("line_id", "text", "key"),
        Column("sku", "text", "last"),
        Column("unit_price_minor", "bigint", "last"),
        Column("cancel_after", "timestamptz", "last"),
        Column("customised", "boolean", "last"),
        *_COUNTER_COLUMNS,
        Column("promised", "boolean", "last"),
        Column("told_expected_at", "timestamptz", "last"),
        Column("exchange_for", "text", "last"),
        Column("awaits_return", "boolean", "last"),
    ),
)

ORDER_LINE_LOCATIONS = Table(
    "order_line_locations",
    (
        Column("order_id", "text", "key"),
        Column("line_id", "text", "key"),
        Column("location_id", "text", "key"),
        Column("allocated", "bigint", "sum"),
        Column("shipped", "bigint", "sum"),
    ),
)

ORDER_SHIPMENTS = Table(
    "order_shipments",
    (
        Column("order_id", "text", "key"),
        Column("shipment_id", "text", "key"),
        Column("location_id", "text", "last"),
        Column("carrier", "text", "last"),
        Column("service", "text", "last"),
        Column("tracking_number", "text", "last"),
        Column("scan", "text", "last"),
        Column("expected_at", "timestamptz", "last"),
        Column("dispatched_at", "timestamptz", "last"),
        Column("delivered_at", "timestamptz", "last"),
        Column("due_by", "timestamptz", "last"),
        Column("on_time", "boolean", "last"),
    ),
)

ORDER_SHIPMENT_LINES = Table(
    "order_shipment_lines",
    (
        Column("order_id", "text", "key"),
        Column("shipment_id", "text", "key"),
        Column("line_id", "text", "key"),
        Column("sku", "text", "last"),
        Column("quantity", "bigint", "sum"),
    ),
)

ORDER_RETURNS = Table(
    "order_returns",
    (
        Column("order_id", "text", "key"),
        Column("return_id", "text", "key"),
        Column("rma", "text", "last"),
        Column("resolution", "text", "last"),
        Column("scan", "text", "last"),
        Column("announced", "boolean", "first"),
        Column("requested_at", "timestamptz", "first"),
        Column("received_at", "timestamptz", "last"),
        Column("location_id", "text", "last"),
    ),
)

ORDER_RETURN_LINES = Table(
    "order_return_lines",
    (
        Column("order_id", "text", "key"),
        Column("return_id", "text", "key"),
        Column("line_id", "text", "key"),
        Column("sku", "text", "last"),
        Column("quantity", "bigint", "sum"),
        Column("received", "bigint", "sum"),
        Column("disposition", "text", "last"),
        Column("reason", "text", "last"),
        Column("reason_code", "text", "last"),
    ),
)

ORDER_AMENDMENTS = Table(
    "order_amendments",
    (
        Column("order_id", "text", "key"),
        Column("amendment_id", "text", "key"),
        Column("status", "text", "last"),
        Column("by", "text", "last"),
        Column("reason", "text", "last"),
        Column("promised_by", "timestamptz", "last"),
        Column("requested_at", "timestamptz", "last"),
        Column("answered_at", "timestamptz", "last"),
    ),
)

ORDER_AMENDMENT_LINES = Table(
    "order_amendment_lines",
    (
        Column("order_id", "text", "key"),
        Column("amendment_id", "text", "key"),
        Column("line_id", "text", "key"),
        Column("sku", "text", "last"),
        Column("ordered_before", "bigint", "last"),
        Column("ordered", "bigint", "last"),
        Column("available", "bigint", "last"),
    ),
)

TABLES = (
    ORDER_STATUS,
    ORDER_HOLDS,
    ORDER_LINES,
    ORDER_LINE_LOCATIONS,
    ORDER_SHIPMENTS,
    ORDER_SHIPMENT_LINES,
    ORDER_RETURNS,
    ORDER_RETURN_LINES,
    ORDER_AMENDMENTS,
    ORDER_AMENDMENT_LINES,
)
