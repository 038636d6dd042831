"""One row per fact of `ledger.orders`, refusals included; `data` is the fact's own fields as JSON."""

import polars as pl

from projections.model import SEQUENCE, Deltas, FactBatch, Rows, together

#: PostgreSQL's text cannot hold NUL, so this table has the replacement character instead. The log keeps the original.
#: A backslash of a text is two in JSON: `\\\\u0000` is a backslash and five letters. So pairs stand aside meanwhile.
_STORABLE = (("\\\\", "\x00"), ("\\u0000", "\\ufffd"), ("\x00", "\\\\"))


def fold(batch: FactBatch) -> Deltas:
    """Rows for `order_history`, in log order."""
    rows = []
    for name, frame in batch.frames.items():
        of_orders = frame["topic"] == "ledger.orders"
        if not of_orders.any():
            continue
        data = pl.col("data").struct.json_encode()
        for found, instead in _STORABLE:
            data = data.str.replace_all(found, instead, literal=True)
        rows.append(
            Rows(frame if of_orders.all() else frame.filter(of_orders)).select(
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
    return {"order_history": together(*rows).then(lambda facts: facts.sort(SEQUENCE))}
