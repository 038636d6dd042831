"""How an order begins."""

from datetime import datetime

from events.envelope import Command, Refused
from events.orders import commands as c
from events.orders import facts as f
from events.orders.refusals import too_valuable, unreadable_promise
from events.orders.state import Order
from events.promises import UnreadablePromiseError, promise_end
from events.times import rfc3339
from events.values import ORDER_VALUE_MAX_MINOR, Attribute


def place(order: Order | None, data: c.PlaceOrder, command: Command[c.OrderCommand]) -> f.OrderPlaced | Refused:
    """The order as it begins, once and for all."""
    what = f"order {data.order_id} was not placed"
    if order is not None:
        return Refused(
            code="conflict",
            what=what,
            detail=f"there is an order of that number already, placed at {rfc3339(order.placed_at)} by {order.channel}",
            hint="use a new order_id; to change the order send AmendOrder",
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
            detail=f"line_id {twice} stands there twice",
            hint="number the lines of an order apart",
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
            # Looked at even where nothing is promised yet: an amendment may promise a date.
            promise_end("2000-01-01", country=data.ship_to.country, time_zone=data.ship_to.time_zone)
    except UnreadablePromiseError as error:
        return unreadable_promise(what, error)
    return f.OrderPlaced(
        order_id=data.order_id,
        customer_id=data.customer_id,
        currency=data.currency,
        lines=tuple(
            f.PlacedLine(
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
