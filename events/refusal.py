"""The one answer that changes nothing: a command that was understood and refused.

**No effect is no acceptance.** A command that wants something to be so, and it is so already, is refused (`already_so`)
with what is so now: whoever is told "accepted" believes that something will come of it, and every accepted fact moves
the version that others decide on. This holds for what a command changes: quantities, promises, holds, policies, rules,
registrations, assignments.

A command that reports what happened is accepted however often it happens: a scan, a note, a count, a receipt, a refund.
The report is its effect. And what the ledger's own reactions ask for a second time is no refusal but nothing at all: a
decider returns no facts.
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
    """The refusal of a command that would change nothing. `detail` says what is so, with its values."""
    return Refused(code="conflict", what=what, detail=detail, hint=hint, at_most=at_most)
