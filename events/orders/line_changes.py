"""How units of a line change state: functions that several modules share."""

from msgspec.structs import replace

from events.orders.parts import Release
from events.orders.state import Hold, Line, Order, Shipment, Wait


def with_line(order: Order, line: Line) -> Order:
    return replace(order, lines={**order.lines, line.line_id: line})


def with_shipment(order: Order, shipment_id: str, shipment: Shipment) -> Order:
    return replace(order, shipments={**order.shipments, shipment_id: shipment})


def newest(line: Line, stock_version: int | None) -> int:
    return line.answered if stock_version is None else max(line.answered, stock_version)


def take(line: Line, from_open: int, from_backordered: int, releases: tuple[Release, ...]) -> Line:
    """The line without these open and waiting units, and without the released reservations and waits."""
    line = take_open(line, from_open)
    for release in releases:
        if release.line_id != line.line_id:
            continue
        if release.location_id:
            line = take_hold(line, release.attempt, release.location_id, release.quantity)
        else:
            line = take_wait(line, release.attempt, release.quantity)
            from_backordered -= release.quantity
    return take_wait(line, 0, from_backordered)


def take_open(line: Line, quantity: int, *, under_way_first: bool = False) -> Line:
    """Take open units. An answer of stock takes units being sourced first; everything else takes idle units first."""
    if not quantity:
        return line
    if under_way_first:
        sourcing = max(0, line.sourcing - quantity)
        return replace(line, sourcing=sourcing, idle=line.idle - (quantity - (line.sourcing - sourcing)))
    idle = max(0, line.idle - quantity)
    return replace(line, idle=idle, sourcing=line.sourcing - (quantity - (line.idle - idle)))


def add_hold(holds: tuple[Hold, ...], new: Hold) -> tuple[Hold, ...]:
    key = (new.attempt, new.location_id)
    before = sum(hold.quantity for hold in holds if (hold.attempt, hold.location_id) == key)
    rest = tuple(hold for hold in holds if (hold.attempt, hold.location_id) != key)
    return (*rest, Hold(new.attempt, new.location_id, before + new.quantity))


def take_hold(line: Line, attempt: int, location_id: str, quantity: int) -> Line:
    return replace(line, holds=less(line.holds, Hold(attempt, location_id, quantity)))


def less(holds: tuple[Hold, ...], gone: Hold) -> tuple[Hold, ...]:
    left = []
    for hold in holds:
        if (hold.attempt, hold.location_id) != (gone.attempt, gone.location_id):
            left.append(hold)
        elif hold.quantity > gone.quantity:
            left.append(hold._replace(quantity=hold.quantity - gone.quantity))
    return tuple(left)


def add_wait(waits: tuple[Wait, ...], new: Wait) -> tuple[Wait, ...]:
    known = next((wait for wait in waits if wait.attempt == new.attempt), None)
    if known is not None:
        new = known._replace(quantity=known.quantity + new.quantity)
    return (*(wait for wait in waits if wait.attempt != new.attempt), new)


def take_wait(line: Line, attempt: int, quantity: int) -> Line:
    if not quantity:
        return line
    waits = []
    for wait in line.waits:
        left = wait.quantity - quantity if wait.attempt == attempt else wait.quantity
        if left > 0:
            waits.append(wait._replace(quantity=left))
    return replace(line, waits=tuple(waits))


def without(names: tuple[str, ...], gone: str) -> tuple[str, ...]:
    return tuple(name for name in names if name != gone)


def open_lines(order: Order) -> tuple[str, ...]:
    return tuple(key for key, line in order.lines.items() if line.open and not order.in_a_queue(key))


def sought_on(order: Order, lines: tuple[str, ...]) -> Order:
    """Go on sourcing these lines under a hold. If stock had been quicker, they would have been allocated before it."""
    if not order.holds or order.releasing:
        return order
    return replace(order, sought=tuple(dict.fromkeys((*order.sought, *lines))))


def sought_no_more(order: Order, line_id: str) -> Order:
    """Stop sourcing the line under a hold. An all-or-nothing order stops all its lines."""
    if not order.sought:
        return order
    return replace(order, sought=() if order.as_a_whole else without(order.sought, line_id))
