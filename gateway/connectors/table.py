"""All connectors: each folder beside this file exports its row.

There is no hand-written list, so that a new connector touches no file outside its folder. A folder without a row fails
when this is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

from gateway.connectors.connector import Connector


def _rows() -> Iterator[Connector]:
    for folder in sorted(Path(__file__).parent.glob("*/__init__.py")):
        yield import_module(f"gateway.connectors.{folder.parent.name}").CONNECTOR


CONNECTORS: Mapping[str, Connector] = {row.name: row for row in _rows()}


def connector_of(file: Path) -> Connector:
    """The first connector with a history that takes files of this kind. If none does, the first with a history: its
    error will say what is wrong with the file.
    """
    rows = [row for row in CONNECTORS.values() if row.history]
    return next((row for row in rows if file.suffix.lower() in row.kinds), rows[0])
