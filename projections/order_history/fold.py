"""One row per fact of `ledger.orders`, refusals included; `data` is the fact's own fields as JSON."""

from collections.abc import Mapping

import polars as pl

from projections.model import SEQUENCE, FactBatch

#: PostgreSQL's jsonb cannot hold NUL, so this table has the replacement character instead. The log keeps the original.
_NUL, _REPLACEMENT = "\\u0000", "\\ufffd"


def fold(batch: FactBatch) -> Mapping[str, pl.DataFrame]:
    """Rows for `order_history`, in log order."""
    rows = []
    for name, frame in batch.frames.items():
        data = pl.col("data").struct.json_encode().str.replace_all(_NUL, _REPLACEMENT, literal=True)
        rows.append(
            frame.filter(pl.col("topic") == "ledger.orders").select(
                "version",
                "occurred_at",
                "recorded_at",
                "command_id",
                "channel",
                "actor",
                "event_id",
                "correlation_id",
                order_id="stream_id",
                fact=pl.lit(name),
                data=data,
                **{SEQUENCE: pl.col("seq")},
            )
        )
    if not rows:
        return {}
    return {"order_history": pl.concat(rows).sort(SEQUENCE)}
