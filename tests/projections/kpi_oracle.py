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

#: Codes of complaints that spoil an order, beside delay.
WRONG = {"wrong_item", "missing", "not_as_described"}
DAMAGED = {"damaged"}


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
    failures: list[tuple[datetime, str]] = field(default_factory=list)
    arrived: datetime | None = None
    otherwise: bool = False
    replaced: int = 0

    @property
    def made_good(self) -> bool:
        """It did not arrive, and all of it was sent again: nobody waits for it."""
        return self.arrived is None and self.replaced == self.units

    @property
    def fate(self) -> str | None:
        """What the carrier says that became of it instead of arriving; of two words at one time, that it is lost."""
        return max(self.failures, key=lambda failure: (failure[0], failure[1] == "lost"))[1] if self.failures else None

    @property
    def astray(self) -> bool:
        """The carrier's last word is not that it arrived."""
        return any(self.arrived is None or when > self.arrived for when, _ in self.failures)


@dataclass
class Order:
    """What the facts of an order say, in the order of its history; `place` numbers them."""

    placed: datetime
    promised: datetime | None
    release_at: datetime | None
    wanted: int
    by_dispatch: bool = False
    asked: dict[str, datetime] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    parcels: dict[str, Parcel] = field(default_factory=dict)
    holds: list[list[datetime | None]] = field(default_factory=list)
    seller_took: int = 0
    customer_took: int = 0
    unseen: int = 0
    inferred_at: datetime | None = None
    reached: int = 0
    back: int = 0
    back_otherwise: int = 0
    crossed: int = 0
    complaints: set[str] = field(default_factory=set)

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
    def complete(self) -> bool:
        return self.shipped == self.wanted > 0

    @property
    def arrived(self) -> list[Parcel]:
        return [parcel for parcel in self.parcels.values() if parcel.arrived is not None]

    @property
    def all_back(self) -> bool:
        """Nothing is on its way any more: whatever no scan shows as delivered came back unclaimed, refused or recalled.

        Goods that arrived unseen make it unknown which parcels these were in.
        """
        missing = self.shipped - self.reached
        return not self.unseen and 0 < missing <= self.back_otherwise

    def fate(self, parcel: Parcel) -> str | None:
        """What became of a parcel instead of arriving, by its carrier's word or by the goods themselves."""
        if parcel.fate is None and parcel.arrived is None and self.all_back:
            return "returned to sender"
        return parcel.fate

    @property
    def awaited(self) -> list[Parcel]:
        """Parcels that are to bring something."""
        return [parcel for parcel in self.parcels.values() if not parcel.made_good]

    @property
    def under_way(self) -> list[Parcel]:
        return [parcel for parcel in self.awaited if parcel.arrived is None and not self.fate(parcel)]

    @property
    def gone(self) -> list[Parcel]:
        return [parcel for parcel in self.awaited if parcel.arrived is None and self.fate(parcel)]

    def in_time(self, parcel: Parcel) -> bool | None:
        """By the promise in force when it left (or arrived); None: it has not, or nothing had been promised by then."""
        moment = parcel.left if self.by_dispatch else parcel.arrived
        due = None if moment is None else self.promise(moment)
        return None if due is None else moment <= due

    @property
    def judged_at(self) -> datetime | None:
        """When the last of its parcels left (or arrived), once that is known of everything that is wanted."""
        moments = [parcel.left if self.by_dispatch else parcel.arrived for parcel in self.awaited]
        known = self.complete and moments and None not in moments
        return max(moments) if known else None  # type: ignore[type-var]

    @property
    def on_time(self) -> bool:
        return self.judged_at is not None and all(self.in_time(parcel) is not False for parcel in self.awaited)

    @property
    def undamaged(self) -> bool:
        return not self.complaints & DAMAGED and not any(
            parcel.astray or (parcel.arrived is None and self.fate(parcel)) for parcel in self.parcels.values()
        )

    @property
    def as_ordered(self) -> bool:
        return not self.complaints & WRONG and not self.crossed


_COUNT = ("sku", "location_id", "count_id", "counted_at")


