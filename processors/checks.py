"""What `doctor` finds, one line each; workers bring checks of their own along (`processors.worker`).

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
    """One finding. `hint` is empty where there is nothing to do.

    A warning that counts what has been can be acknowledged: `subject` is what it is about, `state` what is known of it.
    It is given again when more comes.
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
    """A time as people read it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def rows_of(services: Services, query: str) -> list[dict[str, Any]]:
    """Rows of a table that a worker makes when it first runs; none where it never ran."""
    with connect(services, "doctor", autocommit=True) as connection:
        try:
            cursor = connection.execute(query.encode())
        except psycopg.errors.UndefinedTable:
            return []
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]
