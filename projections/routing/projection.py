"""What routing reads: the rules, how busy each location was, and how fast its stock sells."""

from projections.model import Column, Projection, Table, View
from projections.routing.fold import fold

#: Each fact is the whole row.
ROUTING_RULES = Table(
    "routing_rules",
    (
        Column("rules_id", "text", "key", "the rules `routing` are in force; rules with any other id are a draft"),
        Column("number", "bigint", "replace", "version of these rules, from 1"),
        Column("name", "text", "replace", "name given in the rule file"),
        Column("text", "text", "replace", "the rule file, as the planner wrote it"),
        Column("set_at", "timestamptz", "replace", "log time at which they were set"),
        Column("set_by", "text", "replace", "the person who sent it; the channel if no person was named"),
    ),
    "The routing rules in force, and drafts",
)

#: Orders of all partitions leave from one location, so each partition has its own row; `v_location_parcels` sums them.
LOCATION_DAYS = Table(
    "location_days",
    (
        Column("partition", "integer", "key", "partition of ledger.orders, so that no two projectors write one row"),
        Column("location_id", "text", "key", "the location"),
        Column("day", "date", "key", "the day, UTC, by the warehouse's clock"),
        Column("dispatched", "bigint", "sum", "parcels that left"),
    ),
    "Parcels that left a location on a day, per partition; v_location_parcels sums them",
    public=False,
)

SKU_WEEKS = Table(
    "sku_weeks",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("location_id", "text", "key", "the location"),
        Column("week", "date", "key", "its Monday, UTC, by the warehouse's clock"),
        Column("shipped", "bigint", "sum", "units that left"),
    ),
    "Units of a SKU that left a location in a week",
)

LOCATION_PARCELS = View(
    "v_location_parcels",
    "Parcels that left a location on a day",
    {
        "location_id": "the location",
        "day": "the day, UTC, by the warehouse's clock",
        "dispatched": "parcels that left",
    },
    """SELECT location_id, day, sum(dispatched)::bigint
FROM location_days
GROUP BY location_id, day""",
)

PROJECTION = Projection("routing", (ROUTING_RULES, LOCATION_DAYS, SKU_WEEKS), fold, (LOCATION_PARCELS,))

__all__ = ["PROJECTION"]
