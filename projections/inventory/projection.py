"""Stock per SKU and location: on_hand = available + reserved + safety + damaged + quality_hold; holds that
expire, and goods on their way.
"""

from projections.inventory.fold import fold
from projections.model import Column, Projection, Table

INVENTORY = Table(
    "inventory",
    (
        Column("sku", "text", "key"),
        Column("location_id", "text", "key"),
        Column("on_hand", "bigint", "sum"),
        Column("reserved", "bigint", "sum"),
        Column("damaged", "bigint", "sum"),
        Column("quality_hold", "bigint", "sum"),
        Column("incoming", "bigint", "sum"),
        Column("safety_stock", "bigint", "last"),
        Column("reorder_point", "bigint", "last"),
        Column("buffer", "bigint", "last"),
        Column("excluded", "boolean", "last"),
        Column("low_detected_at", "timestamptz", "last"),
    ),
)

EXPIRING_RESERVATIONS = Table(
    "expiring_reservations",
    (
        Column("sku", "text", "key"),
        Column("order_id", "text", "key"),
        Column("line_id", "text", "key"),
        Column("attempt", "bigint", "key"),
        Column("location_id", "text", "key"),
        Column("quantity", "bigint", "sum"),
        Column("expires_at", "timestamptz", "last"),
    ),
    born_with="expires_at",
    unique="sku, order_id, line_id, attempt, md5(location_id)",
)

#: Each fact is the whole row.
EXPECTED_RECEIPTS = Table(
    "expected_receipts",
    (
        Column("sku", "text", "key"),
        Column("source", "text", "key"),
        Column("reference", "text", "key"),
        Column("location_id", "text", "key"),
        Column("quantity", "bigint", "replace"),
        Column("expected_at", "timestamptz", "replace"),
        Column("overdue", "boolean", "replace"),
    ),
)

#: Each rule is a whole row.
CHANNEL_RULES = Table(
    "channel_rules",
    (
        Column("sku", "text", "key"),
        Column("location_id", "text", "key"),
        Column("channel", "text", "key"),
        Column("buffer", "bigint", "replace"),
        Column("excluded", "boolean", "replace"),
    ),
)

LOCATION_CHANNELS = Table(
    "location_channels",
    (
        Column("location_id", "text", "key"),
        Column("channel", "text", "key"),
        Column("excluded", "boolean", "replace"),
    ),
)

TRANSFERS = Table(
    "transfers",
    (
        Column("sku", "text", "key"),
        Column("transfer_id", "text", "key"),
        Column("from_location_id", "text", "last"),
        Column("to_location_id", "text", "last"),
        Column("started_at", "timestamptz", "last"),
        Column("sent", "bigint", "sum"),
        Column("received", "bigint", "sum"),
        Column("damaged", "bigint", "sum"),
        Column("missing", "bigint", "sum"),
    ),
)

PROJECTION = Projection(
    "inventory",
    (INVENTORY, EXPIRING_RESERVATIONS, EXPECTED_RECEIPTS, TRANSFERS, CHANNEL_RULES, LOCATION_CHANNELS),
    fold,
)

__all__ = ["PROJECTION"]
