"""Counts that have to be repeated, or approved by another person, and what became of these."""

from projections.model import Column, Projection, Table
from projections.stock_counts.fold import fold

STOCK_COUNTS = Table(
    "stock_counts",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("location_id", "text", "key", "the location"),
        Column("count_id", "text", "key", "the count"),
        Column("status", "text", "last", "waiting, applied or rejected"),
        Column("counted", "bigint", "last", "units that were counted"),
        Column("counted_at", "timestamptz", "last", "when they were counted"),
        Column(
            "expected",
            "bigint",
            "last",
            "units on record at that time, as known when it was reported; once applied, as known now",
        ),
        Column("variance", "bigint", "last", "counted - expected"),
        Column("counted_by", "text", "last", "who counted, with commas between them"),
        Column("reason", "text", "last", "reason of the count; once it is rejected, of the rejection"),
        Column("document", "text", "last", "the document, as it was given"),
        Column("requested_at", "timestamptz", "last", "log time of the count"),
        Column("decided_at", "timestamptz", "last", "log time of the decision"),
        Column("decided_by", "text", "last", "who decided"),
    ),
    "Counts that differ by so much that another person has to approve them",
    born_with="requested_at",
)

#: One row per place: a place has one open count at most. It stays, empty, when the count was repeated.
STOCK_RECOUNTS = Table(
    "stock_recounts",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("location_id", "text", "key", "the location"),
        Column("asked_at", "timestamptz", "max", "log time of the first count"),
        Column("count_id", "text", "replace", "the first count; null when it has been repeated"),
        Column("counted", "bigint", "replace", "units that were counted"),
        Column("counted_at", "timestamptz", "replace", "when they were counted"),
        Column("expected", "bigint", "replace", "units on record at that time, as known when the count was reported"),
        Column("variance", "bigint", "replace", "counted - expected"),
        Column("counted_by", "text", "replace", "who counted, with commas between them"),
        Column("reason", "text", "replace", "the reason, as it was given"),
        Column("document", "text", "replace", "the document, as it was given"),
    ),
    "First counts that differ by so much that somebody has to count again; one row per place",
    born_with="asked_at",
)

PROJECTION = Projection("stock_counts", (STOCK_COUNTS, STOCK_RECOUNTS), fold)

__all__ = ["PROJECTION"]
