"""Every fact of every order, in the order's own order: what `story` tells and what a person looks up."""

from projections.model import Column, Projection, Table
from projections.order_history.fold import fold

ORDER_HISTORY = Table(
    "order_history",
    (
        Column("order_id", "text", "key"),
        Column("version", "bigint", "key"),
        Column("fact", "text", "last"),
        Column("occurred_at", "timestamptz", "last"),
        Column("recorded_at", "timestamptz", "last"),
        Column("command_id", "text", "last"),
        Column("channel", "text", "last"),
        Column("actor", "text", "last"),
        Column("event_id", "text", "last"),
        Column("correlation_id", "text", "last"),
        Column("data", "jsonb", "last"),
    ),
    insert_only=True,
)

PROJECTION = Projection("order_history", (ORDER_HISTORY,), fold)

__all__ = ["PROJECTION"]
