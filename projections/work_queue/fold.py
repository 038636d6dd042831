"""From OrderQueued and OrderUnqueued to rows. Versions show which of the two came last, so the fold needs no state."""

from projections.model import SEQUENCE, Deltas, FactBatch, together

_KEY = ("order_id", "queue", SEQUENCE)


def fold(batch: FactBatch) -> Deltas:
    """Deltas for `work_queue`."""
    queued = batch.facts("OrderQueued").select(
        *_KEY, "reason", "detail", since="meta_occurred_at", queued_version="meta_version"
    )
    ended = batch.facts("OrderUnqueued").select(
        *_KEY, "resolution", ended_at="meta_occurred_at", ended_version="meta_version"
    )
    return {"work_queue": together(queued, ended)}
