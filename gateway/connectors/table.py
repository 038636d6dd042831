"""All connectors: each folder beside this file exports its row, and the folders are the list.

A list to be written by hand would be the one file outside its folder that a connector touches. Nothing else can be left
out by it: a folder without a row fails at once, and loud.
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
    """The first with a history that takes files of this kind; the first of these where none does, whose words say what
    is wrong.
    """
    rows = [row for row in CONNECTORS.values() if row.history]
    return next((row for row in rows if file.suffix.lower() in row.kinds), rows[0])
