"""From the facts of counts to those that wait for approval, and what became of them."""

from collections.abc import Mapping

import polars as pl

from projections.model import SEQUENCE, FactBatch

_KEY = ("sku", "location_id", "count_id", SEQUENCE)


def fold(batch: FactBatch) -> Mapping[str, pl.DataFrame]:
    """Deltas for `stock_counts`; facts of counts that never waited are dropped, as no row begins with them."""
    decided = {"decided_at": "meta_recorded_at", "decided_by": "meta_actor"}
    counted = batch.facts("StockCounted").filter(pl.col("count_id").is_not_null())
    return {
        "stock_counts": pl.concat(
            [
                batch.facts("CountApprovalRequested").select(
                    *_KEY, "counted", "counted_at", "expected", "variance", "reason", "document",
                    status=pl.lit("waiting"), counted_by=pl.col("counted_by").list.join(", "),
                    requested_at="meta_recorded_at",
                ),
                counted.select(*_KEY, "expected", "variance", status=pl.lit("applied"), **decided),
                batch.facts("CountRejected").select(*_KEY, "variance", "reason", status=pl.lit("rejected"), **decided),
            ],
            how="diagonal",
        )
    }  # fmt: skip
