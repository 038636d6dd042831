"""The ledger writer, the only writer of facts: `partition` decides, `snapshots` remembers, `writer` moves the bytes."""

from events.catalogue import INTAKE_TOPICS
from processors.worker import Worker

WORKER = Worker(
    "ledger", run="processors.ledger.writer:run_ledger", reads=INTAKE_TOPICS, settles="undecided", own_topics=True
)

__all__ = ["WORKER"]
