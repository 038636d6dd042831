"""Counts that have to be repeated, or approved by another person, and what became of these."""

from projections.model import Column, Projection, Table
from projections.stock_counts.fold import fold

STOCK_COUNTS = Table(
    "stock_counts",
    (
        Column("sku", "text", "key"),
        Column("location_id", "text", "key"),
        Column("count_id", "text", "key"),
        Column("status", "text", "last"),
        Column("counted", "bigint", "last"),
        Column("counted_at", "timestamptz", "last"),
        Column("expected", "bigint", "last"),
        Column("variance", "bigint", "last"),
        Column("counted_by", "text", "last"),
        Column("reason", "text", "last"),
        Column("document", "text", "last"),
        Column("requested_at", "timestamptz", "last"),
        Column("decided_at", "timestamptz", "last"),
        Column("decided_by", "text", "last"),
    ),
    born_with="requested_at",
)

#: One row per place: a place has one open count at most. It stays, empty, when the count was repeated.
STOCK_RECOUNTS = Table(
    "stock_recounts",
    (
        Column("sku", "text", "key"),
        Column("location_id", "text", "key"),
        Column("asked_at", "timestamptz", "max"),
        Column("count_id", "text", "replace"),
        Column("counted", "bigint", "replace"),
        Column("counted_at", "timestamptz", "replace"),
        Column("expected", "bigint", "replace"),
        Column("variance", "bigint", "replace"),
        Column("counted_by", "text", "replace"),
        Column("reason", "text", "replace"),
        Column("document", "text", "replace"),
    ),
    born_with="asked_at",
)

PROJECTION = Projection("stock_counts", (STOCK_COUNTS, STOCK_RECOUNTS), fold)

__all__ = ["PROJECTION"]
