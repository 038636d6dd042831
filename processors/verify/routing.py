"""What routing reads, one fact at a time: rules, parcels that left a location, units of a SKU that left."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from processors.verify.facts import Handler
from processors.verify.rows import Expected, Row, Table


@dataclass(slots=True)
class Rules(Row):
    number: int | None = None
    name: str | None = None
    text: str | None = None
    set_at: datetime | None = None
    set_by: str | None = None


@dataclass(slots=True)
class Day(Row):
    dispatched: int = 0


@dataclass(slots=True)
class Week(Row):
    shipped: int = 0


class Routing:
    """Tables `routing_rules`, `location_days` and `sku_weeks`."""

    def __init__(self) -> None:
        self.rules = Table("routing_rules", ("rules_id",), Rules)
        self.days = Table("location_days", ("partition", "location_id", "day"), Day)
        self.weeks = Table("sku_weeks", ("sku", "location_id", "week"), Week)

    @property
    def tables(self) -> tuple[Expected, ...]:
        return self.rules, self.days, self.weeks

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name of the fact."""
        return {"RoutingRulesSet": self.set, "StockShipped": self.shipped, "StockRestored": self.restored}

    def set(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.rules.row(data["rules_id"])
        row.number, row.name, row.text = data["number"], data["name"], data["text"]
        row.set_at, row.set_by = fact["recorded_at"], fact["actor"] or fact["channel"]

    def shipped(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.week(fact, data).shipped += data["quantity"]

    def restored(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """It has not left, in the week in which it was said to have."""
        self.week(fact, data).shipped -= data["quantity"]

    def week(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> Week:
        day = fact["occurred_at"].date()
        return self.weeks.row(data["sku"], data["location_id"], day - timedelta(days=day.weekday()))

    def dispatched(self, partition: int, fact: Mapping[str, Any]) -> None:
        """Count a parcel that left, per partition of the orders."""
        self.days.row(partition, fact["data"]["location_id"], fact["occurred_at"].date()).dispatched += 1

    def retracted(self, partition: int, fact: Mapping[str, Any]) -> None:
        """It did not leave; kept where its dispatch is."""
        data = fact["data"]
        self.days.row(partition, data["location_id"], data["dispatched_at"].date()).dispatched -= 1
