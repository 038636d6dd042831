"""All kinds of streams, and what follows from them: every command and fact by name, and the topics.

This list is complete: importing a module adds nothing to it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from events.cases.stream import STREAM as CASES
from events.categories.stream import STREAM as CATEGORIES
from events.locations.stream import STREAM as LOCATIONS
from events.orders.stream import STREAM as ORDERS
from events.refusal import CommandRefused
from events.routing.stream import STREAM as ROUTING
from events.stock.stream import STREAM as STOCK
from events.streams import AnyStream
from schemas.contracts import COMMAND_NAMESPACE, FACT_NAMESPACE

_ROWS: tuple[AnyStream, ...] = (ORDERS, STOCK, CATEGORIES, LOCATIONS, ROUTING, CASES)

#: By kind.
STREAMS: Mapping[str, AnyStream] = {row.kind: row for row in _ROWS}

_TOPICS = tuple(dict.fromkeys(row.topic for row in _ROWS))
INTAKE_TOPICS = tuple(f"intake.{topic}" for topic in _TOPICS)
LEDGER_TOPICS = tuple(f"ledger.{topic}" for topic in _TOPICS)
DEAD_LETTERS = "dead-letters"

#: Intake topic → the ledger topic with the answers. The answer has the partition of its command.
LEDGER_OF_INTAKE: Mapping[str, str] = dict(zip(INTAKE_TOPICS, LEDGER_TOPICS, strict=True))


class CommandType(NamedTuple):
    """A command: its class, the kind of its stream, its topic, the field that is its key. Only reactions send internal
    commands."""

    data: type[Any]
    kind: str
    topic: str
    key: str
    internal: bool

    @property
    def name(self) -> str:
        return self.data.__name__

    @property
    def schema(self) -> str:
        """Full name of its Avro record."""
        return f"{COMMAND_NAMESPACE}.{self.name}"


class FactType(NamedTuple):
    """A fact: its class, the kind of its stream, its topic, the field that is its key."""

    data: type[Any]
    kind: str
    topic: str
    key: str

    @property
    def name(self) -> str:
        return self.data.__name__

    @property
    def schema(self) -> str:
        """Full name of its Avro record."""
        return f"{FACT_NAMESPACE}.{self.name}"


#: By name. `CommandRefused` is written to the stream of the command that it answers.
COMMANDS: Mapping[str, CommandType] = {
    data.__name__: CommandType(data, row.kind, f"intake.{row.topic}", row.key, data in row.internal)
    for row in _ROWS
    for data in row.commands
}
FACTS: Mapping[str, FactType] = {
    data.__name__: FactType(data, row.kind, f"ledger.{row.topic}", row.key) for row in _ROWS for data in row.facts
}
REFUSAL_SCHEMA = f"{FACT_NAMESPACE}.{CommandRefused.__name__}"
