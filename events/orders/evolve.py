"""What an order becomes through a fact. Total over all facts of an order; the past is never refused."""

from typing import assert_never

from msgspec.structs import replace

from events.ahead import Ahead, add_ahead, found
from events.attempts import round_of
from events.envelope import About
from events.orders import facts as f
from events.orders.state import AmendedLine, Amendment, Hold, Line, Order, Queued, Return, Shipment, Wait
from events.refusal import CommandRefused


def evolve(order: Order | None, fact: f.OrderFact | CommandRefused, about: About) -> Order | None:
    """The order after the fact. Only placing needs the envelope."""
    if isinstance(fact, f.OrderPlaced):
        return _placed(fact, about)
    if isinstance(fact, CommandRefused):
        return order
    if order is None:
        raise ValueError(f"{type(fact).__name__} in a stream that has no order")
    match fact:
        case f.LineAllocated():
            return _allocated(order, fact)
        case (
            f.OrderAllocated()
            | f.DispatchDiffered()
            | f.DispatchCrossed()
            | f.ReturnDiffered()
            | f.ReturnTracked()
            | f.ShipmentTracked()
        ):
            return order
        case f.SourcingRequested():
            return _asked(order, fact)
        case f.ShipmentDispatched():
            return _dispatched(order, fact)
        case f.LineBackordered():
            return _with(order, _backordered(order.lines[fact.line_id], fact))
        case f.LinePromised():
            line = order.lines[fact.line_id]
            waits = tuple(
                wait._replace(expected_at=fact.expected_at) if wait.attempt == fact.attempt else wait
                for wait in line.waits
            )
            answered = _newest(line, fact.stock_version)
            return _with(order, replace(line, waits=waits, told=fact.expected_at, answered=answered))
        case f.BackorderReopened():
            return _reopened(order, fact)
        case f.LineDeallocated():
            return _searched(_with(order, _deallocated(order.lines[fact.line_id], fact)), fact)
        case f.AllocationAnswered():
            return _with(order, _answered(order.lines[fact.line_id], fact))
        case f.ReservationSurrendered():
            return _with(order, _surrendered(order.lines[fact.line_id], fact))
        case f.OrderCancelled():
            return _cancelled(order, fact)
        case f.OrderAmended():
            return _amended(order, fact)
        case f.AmendmentRequested():
            return _amendment_requested(order, fact)
        case f.AmendmentAnswered():
            return _amendment_answered(order, fact)
        case f.AmendmentDeclined():
            return replace(order, amendment=None)
        case f.OrderHeld():
            return _held(order, fact)
        case f.HoldReleased():
            holds, releasing = _without(order.holds, fact.hold), _without(order.releasing, fact.hold)
            return replace(order, holds=holds, releasing=releasing, sought=order.sought if holds else ())
        case f.ShipmentDelivered():
            shipment = replace(order.shipments[fact.shipment_id], delivered=True)
            order = replace(order, shipments={**order.shipments, fact.shipment_id: shipment})
            return _delivered(order, fact.lines)
        case f.DeliveryInferred():
            return _delivered(order, fact.lines)
        case f.ReturnRequested():
            asked = Return(rma=fact.rma, requested={line.line_id: line.quantity for line in fact.lines}, received={})
            return replace(order, returns={**order.returns, fact.return_id: asked})
        case f.ReturnReceived():
            return _returned(order, fact)
        case f.RefundIssued():
            return replace(order, refunded_minor=order.refunded_minor + fact.amount_minor)
        case f.ExchangeLinesAdded():
            return _exchanged(order, fact)
        case f.ExchangeReleased():
            known = replace(order.returns[fact.return_id], exchanged=True)
            return replace(order, returns={**order.returns, fact.return_id: known})
        case f.ReturnWithdrawn():
            return _withdrawn(order, fact)
        case f.AllocationRejected():
            return _rejected(order, fact)
        case f.OrderQueued():
            return _queued(order, fact)
        case f.OrderUnqueued():
            return _unqueued(order, fact)
        case _:
            assert_never(fact)


