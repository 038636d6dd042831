"""Movements of stock, and counts that wait, one fact at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from processors.verify.facts import Fact, Handler
from processors.verify.journals import Journal
from processors.verify.rows import Expected, Row, Table


class _Delta(NamedTuple):
    location_id: str
    on_hand: int = 0
    reserved: int = 0
    damaged: int = 0
    quality_hold: int = 0


Data = Mapping[str, Any]


def _one(**amounts: Any) -> Callable[[Data], list[_Delta]]:
    """Deltas at the fact's own location; an amount is a function of the fact."""
    return lambda data: [_Delta(data["location_id"], **{name: amount(data) for name, amount in amounts.items()})]


def _plus(data: Data) -> int:
    return int(data["quantity"])


def _minus(data: Data) -> int:
    return -int(data["quantity"])


def _moved(data: Data) -> list[_Delta]:
    if data["from_location_id"] == data["to_location_id"]:
        return []
    return [_Delta(data["from_location_id"], _minus(data)), _Delta(data["to_location_id"], _plus(data))]


def _quality_known(data: Data) -> list[_Delta]:
    units = data["quantity"]
    where = data["location_id"]
    match data["disposition"]:
        case "dispose":
            return [_Delta(where, on_hand=-units, quality_hold=-units)]
        case "damaged":
            return [_Delta(where, damaged=units, quality_hold=-units)]
        case _:
            return [_Delta(where, quality_hold=-units)]


def _disposed(data: Data) -> list[_Delta]:
    parts = {data["taken_from"]: _minus(data)} if data["taken_from"] in ("damaged", "quality_hold") else {}
    return [_Delta(data["location_id"], on_hand=_minus(data), **parts)]


def _returned(data: Data) -> list[_Delta]:
    units, where = data["quantity"], data["location_id"]
    match data["disposition"]:
        case "restock":
            return [_Delta(where, units)]
        case "damaged":
            return [_Delta(where, units, damaged=units)]
        case "inspect":
            return [_Delta(where, units, quality_hold=units)]
        case _:
            return []


def _rejected(data: Data) -> list[_Delta]:
    units, where, held = data["corrected"], data["location_id"], -data["from_reserved"]
    match data["reason"]:
        case "not_in_stock":
            return [_Delta(where, -units, held)]
        case "damaged":
            return [_Delta(where, 0, held, damaged=units)]
        case "mismatch":
            return [_Delta(where, 0, held, quality_hold=units)]
        case _:
            return [_Delta(where, 0, held)]


_DELTAS: Mapping[str, Callable[[Data], list[_Delta]]] = {
    "StockReceived": _one(on_hand=_plus),
    "StockAdjusted": _one(on_hand=lambda data: data["quantity_delta"]),
    "StockMoved": _moved,
    "TransferStarted": lambda data: [_Delta(data["from_location_id"], _minus(data))],
    "TransferReceived": _one(on_hand=_plus, damaged=lambda data: data["damaged"]),
    "StockCounted": _one(on_hand=lambda data: data["variance"]),
    "CountRestated": _one(on_hand=lambda data: data["variance"] - data["variance_before"]),
    "StockMarkedDamaged": _one(damaged=_plus),
    "StockHeld": _one(quality_hold=_plus),
    "QualityHoldReleased": _quality_known,
    "StockDisposed": _disposed,
    "StockReserved": _one(reserved=_plus),
    "StockReleased": _one(reserved=_minus),
    "ReservationExpired": _one(reserved=_minus),
    "StockShipped": _one(on_hand=_minus, reserved=lambda data: -data["from_reserved"]),
    "StockRestored": _one(on_hand=_plus, reserved=lambda data: data["to_reserved"]),
    "StockReturned": _returned,
    "StockRejected": _rejected,
}


def movements() -> Journal:
    """`stock_movements`: one row for each location whose quantities a fact changes."""
    return Journal(
        "stock_movements",
        ("sku", "location_id", "version"),
        (
            "sku", "location_id", "version", "kind", "on_hand", "reserved", "damaged", "quality_hold", "reason",
            "document", "order_id", "line_id", "shipment_id", "return_id", "channel", "actor", "occurred_at",
            "recorded_at",
        ),
        movement_rows,
        lambda found: found,
    )  # fmt: skip


