"""The figures once more: plain Python straight from facts, written from docs/kpis.md and not from the product's code.

counted, left_out = figures(facts)["return_rate"]     # {id: Case(at, good)}, {id: why}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tests.projections.fact_rows import Fact

NO_TIME = timedelta()


class Case(NamedTuple):
    """One thing that is counted: whose day, whether it is a success, or how long it took."""

    at: datetime
    good: bool | None = None
    took: timedelta | None = None


Figure = tuple[dict[str, Case], dict[str, str]]


@dataclass
class Move:
    """A promise that was moved."""

    when: datetime
    place: int
    by: str
    due: datetime


@dataclass
class Parcel:
    left: datetime
    units: int
    fate: str | None = None
    arrived: datetime | None = None


@dataclass
class Order:
    """What the facts of an order say, in the order of its history; `place` numbers them."""

    placed: datetime
    promised: datetime | None
    release_at: datetime | None
    wanted: int
    moves: list[Move] = field(default_factory=list)
    parcels: dict[str, Parcel] = field(default_factory=dict)
    holds: list[list[datetime | None]] = field(default_factory=list)
    seller_took: int = 0
    customer_took: list[int] = field(default_factory=list)
    set_aside: list[int] = field(default_factory=list)
    arrivals: list[tuple[datetime, int]] = field(default_factory=list)
    unseen: int = 0
    back: int = 0
    broken: int = 0
    otherwise: int = 0
    gone: int = 0

    def promise(self, at: datetime | None) -> datetime | None:
        """The promise in force; `at` None: the latest."""
        known = [move for move in self.moves if at is None or move.when <= at]
        by_customer = [move for move in known if move.by == "customer"]
        if by_customer:
            return max(by_customer, key=lambda move: (move.when, move.place)).due
        if self.promised is not None:
            return self.promised
        return min(known, key=lambda move: (move.when, move.place)).due if known else None

    @property
    def shipped(self) -> int:
        return sum(parcel.units for parcel in self.parcels.values())

    @property
    def arrived(self) -> int:
        return sum(units for _, units in self.arrivals)

    @property
    def complete(self) -> bool:
        return self.shipped == self.wanted > 0


_COUNT = ("sku", "location_id", "count_id", "counted_at")


def _read(facts: Iterable[Fact]) -> tuple[dict[str, Order], dict[str, Any], dict[str, Any], datetime | None]:
    orders: dict[str, Order] = {}
    cases: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
    counts: list[Any] = []
    as_of: datetime | None = None
    for place, fact in enumerate(facts):
        data, when = fact["data"], fact["occurred_at"]
        seen = min(when, fact["recorded_at"])
        as_of = seen if as_of is None else max(as_of, seen)
        name = fact["fact"]
        if name in {"CaseOpened", "CaseResolved", "CaseReopened"}:
            cases[fact["stream_id"]].append((name, when))
        elif name == "StockCounted":
            counts.append(data)
        elif name == "CountRestated":
            (counted,) = (one for one in counts if all(one[key] == data[key] for key in _COUNT))
            counts[counts.index(counted)] = {**counted, "variance": data["variance"]}
        elif name == "OrderPlaced":
            wanted = sum(line["quantity"] for line in data["lines"])
            orders[data["order_id"]] = Order(when, data.get("promised_by"), data.get("release_at"), wanted)
        elif data.get("order_id") in orders:
            _happened(orders[data["order_id"]], name, data, when, place)
    return orders, cases, counts, as_of  # type: ignore[return-value]


def _happened(order: Order, name: str, data: Any, when: datetime, place: int) -> None:
    # What is sent in exchange for a return is no part of what was ordered; a promise is the whole order's.
    only = bool(data.get("lines")) and all(line.get("exchange") for line in data["lines"])
    if data.get("exchange") or (only and name != "OrderAmended"):
        return
    if "lines" in data:
        data = {**data, "lines": [line for line in data["lines"] if not line.get("exchange")]}
    units = sum(line.get("quantity", 0) for line in data.get("lines", []) if isinstance(line, dict))
    match name:
        case "OrderAmended":
            if data.get("promised_by") is not None:
                order.moves.append(Move(when, place, data["by"], data["promised_by"]))
            for line in data["lines"]:
                more = line["ordered"] - line["ordered_before"]
                order.wanted += more
                if more < 0:
                    _taken_out(order, data["by"], -more, place)
        case "OrderCancelled":
            order.wanted -= units
            _taken_out(order, data["by"], units, place)
        case "LineAllocated":
            order.set_aside.append(place)
        case "OrderHeld" if data["hold"] == "customer":
            order.holds.append([when, None])
        case "HoldReleased" if data["hold"] == "customer":
            order.holds[-1][1] = when
        case "ShipmentDispatched":
            order.set_aside.append(place)
            order.parcels[data["shipment_id"]] = Parcel(when, units)
            # What left is wanted again, whatever had been said of it.
            order.wanted += sum(line["from_cancelled"] + line["from_removed"] for line in data["lines"])
        case "DispatchDiffered" | "DispatchCrossed":
            order.otherwise += 1
        case "ShipmentTracked" if data["status"] in {"lost", "returned_to_sender"}:
            order.gone += 1
            order.parcels[data["shipment_id"]].fate = data["status"]
        case "ShipmentDelivered":
            order.parcels[data["shipment_id"]].arrived = data["delivered_at"]
            order.arrivals.append((data["delivered_at"], units))
        case "DeliveryInferred":
            order.arrivals.append((when, units))
            order.unseen += units
        case "ReturnReceived":
            order.back += units
            order.broken += sum(line["quantity"] for line in data["lines"] if line["disposition"] == "damaged")


def _taken_out(order: Order, by: str, units: int, place: int) -> None:
    if by == "seller":
        order.seller_took += units
    else:
        order.customer_took.append(place)


def _not_due(order: Order, due: datetime | None, as_of: datetime) -> str | None:
    if order.wanted == 0 and not order.seller_took:
        if not order.customer_took:
            return "nothing to ship"
        if not order.set_aside or order.customer_took[-1] < order.set_aside[0]:
            return "cancelled by the customer before release"
    if due is None:
        return "nothing promised"
    return "not due yet" if due > as_of else None


def _fulfilled(order: Order, due: datetime | None) -> bool:
    return (
        not order.seller_took
        and order.complete
        and not (order.otherwise or order.gone)
        and due is not None
        and max(parcel.left for parcel in order.parcels.values()) <= due
    )


def _held(order: Order, start: datetime, end: datetime) -> timedelta:
    """Time on a customer's hold between start and end; minutes under two of them count once."""
    spans = sorted((max(since, start), min(until or end, end)) for since, until in order.holds if since is not None)
    total, reached = NO_TIME, start
    for since, until in spans:
        begin = max(since, reached)
        if until > begin:
            total += until - begin
            reached = until
    return total