def _placed(fact: f.OrderPlaced, about: About) -> Order:
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


def _asked(order: Order, fact: f.SourcingRequested) -> Order:
    for wanted in fact.lines:
        line = order.lines[wanted.line_id]
        line = replace(line, idle=line.idle - wanted.quantity, sourcing=line.sourcing + wanted.quantity)
        order = _with(order, line)
    return replace(order, round=fact.round, sourced_round=fact.round, released=True)


def _allocated(order: Order, fact: f.LineAllocated) -> Order:
    line = _take_wait(order.lines[fact.line_id], fact.attempt, fact.from_backordered)
    # What was set aside for an amendment before it was made had been asked for apart.
    line = _take_open(line, fact.from_open, under_way_first=fact.stock_version is not None)
    holds = _add_hold(line.holds, Hold(fact.attempt, fact.location_id, fact.quantity))
    # What such a location gives after all, it has received since.
    rejected_by = tuple(location for location in line.rejected_by if location != fact.location_id)
    answered = _newest(line, fact.stock_version)
    return _with(order, replace(line, holds=holds, excluded=(), rejected_by=rejected_by, answered=answered))


def _deallocated(line: Line, fact: f.LineDeallocated) -> Line:
    line = _take_hold(line, fact.attempt, fact.location_id, fact.quantity)
    rejected_by = line.rejected_by
    if fact.elsewhere and fact.location_id not in rejected_by:
        rejected_by = (*rejected_by, fact.location_id)
    answered = _newest(line, fact.stock_version)
    return replace(line, idle=line.idle + fact.quantity, rejected_by=rejected_by, answered=answered)


def _reopened(order: Order, fact: f.BackorderReopened) -> Order:
    line = order.lines[fact.line_id]
    idle, answered = line.idle + fact.quantity, _newest(line, fact.stock_version)
    order = _searched(_with(order, replace(line, waits=(), idle=idle, answered=answered)), fact)
    return order if fact.stock_version is None else _forget_rejections(order, fact.sku)


def _answered(line: Line, fact: f.AllocationAnswered) -> Line:
    line = replace(line, answered=_newest(line, fact.stock_version))
    hold = Hold(fact.attempt, fact.location_id, fact.quantity)
    if fact.outcome == "covers":
        return replace(line, covers=_add_hold(line.covers, hold))
    if fact.outcome == "shipped":
        left = found(line.ahead, round_of(fact.attempt), fact.quantity)
        return replace(line, ahead=left, covers=_less(line.covers, hold))
    excluded = line.excluded
    if fact.outcome == "refused" and fact.location_id not in excluded:
        excluded = (*excluded, fact.location_id)
    return replace(line, idle=line.idle + fact.quantity, sourcing=line.sourcing - fact.quantity, excluded=excluded)


def _surrendered(line: Line, fact: f.ReservationSurrendered) -> Line:
    if fact.stock_version is not None:  # an answer that has just come
        return replace(line, answered=_newest(line, fact.stock_version))
    for release in fact.releases:
        line = replace(line, covers=_less(line.covers, Hold(release.attempt, release.location_id, release.quantity)))
    return line


def _backordered(line: Line, fact: f.LineBackordered) -> Line:
    line = _take_open(line, fact.quantity, under_way_first=True)
    # A wait that follows another one begins with what the customer was told last; a place in no queue promises nothing.
    told = line.told if fact.attempt else None
    waits = _add_wait(line.waits, Wait(fact.attempt, fact.quantity, None if line.waits else told))
    # A line that waits for another one only is called back by that one's offer, which says nothing of the
    # places that refused this line: asked again there and then, it would be refused again, for ever.
    excluded = () if fact.attempt else line.excluded
    return replace(line, waits=waits, excluded=excluded, told=told, answered=_newest(line, fact.stock_version))


