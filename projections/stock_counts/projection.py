"""Counts that need a second count or another person's approval, and their outcome."""

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
            "units on record at that time, as known when it was reported; for applied counts, as known now",
        ),
        Column("variance", "bigint", "last", "counted - expected"),
        Column("counted_by", "text", "last", "who counted, separated by commas"),
        Column("reason", "text", "last", "reason of the count; for rejected counts, of the rejection"),
        Column("document", "text", "last", "number of the document"),
        Column("requested_at", "timestamptz", "last", "log time of the count"),
        Column("decided_at", "timestamptz", "last", "log time of the decision"),
        Column("decided_by", "text", "last", "who decided"),
    ),
    "Counts with large differences, which another person must approve",
    born_with="requested_at",
)

#: One row per SKU and location, which have at most one open count. The row stays, empty, when the count was repeated.
STOCK_RECOUNTS = Table(
    "stock_recounts",
    (
        Column("sku", "text", "key", "the SKU"),
        Column("location_id", "text", "key", "the location"),
        Column("asked_at", "timestamptz", "max", "log time of the first count"),
        Column("count_id", "text", "replace", "the first count; null once it was repeated"),
        Column("counted", "bigint", "replace", "units that were counted"),
        Column("counted_at", "timestamptz", "replace", "when they were counted"),
        Column("expected", "bigint", "replace", "units on record at that time, as known when the count was reported"),
        Column("variance", "bigint", "replace", "counted - expected"),
        Column("counted_by", "text", "replace", "who counted, separated by commas"),
        Column("reason", "text", "replace", "reason of the count"),
        Column("document", "text", "replace", "number of the document"),
    ),
    "First counts with large differences, which need a second count; one row per SKU and location",
    born_with="asked_at",
)

PROJECTION = Projection("stock_counts", (STOCK_COUNTS, STOCK_RECOUNTS), fold, version=2)

__all__ = ["PROJECTION"]