def _read(facts: Iterable[Fact]) -> tuple[dict[str, Order], dict[str, Any], dict[str, Any], datetime | None]:
    orders: dict[str, Order] = {}
    cases: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
    counts: list[Any] = []
    as_of: datetime | None = None
    said: list[tuple[str, str]] = []
    for place, fact in enumerate(facts):
        data, when = fact["data"], fact["occurred_at"]
        seen = min(when, fact["recorded_at"])
        as_of = seen if as_of is None else max(as_of, seen)
        name = fact["fact"]
        if name in {"CaseOpened", "CaseResolved", "CaseReopened"}:
            cases[fact["stream_id"]].append((name, when))
            if name == "CaseOpened":
                said.append((data.get("order_id"), data.get("reason_code")))
        elif name == "StockCounted":
            counts.append(data)
        elif name == "CountRestated":
            (counted,) = (one for one in counts if all(one[key] == data[key] for key in _COUNT))
            counts[counts.index(counted)] = {**counted, "variance": data["variance"]}
        elif name == "OrderPlaced":
            wanted = sum(line["quantity"] for line in data["lines"])
            by_dispatch = data.get("promise") == "dispatch"
            orders[data["order_id"]] = Order(
                when, data.get("promised_by"), data.get("release_at"), wanted, by_dispatch=by_dispatch
            )
        elif data.get("order_id") in orders:
            _happened(orders[data["order_id"]], name, data, when, place)
    for order_id, code in said:
        if order_id in orders:
            orders[order_id].complaints.add(code)
    return orders, cases, counts, as_of  # type: ignore[return-value]


def _happened(order: Order, name: str, data: Any, when: datetime, place: int) -> None:
    if data.get("crossed"):
        order.crossed -= 1
    # What is sent in exchange for a return is no part of what was ordered; a promise is the whole order's.
    only = bool(data.get("lines")) and all(line.get("exchange") for line in data["lines"])
    if data.get("exchange") is True or (only and name != "OrderAmended"):
        return
    if "lines" in data:
        data = {**data, "lines": [line for line in data["lines"] if not line.get("exchange")]}
    units = sum(line.get("quantity", 0) for line in data.get("lines", []) if isinstance(line, dict))
    match name:
        case "AmendmentRequested":
            order.asked[data["amendment_id"]] = when
        case "OrderAmended":
            if data.get("promised_by") is not None:
                asked_for = order.asked.get(data.get("amendment_id"), when)
                order.moves.append(Move(asked_for, place, data["by"], data["promised_by"]))
            for line in data["lines"]:
                more = line["ordered"] - line["ordered_before"]
                order.wanted += more
                if more < 0:
                    _taken_out(order, data["by"], -more)
        case "OrderCancelled":
            order.wanted -= units
            _taken_out(order, data["by"], units)
        case "OrderHeld" if data["hold"] == "customer":
            order.holds.append([when, None])
        case "HoldReleased" if data["hold"] == "customer":
            order.holds[-1][1] = when
        case "ShipmentDispatched":
            order.parcels[data["shipment_id"]] = Parcel(when, units)
            # What left is wanted again, whatever had been said of it.
            order.wanted += sum(line["from_cancelled"] + line["from_removed"] for line in data["lines"])
        case "DispatchDiffered":
            order.parcels[data["shipment_id"]].otherwise = True
        case "DispatchCrossed":
            order.crossed += 1
        case "DispatchRetracted" | "ShipmentReplaced":
            _taken_back_or_sent_again(order, name, data, when, units)
        case "ShipmentTracked" if data["status"] in {"lost", "returned_to_sender"}:
            word = "lost" if data["status"] == "lost" else "returned to sender"
            order.parcels[data["shipment_id"]].failures.append((data.get("scanned_at") or when, word))
        case "ShipmentDelivered":
            order.parcels[data["shipment_id"]].arrived = data["delivered_at"]
            order.reached += units
        case "DeliveryInferred":
            order.unseen += units
            order.reached += units
            order.inferred_at = max(when, order.inferred_at or when)
        case "ReturnRequested":
            order.complaints |= {line.get("reason_code") for line in data["lines"]}
        case "ReturnReceived" if data["cause"] == "customer":
            order.back += units
        case "ReturnReceived":
            order.back_otherwise += units


