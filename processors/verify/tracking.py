"""Deferred scans, one fact at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.verify.facts import Handler
from processors.verify.rows import Expected, Row, Table


@dataclass(slots=True)
class Scan(Row):
    waits_for: str | None = None
    status: str | None = None
    scanned_at: datetime | None = None
    deferred_at: datetime | None = None
    ends_at: datetime | None = None
    ended: str | None = None
    ended_at: datetime | None = None

    @property
    def state(self) -> str:
        """Waiting until a fact ends it."""
        return "waiting" if self.ended is None else self.ended


class Deferrals:
    """Table `deferred_tracking`."""

    def __init__(self) -> None:
        self.scans = Table("deferred_tracking", ("order_id", "number"), Scan)

    @property
    def tables(self) -> tuple[Expected, ...]:
        return (self.scans,)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name of the fact."""
        return {"TrackingDeferred": self.deferred, "ShipmentTracked": self.tracked, "TrackingExpired": self.expired}

    def deferred(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        scan = self.scans.row(data["order_id"], data["number"])
        scan.waits_for, scan.status = data["waits_for"], data["status"]
        scan.scanned_at, scan.ends_at = data["scanned_at"], data["ends_at"]
        scan.deferred_at = fact["recorded_at"]

    def tracked(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if data["deferred"] is not None:
            self.end(fact, data["order_id"], data["deferred"], "applied")

    def expired(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.end(fact, data["order_id"], data["number"], "expired")

    def end(self, fact: Mapping[str, Any], order_id: str, number: int, how: str) -> None:
        scan = self.scans.row(order_id, number)
        scan.ended, scan.ended_at = how, fact["recorded_at"]
