"""What the product asks for by itself when something has happened.

A reaction is a pure function of a fact and of look-ups; it only asks: its commands go to the intake topics like
everybody's.

    OrderPlaced ──sourcing──► ReserveStock, AwaitStock ──ledger──► StockReserved ──allocation──► RecordAllocation

`wiring.py` says which fact has which reaction. `engine.py` makes commands of a batch of facts that
`processors.following` hands it, `lookups.py` talks to PostgreSQL, `sender.py` to Kafka, `app.py` is the Faust app and
`transport.py` where it is told to read from our positions, `run.py` the process.
"""

from events.catalogue import LEDGER_TOPICS
from processors.worker import Worker

WORKER = Worker(
    "reactions",
    run="processors.reactions.run:run_reactions",
    reads=LEDGER_TOPICS,
    settles="unanswered",
    own_signals=True,
    libraries=frozenset({"fastavro", "psycopg", "aiokafka"}),
)

__all__ = ["WORKER"]
