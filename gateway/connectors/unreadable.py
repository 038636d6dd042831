"""The one error of all connectors: a source that cannot be read, said as what / detail / hint."""

from __future__ import annotations

from runtime.errors import Fault


class UnreadableSource(Fault):
    """A file that no command can be made from."""
