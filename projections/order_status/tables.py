"""The tables of `order_status`."""

from projections.model import Column, Table
from projections.order_status.statuses import STATUSES

#: Units of a line by state. Each unit is in one of the first five; `ordered` is their sum.
COUNTERS = {
    "open": "units in none of the other four states; ordered = open + backordered + allocated + shipped + cancelled",
    "backordered": "units that wait for stock",
    "allocated": "units with stock reserved at a location",
    "shipped": "units that left",
    "cancelled": "units that were cancelled",
    "ordered": "units that were ordered and not amended away",
    "delivered": "of the shipped units, those that arrived",
    "returned": "of the shipped units, those that came back, for any cause",
    "returned_by_customer": "of the delivered units, those that the customer sent back",
    "replaced": "of the ordered units, those that replace others; nobody pays for them",
    "written_off": "of the shipped units, those that were replaced and have not arrived",
}

_COUNTER_COLUMNS = tuple(Column(name, "bigint", "sum", meaning) for name, meaning in COUNTERS.items())

ORDER_STATUS = Table(
    "order_status",
    (
        Column("order_id", "text", "key", "the order"),
        Column(
            "version",
            "bigint",
            "max",
            "number of the newest fact that is not a refusal; a command's expected_version must equal it",
        ),
        Column("channel", "text", "last", "the channel that placed it"),
        Column("customer_id", "text", "last", "the customer, as the channel names them"),
        Column("currency", "text", "last", "currency of all amounts, ISO 4217"),
        Column("placed_at", "timestamptz", "last", "when the order was placed, by the channel's clock"),
        Column("promised_by", "timestamptz", "last", "the promise as it is now"),
        Column("promise", "text", "last", "what is promised by then: delivery or dispatch"),
        Column(
            "due_by",
            "timestamptz",
            "last",
            "the promise that KPIs measure by: the first one, or the newest that the customer asked for",
        ),
        Column("country", "text", "last", "country that it goes to, ISO 3166-1 alpha-2"),
        Column("region", "text", "last", "region that it goes to"),
        Column("service_level", "text", "last", "standard, express or same_day"),
        Column("allocation", "text", "last", "ship_available or all_or_nothing"),
        Column("release_at", "timestamptz", "last", "the order is not allocated before this time"),
        Column("released", "boolean", "last", "whether sourcing has ever begun, that is, release_at has come"),
        *_COUNTER_COLUMNS,
        Column(
            "value_minor",
            "bigint",
            "sum",
            "value of the lines as placed, without charges, in minor units (v_order_lines has the present lines)",
        ),
        Column("charges_minor", "bigint", "sum", "postage, fees and discounts as placed, in minor units"),
        Column("refunded_minor", "bigint", "sum", "refunded so far, in minor units"),
        Column("active_holds", "bigint", "sum", "how many holds are active"),
        Column("updated_at", "timestamptz", "max", "log time of the newest fact that changed it"),
    ),
    "Orders as they are now, one row each",
    derived={
        "status": f"{', '.join(list(STATUSES)[:-1])} or {list(STATUSES)[-1]}",
    },
    born_with="placed_at",
    stream="ledger.orders",
)

ORDER_HOLDS = Table(
    "order_holds",
    (
        Column("order_id", "text", "key", "the order"),
        Column("hold", "text", "key", "payment, fraud, address, stock, customer or other"),
        Column("active", "bigint", "sum", "1 while it is set, 0 once released"),
    ),
    "Holds of orders, one row for each order and kind of hold",
)

ORDER_LINES = Table(
    "order_lines",
    (
        Column("order_id", "text", "key", "the order"),
        Column("line_id", "text", "key", "the line of the order"),
        Column("sku", "text", "last", "the SKU"),
        Column("unit_price_minor", "bigint", "last", "price of a unit, in minor units"),
        Column("cancel_after", "timestamptz", "last", "units that are not allocated or shipped by then are cancelled"),
        Column("customised", "boolean", "last", "whether it is made for this customer"),
        *_COUNTER_COLUMNS,
        Column(
            "promised", "boolean", "last", "whether the newest message to the customer about waiting units gave a time"
        ),
        Column(
            "told_expected_at",
            "timestamptz",
            "last",
            "the expected time that the customer was told most recently, even if it no longer holds",
        ),
        Column("exchange_for", "text", "last", "the return that the line was added in exchange for"),
        Column("awaits_return", "boolean", "last", "true until everything announced of that return has arrived"),
    ),
    "Lines of orders as they are now",
    derived={
        "expected_at": "when waiting units are expected, as the customer was told; null if that no longer holds",
        "held_for_return": "the return that must arrive before units of the line may leave",
    },
    stream="ledger.orders",
)

ORDER_LINE_LOCATIONS = Table(
    "order_line_locations",
    (
        Column("order_id", "text", "key", "the order"),
        Column("line_id", "text", "key", "the line of the order"),
        Column("location_id", "text", "key", "the location"),
        Column("allocated", "bigint", "sum", "units allocated there"),
        Column("shipped", "bigint", "sum", "units that left there"),
    ),
    "Locations where units of a line are allocated, and locations that units of it left",
    stream="ledger.orders",
)

