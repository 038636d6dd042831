"""From the facts of counts to the counts that wait for a second count or for approval, and their outcome."""

import polars as pl

from projections.model import SEQUENCE, Deltas, FactBatch, Rows, together

_KEY = ("sku", "location_id", "count_id", SEQUENCE)


def fold(batch: FactBatch) -> Deltas:
    """Deltas for both tables. Facts of counts that never waited are dropped: they start no row."""
    decided = {"decided_at": "meta_recorded_at", "decided_by": "meta_actor"}
    counted, restated = (
        batch.facts(name).filter(pl.col("count_id").is_not_null()) for name in ("StockCounted", "CountRestated")
    )
    return {
        "stock_counts": together(
            batch.facts("CountApprovalRequested").select(
                *_KEY, "counted", "counted_at", "expected", "variance", "reason", "document",
                status=pl.lit("waiting"), counted_by=pl.col("counted_by").list.join(", "),
                requested_at="meta_recorded_at",
            ),
            counted.select(*_KEY, "expected", "variance", status=pl.lit("applied"), **decided),
            restated.select(*_KEY, "expected", "variance"),
            batch.facts("CountRejected").select(*_KEY, "variance", "reason", status=pl.lit("rejected"), **decided),
        ),
        "stock_recounts": _recounts(batch),
    }  # fmt: skip


def _recounts(batch: FactBatch) -> Rows:
    """A first count is open until a second one agrees and is applied, or waits for approval."""
    place = ("sku", "location_id", SEQUENCE)
    return together(
        batch.facts("RecountRequested").select(
            *place, "count_id", "counted", "counted_at", "expected", "variance", "reason", "document",
            counted_by=pl.col("counted_by").list.join(", "), asked_at="meta_recorded_at",
        ),
        batch.facts("StockCounted").select(*place),
        batch.facts("CountApprovalRequested").select(*place),
    )  # fmt: skip
