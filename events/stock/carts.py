"""An order takes over the reservations of its cart in one decision, so nobody else can take the units in between.

reserve 2 for order o-1, whose cart c-9 has 2 -> StockReleased(c-9, 2), StockReserved(o-1, 2)

A cart is any reservation that a channel asked for and that expires. Its `order_id` is the cart's id.
"""

from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.lapsing import Hold
from events.stock.state import Attempt, Reservation, Stock


def held(stock: Stock, cart_id: str | None, location_id: str) -> int:
    """Units reserved for the cart at the location."""
    return sum(reservation.quantity for _, reservation in _holds(stock, cart_id, location_id))


def free_with(stock: Stock, cart_id: str | None, location_id: str, channel: str | None) -> int:
    """Units that an order may take at the location: free units, and those reserved for its cart.

    Buffers and safety stock do not keep the cart's units back, because these units are reserved already. If more is
    reserved than there is, the cart gives only the units that would be available without the cart.
    """
    level = stock.level(location_id)
    free = level.free(channel)
    if cart_id is None:
        return free
    units = held(stock, cart_id, location_id)
    return min(free + units, max(0, level.available + units)) if units else free


def locations(stock: Stock, cart_id: str) -> list[str]:
    """Where units are reserved for the cart."""
    return sorted({hold.location_id for hold in stock.carts.get(cart_id, ())})


def grant(decision: Decision, attempt: Attempt, cart_id: str | None, quantity: int) -> int:
    """Reserve up to `quantity` units of the cart for the attempt, at any location. Returns the units."""
    if cart_id is None:
        return 0
    left = quantity
    for location_id in locations(decision.stock, cart_id):
        here = held(decision.stock, cart_id, location_id)
        units = min(left, here, max(0, decision.stock.level(location_id).available + here))
        if units:
            left -= units
            take_over(decision, cart_id, location_id, units)
            decision.add(
                f.StockReserved(
                    sku=decision.stock.sku,
                    location_id=location_id,
                    quantity=units,
                    order_id=attempt.order_id,
                    line_id=attempt.line_id,
                    attempt=attempt.attempt,
                    waited=False,
                    for_order=True,
                )
            )
    return quantity - left


def take_over(decision: Decision, cart_id: str | None, location_id: str, quantity: int) -> None:
    """Release up to `quantity` units of the cart at the location, those that expire first."""
    left = quantity
    for hold, reservation in _holds(decision.stock, cart_id, location_id):
        units = min(left, reservation.quantity)
        if not units:
            return
        left -= units
        attempt = Attempt(*hold.holder)
        decision.add(
            f.StockReleased(
                sku=decision.stock.sku,
                location_id=location_id,
                quantity=units,
                order_id=attempt.order_id,
                line_id=attempt.line_id,
                attempt=attempt.attempt,
                for_order=False,
            )
        )


def use_up(decision: Decision, cart_id: str | None, location_id: str, quantity: int) -> None:
    """Units of the cart's order have left. Release as many units of the cart, first at the location that they left."""
    if cart_id is None:
        return
    left = quantity
    places = locations(decision.stock, cart_id)
    for place in sorted(places, key=lambda place: (place != location_id, place)):
        units = min(left, held(decision.stock, cart_id, place))
        if units:
            left -= units
            take_over(decision, cart_id, place, units)


def _holds(stock: Stock, cart_id: str | None, location_id: str) -> list[tuple[Hold, Reservation]]:
    if cart_id is None or cart_id not in stock.carts:
        return []
    held_here = [
        (hold, stock.reservations[Attempt(*hold.holder)][location_id])
        for hold in stock.carts[cart_id]
        if hold.location_id == location_id
    ]
    return sorted(held_here, key=lambda row: (row[1].expires_at, row[0]))
