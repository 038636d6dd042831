"""A decision about an order while it is made: the facts so far and the order as they leave it."""

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

#: `evolve` of an order that there is. It knows all facts, and so the files of all use cases, which know this one.
Evolve = Callable[[Order, FactOfOrder, About], Order]


class Taken(NamedTuple):
    """Where units of a line come from when they are taken away, and what stock streams have to let go for it."""

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
        """How `quantity` unshipped units leave the line: open ones first, then waiting ones, held ones last."""
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
        """Ask for locations for all idle units, where the order may; one that goes as a whole asks line by line."""
        if not self.order.may_source:
            return
        idle = self._idle()
        if not idle:
            return
        if self.order.as_a_whole:
            # Lines are acquired one after the other in the order of their SKUs, so two orders that want the same SKUs
            # can never hold one each and refuse each other for ever.
            if any(line.sourcing or line.waits for line in self.order.lines.values()):
                return
            idle = [first_in_turn(idle)]
        self._request(idle)

    def release(self) -> None:
        """The order's release_at has come; its first request goes out unless a hold is set."""
        lines = [] if self.order.holds else self._idle()
        if lines and self.order.as_a_whole:
            lines = [first_in_turn(lines)]
        self._request(lines)

    def go_on_in_turn(self) -> None:
        """An all-or-nothing order has changed: the rest may be complete or have to go on.

        One that waits tries again, because its place in a queue was for what it needed before.
        """
        if not self.order.as_a_whole:
            return
        if any(fact.changes_units() for fact in self.facts):
            self.leave_queues("changed")
        else:
            self.reopen_orphans()
        self.source_idle()

    def reopen_orphans(self) -> None:
        """Lines that waited only because another one did, which waits no more, are to be sourced: nobody calls them."""
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
        """All places in queues end; what waited is open again."""
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
        """Nothing is held for the order any more; what was is open again."""
        for line in self.order.lines.values():
            if not (line.customised and reason == "hold"):  # what is made for a customer helps nobody else
                self.let_go(line, reason)

    def let_go(self, line: Line, reason: str) -> None:
        """Nothing is held for the line any more."""
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
        """Lines with units that a location may be sought for."""
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
        """Give back what came for units that are not wanted any more; what came for units that have left is kept."""
        if not surplus:
            return
        held = answer.outcome == "reserved"
        where = answer.location_id if held else ""
        # The place of an all-or-nothing order holds nothing, and the stock stream leaves it for the order to end.
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
        """How many of these units are for some that have left: the stock stream finds them, too, and lets go.

        A place in the queue that covered some is granted: its units are the same ones.
        """
        left, granted = line.ahead, 0
        for cover in line.covers:
            left, _ = use_up(left, round_of(cover.attempt), cover.quantity)
            if where and (cover.attempt, cover.location_id) == (answer.attempt, ""):
                granted = min(units, cover.quantity)
        return granted + use_up(left, round_of(answer.attempt), units - granted)[1]

    def give_back_covers(self, line_id: str) -> None:
        """What is held for units that have left, and is more than those that stock has not spoken of, is given back."""
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

    # Refusals that several commands share.

    def check_unshipped(self, what: str, wanted: Mapping[str, int], hint: str) -> Refused | None:
        """Refused where a line is unknown or more is wanted than is left to ship."""
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
        """Refused where a customer wants to be rid of units that are being made for them.

        Units that stock is being asked for count as made: stock may have reserved them, unknown to the order.
        """
        for line_id, quantity in wanted.items():
            line = self.order.lines[line_id]
            at_most = line.unmade - line.sourcing
            if line.customised and quantity > at_most:
                return Refused(
                    code="limit",
                    what=what,
                    detail=f"line {line_id} is made for this customer: {quantity} asked, {line.allocated} allocated, "
                    f"{line.sourcing} asked of stock: at most {at_most}",
                    hint="allocated units, and units asked of stock, count as made; the seller may cancel them",
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

    def repeated_line(self, what: str) -> Refused:
        return Refused(
            code="invalid", what=what, detail="a line_id is used twice", hint="name each line once, with its total"
        )


def first_in_turn(lines: Iterable[Line]) -> Line:
    """The line that an all-or-nothing order acquires next."""
    return min(lines, key=lambda line: (line.sku, line.line_id))


def _release(line: Line, attempt: int, location_id: str, quantity: int) -> Release:
    return Release(line_id=line.line_id, sku=line.sku, attempt=attempt, location_id=location_id, quantity=quantity)
