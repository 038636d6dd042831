"""The topics as they have to be on the broker, and the codec that belongs to them."""

from collections.abc import Mapping

from events.catalogue import DEAD_LETTERS, INTAKE_TOPICS, LEDGER_TOPICS
from runtime.kafka import TopicSpec, create_topics
from runtime.services import Services
from runtime.settings import Settings

#: Commands are kept this long; facts for ever. Shorter leaves less time to look at what a channel sent, and a writer
#: that was away for longer finds a hole; longer only costs disk.
INTAKE_KEPT_DAYS = 30
_MS_PER_DAY = 86_400_000

#: A record may be this large on the broker: the largest command (1 MB at our own edge) with its frame and headers.
RECORD_BYTES_MAX = 1_200_000


def topic_specs(services: Services, settings: Settings) -> list[TopicSpec]:
    """All topics by their full names. The broker stamps commands: log time must not come from a channel."""
    common = {"max.message.bytes": str(RECORD_BYTES_MAX), "cleanup.policy": "delete"}
    intake = {**common, "message.timestamp.type": "LogAppendTime", "retention.ms": str(INTAKE_KEPT_DAYS * _MS_PER_DAY)}
    for_ever = {**common, "retention.ms": "-1", "retention.bytes": "-1"}
    configs: Mapping[str, dict[str, str]] = (
        dict.fromkeys(INTAKE_TOPICS, intake) | dict.fromkeys(LEDGER_TOPICS, for_ever) | {DEAD_LETTERS: for_ever}
    )
    return [
        TopicSpec(services.topic(name), settings.partitions, settings.replication, config)
        for name, config in configs.items()
    ]


def ensure_topics(services: Services, settings: Settings) -> dict[str, str]:
    """Make the topics that are missing; topic id by full name. Fault where one has another number of partitions."""
    return create_topics(services, topic_specs(services, settings))
