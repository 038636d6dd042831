"""The refusal: a command was understood, and nothing changed.

**A command without effect is refused.** A command that asks for the present state is refused with that state
(`already_so`). Its sender would expect "accepted" to change something, and every accepted fact raises the version that
others rely on. This applies to quantities, promises, holds, policies, rules, registrations and assignments.

A command that reports an event (a scan, a note, a count, a receipt, a refund) is accepted every time, because the event
has happened. If one of the ledger's own reactions repeats itself, the command is not refused: it makes no facts.
"""

from msgspec import Struct

from events.envelope import Refused
from events.values import Id, Text, Total


class CommandRefused(Struct, frozen=True, kw_only=True):
    """A command was understood and refused; nothing changed."""

    command: Id
    code: Id
    what: Text
    detail: Text
    hint: Text
    at_most: Total | None = None


RefusalFact = CommandRefused


def already_so(what: str, detail: str, hint: str = "nothing needs to be done", at_most: int | None = None) -> Refused:
    """The refusal of a command that would change nothing. `detail` gives the present values."""
    return Refused(code="conflict", what=what, detail=detail, hint=hint, at_most=at_most)
