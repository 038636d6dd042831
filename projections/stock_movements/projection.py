"""Every change of a quantity of stock, one row each: how much, why, by whom, when it happened and when it was known."""

from projections.model import Column, Projection, Table
from projections.stock_movements.fold import fold

STOCK_MOVEMENTS = Table(
    "stock_movements",
    (
        Column("sku", "text", "key"),
        Column("location_id", "text", "key"),
        Column("version", "bigint", "key"),
        Column("kind", "text", "last"),
        Column("on_hand", "bigint", "last"),
        Column("reserved", "bigint", "last"),
        Column("damaged", "bigint", "last"),
        Column("quality_hold", "bigint", "last"),
        Column("reason", "text", "last"),
        Column("document", "text", "last"),
        Column("order_id", "text", "last"),
        Column("line_id", "text", "last"),
        Column("shipment_id", "text", "last"),
        Column("return_id", "text", "last"),
        Column("channel", "text", "last"),
        Column("actor", "text", "last"),
        Column("occurred_at", "timestamptz", "last"),
        Column("recorded_at", "timestamptz", "last"),
    ),
    insert_only=True,
)

PROJECTION = Projection("stock_movements", (STOCK_MOVEMENTS,), fold)

__all__ = ["PROJECTION"]
