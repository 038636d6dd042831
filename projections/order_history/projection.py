"""Every fact of every order, by version. `story` reads it, and people look things up in it."""

from projections.model import Column, Projection, Table
from projections.order_history.fold import fold

ORDER_HISTORY = Table(
    "order_history",
    (
        Column("order_id", "text", "key", "the order"),
        Column("version", "bigint", "key", "number of the fact in the order's stream, from 1, without gaps"),
        Column("fact", "text", "last", "its type, for example OrderPlaced"),
        Column("occurred_at", "timestamptz", "last", "when it happened, by the channel's clock"),
        Column("recorded_at", "timestamptz", "last", "log time: when Kafka received the command"),
        Column("command_id", "text", "last", "the command that led to it"),
        Column(
            "channel", "text", "last", "the channel that sent the command; order-ledger for the ledger's own reactions"
        ),
        Column("actor", "text", "last", "the person or program that sent it, if known"),
        Column("event_id", "text", "last", "the fact's own id"),
        Column("correlation_id", "text", "last", "links all records of one intent: the id of the first command"),
        Column("data", "json", "last", "the fact's data, as in its contract"),
    ),
    "Every fact of an order, refusals included. Rows are only added",
    insert_only=True,
)

PROJECTION = Projection("order_history", (ORDER_HISTORY,), fold, version=2)

__all__ = ["PROJECTION"]
