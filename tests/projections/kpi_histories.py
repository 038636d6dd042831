"""Histories that the real deciders make of random commands, with clocks that disagree: facts for the KPIs to count.

history(seed)     # facts in log order, as `fact_rows.Log.write` takes them
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from events.cases import commands as cases
from events.catalogue import COMMANDS, STREAMS
from events.envelope import INTERNAL_CHANNEL, About, Command, Refused
from events.orders import commands as orders
from events.stock import commands as stock
from events.values import ShipTo
from tests.projections.fact_rows import Fact

BEGIN = datetime(2026, 11, 27, tzinfo=UTC)

#: Two orders' worth of facts and more; long enough that parcels meet moves of the promise, holds and cancellations.
COMMANDS_MAX = 90


class _Ledger:
    """The streams of a history and its facts so far."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = BEGIN
        self.states: dict[tuple[str, str], Any] = {}
        self.facts: list[Fact] = []

    def ask(self, data: Any) -> None:
        """Decide a command; a clock may be off by a day, and the log goes on by up to twelve hours."""
        row = COMMANDS[type(data).__name__]
        self.now += timedelta(seconds=self.random.choice((1, 60, 3_600, 20_000, 43_200)))
        told = self.now + timedelta(seconds=self.random.choice((0, 0, 0, -60, -40_000, -90_000, 5_000)))
        channel = INTERNAL_CHANNEL if row.internal else self.random.choice(("web", "shop"))
        command = Command(id="c", channel=channel, occurred_at=told, recorded_at=self.now, data=data)
        key = getattr(data, row.key)
        kind = STREAMS[row.kind]
        state = self.states.get((row.kind, key)) or kind.begin(key)
        answer = kind.decide(state, command)
        if isinstance(answer, Refused):
            return
        for one in answer:
            state = kind.evolve(state, one, About(channel, told, self.now))
            self.facts.append(
                {
                    "fact": type(one).__name__,
                    "stream_id": key,
                    "occurred_at": told,
                    "recorded_at": self.now,
                    "channel": channel,
                    "actor": None,
                    "data": msgspec.to_builtins(one, builtin_types=(datetime,)),
                }
            )
        self.states[row.kind, key] = state

    def order(self, order_id: str) -> Any:
        return self.states.get(("order", order_id))


def history(seed: int) -> list[Fact]:
    """All facts of a seed."""
    random = Random(seed)
    ledger = _Ledger(random)
    for number in range(random.randint(20, COMMANDS_MAX)):
        data = _anything(ledger, random, number)
        if data is not None:
            ledger.ask(data)
    return ledger.facts


def _anything(ledger: _Ledger, random: Random, number: int) -> Any:
    order_id = f"o{random.randint(1, 4)}"
    order = ledger.order(order_id)
    if random.random() < 0.12:
        return _elsewhere(random, number)
    if order is None:
        return _placed(ledger, random, order_id)
    return random.choice(_STEPS)(ledger, random, order, number)


def _placed(ledger: _Ledger, random: Random, order_id: str) -> Any:
    lines = tuple(
        orders.OrderLine(line_id=str(line), sku=f"S{line}", quantity=random.randint(1, 3), unit_price_minor=1)
        for line in range(1, random.randint(2, 3))
    )
    release_at = ledger.now + timedelta(hours=random.randint(-5, 40)) if random.random() < 0.2 else None
    country, region = random.choice((("DE", None), ("US", "CA"), ("NZ", None)))
    return orders.PlaceOrder(
        order_id=order_id,
        customer_id="C",
        currency="EUR",
        lines=lines,
        ship_to=ShipTo(country=country, region=region),
        promised_by=_promise(ledger, random),
        promise=random.choice(("delivery", "delivery", "dispatch")),
        release_at=release_at,
    )


def _promise(ledger: _Ledger, random: Random) -> str | None:
    if random.random() < 0.2:
        return None
    day = ledger.now + timedelta(days=random.randint(0, 4))
    return day.date().isoformat() if random.random() < 0.5 else day.isoformat()


def _amended(ledger: _Ledger, random: Random, order: Any, _: int) -> Any:
    line = random.choice(list(order.lines.values()))
    lines = (orders.AmendedQuantity(line_id=line.line_id, quantity=random.randint(0, 4)),)
    return orders.AmendOrder(
        order_id=order.order_id,
        lines=lines if random.random() < 0.5 else (),
        promised_by=_promise(ledger, random),
        by=random.choice(("customer", "customer", "seller")),
    )


def _cancelled(_: _Ledger, random: Random, order: Any, __: int) -> Any:
    line = random.choice(list(order.lines.values()))
    lines: tuple[orders.LineQuantity, ...] = ()
    if random.random() < 0.6:
        lines = (orders.LineQuantity(line_id=line.line_id, quantity=1),)
    by = random.choice(("customer", "customer", "seller"))
    return orders.CancelOrder(order_id=order.order_id, reason="r", by=by, lines=lines)


