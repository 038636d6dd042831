"""From CaseOpened, CaseResolved and CaseReopened to rows. Versions show which of the last two came later, so the fold
needs no state.
"""

import polars as pl

from projections.model import SEQUENCE, Deltas, FactBatch, together

_KEY = ("case_id", SEQUENCE)


def fold(batch: FactBatch) -> Deltas:
    """Deltas for `cases`."""
    opened = batch.facts("CaseOpened").select(
        *_KEY, "order_id", "channel", "topic", "urgency", opened_at="meta_occurred_at"
    )
    resolved = batch.facts("CaseResolved").select(
        *_KEY, resolved_at="meta_occurred_at", resolved_version="meta_version"
    )
    reopened = batch.facts("CaseReopened").select(*_KEY, reopened_version="meta_version", reopened=pl.lit(1, pl.Int64))
    return {"cases": together(opened, resolved, reopened)}
