"""Stock per SKU and location: on_hand = available + reserved + safety + damaged + quality_hold; and holds that
expire.
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
        Column("safety_stock", "bigint", "last"),
        Column("reorder_point", "bigint", "last"),
        Column("buffer", "bigint", "last"),
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
)

PROJECTION = Projection("inventory", (INVENTORY, EXPIRING_RESERVATIONS), fold)

__all__ = ["PROJECTION"]
