"""What a run says when something that must always hold does not."""

from __future__ import annotations


class Broken(Exception):
    """`invariant` is a stable name: a smaller run is the same failure when it breaks the same one."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail


class Crash(Exception):
    """A process dies here. Never an error: who runs the process catches it and starts another."""


def must(holds: object, invariant: str, detail: object = "") -> None:
    """Raise Broken unless `holds`."""
    if not holds:
        raise Broken(invariant, str(detail))  # the text is made only here: it costs more than the check
