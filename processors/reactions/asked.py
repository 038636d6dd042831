"""A command as a reaction asks for it, before it is encoded.

    Asked.because(fact, "sourcing", command_id="o1:1:1001", data=ReserveStock(...))

Its id and its body are functions of the fact alone, so that a reaction that runs twice asks for the same thing, and the
ledger answers it once.
"""

from datetime import datetime
from typing import Any, NamedTuple

from events.catalogue import COMMANDS
from events.envelope import AnyRecorded


class Asked(NamedTuple):
    """One command. `data` is a struct of events/*/commands.py; `actor` is the reaction's name."""

    id: str
    data: Any
    actor: str
    occurred_at: datetime
    correlation_id: str | None
    causation_id: str | None

    @property
    def name(self) -> str:
        return type(self.data).__name__

    @property
    def key(self) -> str:
        """The stream that the command is for: its topic and key stand in the catalogue."""
        return str(getattr(self.data, COMMANDS[self.name].key))

    @classmethod
    def because(cls, fact: AnyRecorded, actor: str, *, command_id: str, data: Any) -> "Asked":
        """A command that this fact is the cause of, at the fact's own time."""
        return cls(command_id, data, actor, fact.occurred_at, fact.correlation_id, fact.event_id)
