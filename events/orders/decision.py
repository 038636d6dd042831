"""A decision in progress about an order: the facts so far, and the order after them."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from events.ahead import use_up
from events.attempts import round_of
from events.envelope import About, AnyCommand, Refused
from events.orders.parts import Answer, FactOfOrder, Release
from events.orders.sourcing import (
    AllocationAnswered,
    BackorderReopened,
    Excluded,
    LineDeallocated,
    ReservationSurrendered,
    SourcingLine,
    SourcingRequested,
)
from events.orders.state import Line, Order

#: `evolve` of an order that exists. It is an argument, because it imports modules that import this one.
Evolve = Callable[[Order, FactOfOrder, About], Order]


class Taken(NamedTuple):
    """Units that are taken from a line: in which state they were, and what stock streams must release for them."""

    from_open: int
    from_backordered: int
    from_allocated: int
    releases: tuple[Release, ...]


class Decision:
    """Collects facts; `order` is always the state after the last of them."""

    __slots__ = ("_about", "_evolve", "command", "facts", "order")

    def __init__(self, order: Order, command: AnyCommand, evolve: Evolve) -> None:
        self.order = order
        self.command = command
        self.facts: list[FactOfOrder] = []
        self._about = About.of(command)
        self._evolve = evolve

    def add(self, fact: FactOfOrder) -> None:
        """State one more fact."""
        self.order = self._evolve(self.order, fact, self._about)
        self.facts.append(fact)

    def take(self, line: Line, quantity: int) -> Taken:
        """How `quantity` unshipped units leave the line: open units first, then waiting, then allocated ones."""
        from_open = min(quantity, line.open)
        left = quantity - from_open
        releases: list[Release] = []
        from_backordered = 0
        for wait in line.waits:
            units = min(left, wait.quantity)
            if not units:
                continue
            left -= units
            from_backordered += units
            if wait.attempt:
                releases.append(_release(line, wait.attempt, "", units))
        from_allocated = 0
        for hold in reversed(line.holds):
            units = min(left, hold.quantity)
            if not units:
                continue
            left -= units
            from_allocated += units
            releases.append(_release(line, hold.attempt, hold.location_id, units))
        return Taken(from_open, from_backordered, from_allocated, tuple(releases))

    def source_idle(self) -> None:
        """Source all idle units, if the order may. An all-or-nothing order asks line by line."""
        if not self.order.may_source:
            return
        idle = self._idle()
        if not idle:
            return
        if self.order.as_a_whole:
            # Lines are sourced one after the other, sorted by SKU. So two orders that want the same two SKUs can never
            # get one each and block each other for ever.
            if any(line.sourcing or line.waits for line in self.order.lines.values()):
                return
            idle = [first_in_turn(idle)]
        self._request(idle)

    def release(self) -> None:
        """The order's release_at has come: request sourcing unless a hold is set."""
        lines = [] if self.order.holds else self._idle()
        if lines and self.order.as_a_whole:
            lines = [first_in_turn(lines)]
        self._request(lines)

    def go_on_in_turn(self) -> None:
        """After a change of an all-or-nothing order: it may be complete now, or has to be sourced further.

        If it waits, it tries again, because its place in a queue was for the units that it needed before.
        """
        if not self.order.as_a_whole:
            return
        if any(fact.changes_units() for fact in self.facts):
            self.leave_queues("changed")
        else:
            self.reopen_orphans()
        self.source_idle()

    def reopen_orphans(self) -> None:
        """Reopen lines that waited only because another line did, if that line waits no more. They get no offer."""
        waiting = [line for line in self.order.lines.values() if line.waits]
        if any(wait.attempt for line in waiting for wait in line.waits):
            return
        for line in waiting:
            self.add(
                BackorderReopened(
                    order_id=self.order.order_id,
                    line_id=line.line_id,
                    sku=line.sku,
                    quantity=line.backordered,
                    releases=(),
                )
            )

    def leave_queues(self, reason: str) -> None:
        """Leave all queues of SKUs; the units that waited are open again."""
        for line in self.order.lines.values():
            if line.waits:
                self.add(
                    BackorderReopened(
                        order_id=self.order.order_id,
                        line_id=line.line_id,
                        sku=line.sku,
                        quantity=line.backordered,
                        releases=tuple(
                            _release(line, wait.attempt, "", wait.quantity) for wait in line.waits if wait.attempt
                        ),
                        reason=reason,
                    )
                )

    def let_go_of_all(self, reason: str) -> None:
        """Deallocate all units of the order; they are open again."""
        for line in self.order.lines.values():
            if not (line.customised and reason == "hold"):  # nobody else can use customised goods
                self.let_go(line, reason)

    def let_go(self, line: Line, reason: str) -> None:
        """Deallocate all units of the line."""
        for hold in line.holds:
            self.add(
                LineDeallocated(
                    order_id=self.order.order_id,
                    line_id=line.line_id,
                    sku=line.sku,
                    location_id=hold.location_id,
                    quantity=hold.quantity,
                    attempt=hold.attempt,
                    reason=reason,
                    releases=(_release(line, hold.attempt, hold.location_id, hold.quantity),),
                )
            )

    def _idle(self) -> list[Line]:
        """Lines with idle units that may be sourced."""
        return [line for line in self.order.lines.values() if line.idle and not self.order.stands_still(line.line_id)]

    def _request(self, lines: list[Line]) -> None:
        order = self.order
        self.add(
            SourcingRequested(
                order_id=order.order_id,
                round=order.round + 1,
                lines=tuple(SourcingLine(line_id=line.line_id, sku=line.sku, quantity=line.idle) for line in lines),
                excluded=tuple(
                    Excluded(line_id=line.line_id, location_id=location)
                    for line in lines
                    for location in line.excluded
                    if location not in line.rejected_by
                )
                + tuple(
                    Excluded(line_id=line.line_id, location_id=location, rejected=True)
                    for line in lines
                    for location in line.rejected_by
                ),
                placed_at=order.placed_at,
                sales_channel=order.channel,
                allocation=order.allocation,
                country=order.country,
                latitude=order.latitude,
                longitude=order.longitude,
                cart_id=order.cart_id,
                service_level=order.service_level,
                region=order.region,
                promised_by=order.promised_by,
                value_minor=order.value_minor,
                held_at=order.held_at,
            )
        )

    def surrender(self, line: Line, answer: Answer, surplus: int) -> None:
        """Give back units that are no longer wanted. Keep those that count for units which have left (`covers`)."""
        if not surplus:
            return
        held = answer.outcome == "reserved"
        where = answer.location_id if held else ""
        # A queue place of an all-or-nothing order reserves nothing, and only the order ends it.
        gone = self._covered(line, answer, surplus, where) if held or not self.order.as_a_whole else 0
        if surplus > gone:
            self.add(
                ReservationSurrendered(
                    order_id=self.order.order_id,
                    line_id=line.line_id,
                    sku=line.sku,
                    quantity=surplus - gone,
                    attempt=answer.attempt,
                    releases=(_release(line, answer.attempt, where, surplus - gone),),
                    stock_version=answer.stock_version,
                )
            )
        if gone:
            self.add(
                AllocationAnswered(
                    order_id=self.order.order_id,
                    line_id=line.line_id,
                    sku=line.sku,
                    attempt=answer.attempt,
                    outcome="covers",
                    location_id=where,
                    quantity=gone,
                    stock_version=answer.stock_version,
                )
            )

    def _covered(self, line: Line, answer: Answer, units: int, where: str) -> int:
        """How many of the answer's units are for units that have left. The stock stream finds the same number.

        If the answer grants a queue place that was already a cover, its units are not counted again.
        """
        left, granted = line.ahead, 0
        for cover in line.covers:
            left, _ = use_up(left, round_of(cover.attempt), cover.quantity)
            if where and (cover.attempt, cover.location_id) == (answer.attempt, ""):
                granted = min(units, cover.quantity)
        return granted + use_up(left, round_of(answer.attempt), units - granted)[1]

    def give_back_covers(self, line_id: str) -> None:
        """Give back what is reserved beyond the units that left and that stock has not answered for."""
        line = self.order.lines[line_id]
        left = line.ahead
        for cover in line.covers:
            left, needed = use_up(left, round_of(cover.attempt), cover.quantity)
            if needed < cover.quantity:
                surplus = cover.quantity - needed
                self.add(
                    ReservationSurrendered(
                        order_id=self.order.order_id,
                        line_id=line_id,
                        sku=line.sku,
                        quantity=surplus,
                        attempt=cover.attempt,
                        releases=(_release(line, cover.attempt, cover.location_id, surplus),),
                    )
                )

    # The following refusals are shared by several commands.

    def check_unshipped(self, what: str, wanted: Mapping[str, int], hint: str) -> Refused | None:
        """Refused if a line is unknown or has fewer unshipped units than wanted."""
        for line_id, quantity in wanted.items():
            line = self.order.lines.get(line_id)
            if line is None:
                return self.unknown_line(what, line_id)
            if quantity > line.unshipped:
                return Refused(
                    code="limit",
                    what=what,
                    detail=f"line {line_id}: {quantity} asked; {line.ordered} ordered, {line.shipped} shipped, "
                    f"{line.cancelled} cancelled: at most {line.unshipped}",
                    hint=hint,
                    at_most=line.unshipped,
                )
        return None

    def check_unmade(self, what: str, wanted: Mapping[str, int]) -> Refused | None:
        """Refused if a customer gives up units that are made for them.

        Units being sourced count as made, because stock may have reserved them already.
        """
        for line_id, quantity in wanted.items():
            line = self.order.lines[line_id]
            at_most = line.unmade - line.sourcing
            if line.customised and quantity > at_most:
                return Refused(
                    code="limit",
                    what=what,
                    detail=f"line {line_id} is made for this customer: {quantity} asked, {line.allocated} allocated, "
                    f"{line.sourcing} being sourced: at most {at_most}",
                    hint="allocated units and units being sourced count as made; the seller may cancel them",
                    at_most=at_most,
                )
        return None

    def unknown_line(self, what: str, line_id: str) -> Refused:
        known = list(self.order.lines)
        shown = ", ".join(known[:10]) + (" …" if len(known) > 10 else "")
        return Refused(
            code="unknown",
            what=what,
            detail=f"it has no line {line_id}; its lines: {shown or 'none'}",
            hint="check line_id",
        )

    def unknown_return(self, what: str, return_id: str) -> Refused:
        known = ", ".join(list(self.order.returns)[:10])
        return Refused(
            code="unknown",
            what=what,
            detail=f"it has no return {return_id}; its returns: {known or 'none'}",
            hint="check return_id; RequestReturn opens a return",
        )

    def unknown_shipment(self, what: str, shipment_id: str) -> Refused:
        known = ", ".join(list(self.order.shipments)[:10])
        return Refused(
            code="unknown",
            what=what,
            detail=f"it has no shipment {shipment_id}; its shipments: {known or 'none'}",
            hint="check shipment_id; DispatchShipment records a parcel",
        )

    def repeated_line(self, what: str) -> Refused:
        return Refused(
            code="invalid", what=what, detail="a line_id is used twice", hint="name each line once, with its total"
        )


def first_in_turn(lines: Iterable[Line]) -> Line:
    """The line that an all-or-nothing order sources next."""
    return min(lines, key=lambda line: (line.sku, line.line_id))


def _release(line: Line, attempt: int, location_id: str, quantity: int) -> Release:
    return Release(line_id=line.line_id, sku=line.sku, attempt=attempt, location_id=location_id, quantity=quantity)
