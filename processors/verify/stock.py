"""Stock per SKU and location, reservations that expire, and locations, one fact at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.verify.facts import Handler
from processors.verify.rows import Expected, Row, Table

_LOCATION = ("name", "kind", "latitude", "longitude", "country", "daily_capacity", "cost_minor_per_parcel")


@dataclass(slots=True)
class Stock(Row):
    on_hand: int = 0
    reserved: int = 0
    damaged: int = 0
    quality_hold: int = 0
    incoming: int = 0
    safety_stock: int | None = None
    reorder_point: int | None = None
    buffer: int | None = None
    excluded: bool | None = None
    registered: bool | None = None
    located_at: datetime | None = None
    low_detected_at: datetime | None = None

    @property
    def _free(self) -> int:
        return int(self.on_hand - self.reserved - self.damaged - self.quality_hold)

    @property
    def safety(self) -> int:
        """Safety stock, as far as there are units for it."""
        return min(self.safety_stock or 0, max(0, self._free))

    @property
    def available(self) -> int:
        """The rest of the units on hand; below zero if more is promised than there is."""
        return self._free - self.safety

    @property
    def sellable(self) -> int:
        """Units that every channel may still sell."""
        return 0 if self.excluded or not self.registered else max(0, self.available - (self.buffer or 0))

    @property
    def low_since(self) -> datetime | None:
        """When low stock was found; null if it is not low now."""
        low = self.reorder_point is not None and self.available <= self.reorder_point
        return self.low_detected_at if low else None


@dataclass(slots=True)
class Hold(Row):
    quantity: int = 0
    expires_at: datetime | None = None


@dataclass(slots=True)
class Expectation(Row):
    quantity: int = 0
    expected_at: datetime | None = None
    overdue: bool = False


@dataclass(slots=True)
class ChannelRule(Row):
    buffer: int | None = None
    excluded: bool = False


@dataclass(slots=True)
class LocationChannel(Row):
    excluded: bool = False


@dataclass(slots=True)
class Transfer(Row):
    from_location_id: str | None = None
    to_location_id: str | None = None
    started_at: datetime | None = None
    sent: int = 0
    received: int = 0
    damaged: int = 0
    missing: int = 0

    @property
    def on_their_way(self) -> int:
        """Units that have neither arrived nor are missing."""
        return self.sent - self.received - self.missing


@dataclass(slots=True)
class Location(Row):
    name: str | None = None
    kind: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    country: str | None = None
    daily_capacity: int | None = None
    cost_minor_per_parcel: int | None = None


class Stocks:
    """Tables `inventory`, `expiring_reservations`, `expected_receipts`, `transfers`, `channel_rules` and
    `locations`."""

    def __init__(self) -> None:
        self.stock = Table("inventory", ("sku", "location_id"), Stock)
        self.holds = Table("expiring_reservations", ("sku", "order_id", "line_id", "attempt", "location_id"), Hold)
        self.expected = Table("expected_receipts", ("sku", "source", "reference", "location_id"), Expectation)
        self.transfers = Table("transfers", ("sku", "transfer_id"), Transfer)
        self.rules = Table("channel_rules", ("sku", "location_id", "channel"), ChannelRule)
        self.location_channels = Table("location_channels", ("location_id", "channel"), LocationChannel)
        self.locations = Table("locations", ("location_id",), Location)

    @property
    def tables(self) -> tuple[Expected, ...]:
        return self.stock, self.holds, self.expected, self.transfers, self.rules, self.location_channels, self.locations

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name of the fact."""
        return {
            "StockReceived": self.received,
            "StockExpected": self.goods_expected,
            "ReceiptOverdue": self.goods_overdue,
            "TransferStarted": self.transfer_started,
            "TransferReceived": self.transfer_received,
            "TransferAmended": self.transfer_amended,
            "TransferDiffered": self.transfer_differed,
            "StockAdjusted": self.adjusted,
            "StockMoved": self.moved,
            "StockCounted": self.counted,
            "CountRestated": self.restated,
            "StockMarkedDamaged": self.damaged,
            "StockHeld": self.set_apart,
            "QualityHoldReleased": self.quality_known,
            "StockDisposed": self.disposed,
            "StockPolicySet": self.policy_set,
            "SellingRulesResolved": self.rules_resolved,
            "StockLocated": self.located,
            "LocationConfirmed": self.confirmed,
            "StockReserved": self.reserved,
            "StockReleased": self.released,
            "ReservationExpired": self.released,
            "StockShipped": self.shipped,
            "StockRestored": self.restored,
            "StockRejected": self.rejected,
            "StockReturned": self.returned,
            "LowStockDetected": self.low_detected,
            "LocationRegistered": self.registered,
            "LocationPolicySet": self.location_policy_set,
        }

    def at(self, data: Mapping[str, Any]) -> Stock:
        return self.stock.row(data["sku"], data["location_id"])

    def received(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).on_hand += data["quantity"]

    def goods_expected(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        expectation = self.expected.row(data["sku"], "purchase_order", data["purchase_order"], data["location_id"])
        # The change is computed from this row, not from the fact's own `quantity_before`: that makes it independent.
        self.at(data).incoming += data["quantity"] - expectation.quantity
        expectation.quantity = data["quantity"]
        expectation.expected_at = data["expected_at"]
        expectation.overdue = data["overdue"]

    def goods_overdue(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if data["transfer_id"] is None:
            key = ("purchase_order", data["purchase_order"])
        else:
            key = ("transfer", data["transfer_id"])
        self.expected.row(data["sku"], *key, data["location_id"]).overdue = True

    def transfer_started(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        sku, transfer_id, target = data["sku"], data["transfer_id"], data["to_location_id"]
        self.stock.row(sku, data["from_location_id"]).on_hand -= data["quantity"]
        self.stock.row(sku, target).incoming += data["quantity"]
        transfer = self.transfers.row(sku, transfer_id)
        transfer.from_location_id, transfer.to_location_id = data["from_location_id"], target
        transfer.started_at = fact["occurred_at"]
        transfer.sent += data["quantity"]
        expectation = self.expected.row(sku, "transfer", transfer_id, target)
        expectation.quantity = data["quantity"]
        expectation.expected_at, expectation.overdue = data["expected_at"], False

    def transfer_received(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.at(data)
        row.on_hand += data["quantity"]
        row.damaged += data["damaged"]
        row.incoming -= data["quantity"]
        transfer = self.transfers.row(data["sku"], data["transfer_id"])
        transfer.received += data["quantity"]
        transfer.damaged += data["damaged"]
        expectation = self.expected.row(data["sku"], "transfer", data["transfer_id"], data["location_id"])
        expectation.quantity -= data["quantity"]

    def transfer_amended(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        expectation = self.expected.row(data["sku"], "transfer", data["transfer_id"], data["location_id"])
        if expectation.expected_at != data["expected_at"]:
            expectation.expected_at, expectation.overdue = data["expected_at"], False

    def transfer_differed(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.stock.row(data["sku"], data["to_location_id"]).incoming -= data["missing"]
        self.transfers.row(data["sku"], data["transfer_id"]).missing += data["missing"]
        expectation = self.expected.row(data["sku"], "transfer", data["transfer_id"], data["to_location_id"])
        expectation.quantity -= data["missing"]
        expectation.expected_at, expectation.overdue = None, False

    def adjusted(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).on_hand += data["quantity_delta"]

    def moved(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.stock.row(data["sku"], data["from_location_id"]).on_hand -= data["quantity"]
        self.stock.row(data["sku"], data["to_location_id"]).on_hand += data["quantity"]

    def counted(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).on_hand += data["variance"]

    def restated(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).on_hand += data["variance"] - data["variance_before"]

    def damaged(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).damaged += data["quantity"]

    def set_apart(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).quality_hold += data["quantity"]

    def quality_known(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.at(data)
        row.quality_hold -= data["quantity"]
        if data["disposition"] == "damaged":
            row.damaged += data["quantity"]
        elif data["disposition"] == "dispose":
            row.on_hand -= data["quantity"]

    def disposed(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.at(data)
        row.on_hand -= data["quantity"]
        if data["taken_from"] == "damaged":
            row.damaged -= data["quantity"]
        elif data["taken_from"] == "quality_hold":
            row.quality_hold -= data["quantity"]

    def policy_set(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.at(data)
        row.safety_stock = data["safety_stock"]
        if data["reorder_point"] is not None:
            row.reorder_point = data["reorder_point"]
        row.buffer = max((buffer["quantity"] for buffer in data["buffers"]), default=0)

    def rules_resolved(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        strictest, nothing_at_all = 0, False
        for rule in data["rules"]:
            row = self.rules.row(data["sku"], data["location_id"], rule["channel"])
            row.buffer, row.excluded = rule["buffer"], rule["excluded"]
            strictest = max(strictest, rule["buffer"] or 0)
            nothing_at_all = nothing_at_all or rule["excluded"]
        stock = self.at(data)
        stock.buffer, stock.excluded = strictest, nothing_at_all

    def located(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.at(data)
        row.registered, row.located_at = False, fact["recorded_at"]

    def confirmed(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).registered = data["registered"]

    def reserved(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).reserved += data["quantity"]
        if data["expires_at"] is not None:
            hold = self.holds.row(data["sku"], data["order_id"], data["line_id"], data["attempt"], data["location_id"])
            hold.quantity += data["quantity"]
            hold.expires_at = data["expires_at"]

    def released(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).reserved -= data["quantity"]
        self.let_go(data, data["attempt"], data["quantity"])

    def shipped(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.at(data)
        row.on_hand -= data["quantity"]
        row.reserved -= data["from_reserved"]
        for consumed in data["consumed"]:
            if consumed["location_id"] == data["location_id"]:
                self.let_go(data, consumed["attempt"], consumed["quantity"])

    def restored(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.at(data)
        row.on_hand += data["quantity"]
        row.reserved += data["to_reserved"]

    def rejected(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Missing units are gone; damaged or wrong goods are there but cannot be promised."""
        row = self.at(data)
        row.reserved -= data["from_reserved"]
        match data["reason"]:
            case "not_in_stock":
                row.on_hand -= data["corrected"]
            case "damaged":
                row.damaged += data["corrected"]
            case "mismatch":
                row.quality_hold += data["corrected"]
        for consumed in data["consumed"]:
            self.let_go(data, consumed["attempt"], consumed["quantity"])

    def let_go(self, data: Mapping[str, Any], attempt: int, quantity: int) -> None:
        hold = self.holds.get(data["sku"], data["order_id"], data["line_id"], attempt, data["location_id"])
        if hold is not None:
            hold.quantity -= quantity

    def returned(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        # Disposed units never enter the stock. The row exists all the same, because something arrived.
        row = self.at(data)
        if data["disposition"] in ("restock", "damaged", "inspect"):
            row.on_hand += data["quantity"]
        if data["disposition"] == "damaged":
            row.damaged += data["quantity"]
        if data["disposition"] == "inspect":
            row.quality_hold += data["quantity"]

    def low_detected(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.at(data).low_detected_at = fact["recorded_at"]

    def location_policy_set(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for channel in data["excluded_channels"]:
            self.location_channels.row(data["location_id"], channel).excluded = True
        for channel in data["served_again"]:
            self.location_channels.row(data["location_id"], channel).excluded = False

    def registered(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.locations.row(data["location_id"])
        for name in _LOCATION:
            setattr(row, name, data[name])
