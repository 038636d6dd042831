"""Amendments of an order: other quantities, another promise.

    amend(line 1 from 3 to 2)    -> OrderAmended, at once; the unit's stock is released
    amend(line 1 from 3 to 5)    -> AmendmentRequested: stock is asked for 2 more units, and nothing changes meanwhile
    all of it is reserved        -> OrderAmended, LineAllocated
    any of it would have to wait -> AmendmentDeclined, with the quantity that would have been accepted
    amend(line 1 from 3 to 3)    -> Refused: nothing would change

A quantity is the total that the customer is to get. Shipped units count; cancelled units and replacements do not.
Example: 10 units were ordered and 3 cancelled, so the customer gets 7. Amended to 8, the line has 11 units ordered and
3 cancelled.

An amendment is applied whole or not at all. An order for which stock was not asked yet (its release_at is ahead, or it
is all-or-nothing and waits) is amended at once.

Other commands may arrive while stock is being asked. They are answered as if stock had agreed, because only the ledger
was too slow:

    a parcel with the extra units               -> the amendment is applied; its units have left
    another amendment                           -> the first is applied, then the second changes the new quantities
    a cancellation of more than there was       -> the amendment is applied, and the added units are cancelled too

The answer of stock still comes. It then allocates the units or makes them wait, as in any order.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from events.attempts import round_of
from events.envelope import Refused
from events.orders import changing, line_changes
from events.orders.decision import Decision
from events.orders.parts import Answer, FactOfOrder, Release
from events.orders.refusals import nothing_changes, numbers_of, too_valuable, unreadable_promise
from events.orders.sourcing import Excluded, LineAllocated
from events.orders.state import AmendedLine, Amendment, Hold, Line, Order
from events.promises import UnreadablePromiseError, promise_end
from events.refusal import already_so
from events.values import ORDER_VALUE_MAX_MINOR, Id, Natural, Quantity, Text, Total, UtcTime


class AmendedQuantity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many units of a line the customer is to get in all."""

    line_id: Id
    quantity: Natural


class AmendOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Change quantities or the promise of an order."""

    order_id: Id
    lines: tuple[AmendedQuantity, ...] = ()
    promised_by: Id | None = None
    by: Literal["customer", "seller"] = "customer"


class AmendmentLine(Struct, frozen=True, kw_only=True):
    """A line whose quantity is to change."""

    line_id: Id
    sku: Id
    ordered_before: Natural
    ordered: Natural
    cancelled: Natural = 0


class AmendmentRequested(FactOfOrder, frozen=True, kw_only=True):
    """An amendment asks for more units, so stock is asked first."""

    amendment_id: Id
    by: Text
    lines: tuple[AmendmentLine, ...]
    promised_by: UtcTime | None = None
    round: Quantity
    placed_at: UtcTime
    sales_channel: Text
    latitude: float | None = None
    longitude: float | None = None
    country: Text = ""
    service_level: Text = "standard"
    region: Text | None = None
    value_minor: Total = 0
    held_at: tuple[Id, ...] = ()
    excluded: tuple[Excluded, ...] = ()


class AmendmentAnswered(FactOfOrder, frozen=True, kw_only=True):
    """A stock stream has answered for extra units of an amendment."""

    amendment_id: Id
    line_id: Id
    sku: Id
    location_id: Text
    attempt: Natural
    outcome: Text
    quantity: Natural
    available: Total | None = None
    stock_version: Quantity


class DeclinedLine(Struct, frozen=True, kw_only=True):
    """A line of an amendment that was declined: it keeps its quantity."""

    line_id: Id
    sku: Id
    ordered_before: Natural
    ordered: Natural
    available: Natural | None = None
    cancelled: Natural = 0


class AmendmentDeclined(FactOfOrder, frozen=True, kw_only=True):
    """An amendment was not made: the order stays as it was."""

    amendment_id: Id
    reason: Text
    lines: tuple[DeclinedLine, ...]
    releases: tuple[Release, ...]


#: Why units that were reserved for an amendment are gone.
_LOST = frozenset({"expired", "released"})


def amend(decision: Decision, data: AmendOrder) -> Refused | None:
    """Change the order at once, or ask stock first."""
    order = decision.order
    what = f"order {order.order_id} was not amended"
    if not data.lines and data.promised_by is None:
        return Refused(code="invalid", what=what, detail="the amendment is empty", hint="name lines or promised_by")
    if len({line.line_id for line in data.lines}) != len(data.lines):
        return decision.repeated_line(what)
    make_pending_of(decision, order.lines)
    order = decision.order
    promised_by = None
    if data.promised_by is not None:
        try:
            promised_by = promise_end(data.promised_by, country=order.country, time_zone=order.time_zone)
        except UnreadablePromiseError as error:
            return unreadable_promise(what, error)
    wanted = _wanted(decision, what, data.lines)
    if isinstance(wanted, Refused):
        return wanted
    if not wanted and not _moves_promise(order, promised_by, data.by):
        return nothing_changes(order, what, [one.line_id for one in data.lines], data.promised_by)
    if not wanted and not any(line.wanted for line in order.lines.values()):
        return already_so(what, "it has no units that are still wanted, so no promise is needed", "place a new order")
    if data.by == "customer":
        refused = decision.check_unmade(what, {key: -line.extra for key, line in wanted.items() if line.extra < 0})
        if refused is not None:
            return refused
    value = order.value_minor + sum(line.extra * order.lines[key].unit_price_minor for key, line in wanted.items())
    if value > max(ORDER_VALUE_MAX_MINOR, order.value_minor):
        return too_valuable(what, order.currency, value)
    grows = any(line.extra > 0 for line in wanted.values())
    if grows and order.holds:
        return Refused(
            code="conflict",
            what=what,
            detail=f"it has a hold ({', '.join(order.holds)}), and an order with a hold gets no stock",
            hint="send ReleaseHold first; fewer units or another promise are accepted",
        )
    queued = [key for key, line in wanted.items() if line.extra > 0 and order.in_a_queue(key)]
    if queued:
        return Refused(
            code="conflict",
            what=what,
            detail=f"line {queued[0]} waits for a person's decision",
            hint="send ResolveQueued first; fewer units or another promise are accepted",
        )
    if grows and _asks_first(order):
        _request(decision, data, wanted, promised_by)
    else:
        changing.apply(decision, data.by, wanted, promised_by, None)
    decision.source_idle()
    return None


def _wanted(decision: Decision, what: str, lines: Sequence[AmendedQuantity]) -> dict[str, AmendedLine] | Refused:
    """The lines that change, by line_id."""
    wanted: dict[str, AmendedLine] = {}
    for asked in lines:
        line = decision.order.lines.get(asked.line_id)
        if line is None:
            return decision.unknown_line(what, asked.line_id)
        uncounted, removable = line.cancelled + line.replaced, line.unshipped - line.replacing
        least = line.ordered - uncounted - removable
        # 0 removes all units that can still be removed.
        quantity = asked.quantity or least
        if quantity < least:
            return Refused(
                code="limit",
                what=what,
                detail=f"line {line.line_id}: {asked.quantity} asked; {numbers_of(line)}: at least {least}, "
                f"so at most {removable} can be removed",
                hint=f"ask for at least {least}, or 0 to remove all unshipped units"
                + ("; CancelOrder cancels replacements" if line.replacing else ""),
                at_most=removable,
            )
        amended = AmendedLine(line.ordered, quantity + uncounted, cancelled=uncounted)
        if amended.extra:
            wanted[line.line_id] = amended
    return wanted


def _moves_promise(order: Order, promised_by: datetime | None, by: str) -> bool:
    if promised_by is None:
        return False
    return promised_by != order.promised_by or (changing.counts_as_due(order, by) and promised_by != order.due_by)


def _asks_first(order: Order) -> bool:
    """Whether stock is asked before an increase. It is not if stock was not asked for the order itself yet."""
    return order.released and not (order.as_a_whole and _incomplete(order))


def _incomplete(order: Order) -> bool:
    return any(line.open or line.waits for line in order.lines.values())


def _request(
    decision: Decision, data: AmendOrder, wanted: Mapping[str, AmendedLine], promised_by: datetime | None
) -> None:
    order = decision.order
    decision.add(
        AmendmentRequested(
            order_id=order.order_id,
            amendment_id=f"A{order.amendments + 1}",
            by=data.by,
            lines=tuple(
                AmendmentLine(
                    line_id=line_id,
                    sku=order.lines[line_id].sku,
                    ordered_before=line.ordered_before,
                    ordered=line.ordered,
                    cancelled=line.cancelled,
                )
                for line_id, line in wanted.items()
            ),
            promised_by=promised_by,
            round=order.round + 1,
            placed_at=order.placed_at,
            sales_channel=order.channel,
            latitude=order.latitude,
            longitude=order.longitude,
            country=order.country,
            service_level=order.service_level,
            region=order.region,
            value_minor=order.value_minor,
            held_at=order.held_at,
            excluded=tuple(
                Excluded(line_id=line_id, location_id=location_id, rejected=True)
                for line_id in wanted
                for location_id in order.lines[line_id].rejected_by
            ),
        )
    )


# The answers of stock


def take_answer(decision: Decision, line: Line, answer: Answer) -> bool:
    """Use the answer if it is about extra units of the pending amendment. Returns whether it was."""
    amendment = decision.order.amendment
    if amendment is None or round_of(answer.attempt) != amendment.round or line.line_id not in amendment.lines:
        return False
    asked = amendment.lines[line.line_id]
    if answer.outcome == "promised":
        return False  # of a place in a queue that the order has left
    if answer.outcome == "reserved":
        units = min(answer.quantity, asked.missing)
    elif answer.outcome in _LOST:
        key = (answer.attempt, answer.location_id)
        held = sum(hold.quantity for hold in asked.got if (hold.attempt, hold.location_id) == key)
        units = min(answer.quantity, held)
    else:
        units = 0
    decision.add(
        AmendmentAnswered(
            order_id=decision.order.order_id,
            amendment_id=amendment.amendment_id,
            line_id=line.line_id,
            sku=line.sku,
            location_id=answer.location_id,
            attempt=answer.attempt,
            outcome=answer.outcome,
            quantity=units,
            available=answer.available,
            stock_version=answer.stock_version,
        )
    )
    if answer.outcome == "reserved":
        if units < answer.quantity:
            decision.surrender(line, answer, answer.quantity - units)
        _settle(decision)
    elif answer.outcome in _LOST:
        if units:
            decline(decision, "lost")
    elif asked.missing:
        there = sum(hold.quantity for hold in asked.got) + max(0, answer.available or 0)
        decline(decision, "not_enough", {line.line_id: there}, answer if answer.outcome == "waiting" else None)
    return True


def _settle(decision: Decision) -> None:
    """Amend the order if all extra units are reserved."""
    order, amendment = decision.order, decision.order.amendment
    if amendment is None or any(line.missing for line in amendment.lines.values()):
        return
    if not _possible(order, amendment):
        decline(decision, "shipped")
        return
    if order.as_a_whole and _incomplete(order):
        decline(decision, "waiting")
        return
    _make(decision, amendment)
    decision.go_on_in_turn()


def _possible(order: Order, amendment: Amendment) -> bool:
    """Whether it can be applied: not if more units left meanwhile than it would keep, or if cancelled units left."""
    for line_id, wanted in amendment.lines.items():
        line = order.lines[line_id]
        if line.cancelled + line.replaced < wanted.cancelled or wanted.ordered < line.shipped + line.cancelled:
            return False
    return True


def _make(decision: Decision, amendment: Amendment) -> None:
    """Change the order. If not all units are reserved, stock has been asked for the others."""
    changing.apply(decision, amendment.by, amendment.lines, amendment.promised_by, amendment.amendment_id)
    for line_id, amended in amendment.lines.items():
        for hold in amended.got:
            decision.add(
                LineAllocated(
                    order_id=decision.order.order_id,
                    line_id=line_id,
                    sku=decision.order.lines[line_id].sku,
                    location_id=hold.location_id,
                    quantity=hold.quantity,
                    attempt=hold.attempt,
                    from_open=hold.quantity,
                    from_backordered=0,
                )
            )


# Commands that arrive while stock is being asked


def make_as_shipped(decision: Decision, shipped: Mapping[str, int]) -> None:
    """Apply the pending amendment if a parcel has units that it would add: these exist, whatever stock says."""
    order, amendment = decision.order, decision.order.amendment
    if amendment is None or not _possible(order, amendment):
        return
    extra = {line_id: line.extra for line_id, line in amendment.lines.items()}
    if any(
        units > order.lines[key].unshipped and extra.get(key, 0) > 0
        for key, units in shipped.items()
        if key in order.lines
    ):
        _make(decision, amendment)


def make_as_cancelled(decision: Decision, wanted: Mapping[str, int]) -> None:
    """Apply the pending amendment if units that it would add are cancelled. Empty `wanted`: all units are cancelled."""
    order, amendment = decision.order, decision.order.amendment
    if amendment is None:
        return
    beyond = any(units > order.lines[key].unshipped for key, units in wanted.items() if key in amendment.lines)
    if (beyond or not wanted) and _possible(order, amendment):
        _make(decision, amendment)


def make_pending_of(decision: Decision, lines: Iterable[str]) -> None:
    """Apply the pending amendment of these lines before the order changes in another way, or decline it if impossible.

    An amendment of an all-or-nothing order concerns all of its lines.
    """
    order, amendment = decision.order, decision.order.amendment
    if amendment is None or not (order.as_a_whole or amendment.lines.keys() & set(lines)):
        return
    if _possible(order, amendment):
        _make(decision, amendment)
    else:
        decline(decision, "shipped")


def decline(
    decision: Decision, reason: str, there: Mapping[str, int] | None = None, waits: Answer | None = None
) -> None:
    """Decline the pending amendment, if there is one, and release what was reserved for it.

    `there`: line → how many of its extra units exist. Of a line without an entry, that is unknown or all of them.
    `waits`: an answer that put the line into a queue. The line leaves the queue.
    """
    order, amendment = decision.order, decision.order.amendment
    if amendment is None:
        return
    releases = tuple(
        Release(
            line_id=line_id,
            sku=order.lines[line_id].sku,
            attempt=hold.attempt,
            location_id=hold.location_id,
            quantity=hold.quantity,
        )
        for line_id, line in amendment.lines.items()
        for hold in line.got
    )
    if waits is not None:
        place = Release(
            line_id=waits.line_id,
            sku=order.lines[waits.line_id].sku,
            attempt=waits.attempt,
            location_id="",
            quantity=waits.quantity,
        )
        releases = (*releases, place)
    decision.add(
        AmendmentDeclined(
            order_id=order.order_id,
            amendment_id=amendment.amendment_id,
            reason=reason,
            lines=tuple(
                DeclinedLine(
                    line_id=line_id,
                    sku=order.lines[line_id].sku,
                    ordered_before=line.ordered_before,
                    ordered=line.ordered,
                    cancelled=line.cancelled,
                    available=_acceptable(line, (there or {}).get(line_id)),
                )
                for line_id, line in amendment.lines.items()
            ),
            releases=releases,
        )
    )


def _acceptable(line: AmendedLine, there: int | None) -> int | None:
    """The largest quantity that would have been accepted, if it is known and less than what was asked."""
    return None if there is None or there >= line.extra else line.ordered_before - line.cancelled + there


def amendment_requested(order: Order, fact: AmendmentRequested) -> Order:
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


def amendment_answered(order: Order, fact: AmendmentAnswered) -> Order:
    line = order.lines[fact.line_id]
    order = line_changes.with_line(order, replace(line, answered=line_changes.newest(line, fact.stock_version)))
    amendment = order.amendment
    if amendment is None or not fact.quantity:
        return order
    amended = amendment.lines[fact.line_id]
    hold = Hold(fact.attempt, fact.location_id, fact.quantity)
    got = (
        line_changes.add_hold(amended.got, hold) if fact.outcome == "reserved" else line_changes.less(amended.got, hold)
    )
    lines = {**amendment.lines, fact.line_id: amended._replace(got=got)}
    return replace(order, amendment=replace(amendment, lines=lines))
