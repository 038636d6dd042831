"""Every change of a quantity of stock, one row each: how much, why, by whom, when it happened and when it was known.

Effective: a movement is a row of its own, with the time at which it happened.
"""

from dataclasses import replace

from projections.model import Column, Projection, Table
from projections.stock_movements.fold import fold

STOCK_MOVEMENTS = Table(
    "stock_movements",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("location_id", "text", "key", "the location"),
        Column("version", "bigint", "key", "number of the fact in the SKU's stream"),
        Column("kind", "text", "last", "the fact, for example StockReceived"),
        Column("on_hand", "bigint", "last", "change of the units on hand"),
        Column("reserved", "bigint", "last", "change of the reserved units"),
        Column("damaged", "bigint", "last", "change of the damaged units"),
        Column("quality_hold", "bigint", "last", "change of the units being inspected"),
        Column("reason", "text", "last", "reason of the movement"),
        Column("document", "text", "last", "number of the document, or else of the purchase order or transfer"),
        Column("order_id", "text", "last", "the order that it was for, or the cart"),
        Column("line_id", "text", "last", "its line"),
        Column("shipment_id", "text", "last", "its parcel"),
        Column("return_id", "text", "last", "its return"),
        Column(
            "channel", "text", "last", "the channel that sent the command; order-ledger for the ledger's own reactions"
        ),
        Column("actor", "text", "last", "the person or program that sent it, if known"),
        Column(
            "occurred_at",
            "timestamptz",
            "last",
            "business time: when it happened, was counted, or when the reservation expired",
        ),
        Column("recorded_at", "timestamptz", "last", "log time: when it was recorded"),
    ),
    "Changes of stock: one row per change and location. The sums of all rows are the quantities in v_inventory",
    insert_only=True,
)

EFFECTIVE = Projection("stock_movements", (STOCK_MOVEMENTS,), fold)
PROJECTION = replace(EFFECTIVE, effective=EFFECTIVE)

__all__ = ["PROJECTION"]
