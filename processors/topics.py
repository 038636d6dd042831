"""The settings of the topics on the broker."""

from collections.abc import Mapping

from events.catalogue import DEAD_LETTERS, INTAKE_TOPICS, LEDGER_TOPICS
from runtime.kafka import TopicSpec, create_topics
from runtime.services import Services
from runtime.settings import Settings

#: Commands are kept this long; facts are kept for ever. Shorter leaves less time to look at what a channel sent, and a
#: writer that was away longer loses commands; longer only costs disk.
INTAKE_KEPT_DAYS = 30
_MS_PER_DAY = 86_400_000

#: Largest command on the broker: the largest that the API accepts (1 MB), with its frame and headers.
COMMAND_RECORD_BYTES_MAX = 1_200_000
#: Largest fact: it may name each line of a large order several times (`FACT_BYTES_MAX` of `processors.ledger.partition`
#: and its key). Smaller stops the ledger at such a command; larger only lets a mistake take more room.
FACT_RECORD_BYTES_MAX = 6_000_000
#: Any record of another topic must fit in here with its headers. Otherwise no worker could get past such a record.
DEAD_LETTER_BYTES_MAX = 7_000_000


def topic_specs(services: Services, settings: Settings) -> list[TopicSpec]:
    """All topics by their full names. The broker sets the time of commands: log time must not come from a channel."""
    intake = {
        "cleanup.policy": "delete",
        "max.message.bytes": str(COMMAND_RECORD_BYTES_MAX),
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(INTAKE_KEPT_DAYS * _MS_PER_DAY),
    }
    for_ever = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    facts = {**for_ever, "max.message.bytes": str(FACT_RECORD_BYTES_MAX)}
    letters = {**for_ever, "max.message.bytes": str(DEAD_LETTER_BYTES_MAX)}
    configs: Mapping[str, dict[str, str]] = (
        dict.fromkeys(INTAKE_TOPICS, intake) | dict.fromkeys(LEDGER_TOPICS, facts) | {DEAD_LETTERS: letters}
    )
    return [
        TopicSpec(services.topic(name), settings.partitions, settings.replication, config)
        for name, config in configs.items()
    ]


def ensure_topics(services: Services, settings: Settings) -> None:
    """Create missing topics. Raises Fault if one has another number of partitions."""
    create_topics(services, topic_specs(services, settings))
