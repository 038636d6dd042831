"""TrackingDeferred → a row that waits; the ShipmentTracked or TrackingExpired of the same number ends it."""

import polars as pl

from projections.model import SEQUENCE, Column, Deltas, FactBatch, Projection, Table, together

DEFERRED_TRACKING = Table(
    "deferred_tracking",
    (
        Column("order_id", "text", "key", "the order"),
        Column("number", "bigint", "key", "number of the scan among the order's deferred scans"),
        Column("waits_for", "text", "last", "the parcel whose dispatch it waits for"),
        Column("status", "text", "last", "what the carrier reports"),
        Column("scanned_at", "timestamptz", "last", "when the carrier scanned it"),
        Column("deferred_at", "timestamptz", "last", "log time at which the wait began"),
        Column("ends_at", "timestamptz", "last", "log time at which the wait ends, dispatched or not"),
        Column("ended", "text", "last", "applied: its parcel was dispatched; expired: it was not dispatched in time"),
        Column("ended_at", "timestamptz", "last", "log time at which the wait ended"),
    ),
    "Carriers' scans that came before their parcel's dispatch, one row each",
    derived={"state": "waiting, applied or expired"},
)


def fold(batch: FactBatch) -> Deltas:
    """Deltas for `deferred_tracking`."""
    told = batch.facts("TrackingDeferred").select(
        "order_id", "number", SEQUENCE, "waits_for", "status", "scanned_at", "ends_at", deferred_at="meta_recorded_at"
    )
    applied = batch.facts("ShipmentTracked").filter(pl.col("deferred").is_not_null())
    ends = [
        scans.select("order_id", SEQUENCE, number=number, ended=pl.lit(how), ended_at="meta_recorded_at")
        for scans, number, how in (
            (applied, "deferred", "applied"),
            (batch.facts("TrackingExpired"), "number", "expired"),
        )
    ]
    return {"deferred_tracking": together(told, *ends)}


PROJECTION = Projection("deferred_tracking", (DEFERRED_TRACKING,), fold)

__all__ = ["PROJECTION"]