def _cancelled(order: Order, fact: f.OrderCancelled) -> Order:
    for cut in fact.lines:
        line = _take(order.lines[cut.line_id], cut.from_open, cut.from_backordered, fact.releases)
        order = _with(order, replace(line, cancelled=line.cancelled + cut.quantity))
    return order


def _dispatched(order: Order, fact: f.ShipmentDispatched) -> Order:
    for shipped in fact.lines:
        line = order.lines[shipped.line_id]
        for part in shipped.consumed:
            if part.location_id:
                line = _take_hold(line, part.attempt, part.location_id, part.quantity)
            else:
                line = _take_wait(line, part.attempt, part.quantity)
        line = _take_open(line, shipped.from_open)
        line = replace(
            line,
            ordered=line.ordered + shipped.from_removed,
            removed=line.removed - shipped.from_removed,
            cancelled=line.cancelled - shipped.from_cancelled,
            shipped=line.shipped + shipped.quantity,
            ahead=add_ahead(line.ahead, Ahead(shipped.ahead, shipped.ahead_round, shipped.ahead_apart)),
        )
        order = _with(order, line)
    shipment = Shipment(
        location_id=fact.location_id,
        carrier=fact.carrier,
        lines={line.line_id: line.quantity for line in fact.lines},
    )
    return replace(order, shipments={**order.shipments, fact.shipment_id: shipment})


def _amended(order: Order, fact: f.OrderAmended) -> Order:
    asked = order.amendment.lines if order.amendment is not None and fact.amendment_id is not None else {}
    for change in fact.lines:
        line = _take(order.lines[change.line_id], change.from_open, change.from_backordered, fact.releases)
        grown = max(0, change.ordered - change.ordered_before)
        removed = max(0, line.removed + change.ordered_before - change.ordered)
        # Stock has been asked for what it has not set aside yet: that is under way.
        missing = asked[change.line_id].missing if change.line_id in asked else 0
        idle, sourcing = line.idle + grown - missing, line.sourcing + missing
        order = _with(order, replace(line, ordered=change.ordered, idle=idle, sourcing=sourcing, removed=removed))
    if fact.promised_by is not None:
        order = replace(order, promised_by=fact.promised_by, due_by=fact.due_by or order.due_by)
    if order.amendment is not None and fact.amendment_id is not None:
        order = replace(order, amendment=None, amended_round=order.amendment.round)
        order = _sought_on(order, _open_lines(order))
    return order


def _held(order: Order, fact: f.OrderHeld) -> Order:
    holds, releasing, sought = (*order.holds, fact.hold), order.releasing, order.sought
    if fact.stock == "release":
        releasing, sought = (*releasing, fact.hold), ()
    elif not order.holds and order.released:
        sought = _open_lines(order)
    return replace(order, holds=holds, releasing=releasing, sought=sought)


def _open_lines(order: Order) -> tuple[str, ...]:
    return tuple(key for key, line in order.lines.items() if line.open and not order.in_a_queue(key))


def _sought_on(order: Order, lines: tuple[str, ...]) -> Order:
    """Lines whose units would be held by now, had stock been quicker, are sought although a hold is set."""
    if not order.holds or order.releasing:
        return order
    return replace(order, sought=tuple(dict.fromkeys((*order.sought, *lines))))


def _searched(order: Order, fact: f.LineDeallocated | f.BackorderReopened) -> Order:
    """Units are open again: while a hold is set the line stands still, unless stock was too slow only."""
    match fact.reason:
        case "shipped":  # of two holds the other one has left
            return _sought_on(order, (fact.line_id,))
        case "all_or_nothing" | "offered" | "changed":  # the order begins anew
            return order
        case _:
            return _sought_no_more(order, fact.line_id)


def _sought_no_more(order: Order, line_id: str) -> Order:
    """An order that goes as a whole stands still as a whole."""
    if not order.sought:
        return order
    return replace(order, sought=() if order.as_a_whole else _without(order.sought, line_id))


