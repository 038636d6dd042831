"""From facts to the tables that routing reads.

RoutingRulesSet       → the row of these rules
ShipmentDispatched    → location_days: +1 parcel that left there on that day; DispatchRetracted: -1
StockShipped 3        → sku_weeks: +3 units that left there in that week; StockRestored 3: -3
"""

import polars as pl

from projections.model import SEQUENCE, Deltas, FactBatch, together


def fold(batch: FactBatch) -> Deltas:
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
        "location_days": together(
            *(
                batch.facts(name).select(
                    "location_id",
                    partition="meta_partition",
                    day=pl.col(left_at).dt.date(),
                    dispatched=pl.lit(parcels, pl.Int64),
                )
                for name, left_at, parcels in (
                    ("ShipmentDispatched", "meta_occurred_at", 1),
                    ("DispatchRetracted", "dispatched_at", -1),
                )
            )
        ),
        "sku_weeks": together(
            *(
                batch.facts(name).select(
                    "sku", "location_id", week=pl.col("meta_occurred_at").dt.truncate("1w").dt.date(), shipped=units
                )
                for name, units in (("StockShipped", pl.col("quantity")), ("StockRestored", -pl.col("quantity")))
            )
        ),
    }
