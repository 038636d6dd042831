"""One form for errors that a person sees: what happened, the detail, what to do about it."""

from __future__ import annotations


class Fault(Exception):
    """An error outside the domain; its `str()` has up to three parts: what, detail, hint."""

    def __init__(self, what: str, detail: str = "", hint: str = "") -> None:
        super().__init__(what, detail, hint)
        self.what = what
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.detail:
            lines.append(f"  detail: {self.detail}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)
