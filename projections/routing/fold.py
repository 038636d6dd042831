"""From facts to the tables that routing reads.

RoutingRulesSet       → the row of these rules
ShipmentDispatched    → location_days: +1 parcel that left there on that day
StockShipped 3        → sku_weeks: +3 units that left there in that week
"""

from collections.abc import Mapping

import polars as pl

from projections.model import SEQUENCE, FactBatch


def fold(batch: FactBatch) -> Mapping[str, pl.DataFrame]:
    """Deltas for the tables of `routing`."""
    return {
        "routing_rules": batch.facts("RoutingRulesSet").select(
            "rules_id",
            "number",
            "name",
            "text",
            SEQUENCE,
            set_at="meta_recorded_at",
            set_by=pl.coalesce("meta_actor", "meta_channel"),
        ),
        "location_days": batch.facts("ShipmentDispatched").select(
            "location_id",
            partition="meta_partition",
            day=pl.col("meta_occurred_at").dt.date(),
            dispatched=pl.lit(1, pl.Int64),
        ),
        "sku_weeks": batch.facts("StockShipped").select(
            "sku", "location_id", week=pl.col("meta_occurred_at").dt.truncate("1w").dt.date(), shipped="quantity"
        ),
    }
