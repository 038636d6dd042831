"""Work queues, one fact at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.verify.facts import Handler
from processors.verify.rows import Expected, Row, Table


@dataclass(slots=True)
class Entry(Row):
    since: datetime | None = None
    reason: str | None = None
    detail: str | None = None
    queued_version: int | None = None
    ended_at: datetime | None = None
    resolution: str | None = None
    ended_version: int | None = None

    @property
    def state(self) -> str:
        """Open if it was queued after it last ended."""
        if self.ended_version is None or (self.queued_version or 0) > self.ended_version:
            return "open"
        return "closed"


class Queues:
    """Table `work_queue`."""

    def __init__(self) -> None:
        self.entries = Table("work_queue", ("order_id", "queue"), Entry)

    @property
    def tables(self) -> tuple[Expected, ...]:
        return (self.entries,)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name of the fact."""
        return {"OrderQueued": self.queued, "OrderUnqueued": self.unqueued}

    def queued(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        entry = self.entries.row(data["order_id"], data["queue"])
        entry.since = fact["occurred_at"]
        entry.reason, entry.detail = data["reason"], data["detail"]
        entry.queued_version = fact["version"]

    def unqueued(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        entry = self.entries.row(data["order_id"], data["queue"])
        entry.ended_at = fact["occurred_at"]
        entry.resolution = data["resolution"]
        entry.ended_version = fact["version"]
