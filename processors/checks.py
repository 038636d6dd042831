"""The checks of `doctor`, one line each. A worker can add its own (`processors.worker`).

def my_checks(services, settings):
    yield Check("effects", "ok", "No call waits for its receiver")
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg

from runtime.postgres import connect
from runtime.services import Services

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `hint` is empty if there is nothing to do.

    A warning about past events can be acknowledged: `subject` is what it is about, `state` is how much of it is known.
    It comes again when there is more.
    """

    name: str
    verdict: Verdict
    what: str
    detail: str = ""
    hint: str = ""
    subject: str = ""
    state: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def minute(at: datetime) -> str:
    """A time for people."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def rows_of(services: Services, query: str) -> list[dict[str, Any]]:
    """Rows of a table that a worker creates when it first runs; none if it never ran."""
    with connect(services, "doctor", autocommit=True) as connection:
        try:
            cursor = connection.execute(query.encode())
        except psycopg.errors.UndefinedTable:
            return []
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]