def _amendment_requested(order: Order, fact: f.AmendmentRequested) -> Order:
    amendment = Amendment(
        amendment_id=fact.amendment_id,
        round=fact.round,
        by=fact.by,
        promised_by=fact.promised_by,
        lines={
            line.line_id: AmendedLine(line.ordered_before, line.ordered, cancelled=line.cancelled)
            for line in fact.lines
        },
    )
    return replace(order, amendment=amendment, amendments=order.amendments + 1, round=fact.round)


def _amendment_answered(order: Order, fact: f.AmendmentAnswered) -> Order:
    line = order.lines[fact.line_id]
    order = _with(order, replace(line, answered=_newest(line, fact.stock_version)))
    amendment = order.amendment
    if amendment is None or not fact.quantity:
        return order
    amended = amendment.lines[fact.line_id]
    hold = Hold(fact.attempt, fact.location_id, fact.quantity)
    got = _add_hold(amended.got, hold) if fact.outcome == "reserved" else _less(amended.got, hold)
    lines = {**amendment.lines, fact.line_id: amended._replace(got=got)}
    return replace(order, amendment=replace(amendment, lines=lines))


def _delivered(order: Order, lines: tuple[f.DeliveredLine, ...]) -> Order:
    for delivered in lines:
        line = order.lines[delivered.line_id]
        order = _with(order, replace(line, delivered=line.delivered + delivered.quantity))
    return order


def _returned(order: Order, fact: f.ReturnReceived) -> Order:
    known = order.returns.get(fact.return_id) or Return(rma=fact.rma, requested={}, received={})
    received = dict(known.received)
    for arrived in fact.lines:
        line = order.lines[arrived.line_id]
        received[arrived.line_id] = received.get(arrived.line_id, 0) + arrived.quantity
        order = _with(order, replace(line, returned=line.returned + arrived.quantity))
    return replace(order, returns={**order.returns, fact.return_id: replace(known, received=received)})


def _without(names: tuple[str, ...], gone: str) -> tuple[str, ...]:
    return tuple(name for name in names if name != gone)


def _exchanged(order: Order, fact: f.ExchangeLinesAdded) -> Order:
    for added in fact.lines:
        line = Line(
            line_id=added.line_id,
            sku=added.sku,
            unit_price_minor=added.unit_price_minor,
            attributes=added.attributes,
            customised=added.customised,
            ordered=added.quantity,
            idle=added.quantity,
            exchange_for=fact.return_id,
        )
        order = _with(order, line)
        if order.as_a_whole:
            order = _sought_no_more(order, line.line_id)
    known = replace(order.returns[fact.return_id], credit_minor=fact.credit_minor)
    return replace(order, returns={**order.returns, fact.return_id: known})


def _withdrawn(order: Order, fact: f.ReturnWithdrawn) -> Order:
    known = order.returns[fact.return_id]
    gone = {line.line_id: line.quantity for line in fact.lines}
    left = {line_id: units - gone.get(line_id, 0) for line_id, units in known.requested.items()}
    requested = {line_id: units for line_id, units in left.items() if units > 0}
    return replace(
        order, returns={**order.returns, fact.return_id: replace(known, requested=requested, withdrawn=True)}
    )


def _rejected(order: Order, fact: f.AllocationRejected) -> Order:
    for part in fact.lines:
        line = order.lines[part.line_id]
        for hold in part.consumed:
            line = _take_hold(line, hold.attempt, hold.location_id, hold.quantity)
        rejected_by = tuple(dict.fromkeys((*line.rejected_by, fact.location_id)))
        idle = line.idle + part.quantity
        order = _with(order, replace(line, idle=idle, rejected_by=rejected_by, rejections=part.rejections))
        order = _sought_no_more(order, part.line_id)
    return order


def _forget_rejections(order: Order, sku: str) -> Order:
    """Stock that is offered may have arrived where there was none: every location is worth another look."""
    for line in order.lines.values():
        if line.sku == sku and line.rejected_by:
            order = _with(order, replace(line, rejected_by=()))
    return order


