"""Facts into tables: one decode per batch, many folds, rows and offsets in one transaction.

decode → accept → fold → write        pure, pure, pure (in `projections`), PostgreSQL
generations                           sets of tables, each in a schema of its own; the views of `public` show one
worker                                the loop around them, on live topics
span                                  the same on a span of the log, into a schema of its own
bare                                  writes into new tables, which get their keys at the end
"""

from events.catalogue import LEDGER_TOPICS
from processors.worker import Worker

WORKER = Worker(
    "projector",
    run="processors.projector.worker:run_projector",
    reads=LEDGER_TOPICS,
    settles="unprojected",
    positions="projector_positions",
    checks="processors.projector.checks:projector_checks",
)

__all__ = ["WORKER"]