def movement_rows(fact: Fact) -> list[tuple[Any, ...]]:
    """The rows of a fact; empty if it moves nothing."""
    deltas = _DELTAS.get(fact.name)
    if deltas is None:
        return []
    record, data = fact.record, fact.record["data"]
    happened_at: datetime = record["occurred_at"]
    if fact.name in ("StockCounted", "CountRestated"):
        happened_at = data["counted_at"]
    elif fact.name == "ReservationExpired" and data["expires_at"] is not None:
        happened_at = data["expires_at"]
    papers = (data.get("document"), data.get("purchase_order"), data.get("transfer_id"))
    return [
        (
            data["sku"], where, record["version"], fact.name, *amounts, data.get("reason"),
            next((paper for paper in papers if paper is not None), None),
            *(data.get(name) for name in ("order_id", "line_id", "shipment_id", "return_id")),
            record["channel"], record["actor"], happened_at, record["recorded_at"],
        )
        for where, *amounts in deltas(data)
        if any(amounts)
    ]  # fmt: skip


@dataclass(slots=True)
class Count(Row):
    status: str | None = None
    counted: int | None = None
    counted_at: datetime | None = None
    expected: int | None = None
    variance: int | None = None
    counted_by: str | None = None
    reason: str | None = None
    document: str | None = None
    requested_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None


@dataclass(slots=True)
class Recount(Row):
    asked_at: datetime | None = None
    count_id: str | None = None
    counted: int | None = None
    counted_at: datetime | None = None
    expected: int | None = None
    variance: int | None = None
    counted_by: str | None = None
    reason: str | None = None
    document: str | None = None


class Counts:
    """Tables `stock_counts` and `stock_recounts`."""

    def __init__(self) -> None:
        self.counts = Table("stock_counts", ("sku", "location_id", "count_id"), Count)
        self.recounts = Table("stock_recounts", ("sku", "location_id"), Recount)

    @property
    def tables(self) -> tuple[Expected, ...]:
        return self.counts, self.recounts

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name of the fact."""
        return {
            "RecountRequested": self.asked_again,
            "CountApprovalRequested": self.asked,
            "StockCounted": self.applied,
            "CountRestated": self.restated,
            "CountRejected": self.rejected,
        }

    def asked_again(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.recounts.row(data["sku"], data["location_id"])
        row.asked_at = max(row.asked_at or fact["recorded_at"], fact["recorded_at"])
        row.counted_by = ", ".join(data["counted_by"])
        for name in ("count_id", "counted", "counted_at", "expected", "variance", "reason", "document"):
            setattr(row, name, data[name])

    def counted_again(self, data: Mapping[str, Any]) -> None:
        row = self.recounts.get(data["sku"], data["location_id"])
        if row is not None:
            for name in (
                "count_id",
                "counted",
                "counted_at",
                "expected",
                "variance",
                "counted_by",
                "reason",
                "document",
            ):
                setattr(row, name, None)

    def asked(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.counted_again(data)
        row = self.counts.row(data["sku"], data["location_id"], data["count_id"])
        row.status = "waiting"
        row.counted_by = ", ".join(data["counted_by"])
        row.requested_at = fact["recorded_at"]
        for name in ("counted", "counted_at", "expected", "variance", "reason", "document"):
            if data[name] is not None:
                setattr(row, name, data[name])

    def applied(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.counted_again(data)
        row = self._decided(fact, data, "applied")
        if row is not None:
            row.expected, row.variance = data["expected"], data["variance"]

    def restated(self, _fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self.counts.get(data["sku"], data["location_id"], data["count_id"])
        if row is not None:
            row.expected, row.variance = data["expected"], data["variance"]

    def rejected(self, fact: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        row = self._decided(fact, data, "rejected")
        if row is not None:
            row.variance = data["variance"]
            row.reason = row.reason if data["reason"] is None else data["reason"]

    def _decided(self, fact: Mapping[str, Any], data: Mapping[str, Any], status: str) -> Count | None:
        row = self.counts.get(data["sku"], data["location_id"], data["count_id"])
        if row is not None:
            row.status, row.decided_at = status, fact["recorded_at"]
            row.decided_by = row.decided_by if fact["actor"] is None else fact["actor"]
        return row
