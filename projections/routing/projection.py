"""What orders are routed by: the rules, how busy each location was, and how fast its stock goes."""

from projections.model import Column, Projection, Table
from projections.routing.fold import fold

#: Each fact is the whole row.
ROUTING_RULES = Table(
    "routing_rules",
    (
        Column("rules_id", "text", "key"),
        Column("number", "bigint", "replace"),
        Column("name", "text", "replace"),
        Column("text", "text", "replace"),
        Column("set_at", "timestamptz", "replace"),
        Column("set_by", "text", "replace"),
    ),
)

#: Orders of all partitions leave from one location, so a row is kept per partition; `location_parcels` sums them.
LOCATION_DAYS = Table(
    "location_days",
    (
        Column("partition", "integer", "key"),
        Column("location_id", "text", "key"),
        Column("day", "date", "key"),
        Column("dispatched", "bigint", "sum"),
    ),
)

SKU_WEEKS = Table(
    "sku_weeks",
    (
        Column("sku", "text", "key"),
        Column("location_id", "text", "key"),
        Column("week", "date", "key"),
        Column("shipped", "bigint", "sum"),
    ),
)

PROJECTION = Projection("routing", (ROUTING_RULES, LOCATION_DAYS, SKU_WEEKS), fold)

__all__ = ["PROJECTION"]
