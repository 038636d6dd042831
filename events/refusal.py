"""The one answer that changes nothing: a command that was understood and refused."""

from msgspec import Struct

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
