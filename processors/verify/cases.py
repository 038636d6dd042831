"""Service cases, one fact at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.verify.facts import Handler
from processors.verify.rows import Expected, Row, Table


@dataclass(slots=True)
class Case(Row):
    order_id: str | None = None
    channel: str | None = None
    topic: str | None = None
    urgency: str | None = None
    opened_at: datetime | None = None
    resolved_at: datetime | None = None
    resolved_version: int | None = None
    reopened_version: int | None = None
    reopened: int = 0

    @property
    def state(self) -> str:
        """Resolved until it is reopened; otherwise open."""
        if self.resolved_version is not None and self.resolved_version > (self.reopened_version or 0):
            return "resolved"
        return "open"


class Cases:
    """Table `cases`."""

    def __init__(self) -> None:
        self.cases = Table("cases", ("case_id",), Case)

    @property
    def tables(self) -> tuple[Expected, ...]:
        return (self.cases,)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name of the fact."""
        return {"CaseOpened": self.opened, "CaseResolved": self.resolved, "CaseReopened": self.reopened}

    def opened(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.cases.row(data["case_id"])
        for name in ("order_id", "channel", "topic", "urgency"):
            setattr(row, name, data[name])
        row.opened_at = fact["occurred_at"]

    def resolved(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.cases.row(data["case_id"])
        row.resolved_at = fact["occurred_at"]
        row.resolved_version = fact["version"]

    def reopened(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.cases.row(data["case_id"])
        row.reopened_version = fact["version"]
        row.reopened += 1
