"""Base rows of the KPIs, one fact at a time: orders, promises, holds, parcels, complaints, counts, watermarks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.verify.facts import Handler
from processors.verify.rows import Expected, Row, Table

_COUNT = ("counted", "variance", "tolerance", "accurate")


@dataclass(slots=True)
class KpiOrder(Row):
    channel: str | None = None
    country: str | None = None
    region: str | None = None
    placed_at: datetime | None = None
    release_at: datetime | None = None
    promised_by: datetime | None = None
    promise: str | None = None
    ordered: int = 0
    cancelled: int = 0
    removed_by_seller: int = 0
    removed_by_customer: int = 0
    shipped: int = 0
    delivered: int = 0
    inferred: int = 0
    inferred_at: datetime | None = None
    returned: int = 0
    returned_by_customer: int = 0
    crossed: int = 0


@dataclass(slots=True)
class KpiPromise(Row):
    version: int | None = None
    moved_at: datetime | None = None
    by_seller: bool | None = None
    due_by: datetime | None = None


@dataclass(slots=True)
class KpiHold(Row):
    changed_at: datetime | None = None
    held: bool | None = None


@dataclass(slots=True)
class KpiParcel(Row):
    location_id: str | None = None
    carrier: str | None = None
    units: int = 0
    replaced: int = 0
    dispatched_at: datetime | None = None
    differed: int = 0
    lost_at: datetime | None = None
    to_sender_at: datetime | None = None
    delivered_at: datetime | None = None


@dataclass(slots=True)
class KpiComplaint(Row):
    said_at: datetime | None = None


@dataclass(slots=True)
class KpiCount(Row):
    counted: int | None = None
    variance: int | None = None
    tolerance: int | None = None
    accurate: bool | None = None


@dataclass(slots=True)
class Watermark(Row):
    as_of: datetime | None = None


class Kpis:
    """All tables named `kpi_…`."""

    def __init__(self) -> None:
        self.orders = Table("kpi_orders", ("order_id",), KpiOrder)
        self.promises = Table("kpi_promises", ("order_id", "amendment"), KpiPromise)
        self.holds = Table("kpi_holds", ("order_id", "version"), KpiHold)
        self.parcels = Table("kpi_parcels", ("order_id", "shipment_id"), KpiParcel)
        self.complaints = Table("kpi_complaints", ("order_id", "said_in", "said_id", "reason_code"), KpiComplaint)
        self.counts = Table("kpi_counts", ("sku", "location_id", "counted_at", "count_id"), KpiCount)
        self.watermarks = Table("kpi_watermarks", ("topic", "partition"), Watermark)

    @property
    def tables(self) -> tuple[Expected, ...]:
        return (
            self.orders, self.promises, self.holds, self.parcels, self.complaints, self.counts,
            self.watermarks,
        )  # fmt: skip

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name of the fact."""
        return {
            "OrderPlaced": self.placed,
            "OrderAmended": self.amended,
            "OrderCancelled": self.cancelled,
            "AmendmentRequested": self.amendment_requested,
            "OrderHeld": self.held,
            "HoldReleased": self.hold_released,
            "ShipmentDispatched": self.dispatched,
            "DispatchDiffered": self.differed,
            "DispatchCrossed": self.crossed,
            "DispatchRetracted": self.retracted,
            "ShipmentReplaced": self.replaced,
            "ShipmentTracked": self.tracked,
            "ShipmentDelivered": self.shipment_delivered,
            "DeliveryInferred": self.delivery_inferred,
            "ReturnRequested": self.return_requested,
            "ReturnReceived": self.return_received,
            "StockCounted": self.counted,
            "CountRestated": self.counted,
            "CaseOpened": self.case_opened,
        }

    def seen(self, topic: str, partition: int, fact: Mapping[str, Any]) -> None:
        """Every fact except a refusal moves its partition's watermark: by the earlier of both clocks, never back."""
        row = self.watermarks.row(topic, partition)
        moment = min(fact["occurred_at"], fact["recorded_at"])
        row.as_of = _later(row.as_of, moment)

    def placed(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.orders.row(data["order_id"])
        row.channel = fact["channel"]
        row.country = data["ship_to"]["country"]
        row.region = data["ship_to"]["region"]
        row.placed_at = fact["occurred_at"]
        row.release_at = data["release_at"]
        row.promised_by = data["promised_by"]
        row.promise = data["promise"]
        row.ordered += sum(line["quantity"] for line in data["lines"])

    def amended(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.orders.row(data["order_id"])
        if data["promised_by"] is not None:
            named = data["amendment_id"]
            promise = self.promises.row(data["order_id"], str(fact["version"]) if named is None else named)
            promise.version = fact["version"]
            promise.moved_at = _earlier(promise.moved_at, fact["occurred_at"])
            promise.by_seller = data["by"] == "seller"
            promise.due_by = data["promised_by"]
        for line in _due(data):
            change = line["ordered"] - line["ordered_before"]
            row.ordered += change
            if change < 0:
                self.removed(data, -change)

    def amendment_requested(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """A promise moves when the amendment is requested, not when stock answers."""
        if data["promised_by"] is not None:
            promise = self.promises.row(data["order_id"], data["amendment_id"])
            promise.moved_at = _earlier(promise.moved_at, fact["occurred_at"])

    def cancelled(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for line in _due(data):
            self.orders.row(data["order_id"]).cancelled += line["quantity"]
            self.removed(data, line["quantity"])

    def removed(self, data: Mapping[str, Any], units: int) -> None:
        """Count units that the seller or the customer removed."""
        row = self.orders.row(data["order_id"])
        if data["by"] == "seller":
            row.removed_by_seller += units
        else:
            row.removed_by_customer += units

    def held(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.hold(fact, data, held=True)

    def hold_released(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.hold(fact, data, held=False)

    def hold(self, fact: Mapping[str, Any], data: Mapping[str, Any], *, held: bool) -> None:
        if data["hold"] == "customer":
            row = self.holds.row(data["order_id"], fact["version"])
            row.changed_at = fact["occurred_at"]
            row.held = held

    def dispatched(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if _all_in_exchange(data):
            return
        row = self.orders.row(data["order_id"])
        units = sum(line["quantity"] for line in _due(data))
        row.shipped += units
        row.cancelled -= sum(line["from_cancelled"] for line in _due(data))
        row.ordered += sum(line["from_removed"] for line in _due(data))
        left_at = fact["occurred_at"]
        parcel = self.parcels.row(data["order_id"], data["shipment_id"])
        parcel.units += units
        if parcel.dispatched_at is None:
            parcel.location_id = data["location_id"]
            parcel.carrier = data["carrier"]
            parcel.dispatched_at = left_at

    def differed(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if not _all_in_exchange(data):
            self.parcels.row(data["order_id"], data["shipment_id"]).differed += 1

    def crossed(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.orders.row(data["order_id"]).crossed += 1

    def retracted(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """The order is as if the parcel had never been told; what had been said of its replacement is void."""
        row = self.orders.row(data["order_id"])
        row.crossed -= int(data["crossed"])
        if _all_in_exchange(data):
            return
        parcel = self.parcels.row(data["order_id"], data["shipment_id"])
        for line in _due(data):
            row.shipped -= line["quantity"]
            row.cancelled += line["to_cancelled"]
            row.ordered -= line["to_removed"] + line["replaced"]
            parcel.units -= line["quantity"]
            parcel.replaced -= line["replaced"]

    def replaced(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """What is sent again is ordered again; why it is tells how the parcel was."""
        if _all_in_exchange(data):
            return
        units = sum(line["quantity"] for line in _due(data))
        self.orders.row(data["order_id"]).ordered += units
        parcel = self.parcels.row(data["order_id"], data["shipment_id"])
        parcel.replaced += units
        if data["reason"] == "lost":
            parcel.lost_at = _later(parcel.lost_at, fact["occurred_at"])
        code = {"damaged": "damaged", "wrong_goods": "wrong_item"}.get(data["reason"])
        self.complained(fact, data["order_id"], "replacement", data["shipment_id"], code)

    def tracked(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if data["exchange"]:
            return
        at = fact["occurred_at"] if data["scanned_at"] is None else data["scanned_at"]
        if data["status"] == "lost":
            parcel = self.parcels.row(data["order_id"], data["shipment_id"])
            parcel.lost_at = _later(parcel.lost_at, at)
        elif data["status"] == "returned_to_sender":
            parcel = self.parcels.row(data["order_id"], data["shipment_id"])
            parcel.to_sender_at = _later(parcel.to_sender_at, at)

    def shipment_delivered(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if data["exchange"]:
            return
        self.arrived(data)
        parcel = self.parcels.row(data["order_id"], data["shipment_id"])
        if parcel.delivered_at is None:
            parcel.delivered_at = data["delivered_at"]

    def delivery_inferred(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if _all_in_exchange(data):
            return
        row = self.orders.row(data["order_id"])
        row.inferred += self.arrived(data)
        row.inferred_at = _later(row.inferred_at, fact["occurred_at"])

    def arrived(self, data: Mapping[str, Any]) -> int:
        units: int = sum(line["quantity"] for line in _due(data))
        if not _all_in_exchange(data):
            self.orders.row(data["order_id"]).delivered += units
        return units

    def return_received(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.orders.row(data["order_id"])
        for line in _due(data):
            row.returned += line["quantity"]
            if data["cause"] == "customer":
                row.returned_by_customer += line["quantity"]

    def return_requested(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        for line in _due(data):
            self.complained(fact, data["order_id"], "return", data["return_id"], line["reason_code"])

    def complained(
        self, fact: Mapping[str, Any], order_id: str | None, said_in: str, said_id: str, code: str | None
    ) -> None:
        if order_id is not None and code is not None:
            row = self.complaints.row(order_id, said_in, said_id, code)
            row.said_at = _earlier(row.said_at, fact["occurred_at"])

    def counted(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.counts.row(data["sku"], data["location_id"], data["counted_at"], data["count_id"] or "")
        for name in _COUNT:
            setattr(row, name, data[name])

    def case_opened(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.complained(fact, data["order_id"], "case", data["case_id"], data["reason_code"])


def _due(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Lines that were ordered. Exchange lines were never due by the order's promise."""
    return [line for line in data["lines"] if not line["exchange"]]


def _all_in_exchange(data: Mapping[str, Any]) -> bool:
    return bool(data["lines"]) and not _due(data)


def _later(known: datetime | None, moment: datetime) -> datetime:
    return moment if known is None or moment > known else known


def _earlier(known: datetime | None, moment: datetime) -> datetime:
    return moment if known is None or moment < known else known
