"""What is measured: the ledger or a peer, with the same orders in and the same questions after."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg

from benchmarks.traffic import Order, Traffic

Connection = psycopg.Connection[Any]


class Record(NamedTuple):
    """A record to send: full topic name, key, value."""

    topic: str
    key: bytes
    value: bytes


class Subject(Protocol):
    """One engine of the whole flow: place → reserve each line → allocated → visible in PostgreSQL."""

    name: str
    #: What a reader must know to judge the figures: versions and settings.
    settings: str
    connection: Connection
    #: What its topics begin with, and its database: both are removed when it has been measured.
    prefix: str
    database: str
    #: Rounds before the figures count.
    warm_ups: int
    #: Of the orders of a round: a slow one gets fewer, so that the run ends.
    share: float

    def start(self) -> None:
        """Make topics and tables, start the processes, give them stock, and return when it is in the tables."""

    def processes(self) -> dict[str, int]:
        """Process id by name. Exits when one has ended by itself."""

    def records(self, orders: Iterable[Order]) -> list[Record]: ...

    def visible(self) -> int:
        """Orders that PostgreSQL shows as allocated; everything of them must be visible then."""

    def sees(self, order_id: str) -> bool:
        """Whether PostgreSQL shows this order as allocated."""

    def topics(self) -> dict[str, int]:
        """Records by full topic name: offsets after the last one, transaction markers included."""

    def wrong(self, traffic: Traffic) -> list[str]:
        """Every total that is not what was ordered; empty if all are right."""

    def stop(self) -> None: ...


def compare(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [f"{name}: {found[name]}, not {value}" for name, value in wanted.items() if found[name] != value]


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
