"""Locations are looked for: what stock is asked, what it answers, and what the order has of it then."""

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
    """The time named in release_at has come."""

    order_id: Id


class SourcingLine(Struct, frozen=True, kw_only=True):
    """Units of a line that need a location."""

    line_id: Id
    sku: Id
    quantity: Quantity


class Excluded(Struct, frozen=True, kw_only=True):
    """A location that is not to be asked for a line: it has just refused it, or looked and `rejected` it."""

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
    """Units of a line are held at a location."""

    line_id: Id
    sku: Id
    location_id: Id
    quantity: Quantity
    attempt: Natural
    from_open: Natural
    from_backordered: Natural
    stock_version: Quantity | None = None


class BackorderReopened(FactOfOrder, frozen=True, kw_only=True):
    """Units that waited wait no more: stock was offered, or the order does not ask for stock now."""

    line_id: Id
    sku: Id
    quantity: Quantity
    releases: tuple[Release, ...]
    stock_version: Quantity | None = None
    reason: Text = "offered"


class LineDeallocated(FactOfOrder, frozen=True, kw_only=True):
    """Units of a line are no longer held."""

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
    """An answer came for units that are not wanted any more."""

    line_id: Id
    sku: Id
    quantity: Quantity
    attempt: Natural
    releases: tuple[Release, ...]
    stock_version: Quantity | None = None


class AllocationAnswered(FactOfOrder, frozen=True, kw_only=True):
    """A stock stream's answer that moved no unit by itself."""

    line_id: Id
    sku: Id
    attempt: Natural
    outcome: Text
    location_id: Text
    quantity: Natural
    stock_version: Quantity


class OrderAllocated(FactOfOrder, frozen=True, kw_only=True):
    """Every unit that is still wanted and not shipped is held."""

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
    # What such a location gives after all, it has received since.
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
        # What covered as a place in the queue has been granted.
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
    """Units are open again: while a hold is set the line stands still, unless stock was too slow only."""
    match fact.reason:
        case "shipped":  # of two holds the other one has left
            return line_changes.sought_on(order, (fact.line_id,))
        case "all_or_nothing" | "offered" | "changed":  # the order begins anew
            return order
        case _:
            return line_changes.sought_no_more(order, fact.line_id)


def _forget_rejections(order: Order, sku: str) -> Order:
    """Stock that is offered may have arrived where there was none: every location is worth another look."""
    for line in order.lines.values():
        if line.sku == sku and line.rejected_by:
            order = line_changes.with_line(order, replace(line, rejected_by=()))
    return order
