"""Which records are in which topics, for a schema registry, and the codec with the registry's ids.

codec = codec_for("http://registry:8081")     # ids of that registry; registers what is missing
codec = codec_for(None)                       # the fixed ids of schemas/ids.json
"""

from collections.abc import Mapping

from events.catalogue import COMMANDS, FACTS, LEDGER_TOPICS, REFUSAL_SCHEMA
from runtime.errors import Fault
from schemas.codec import Codec
from schemas.registry import ConfluentRegistry, IncompatibleError, Subjects, register


def topics_of_records(prefix: str = "") -> Mapping[str, tuple[str, ...]]:
    """Topics of every record by its full name, each with `prefix`. A refusal is in all ledger topics."""
    topics: dict[str, tuple[str, ...]] = {row.schema: (prefix + row.topic,) for row in COMMANDS.values()}
    topics.update({row.schema: (prefix + row.topic,) for row in FACTS.values()})
    topics[REFUSAL_SCHEMA] = tuple(prefix + topic for topic in LEDGER_TOPICS)
    return topics


def codec_for(registry_url: str | None, prefix: str = "") -> Codec:
    """A codec with the ids of the registry at the URL, or with the fixed ids if none is configured.

    Raises Fault if the registry has incompatible contracts under our subjects.
    """
    if registry_url is None:
        return Codec()
    try:
        return Codec(register(ConfluentRegistry(registry_url), Subjects(topics_of_records(prefix))))
    except IncompatibleError as error:
        raise Fault(
            f"The schema registry refuses the contract of {error.subject}",
            f"it has an incompatible one, perhaps of an old version of the contracts: {error}",
            "begin a new ledger under another ORDER_LEDGER_TOPIC_PREFIX, or with an empty registry",
        ) from error
