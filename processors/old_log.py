"""A ledger that a build wrote before all contracts were made anew: nothing in it can be read, so nobody works on it.

    refuse_old_log(services, codec)          # Fault where a ledger topic begins with a retired contract

Only the first record of a partition tells. A single retired record further on is a stray, from an old worker that was
left running: like all bytes that are no fact, it becomes a dead letter and stops nobody.
"""

from events.catalogue import LEDGER_TOPICS
from runtime.errors import Fault
from runtime.kafka import first_values
from runtime.services import Services
from schemas.codec import RETIRED, Codec, UndecodableError


def refuse_old_log(services: Services, codec: Codec) -> None:
    """To be asked before a worker, or a check, reads the ledger topics. Raises Fault."""
    for (topic, partition), value in first_values(services, map(services.topic, LEDGER_TOPICS)).items():
        try:
            codec.decode(value)
        except UndecodableError as error:
            if error.reason != RETIRED:
                continue
            raise Fault(
                "This ledger was written by a build from before the contracts were made anew",
                f"{topic}/{partition} begins with a record that this build cannot read: {error.detail}",
                "begin a new ledger under another ORDER_LEDGER_TOPIC_PREFIX; in embedded mode you may move "
                "ORDER_LEDGER_HOME away instead",
            ) from error
