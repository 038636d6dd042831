"""The port of a connector, which turns outside data into commands.

    CONNECTOR = Connector("online-retail", help="Import …", …, bring_in="gateway.connectors.online_retail.importing:…")

A connector is a folder beside this file that exports such a row; `table.py` finds it. The row is light: its functions
are imported when they are needed. Command ids are made from the ids in the file, so that the same file sent again
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg

from gateway.connectors.decimal_marks import DecimalMark

Command = dict[str, Any]


class Request(NamedTuple):
    """What to read: a file, its days (both included; None: all), and how to read it."""

    file: Path
    from_: date | None = None
    to: date | None = None
    seed: int = 1
    #: Without days: only the week with most sales.
    peak: bool = False
    decimal: DecimalMark | None = None


class Sending(Protocol):
    """Takes a connector's commands, phase by phase. When `phase` returns, it has settled and can be read back."""

    connection: psycopg.Connection[Any]

    def phase(self, name: str, commands: Iterable[Command], total: int | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Connector:
    """One kind of source."""

    #: `order-ledger import NAME`.
    name: str
    help: str
    example: str
    #: File name suffixes that it takes, and the fields that a file must have.
    kinds: tuple[str, ...]
    fields: tuple[str, ...]
    #: `module:function`, called with a `Sending` and a `Request`: sends all, and returns the account of the file's rows
    #: (`text` is for people). Raises Fault for a file that cannot be read.
    bring_in: str
    #: `module:function`, called with a `Request` and the days of a promise (None: as it is): returns the file's orders
    #: with simulated stock, for `what-if` (`gateway.reading.routing.History`). None: the connector simulates no
    #: warehouse, so neither `demo` nor `what-if` takes its files.
    history: str | None = None

    @property
    def kinds_in_words(self) -> str:
        """`parquet, csv or xlsx`."""
        *first, last = (kind.removeprefix(".") for kind in self.kinds)
        return f"{', '.join(first)} or {last}" if first else last