def _taken_back_or_sent_again(order: Order, name: str, data: Any, when: datetime, units: int) -> None:
    parcel = order.parcels[data["shipment_id"]]
    if name == "DispatchRetracted":
        # It never left: all that was ever said of it is void.
        del order.parcels[data["shipment_id"]]
        order.wanted -= sum(line["to_cancelled"] + line["to_removed"] + line["replaced"] for line in data["lines"])
        return
    order.wanted += units
    parcel.replaced += units
    if data["reason"] == "lost":
        parcel.failures.append((when, "lost"))
    else:
        order.complaints.add("damaged" if data["reason"] == "damaged" else "wrong_item")


def _taken_out(order: Order, by: str, units: int) -> None:
    if by == "seller":
        order.seller_took += units
    else:
        order.customer_took += units


def _not_due(order: Order, due: datetime | None, as_of: datetime) -> str | None:
    if order.wanted == 0 and not order.seller_took:
        return "cancelled by the customer before it left" if order.customer_took else "nothing to ship"
    if due is None:
        return "nothing promised"
    return "not due yet" if due > as_of else None


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
            "case_resolution_hours", "return_rate", "on_time_parcel_rate", "left_otherwise_than_planned",
            "perfect_order_rate",
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
    due = order.promise(order.judged_at)
    not_due = _not_due(order, due, as_of)
    accurate = order.undamaged and order.as_ordered
    _put(found, "order_fulfillment_rate", order_id, not_due, Case(
        due or order.placed, good=not order.seller_took and accurate and order.on_time))  # fmt: skip

    left = [parcel.left for parcel in order.parcels.values()]
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

    not_delivered = _not_delivered(order)
    last = max((parcel.arrived for parcel in order.arrived if parcel.arrived), default=order.placed)
    came_by = max(last, order.inferred_at) if order.under_way and order.inferred_at else last
    _put(found, "return_rate", order_id, not_delivered, Case(came_by, good=order.back > 0))

    late = any(order.in_time(parcel) is False for parcel in order.awaited)
    reason = not_delivered
    if reason is None and order.by_dispatch:
        reason = "only its dispatch was promised"
    elif reason is None and due is None:
        reason = "nothing promised"
    elif reason is None and order.under_way and not (order.gone or late):
        reason = "arrived, nobody saw when"
    _put(found, "on_time_delivery_rate", order_id, reason, Case(last, good=order.on_time))

    whole = order.complete and not order.gone and (not order.under_way or order.unseen > 0)
    perfect = whole and not order.seller_took and order.on_time and accurate
    _put(found, "perfect_order_rate", order_id, not_due, Case(due or order.placed, good=perfect))


def _not_delivered(order: Order) -> str | None:
    if order.wanted == 0:
        return "nothing to ship"
    if not order.complete:
        return "not shipped complete"
    if order.under_way and not order.unseen:
        return "on its way"
    return None if order.arrived or order.under_way else "lost or returned to sender"


def _take_parcel(found: dict[str, Figure], name: str, order: Order, parcel: Parcel) -> None:
    _put(found, "left_otherwise_than_planned", name, None, Case(parcel.left, good=parcel.otherwise))
    reason = None
    if parcel.arrived is None:
        reason = order.fate(parcel) or ("arrived, nobody saw when" if order.unseen else "on its way")
    elif order.by_dispatch:
        reason = "only its dispatch was promised"
    elif order.promise(parcel.arrived) is None:
        reason = "nothing promised"
    _put(found, "on_time_parcel_rate", name, reason, Case(parcel.arrived or parcel.left, good=order.in_time(parcel)))


def _put(found: dict[str, Figure], figure: str, name: str, left_out: str | None, case: Case) -> None:
    counted, without = found[figure]
    if left_out is None:
        counted[name] = case
    else:
        without[name] = left_out
