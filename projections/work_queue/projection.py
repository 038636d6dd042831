"""Orders that a person is to decide about: one row for each order and queue."""

from projections.model import Column, Projection, Table
from projections.work_queue.fold import fold

WORK_QUEUE = Table(
    "work_queue",
    (
        Column("order_id", "text", "key"),
        Column("queue", "text", "key"),
        Column("since", "timestamptz", "last"),
        Column("reason", "text", "last"),
        Column("detail", "text", "last"),
        Column("queued_version", "bigint", "max"),
        Column("ended_at", "timestamptz", "last"),
        Column("resolution", "text", "last"),
        Column("ended_version", "bigint", "max"),
    ),
)

PROJECTION = Projection("work_queue", (WORK_QUEUE,), fold)

__all__ = ["PROJECTION"]
