"""The error of all connectors for a source that cannot be read: what / detail / hint."""

from __future__ import annotations

from runtime.errors import Fault


class UnreadableSource(Fault):
    """A file that cannot be turned into commands."""
