"""Facts into tables: one decode per batch, many folds, rows and offsets in one transaction.

decode → accept → fold → write        pure, pure, pure (in `projections`), PostgreSQL
worker                                the loop around them, on live topics
span                                  the same on a span of the log, into a schema of its own
"""

from processors.projector.projector import Projector, Taken
from processors.projector.span import end_offsets_of, fold_span
from processors.projector.worker import run_projector
from processors.projector.write import Store, drop_tables, ensure_tables

__all__ = [
    "Projector",
    "Store",
    "Taken",
    "drop_tables",
    "end_offsets_of",
    "ensure_tables",
    "fold_span",
    "run_projector",
]
