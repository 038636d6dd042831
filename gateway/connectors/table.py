"""All connectors. A new one is a row here, which its folder exports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.connectors.connector import Connector
from gateway.connectors.online_retail import CONNECTOR as ONLINE_RETAIL

CONNECTORS: Mapping[str, Connector] = {row.name: row for row in (ONLINE_RETAIL,)}


def connector_of(file: Path) -> Connector:
    """The first that takes files of this kind; the first of all where none does, whose words say what is wrong."""
    rows = list(CONNECTORS.values())
    return next((row for row in rows if file.suffix.lower() in row.kinds), rows[0])


def kinds_in_words() -> str:
    """`parquet, csv or xlsx`."""
    kinds = list(dict.fromkeys(kind.removeprefix(".") for row in CONNECTORS.values() for kind in row.kinds))
    return " or ".join([", ".join(kinds[:-1]), kinds[-1]]) if len(kinds) > 1 else kinds[0]
