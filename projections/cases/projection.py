"""Service cases as they are now: their topic, and whether they are resolved.

Effective: the versions say which fact of a case is the newest, whichever others are left out. A case that was not
opened yet has no row.
"""

from dataclasses import replace

from projections.cases.fold import fold
from projections.model import Column, Projection, Table

CASES = Table(
    "cases",
    (
        Column("case_id", "text", "key", "the case"),
        Column("order_id", "text", "first", "the order that it is about; null: none"),
        Column("channel", "text", "first", "how the customer got in touch: phone, email, chat or social; or ledger"),
        Column("topic", "text", "first", "what it is about"),
        Column("urgency", "text", "first", "how urgent it is"),
        Column("opened_at", "timestamptz", "first", "when it was opened"),
        Column("resolved_at", "timestamptz", "last", "when it was last resolved"),
        Column("resolved_version", "bigint", "max", "version of the newest resolution"),
        Column("reopened_version", "bigint", "max", "version of the newest reopening"),
        Column("reopened", "bigint", "sum", "how many times it was reopened"),
    ),
    "Service cases as they are now, one row each",
    derived={"state": "open or resolved"},
)

EFFECTIVE = Projection("cases", (replace(CASES, born_with="opened_at"),), fold)
PROJECTION = Projection("cases", (CASES,), fold, effective=EFFECTIVE)

__all__ = ["PROJECTION"]
