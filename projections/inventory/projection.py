"""Stock per SKU and location: on_hand = available + reserved + safety + damaged + quality_hold. Also reservations that
expire, and incoming goods.

Effective: only the quantities that movements add up to. Incoming units are stated relative to the fact before, so
without it they are wrong. Rules, reservations and low stock are what the ledger decided, in its own order; hence
`available` is only known as it was known then.
"""

from projections.inventory.fold import fold, fold_quantities
from projections.inventory.views import CHANNEL_SELLABLE, INVENTORY_TOTALS
from projections.model import Column, Projection, Table
from projections.stock_changes import QUANTITIES as MOVED

INVENTORY = Table(
    "inventory",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("location_id", "text", "key", "the location"),
        Column("on_hand", "bigint", "sum", "units that are there"),
        Column("reserved", "bigint", "sum", "of these, reserved for orders and carts"),
        Column("damaged", "bigint", "sum", "of these, damaged"),
        Column("quality_hold", "bigint", "sum", "of these, being inspected"),
        Column("incoming", "bigint", "sum", "units on their way here; not part of on_hand, and not available"),
        Column("safety_stock", "bigint", "last", "units that the planner keeps back as a reserve"),
        Column("reorder_point", "bigint", "last", "stock is low at this many available units, or fewer"),
        Column("buffer", "bigint", "last", "the largest number of units kept back from any channel"),
        Column("excluded", "boolean", "last", "true if a rule of the SKU lets some channel sell none of it here"),
        Column(
            "registered",
            "boolean",
            "last",
            "true if the location is known to be registered; if not, nothing there can be reserved",
        ),
        Column("located_at", "timestamptz", "last", "log time when the SKU was first known at the location"),
        Column("low_detected_at", "timestamptz", "last", "log time of the newest LowStockDetected"),
    ),
    "Stock per SKU and location: on_hand = available + reserved + safety + damaged + quality_hold",
    derived={
        "safety": "safety stock, as far as there are units for it",
        "available": "units that can be reserved if the location is registered; below zero if too many are reserved",
        "sellable": "units that every channel may sell, by the SKU's strictest rule (v_channel_sellable: each channel)",
        "low_since": "when stock became low; null when it is not low",
    },
)

EXPIRING_RESERVATIONS = Table(
    "expiring_reservations",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("order_id", "text", "key", "the order or the cart"),
        Column("line_id", "text", "key", "the line of the order"),
        Column("attempt", "bigint", "key", "number of the attempt to reserve"),
        Column("location_id", "text", "key", "the location"),
        Column("quantity", "bigint", "sum", "units still reserved; 0 when the reservation has ended"),
        Column("expires_at", "timestamptz", "last", "when the reservation expires"),
    ),
    "Reservations that expire at a set time, most of them for carts",
    born_with="expires_at",
    unique="sku, order_id, line_id, attempt, md5(location_id)",
)

#: Each fact is the whole row.
EXPECTED_RECEIPTS = Table(
    "expected_receipts",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("source", "text", "key", "purchase_order or transfer"),
        Column("reference", "text", "key", "number of the purchase order or transfer"),
        Column("location_id", "text", "key", "where the goods are to arrive"),
        Column("quantity", "bigint", "replace", "units still on their way; 0 when nothing more will come"),
        Column("expected_at", "timestamptz", "replace", "when they are expected; null if unknown"),
        Column("overdue", "boolean", "replace", "whether that time has passed without them"),
    ),
    "Goods on their way from suppliers or between locations",
)

#: Each rule is a whole row.
CHANNEL_RULES = Table(
    "channel_rules",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("location_id", "text", "key", "the location"),
        Column("channel", "text", "key", "the channel; * is every channel without a row of its own"),
        Column("buffer", "bigint", "replace", "units kept back from the channel; null if no rule names it any more"),
        Column("excluded", "boolean", "replace", "whether the channel may sell none"),
    ),
    "Units that rules keep back from channels, one row per SKU, location and channel",
)

LOCATION_CHANNELS = Table(
    "location_channels",
    (
        Column("location_id", "text", "key", "the location"),
        Column("channel", "text", "key", "the channel; * is every channel"),
        Column("excluded", "boolean", "replace", "whether the location does not serve it"),
    ),
    "Which channels a location does not serve, whatever the SKU",
)

TRANSFERS = Table(
    "transfers",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("transfer_id", "text", "key", "number of the transfer"),
        Column("from_location_id", "text", "last", "location that the units left"),
        Column("to_location_id", "text", "last", "location that they go to"),
        Column("started_at", "timestamptz", "last", "when they left, by the channel's clock"),
        Column("sent", "bigint", "sum", "units that left"),
        Column("received", "bigint", "sum", "units that arrived, damaged ones included"),
        Column("damaged", "bigint", "sum", "of these, damaged"),
        Column(
            "missing",
            "bigint",
            "sum",
            "units that had not arrived when the transfer was closed; a person should look for them",
        ),
    ),
    "Transfers between locations. If a transfer_id is used for a second transfer, the row adds up both",
    derived={"on_their_way": "units that have neither arrived nor are missing"},
)

QUANTITIES = Table(
    "inventory",
    tuple(column for column in INVENTORY.columns if column.merge == "key" or column.name in MOVED),
    "Stock per SKU and location: what movements that had occurred add up to",
)

PROJECTION = Projection(
    "inventory",
    (INVENTORY, EXPIRING_RESERVATIONS, EXPECTED_RECEIPTS, TRANSFERS, CHANNEL_RULES, LOCATION_CHANNELS),
    fold,
    (INVENTORY_TOTALS, CHANNEL_SELLABLE),
    effective=Projection("inventory", (QUANTITIES,), fold_quantities, plain=True),
    version=2,
)

__all__ = ["PROJECTION"]