def figures(facts: Iterable[Fact]) -> dict[str, Figure]:
    """Counted cases and what was left out, of all figures, by the ids that the product gives them."""
    orders, cases, counts, as_of = _read(facts)
    found: dict[str, Figure] = {
        name: ({}, {})
        for name in (
            "order_fulfillment_rate", "order_processing_hours", "inventory_accuracy", "on_time_delivery_rate",
            "case_resolution_hours", "return_rate", "perfect_order_rate",
        )
    }  # fmt: skip
    for order_id, order in orders.items():
        assert as_of is not None
        _take_order(found, order_id, order, as_of)
    for case_id, story in cases.items():
        counted, left_out = found["case_resolution_hours"]
        opened = story[0][1]
        if story[-1][0] == "CaseResolved":
            counted[case_id] = Case(story[-1][1], took=max(story[-1][1] - opened, NO_TIME))
        else:
            again = any(name == "CaseReopened" for name, _ in story)
            left_out[case_id] = "reopened, not resolved again yet" if again else "not resolved yet"
    counted, _ = found["inventory_accuracy"]
    for number, count in enumerate(counts):
        counted[str(number)] = Case(count["counted_at"], good=abs(count["variance"]) <= count["tolerance"])
    return found


def _take_order(found: dict[str, Figure], order_id: str, order: Order, as_of: datetime) -> None:
    left = [parcel.left for parcel in order.parcels.values()]
    due = order.promise(max(left) if order.complete else None)
    _put(found, "order_fulfillment_rate", order_id, _not_due(order, due, as_of), Case(
        due or order.placed, good=_fulfilled(order, due)))  # fmt: skip

    if left:
        first = max(min(left), order.placed)
        start = min(max(order.release_at or order.placed, order.placed), first)
        _put(found, "order_processing_hours", order_id, None, Case(
            min(left), took=first - start - _held(order, start, first)))  # fmt: skip
    else:
        why = "not shipped yet" if order.wanted else "nothing to ship"
        _put(found, "order_processing_hours", order_id, why, Case(order.placed))

    for name, parcel in order.parcels.items():
        _take_parcel(found, f"{order_id} {name}", order, parcel)

    will_not_come = sum(one.units for one in order.parcels.values() if one.fate and not one.arrived)
    reason = None
    if order.wanted == 0:
        reason = "nothing to ship"
    elif order.shipped < order.wanted:
        reason = "not shipped complete"
    elif order.arrived + will_not_come < order.shipped and not order.unseen:
        reason = "on its way"
    elif not order.arrived:
        reason = "lost or returned to sender"
    last = max((when for when, _ in order.arrivals), default=order.placed)
    _put(found, "return_rate", order_id, reason, Case(last, good=order.back > 0))

    seen = order.complete and order.arrived == order.shipped
    due = order.promise(last if seen else None)
    perfect = (
        order.complete
        and (seen or order.unseen > 0)
        and not order.seller_took
        and (seen and due is not None and last <= due)
        and not (order.gone or order.broken or order.otherwise)
    )
    _put(found, "perfect_order_rate", order_id, _not_due(order, due, as_of), Case(due or order.placed, good=perfect))


def _take_parcel(found: dict[str, Figure], name: str, order: Order, parcel: Parcel) -> None:
    if parcel.arrived is not None:
        due = order.promise(parcel.arrived)
        reason = None if due is not None else "nothing promised"
        _put(found, "on_time_delivery_rate", name, reason, Case(
            parcel.arrived, good=due is not None and parcel.arrived <= due))  # fmt: skip
        return
    reason = parcel.fate.replace("_", " ") if parcel.fate else None
    reason = reason or ("arrived, nobody saw when" if order.unseen else "on its way")
    _put(found, "on_time_delivery_rate", name, reason, Case(parcel.left))


def _put(found: dict[str, Figure], figure: str, name: str, left_out: str | None, case: Case) -> None:
    counted, without = found[figure]
    if left_out is None:
        counted[name] = case
    else:
        without[name] = left_out
