"""Placing an order."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from events.envelope import About, AnyCommand, Refused
from events.orders.parts import FactOfOrder
from events.orders.refusals import too_valuable, unreadable_promise
from events.orders.state import Line, Order
from events.promises import UnreadablePromiseError, promise_end
from events.times import rfc3339
from events.values import (
    ORDER_VALUE_MAX_MINOR,
    Attribute,
    Charge,
    CurrencyCode,
    Id,
    Natural,
    Quantity,
    ShipTo,
    Text,
    UtcTime,
)


class OrderLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of an order."""

    line_id: Id
    sku: Id
    quantity: Quantity
    unit_price_minor: Natural
    attributes: dict[Id, Text] = {}
    cancel_after: UtcTime | None = None
    customised: bool = False


class PlaceOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A customer's order, as a channel took it."""

    order_id: Id
    customer_id: Id
    currency: CurrencyCode
    lines: tuple[OrderLine, ...] = ()
    ship_to: ShipTo
    service_level: Literal["standard", "express", "same_day"] = "standard"
    promised_by: Id | None = None
    allocation: Literal["ship_available", "all_or_nothing"] = "ship_available"
    release_at: UtcTime | None = None
    charges: tuple[Charge, ...] = ()
    cart_id: Id | None = None
    promise: Literal["delivery", "dispatch"] = "delivery"


class PlacedLine(Struct, frozen=True, kw_only=True):
    """One line of an order."""

    line_id: Id
    sku: Id
    quantity: Quantity
    unit_price_minor: Natural
    attributes: tuple[Attribute, ...]
    cancel_after: UtcTime | None = None
    customised: bool = False


class OrderPlaced(FactOfOrder, frozen=True, kw_only=True):
    """An order was placed."""

    customer_id: Id
    currency: CurrencyCode
    lines: tuple[PlacedLine, ...]
    ship_to: ShipTo
    service_level: Text
    promised_by: UtcTime | None = None
    allocation: Text
    release_at: UtcTime | None = None
    charges: tuple[Charge, ...]
    sourcing: bool
    cart_id: Id | None = None
    promise: Text = "delivery"


def place(order: Order | None, data: PlaceOrder, command: AnyCommand) -> OrderPlaced | Refused:
    """The fact that begins the order, or a refusal."""
    what = f"order {data.order_id} was not placed"
    if order is not None:
        return Refused(
            code="conflict",
            what=what,
            detail=f"this order_id is already used by an order placed at {rfc3339(order.placed_at)} by {order.channel}",
            hint="use a new order_id; to change the order, send AmendOrder",
        )
    if not data.lines and not data.charges:
        return Refused(
            code="invalid",
            what=what,
            detail="it has neither lines nor charges",
            hint="send at least one line or charge",
        )
    line_ids = [line.line_id for line in data.lines]
    if len(set(line_ids)) != len(line_ids):
        twice = next(line_id for line_id in line_ids if line_ids.count(line_id) > 1)
        return Refused(
            code="invalid",
            what=what,
            detail=f"line_id {twice} is used twice",
            hint="give each line of an order its own line_id",
        )
    value = sum(line.quantity * line.unit_price_minor for line in data.lines)
    value += sum(charge.amount_minor for charge in data.charges)
    if abs(value) > ORDER_VALUE_MAX_MINOR:
        return too_valuable(what, data.currency, value)
    promised_by: datetime | None = None
    try:
        if data.promised_by is not None:
            promised_by = promise_end(data.promised_by, country=data.ship_to.country, time_zone=data.ship_to.time_zone)
        if data.ship_to.time_zone is not None:
            # This checks the time zone, too, even without a promise: an amendment may promise a date later.
            promise_end("2000-01-01", country=data.ship_to.country, time_zone=data.ship_to.time_zone)
    except UnreadablePromiseError as error:
        return unreadable_promise(what, error)
    return OrderPlaced(
        order_id=data.order_id,
        customer_id=data.customer_id,
        currency=data.currency,
        lines=tuple(
            PlacedLine(
                line_id=line.line_id,
                sku=line.sku,
                quantity=line.quantity,
                unit_price_minor=line.unit_price_minor,
                attributes=tuple(Attribute(name=name, value=value) for name, value in sorted(line.attributes.items())),
                cancel_after=line.cancel_after,
                customised=line.customised,
            )
            for line in data.lines
        ),
        ship_to=data.ship_to,
        service_level=data.service_level,
        promised_by=promised_by,
        allocation=data.allocation,
        release_at=data.release_at,
        charges=data.charges,
        sourcing=data.release_at is None or data.release_at <= command.recorded_at,
        cart_id=data.cart_id,
        promise=data.promise,
    )


def placed(fact: OrderPlaced, about: About) -> Order:
    lines = {
        line.line_id: Line(
            line_id=line.line_id,
            sku=line.sku,
            unit_price_minor=line.unit_price_minor,
            attributes=line.attributes,
            ordered=line.quantity,
            idle=0 if fact.sourcing else line.quantity,
            sourcing=line.quantity if fact.sourcing else 0,
            cancel_after=line.cancel_after,
            customised=line.customised,
        )
        for line in fact.lines
    }
    return Order(
        order_id=fact.order_id,
        currency=fact.currency,
        channel=about.channel,
        placed_at=about.occurred_at,
        allocation=fact.allocation,
        country=fact.ship_to.country,
        time_zone=fact.ship_to.time_zone,
        latitude=fact.ship_to.latitude,
        longitude=fact.ship_to.longitude,
        promised_by=fact.promised_by,
        due_by=fact.promised_by,
        lines=lines,
        charges_minor=sum(charge.amount_minor for charge in fact.charges),
        cart_id=fact.cart_id,
        released=fact.sourcing,
        service_level=fact.service_level,
        region=fact.ship_to.region,
        promise=fact.promise,
    )
