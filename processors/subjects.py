"""Which records stand in which topics, as a schema registry wants to know, and the codec that follows from it.

codec = codec_for("http://registry:8081")     # ids of that registry; registers what is missing
codec = codec_for(None)                       # the fixed ids of schemas/ids.json
"""

from collections.abc import Mapping

from events.catalogue import COMMANDS, FACTS, LEDGER_TOPICS, REFUSAL_SCHEMA
from runtime.errors import Fault
from schemas.codec import Codec
from schemas.registry import ConfluentRegistry, IncompatibleError, Subjects, register


def topics_of_records(prefix: str = "") -> Mapping[str, tuple[str, ...]]:
    """Topics of every record by its full name, `prefix` before each; a refusal stands in all ledger topics."""
    topics: dict[str, tuple[str, ...]] = {row.schema: (prefix + row.topic,) for row in COMMANDS.values()}
    topics.update({row.schema: (prefix + row.topic,) for row in FACTS.values()})
    topics[REFUSAL_SCHEMA] = tuple(prefix + topic for topic in LEDGER_TOPICS)
    return topics


def codec_for(registry_url: str | None, prefix: str = "") -> Codec:
    """A codec with the ids of the registry behind the URL, or with the fixed ids where none is configured.

    Raises Fault where the registry holds other contracts under our subjects.
    """
    if registry_url is None:
        return Codec()
    try:
        return Codec(register(ConfluentRegistry(registry_url), Subjects(topics_of_records(prefix))))
    except IncompatibleError as error:
        raise Fault(
            f"The schema registry refuses the contract of {error.subject}",
            f"it holds one that does not go with it, as builds from before the contracts were made anew had: {error}",
            "begin a new ledger under another ORDER_LEDGER_TOPIC_PREFIX, or with an empty registry",
        ) from error
