"""Refuses a ledger written with an old version of the contracts: this build cannot read it.

    refuse_old_log(services, codec)          # Fault if a ledger topic begins with a retired contract

Only the first record of a partition counts. A single retired record later on comes from an old worker that was left
running. Like all bytes that are no fact, it becomes a dead letter and stops nothing.
"""

from events.catalogue import LEDGER_TOPICS
from runtime.errors import Fault
from runtime.kafka import first_values
from runtime.services import Services
from schemas.codec import RETIRED, Codec, UndecodableError


def refuse_old_log(services: Services, codec: Codec) -> None:
    """Raise Fault for an old ledger. Workers and checks call this before they read the ledger topics."""
    for (topic, partition), value in first_values(services, map(services.topic, LEDGER_TOPICS)).items():
        try:
            codec.decode(value)
        except UndecodableError as error:
            if error.reason != RETIRED:
                continue
            raise Fault(
                "This ledger was written with an old version of the contracts",
                f"{topic}/{partition} begins with a record that this build cannot read: {error.detail}",
                "begin a new ledger under another ORDER_LEDGER_TOPIC_PREFIX; in embedded mode you may move "
                "ORDER_LEDGER_HOME away instead",
            ) from error
