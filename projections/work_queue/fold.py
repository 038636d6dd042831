"""From OrderQueued and OrderUnqueued to rows. Versions show which of the two came last, so the fold needs no state."""

from collections.abc import Mapping

import polars as pl

from projections.model import SEQUENCE, FactBatch

_KEY = ("order_id", "queue", SEQUENCE)


def fold(batch: FactBatch) -> Mapping[str, pl.DataFrame]:
    """Deltas for `work_queue`."""
    queued = batch.facts("OrderQueued").select(
        *_KEY, "reason", "detail", since="meta_occurred_at", queued_version="meta_version"
    )
    ended = batch.facts("OrderUnqueued").select(
        *_KEY, "resolution", ended_at="meta_occurred_at", ended_version="meta_version"
    )
    return {"work_queue": pl.concat([queued, ended], how="diagonal")}
