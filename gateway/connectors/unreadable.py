"""The one error of all connectors: a source that cannot be read, said as what / detail / hint."""

from __future__ import annotations


class UnreadableSource(Exception):
    """A file that no command can be made from; `what` happened, the `detail`, and a `hint` what to do."""

    def __init__(self, what: str, detail: str, hint: str) -> None:
        super().__init__(f"{what}: {detail} ({hint})")
        self.what = what
        self.detail = detail
        self.hint = hint
