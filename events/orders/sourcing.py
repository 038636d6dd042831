"""Sourcing: an order asks stock for units, stock answers, and the answer changes the order."""

from msgspec import Struct
from msgspec.structs import replace

from events.ahead import found
from events.attempts import round_of
from events.orders import line_changes
from events.orders.parts import Answer, FactOfOrder, Release
from events.orders.state import Hold, Order
from events.values import Id, Natural, Quantity, Text, Total, UtcTime


class RecordAllocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Answers of the stock streams, brought back to the order by the allocation reaction."""

    order_id: Id
    answers: tuple[Answer, ...]


class ReleaseOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The release_at of an order has come."""

    order_id: Id


class SourcingLine(Struct, frozen=True, kw_only=True):
    """Units of a line that need a location."""

    line_id: Id
    sku: Id
    quantity: Quantity


class Excluded(Struct, frozen=True, kw_only=True):
    """A location that must not be asked for a line, because it has just refused the line or has `rejected` it."""

    line_id: Id
    location_id: Id
    rejected: bool = False


class SourcingRequested(FactOfOrder, frozen=True, kw_only=True):
    """Units of an order need a location."""

    round: Quantity
    lines: tuple[SourcingLine, ...]
    excluded: tuple[Excluded, ...]
    placed_at: UtcTime
    sales_channel: Text
    allocation: Text
    country: Text
    latitude: float | None = None
    longitude: float | None = None
    cart_id: Id | None = None
    service_level: Text = "standard"
    region: Text | None = None
    promised_by: UtcTime | None = None
    value_minor: Total = 0
    held_at: tuple[Id, ...] = ()


class LineAllocated(FactOfOrder, frozen=True, kw_only=True):
    """Units of a line are allocated at a location."""

    line_id: Id
    sku: Id
    location_id: Id
    quantity: Quantity
    attempt: Natural
    from_open: Natural
    from_backordered: Natural
    stock_version: Quantity | None = None


class BackorderReopened(FactOfOrder, frozen=True, kw_only=True):
    """Units no longer wait, because stock was offered or because the order does not ask for stock now."""

    line_id: Id
    sku: Id
    quantity: Quantity
    releases: tuple[Release, ...]
    stock_version: Quantity | None = None
    reason: Text = "offered"


class LineDeallocated(FactOfOrder, frozen=True, kw_only=True):
    """Units of a line are no longer allocated."""

    line_id: Id
    sku: Id
    location_id: Id
    quantity: Quantity
    attempt: Natural
    reason: Text
    releases: tuple[Release, ...]
    stock_version: Quantity | None = None
    elsewhere: bool = False


class ReservationSurrendered(FactOfOrder, frozen=True, kw_only=True):
    """An answer came for units that are no longer wanted."""

    line_id: Id
    sku: Id
    quantity: Quantity
    attempt: Natural
    releases: tuple[Release, ...]
    stock_version: Quantity | None = None


class AllocationAnswered(FactOfOrder, frozen=True, kw_only=True):
    """A stock stream answered, and its answer alone neither allocates units nor makes them wait."""

    line_id: Id
    sku: Id
    attempt: Natural
    outcome: Text
    location_id: Text
    quantity: Natural
    stock_version: Quantity


class OrderAllocated(FactOfOrder, frozen=True, kw_only=True):
    """All units that are still wanted and not shipped are allocated."""

    units: Total
    parcels: Quantity


def asked(order: Order, fact: SourcingRequested) -> Order:
    for wanted in fact.lines:
        line = order.lines[wanted.line_id]
        line = replace(line, idle=line.idle - wanted.quantity, sourcing=line.sourcing + wanted.quantity)
        order = line_changes.with_line(order, line)
    return replace(order, round=fact.round, sourced_round=fact.round, released=True)


