"""Counts that another person has to approve, and what became of them."""

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

PROJECTION = Projection("stock_counts", (STOCK_COUNTS,), fold)

__all__ = ["PROJECTION"]