def _answered(_: _Ledger, random: Random, order: Any, number: int) -> Any:
    line = random.choice(list(order.lines.values()))
    if not line.sourcing:
        return None
    answer = orders.Answer(
        line_id=line.line_id,
        attempt=number + 1,
        outcome="reserved",
        location_id=random.choice(("WH1", "WH2")),
        quantity=random.choice((line.sourcing, random.randint(1, line.sourcing))),
        stock_version=number + 1,
    )
    return orders.RecordAllocation(order_id=order.order_id, answers=(answer,))


def _held(_: _Ledger, random: Random, order: Any, __: int) -> Any:
    kind = random.choice((orders.HoldOrder, orders.ReleaseHold))
    return kind(order_id=order.order_id, hold=random.choice(("customer", "customer", "fraud")))


def _dispatched(_: _Ledger, random: Random, order: Any, number: int) -> Any:
    places = [hold.location_id for line in order.lines.values() for hold in line.holds] or ["WH3"]
    location_id = random.choice(places)
    as_planned = random.random() < 0.6
    lines = []
    for line in order.lines.values():
        held = sum(hold.quantity for hold in line.holds if hold.location_id == location_id)
        most = held if as_planned else line.unshipped + random.choice((0, 0, 0, line.cancelled))
        if most:
            quantity = random.choice((most, most, random.randint(1, most)))
            lines.append(orders.LineQuantity(line_id=line.line_id, quantity=quantity))
    return orders.DispatchShipment(
        order_id=order.order_id,
        shipment_id=order.deferred[0].shipment_id if order.deferred else f"P{number}",
        location_id=location_id,
        carrier=random.choice(("DHL", "UPS")),
        service="parcel",
        lines=tuple(lines),
    )


def _scanned(_: _Ledger, random: Random, order: Any, number: int) -> Any:
    """A carrier's scan; one in five before the dispatch of its parcel."""
    early = random.random() < 0.2
    if not (order.shipments or early):
        return None
    return orders.RecordTracking(
        order_id=order.order_id,
        shipment_id=f"P{number}" if early else random.choice(list(order.shipments)),
        status=random.choice(("in_transit", *["delivered"] * 5, "lost", "returned_to_sender")),
    )


def _retracted(_: _Ledger, random: Random, order: Any, __: int) -> Any:
    if not order.shipments:
        return None
    return orders.RetractDispatch(
        order_id=order.order_id, shipment_id=random.choice(list(order.shipments)), reason="wrong gate"
    )


def _replaced(_: _Ledger, random: Random, order: Any, __: int) -> Any:
    """A parcel is sent again, mostly all of it."""
    if not order.shipments:
        return None
    shipment_id, parcel = random.choice(list(order.shipments.items()))
    lines: tuple[orders.LineQuantity, ...] = ()
    if random.random() < 0.3:
        lines = (orders.LineQuantity(line_id=random.choice(list(parcel.lines)), quantity=1),)
    reason = random.choice(("lost", "lost", "damaged", "wrong_goods"))
    return orders.ReplaceShipment(order_id=order.order_id, shipment_id=shipment_id, reason=reason, lines=lines)


_CODES = (None, None, "size", "damaged", "defective", "missing", "wrong_item", "not_as_described")


def _announced(_: _Ledger, random: Random, order: Any, number: int) -> Any:
    lines = tuple(
        orders.ReturnLine(line_id=line.line_id, quantity=1, reason="r", reason_code=random.choice(_CODES))
        for line in order.lines.values()
        if line.shipped > line.returned
    )
    resolution = random.choice(("refund", "exchange"))
    return orders.RequestReturn(order_id=order.order_id, return_id=f"R{number}", lines=lines, resolution=resolution)


def _returned(_: _Ledger, random: Random, order: Any, number: int) -> Any:
    lines = tuple(
        orders.ReceivedLine(line_id=line.line_id, quantity=1, disposition=random.choice(("restock", "damaged")))
        for line in order.lines.values()
        if line.shipped > line.returned
    )
    return_id = random.choice([*order.returns, f"R{number}"])
    cause = random.choice((None, None, "customer", "unclaimed", "refused", "recalled"))
    return orders.ReceiveReturn(
        order_id=order.order_id, return_id=return_id, location_id="WH1", cause=cause, lines=lines
    )


_STEPS = (
    _amended,
    _cancelled,
    _answered,
    _answered,
    _held,
    _dispatched,
    _dispatched,
    _scanned,
    _scanned,
    _scanned,
    _announced,
    _returned,
    _retracted,
    _replaced,
)


def _elsewhere(random: Random, number: int) -> Any:
    """A case, perhaps about an order, or a count."""
    about = random.choice((None, "o1", "o2"))
    return random.choice(
        (
            cases.OpenCase(
                case_id="case",
                order_id=about,
                reason_code=random.choice(_CODES),
                channel="phone",
                topic="t",
                urgency="low",
            ),
            cases.ResolveCase(case_id="case", resolution="done"),
            cases.ResolveCase(case_id="case", resolution="done"),
            cases.ReopenCase(case_id="case", reason="again"),
            stock.ReceiveStock(sku="S1", location_id="WH1", quantity=number + 1),
            stock.CountStock(sku="S1", location_id="WH1", counted=random.randint(0, 9), tolerance=3),
        )
    )
