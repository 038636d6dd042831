"""Orders that wait for a person's decision: one row for each order and queue."""

from projections.model import Column, Projection, Table
from projections.work_queue.fold import fold

WORK_QUEUE = Table(
    "work_queue",
    (
        Column("order_id", "text", "key", "the order"),
        Column("queue", "text", "key", "for example routing_exceptions or rejections"),
        Column("since", "timestamptz", "last", "when it was last queued, by the sender's clock"),
        Column("reason", "text", "last", "why, in one word"),
        Column("detail", "text", "last", "why, in a sentence"),
        Column("queued_version", "bigint", "max", "version of the order when it was last queued"),
        Column("ended_at", "timestamptz", "last", "when it last ended"),
        Column(
            "resolution",
            "text",
            "last",
            "how it last ended: a person chose retry, cancel or leave; over: no open units were left",
        ),
        Column("ended_version", "bigint", "max", "version of the order when it last ended"),
    ),
    "Orders that wait for a person's decision, one row for each order and queue",
    derived={"state": "open or closed"},
)

PROJECTION = Projection("work_queue", (WORK_QUEUE,), fold)

__all__ = ["PROJECTION"]