def allocated(order: Order, fact: LineAllocated) -> Order:
    line = line_changes.take_wait(order.lines[fact.line_id], fact.attempt, fact.from_backordered)
    # Units reserved for an amendment before it was made were asked for separately.
    line = line_changes.take_open(line, fact.from_open, under_way_first=fact.stock_version is not None)
    holds = line_changes.add_hold(line.holds, Hold(fact.attempt, fact.location_id, fact.quantity))
    # A location that had rejected the line gives it only stock that arrived later. So it no longer counts as rejecting.
    rejected_by = tuple(location for location in line.rejected_by if location != fact.location_id)
    answered = line_changes.newest(line, fact.stock_version)
    return line_changes.with_line(
        order, replace(line, holds=holds, excluded=(), rejected_by=rejected_by, answered=answered)
    )


def deallocated(order: Order, fact: LineDeallocated) -> Order:
    line = order.lines[fact.line_id]
    line = line_changes.take_hold(line, fact.attempt, fact.location_id, fact.quantity)
    rejected_by = line.rejected_by
    if fact.elsewhere and fact.location_id not in rejected_by:
        rejected_by = (*rejected_by, fact.location_id)
    answered = line_changes.newest(line, fact.stock_version)
    return _searched(
        line_changes.with_line(
            order, replace(line, idle=line.idle + fact.quantity, rejected_by=rejected_by, answered=answered)
        ),
        fact,
    )


def reopened(order: Order, fact: BackorderReopened) -> Order:
    line = order.lines[fact.line_id]
    idle, answered = line.idle + fact.quantity, line_changes.newest(line, fact.stock_version)
    order = _searched(line_changes.with_line(order, replace(line, waits=(), idle=idle, answered=answered)), fact)
    return order if fact.stock_version is None else _forget_rejections(order, fact.sku)


def answered(order: Order, fact: AllocationAnswered) -> Order:
    line = order.lines[fact.line_id]
    line = replace(line, answered=line_changes.newest(line, fact.stock_version))
    hold = Hold(fact.attempt, fact.location_id, fact.quantity)
    if fact.outcome == "covers":
        # If a queue place was the cover, it has been granted, and the reservation is the cover now.
        waited = line_changes.less(line.covers, hold._replace(location_id="")) if fact.location_id else line.covers
        return line_changes.with_line(order, replace(line, covers=line_changes.add_hold(waited, hold)))
    if fact.outcome == "shipped":
        left = found(line.ahead, round_of(fact.attempt), fact.quantity)
        return line_changes.with_line(order, replace(line, ahead=left, covers=line_changes.less(line.covers, hold)))
    excluded = line.excluded
    if fact.outcome == "refused" and fact.location_id not in excluded:
        excluded = (*excluded, fact.location_id)
    return line_changes.with_line(
        order, replace(line, idle=line.idle + fact.quantity, sourcing=line.sourcing - fact.quantity, excluded=excluded)
    )


def surrendered(order: Order, fact: ReservationSurrendered) -> Order:
    line = order.lines[fact.line_id]
    if fact.stock_version is not None:  # an answer that has just come
        return line_changes.with_line(order, replace(line, answered=line_changes.newest(line, fact.stock_version)))
    for release in fact.releases:
        line = replace(
            line, covers=line_changes.less(line.covers, Hold(release.attempt, release.location_id, release.quantity))
        )
    return line_changes.with_line(order, line)


def _searched(order: Order, fact: LineDeallocated | BackorderReopened) -> Order:
    """Units are open again. Under a hold, the line's sourcing goes on only if stock was merely too slow."""
    match fact.reason:
        case "shipped":  # the other of two reservations has left
            return line_changes.sought_on(order, (fact.line_id,))
        case "all_or_nothing" | "offered" | "changed":  # the order starts again
            return order
        case _:
            return line_changes.sought_no_more(order, fact.line_id)


def _forget_rejections(order: Order, sku: str) -> Order:
    """Ask every location again: the offered stock may have arrived at a location that rejected the line."""
    for line in order.lines.values():
        if line.sku == sku and line.rejected_by:
            order = line_changes.with_line(order, replace(line, rejected_by=()))
    return order