def _queued(order: Order, fact: f.OrderQueued) -> Order:
    known = order.queues.get(fact.queue)
    names = dict.fromkeys(() if known is None else known.lines)
    for stuck in fact.lines:
        names[stuck.line_id] = None
        line = order.lines[stuck.line_id]
        units = stuck.from_sourcing
        order = _with(order, replace(line, idle=line.idle + units, sourcing=line.sourcing - units))
    return replace(order, queues={**order.queues, fact.queue: Queued(reason=fact.reason, lines=tuple(names))})


def _unqueued(order: Order, fact: f.OrderUnqueued) -> Order:
    entry = order.queues[fact.queue]
    if fact.resolution == "leave":
        return replace(order, queues={**order.queues, fact.queue: replace(entry, left=True)})
    if fact.resolution == "retry":
        for line_id in entry.lines:
            order = _with(order, replace(order.lines[line_id], excluded=(), rejected_by=(), rejections=0))
    return replace(order, queues={name: one for name, one in order.queues.items() if name != fact.queue})


def _with(order: Order, line: Line) -> Order:
    return replace(order, lines={**order.lines, line.line_id: line})


def _newest(line: Line, stock_version: int | None) -> int:
    return line.answered if stock_version is None else max(line.answered, stock_version)


def _take(line: Line, from_open: int, from_backordered: int, releases: tuple[f.Release, ...]) -> Line:
    """The line without open units, without what is released of it, and without units that wait with the whole order."""
    line = _take_open(line, from_open)
    for release in releases:
        if release.line_id != line.line_id:
            continue
        if release.location_id:
            line = _take_hold(line, release.attempt, release.location_id, release.quantity)
        else:
            line = _take_wait(line, release.attempt, release.quantity)
            from_backordered -= release.quantity
    return _take_wait(line, 0, from_backordered)


def _take_open(line: Line, quantity: int, *, under_way_first: bool = False) -> Line:
    """Answers use up what is under way; everybody else takes first what nobody looks for."""
    if not quantity:
        return line
    if under_way_first:
        sourcing = max(0, line.sourcing - quantity)
        return replace(line, sourcing=sourcing, idle=line.idle - (quantity - (line.sourcing - sourcing)))
    idle = max(0, line.idle - quantity)
    return replace(line, idle=idle, sourcing=line.sourcing - (quantity - (line.idle - idle)))


def _add_hold(holds: tuple[Hold, ...], new: Hold) -> tuple[Hold, ...]:
    key = (new.attempt, new.location_id)
    before = sum(hold.quantity for hold in holds if (hold.attempt, hold.location_id) == key)
    rest = tuple(hold for hold in holds if (hold.attempt, hold.location_id) != key)
    return (*rest, Hold(new.attempt, new.location_id, before + new.quantity))


def _take_hold(line: Line, attempt: int, location_id: str, quantity: int) -> Line:
    return replace(line, holds=_less(line.holds, Hold(attempt, location_id, quantity)))


def _less(holds: tuple[Hold, ...], gone: Hold) -> tuple[Hold, ...]:
    left = []
    for hold in holds:
        if (hold.attempt, hold.location_id) != (gone.attempt, gone.location_id):
            left.append(hold)
        elif hold.quantity > gone.quantity:
            left.append(hold._replace(quantity=hold.quantity - gone.quantity))
    return tuple(left)


def _add_wait(waits: tuple[Wait, ...], new: Wait) -> tuple[Wait, ...]:
    known = next((wait for wait in waits if wait.attempt == new.attempt), None)
    if known is not None:
        new = known._replace(quantity=known.quantity + new.quantity)
    return (*(wait for wait in waits if wait.attempt != new.attempt), new)


def _take_wait(line: Line, attempt: int, quantity: int) -> Line:
    if not quantity:
        return line
    waits = []
    for wait in line.waits:
        left = wait.quantity - quantity if wait.attempt == attempt else wait.quantity
        if left > 0:
            waits.append(wait._replace(quantity=left))
    return replace(line, waits=tuple(waits))