ORDER_SHIPMENTS = Table(
    "order_shipments",
    (
        Column("order_id", "text", "key", "the order"),
        Column("shipment_id", "text", "key", "the parcel"),
        Column("location_id", "text", "last", "location that it left"),
        Column("carrier", "text", "last", "the carrier"),
        Column("service", "text", "last", "the carrier's service"),
        Column("tracking_number", "text", "last", "the carrier's number"),
        Column(
            "scan",
            "text",
            "last",
            "newest scan in log order; `dispatched` until the first scan; `retracted` if it never left",
        ),
        Column("expected_at", "timestamptz", "last", "when the carrier expects to deliver it"),
        Column("dispatched_at", "timestamptz", "last", "when it left"),
        Column("delivered_at", "timestamptz", "last", "when it arrived"),
        Column("due_by", "timestamptz", "last", "the promise that its delivery is measured by"),
        Column("on_time", "boolean", "last", "whether it arrived by then; null without a promise or before it arrived"),
    ),
    "Parcels of orders",
    derived={
        "status": "delivered once it arrived, even if later scans follow; retracted if it never left; otherwise the "
        "newest scan"
    },
    stream="ledger.orders",
)

ORDER_SHIPMENT_LINES = Table(
    "order_shipment_lines",
    (
        Column("order_id", "text", "key", "the order"),
        Column("shipment_id", "text", "key", "the parcel"),
        Column("line_id", "text", "key", "the line of the order"),
        Column("sku", "text", "last", "the SKU"),
        Column("quantity", "bigint", "sum", "units in the parcel"),
        Column("replaced", "bigint", "sum", "of these, units for which a replacement was ordered"),
    ),
    "What is in each parcel",
    stream="ledger.orders",
)

ORDER_RETURNS = Table(
    "order_returns",
    (
        Column("order_id", "text", "key", "the order"),
        Column("return_id", "text", "key", "the return"),
        Column("rma", "text", "last", "return number that the customer writes on the parcel"),
        Column("resolution", "text", "last", "refund or exchange; null for goods that came unannounced"),
        Column(
            "scan",
            "text",
            "last",
            "requested, received, withdrawn or the carrier's newest scan (returned_to_sender: back to the customer)",
        ),
        Column(
            "cause",
            "text",
            "last",
            "why the goods that arrived last came back: customer, unclaimed, refused (at the door) or recalled",
        ),
        Column("announced", "boolean", "first", "false if the goods came back unannounced"),
        Column("requested_at", "timestamptz", "first", "when it was requested"),
        Column("received_at", "timestamptz", "last", "when its newest parcel was opened"),
        Column("location_id", "text", "last", "where it was opened"),
    ),
    "Goods of orders that came back or will come back: from customers, unclaimed, refused or recalled",
    derived={"status": "received once goods arrived; before that, the newest scan"},
)

ORDER_RETURN_LINES = Table(
    "order_return_lines",
    (
        Column("order_id", "text", "key", "the order"),
        Column("return_id", "text", "key", "the return"),
        Column("line_id", "text", "key", "the line of the order"),
        Column("sku", "text", "last", "the SKU"),
        Column("quantity", "bigint", "sum", "units announced"),
        Column("received", "bigint", "sum", "units that arrived"),
        Column("disposition", "text", "last", "restock, damaged, dispose or inspect, of the newest arrival"),
        Column("reason", "text", "last", "the customer's reason"),
        Column("reason_code", "text", "last", "size, changed_mind, wrong_item, missing, damaged, …"),
    ),
    "What is in each return",
)

ORDER_AMENDMENTS = Table(
    "order_amendments",
    (
        Column("order_id", "text", "key", "the order"),
        Column("amendment_id", "text", "key", "the amendment"),
        Column("status", "text", "last", "requested, applied or declined"),
        Column("by", "text", "last", "customer or seller"),
        Column(
            "reason",
            "text",
            "last",
            "why it was declined: not_enough, lost, cancelled, changed, shipped or waiting (see AmendmentDeclined)",
        ),
        Column("promised_by", "timestamptz", "last", "new promise that the amendment asked for"),
        Column("requested_at", "timestamptz", "last", "log time of the request"),
        Column("answered_at", "timestamptz", "last", "log time of the answer"),
    ),
    "Amendments that asked for more units. They are applied once stock has reserved the units",
)

ORDER_AMENDMENT_LINES = Table(
    "order_amendment_lines",
    (
        Column("order_id", "text", "key", "the order"),
        Column("amendment_id", "text", "key", "the amendment"),
        Column("line_id", "text", "key", "the line of the order"),
        Column("sku", "text", "last", "the SKU"),
        Column(
            "ordered_before",
            "bigint",
            "last",
            "units that the customer was to get before the amendment, counted as in AmendOrder",
        ),
        Column(
            "ordered",
            "bigint",
            "last",
            "units that the customer is to get with the amendment, counted as in AmendOrder",
        ),
        Column(
            "available",
            "bigint",
            "last",
            "largest number that stock would have allowed; null if stock had enough or the number is unknown",
        ),
    ),
    "Lines that an amendment changes",
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
