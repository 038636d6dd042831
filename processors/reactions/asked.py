"""A command as a reaction asks for it, before it is encoded.

    Asked.because(fact, "sourcing", command_id=named("o1", "1", 1001), data=ReserveStock(...))

Its id and its body are functions of the fact alone, so that a reaction that runs twice asks for the same thing, and the
ledger answers it once.
"""

from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from events.catalogue import COMMANDS
from events.envelope import AnyRecorded
from events.values import ID_LENGTH_MAX


def named(*parts: str | int) -> str:
    """The id of a command, by what it is for.

    Parts are ids of channels: as long as an id may be, with any letters. Where their sequence would be too long for an
    id, or could be that of other parts ("a:b", "c" and "a", "b:c"), a digest stands for it.

    >>> named("ship", "A-1001", "S1", 1)
    'ship:A-1001:S1:1'
    >>> named("ship", "A:1001", "S1", 1)
    '#cd2b820fe48f8d7d0860dc9cdaadb0fc'
    """
    texts = list(map(str, parts))
    plain = ":".join(texts)
    # A "#" within a part is harmless; only then each part has to be looked at.
    if (
        len(plain) <= ID_LENGTH_MAX
        and plain.count(":") == len(texts) - 1
        and ("#" not in plain or not any(text.startswith("#") for text in texts))
    ):
        return plain
    digest = blake2b(digest_size=16)
    for text in texts:
        digest.update(f"{len(text)}:{text};".encode())
    return f"#{digest.hexdigest()}"


class Asked(NamedTuple):
    """One command. `data` is a struct of events/*/commands.py; `actor` is the reaction's name. `unproved`: the plan
    behind it is good, but not proved to be the best.
    """

    id: str
    data: Any
    actor: str
    occurred_at: datetime
    correlation_id: str | None
    causation_id: str | None
    unproved: bool = False

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
