"""Commands with good defaults: a test names only what it is about. The order is o-1, the SKU MUG, the location WH1."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from events.attempts import attempt_number
from events.categories import commands as k
from events.locations import commands as p
from events.orders import commands as o
from events.orders.state import Line, Order
from events.stock import commands as s
from events.values import Charge, Consumed, ShipTo


def at(clock: str, day: int = 27) -> datetime:
    """A time of November 2026, as at("10:15:00")."""
    return datetime.fromisoformat(f"2026-11-{day:02}T{clock}").replace(tzinfo=UTC)


def place(lines: dict[str, Any] | None = None, *, order_id: str = "o-1", price: int = 100, **more: Any) -> o.PlaceOrder:
    """`lines`: line → units, or (SKU, units); the SKU of line 1 is otherwise SKU-1."""
    wanted = {"1": 2} if lines is None else lines
    parts = {line: what if isinstance(what, tuple) else (f"SKU-{line}", what) for line, what in wanted.items()}
    ship_to = more.pop("ship_to", ShipTo(country="DE"))
    return o.PlaceOrder(
        order_id=order_id,
        customer_id="c-1",
        currency="EUR",
        ship_to=ship_to,
        lines=tuple(
            o.OrderLine(line_id=line, sku=sku, quantity=units, unit_price_minor=price)
            for line, (sku, units) in parts.items()
        ),
        **more,
    )


def quantities(lines: dict[str, int]) -> tuple[o.LineQuantity, ...]:
    return tuple(o.LineQuantity(line_id=line, quantity=units) for line, units in lines.items())


def cancel(lines: dict[str, int] | None = None, **more: Any) -> o.CancelOrder:
    return o.CancelOrder(order_id="o-1", reason="changed mind", lines=quantities(lines or {}), **more)


def amend(lines: dict[str, int] | None = None, **more: Any) -> o.AmendOrder:
    wanted = tuple(o.AmendedQuantity(line_id=line, quantity=units) for line, units in (lines or {}).items())
    return o.AmendOrder(order_id="o-1", lines=wanted, **more)


def hold(name: Any = "payment", **more: Any) -> o.HoldOrder:
    return o.HoldOrder(order_id="o-1", hold=name, **more)


def reject(
    lines: dict[str, int], *, location: str = "WH1", reason: Any = "not_in_stock", note: str | None = None
) -> o.RejectAllocation:
    return o.RejectAllocation(order_id="o-1", location_id=location, lines=quantities(lines), reason=reason, note=note)


def release_hold(name: Any = "payment") -> o.ReleaseHold:
    return o.ReleaseHold(order_id="o-1", hold=name)


def dispatch(lines: dict[str, int], *, shipment: str = "s-1", location: str = "WH1") -> o.DispatchShipment:
    return o.DispatchShipment(
        order_id="o-1",
        shipment_id=shipment,
        location_id=location,
        carrier="dhl",
        service="parcel",
        lines=quantities(lines),
    )


def scan(status: Any = "delivered", *, shipment: str = "s-1") -> o.RecordTracking:
    return o.RecordTracking(order_id="o-1", shipment_id=shipment, status=status)


def retract(shipment: str = "s-1") -> o.RetractDispatch:
    return o.RetractDispatch(order_id="o-1", shipment_id=shipment, reason="wrong gate")


def send_again(
    lines: dict[str, int] | None = None, *, shipment: str = "s-1", reason: Any = "lost"
) -> o.ReplaceShipment:
    return o.ReplaceShipment(order_id="o-1", shipment_id=shipment, reason=reason, lines=quantities(lines or {}))


def ask_return(lines: dict[str, int], *, return_id: str = "r-1") -> o.RequestReturn:
    wanted = tuple(o.ReturnLine(line_id=line, quantity=units, reason="too small") for line, units in lines.items())
    return o.RequestReturn(order_id="o-1", return_id=return_id, lines=wanted)


def scan_return(*, return_id: str = "r-1") -> o.RecordReturnTracking:
    return o.RecordReturnTracking(order_id="o-1", return_id=return_id, status="in_transit")


def receive_return(
    lines: dict[str, int], *, return_id: str = "r-1", disposition: Any = "restock", cause: Any = None
) -> o.ReceiveReturn:
    found = tuple(
        o.ReceivedLine(line_id=line, quantity=units, disposition=disposition) for line, units in lines.items()
    )
    return o.ReceiveReturn(order_id="o-1", return_id=return_id, location_id="WH1", cause=cause, lines=found)


def refund(amount: int, *, return_id: str | None = None) -> o.IssueRefund:
    return o.IssueRefund(order_id="o-1", amount_minor=amount, return_id=return_id, reason="returned")


def in_round(number: int, part: int = 1) -> int:
    """The attempt of a part of what was asked in a round of sourcing; 999 is the place in the queue."""
    return attempt_number(number, part, "", 0)


def answer(
    outcome: Any,
    units: int,
    *,
    version: int,
    line: str = "1",
    location: str = "WH1",
    attempt: int = in_round(1),
    **more: Any,
) -> Any:
    where = "" if outcome in {"waiting", "offered", "promised"} else location
    return o.Answer(
        line_id=line, attempt=attempt, outcome=outcome, location_id=where, quantity=units, stock_version=version, **more
    )


def answers(*said: o.Answer) -> o.RecordAllocation:
    return o.RecordAllocation(order_id="o-1", answers=said)


def reserved(units: int, *, line: str = "1", version: int = 1, **more: Any) -> o.RecordAllocation:
    """The stock stream has given units."""
    return answers(answer("reserved", units, line=line, version=version, **more))


def waiting(units: int, *, line: str = "1", version: int = 1, attempt: int = in_round(1, 999)) -> o.RecordAllocation:
    """The stock stream has put units into its queue."""
    return answers(answer("waiting", units, line=line, version=version, attempt=attempt))


RELEASE_ORDER = o.ReleaseOrder(order_id="o-1")


def postage(amount: int = 500) -> Charge:
    return Charge(code="postage", amount_minor=amount)


def counters(line: Line) -> dict[str, int]:
    """The counters of a line that are not 0."""
    names = ("ordered", "open", "backordered", "allocated", "shipped", "cancelled", "delivered", "returned")
    names += ("returned_by_customer", "replaced", "written_off")
    return {name: getattr(line, name) for name in names if getattr(line, name)}


def line_of(order: Order, line_id: str = "1") -> dict[str, int]:
    return counters(order.lines[line_id])


# Stock


def receive(units: int, *, location: str = "WH1", sku: str = "MUG", po: str | None = None) -> s.ReceiveStock:
    return s.ReceiveStock(sku=sku, location_id=location, quantity=units, purchase_order=po)


def expect(
    units: int, expected_at: datetime | None = None, *, location: str = "WH1", po: str = "PO-1"
) -> s.ExpectStock:
    return s.ExpectStock(sku="MUG", location_id=location, purchase_order=po, quantity=units, expected_at=expected_at)


def send(
    units: int, transfer: str = "T-1", *, source: str = "WH1", target: str = "WH2", **more: Any
) -> s.StartTransfer:
    return s.StartTransfer(
        sku="MUG", transfer_id=transfer, from_location_id=source, to_location_id=target, quantity=units, **more
    )


def arrive(units: int, transfer: str = "T-1", **more: Any) -> s.ReceiveTransfer:
    return s.ReceiveTransfer(sku="MUG", transfer_id=transfer, quantity=units, **more)


def amend_transfer(expected_at: datetime, transfer: str = "T-1") -> s.AmendTransfer:
    return s.AmendTransfer(sku="MUG", transfer_id=transfer, expected_at=expected_at)


CHECK_EXPECTED = s.CheckExpected(sku="MUG")


def register(location: str = "WH1") -> p.RegisterLocation:
    return p.RegisterLocation(location_id=location, name=location, kind="warehouse")


def join(sku: str = "MUG", *, location: str = "WH1") -> p.JoinLocation:
    return p.JoinLocation(location_id=location, sku=sku)


def confirm(location: str = "WH1", *, registered: bool = True) -> s.ConfirmLocation:
    return s.ConfirmLocation(sku="MUG", location_id=location, registered=registered)


def adjust(delta: int, *, location: str = "WH1", **more: Any) -> s.AdjustStock:
    return s.AdjustStock(sku="MUG", location_id=location, quantity_delta=delta, reason="found", **more)


def move(units: int, *, source: str = "WH1", target: str = "WH2") -> s.MoveStock:
    return s.MoveStock(sku="MUG", from_location_id=source, to_location_id=target, quantity=units)


def count(counted: int, *, counted_at: datetime | None = None, tolerance: int = 0, **more: Any) -> s.CountStock:
    return s.CountStock(
        sku="MUG", location_id="WH1", counted=counted, counted_at=counted_at, tolerance=tolerance, **more
    )


def approve(count_id: str, *, approved: bool = True, reason: str | None = None) -> s.ApproveCount:
    return s.ApproveCount(sku="MUG", location_id="WH1", count_id=count_id, approved=approved, reason=reason)


def damage(units: int) -> s.MarkDamaged:
    return s.MarkDamaged(sku="MUG", location_id="WH1", quantity=units)


def set_apart(units: int) -> s.HoldStock:
    return s.HoldStock(sku="MUG", location_id="WH1", quantity=units, reason="smells")


def release_quality(units: int, disposition: Any = "restock") -> s.ReleaseQualityHold:
    return s.ReleaseQualityHold(sku="MUG", location_id="WH1", quantity=units, disposition=disposition)


def dispose(units: int, taken_from: Any = "damaged") -> s.DisposeStock:
    return s.DisposeStock(sku="MUG", location_id="WH1", quantity=units, from_=taken_from, reason="broken")


def policy(*, location: str = "WH1", **numbers: Any) -> s.SetStockPolicy:
    return s.SetStockPolicy(sku="MUG", location_id=location, **numbers)


def assign(category_id: str | None) -> s.AssignCategory:
    return s.AssignCategory(sku="MUG", category_id=category_id)


def category_policy(**rules: Any) -> k.SetCategoryPolicy:
    return k.SetCategoryPolicy(category_id="china", **rules)


def channels(location: str | None = None, **rules: Any) -> s.SetChannelPolicy:
    return s.SetChannelPolicy(sku="MUG", location_id=location, **rules)


def reserve(
    units: int = 1, *, order: str = "o-1", line: str = "1", attempt: int = 1, location: str = "WH1", **more: Any
) -> s.ReserveStock:
    return s.ReserveStock(
        sku="MUG", location_id=location, quantity=units, order_id=order, line_id=line, attempt=attempt, **more
    )


def release(
    units: int = 1, *, order: str = "o-1", line: str = "1", attempt: int = 1, location: str = "WH1"
) -> s.ReleaseStock:
    return s.ReleaseStock(
        sku="MUG", location_id=location, quantity=units, order_id=order, line_id=line, attempt=attempt
    )


def put_in_cart(
    units: int = 1, *, cart: str = "cart-1", attempt: int = 1, location: str = "WH1", until: datetime | None = None
) -> s.ReserveStock:
    """A shop holds units for a cart."""
    return reserve(units, order=cart, attempt=attempt, location=location, expires_at=until or at("20:00:00"))


def wait_for(
    units: int = 1,
    *,
    order: str = "o-1",
    line: str = "1",
    attempt: int = 1,
    placed_at: datetime | None = None,
    **more: Any,
) -> s.AwaitStock:
    return s.AwaitStock(
        sku="MUG",
        quantity=units,
        order_id=order,
        line_id=line,
        attempt=attempt,
        placed_at=placed_at or at("09:00:00"),
        **more,
    )


def ship(units: int, *used: tuple[int, str, int], location: str = "WH1", **ahead: Any) -> s.ShipStock:
    """`used`: (attempt, location, units) that the order held; `ahead`: units that it had no answer for."""
    consumed = tuple(Consumed(attempt=attempt, location_id=where, quantity=held) for attempt, where, held in used)
    return s.ShipStock(
        sku="MUG",
        location_id=location,
        quantity=units,
        order_id="o-1",
        line_id="1",
        shipment_id="s-1",
        consumed=consumed,
        **({"ahead_round": 1} | ahead if ahead else {}),
    )


def restore(units: int, held: int = 0, *, attempt: int = 7, location: str = "WH1") -> s.RestoreStock:
    return s.RestoreStock(
        sku="MUG",
        location_id=location,
        quantity=units,
        order_id="o-1",
        line_id="1",
        shipment_id="s-1",
        held=held,
        attempt=attempt if held else 0,
    )


def reject_stock(
    units: int, *used: tuple[int, int], reason: Any = "not_in_stock", location: str = "WH1"
) -> s.RejectStock:
    """`used`: (attempt, units) that the order held there."""
    consumed = tuple(Consumed(attempt=attempt, location_id=location, quantity=held) for attempt, held in used)
    return s.RejectStock(
        sku="MUG",
        location_id=location,
        quantity=units,
        order_id="o-1",
        line_id="1",
        reason=reason,
        consumed=consumed,
    )


def take_back(units: int, disposition: Any = "restock") -> s.ReturnStock:
    return s.ReturnStock(
        sku="MUG",
        location_id="WH1",
        quantity=units,
        order_id="o-1",
        line_id="1",
        return_id="r-1",
        disposition=disposition,
    )


def expire(*, order: str = "o-1", attempt: int = 1, location: str = "WH1") -> s.ExpireReservation:
    return s.ExpireReservation(sku="MUG", location_id=location, order_id=order, line_id="1", attempt=attempt)


def amounts(level: Any) -> dict[str, int]:
    """The quantities of a location that are not 0."""
    names = ("on_hand", "available", "reserved", "safety", "damaged", "quality_hold")
    return {name: getattr(level, name) for name in names if getattr(level, name)}
