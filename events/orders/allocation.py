"""How an order uses the answers of the stock streams.

Each line has one SKU. Its answers come in the order of the versions of that SKU's stream. An answer counts once, and
does not count after a newer one. So repeated answers change nothing.

When one line of an all-or-nothing order is refused, the order releases everything and asks again, line by line, with
one open question at a time. When a line has to wait, the whole order waits. When stock is offered, it tries again as a
whole. Units that answer an earlier question are given back. Otherwise two late answers could make the order start again
for ever.
"""

from msgspec.structs import replace

from events.attempts import held_again, round_of
from events.envelope import Refused
from events.orders import amending, holding, line_changes, promising
from events.orders.decision import Decision
from events.orders.parts import Answer, FactOfOrder, Release
from events.orders.sourcing import (
    AllocationAnswered,
    BackorderReopened,
    LineAllocated,
    LineDeallocated,
    RecordAllocation,
)
from events.orders.state import Line, Order, Wait
from events.values import Id, Natural, Quantity


class LineBackordered(FactOfOrder, frozen=True, kw_only=True):
    """Units of a line wait for stock."""

    line_id: Id
    sku: Id
    quantity: Quantity
    attempt: Natural
    stock_version: Quantity | None = None


#: The attempt of a line that waits only because its order waits. It has no place in the queue of its own SKU.
WHOLE_ORDER = 0


def record(decision: Decision, data: RecordAllocation) -> Refused | None:
    """Use each answer that is new."""
    for answer in data.answers:
        line = decision.order.lines.get(answer.line_id)
        if line is None:
            return decision.unknown_line(f"answers for order {decision.order.order_id} were not taken", answer.line_id)
        if answer.stock_version <= line.answered:
            continue
        if answer.outcome != "shipped" and amending.take_answer(decision, line, answer):
            holding.stand_still(decision)
            continue
        order = decision.order
        # An amendment was applied before stock answered, so stock is still being asked for its units. A rejection may
        # have begun a later round since.
        amended = round_of(answer.attempt) == order.amended_round
        stale = order.as_a_whole and round_of(answer.attempt) < order.sourced_round and not amended
        refused = answer.outcome == "refused" and not stale
        match answer.outcome:
            case "shipped":
                _shipped(decision, line, answer)
            case "refused" if held_again(answer.attempt):
                # The units of a retracted dispatch could not be reserved again: others have them by now.
                _lost(decision, line, answer)
            case "reserved" | "waiting" if stale:
                decision.surrender(line, answer, answer.quantity)
            case "refused" | "offered" if stale:
                _note(decision, line, answer, 0)
            case "reserved":
                _reserved(decision, line, answer)
            case "refused":
                _refused(decision, line, answer)
            case "waiting" if order.as_a_whole and amended:
                # This place in the queue is for one line, but the order can only wait as a whole.
                _note(decision, line, answer, min(answer.quantity, line.sourcing))
                decision.surrender(line, answer, answer.quantity)
                refused = True
            case "waiting":
                _waiting(decision, line, answer)
                promising.waits_anew(decision, data, answer)
            case "promised":
                promising.promised(decision, line, answer)
                continue
            case "offered":
                _offered(decision, line, answer)
            case _:
                _lost(decision, line, answer)
        if decision.order.as_a_whole:
            decision.reopen_orphans()
            _go_on_as_a_whole(decision, refused=refused)
        holding.stand_still(decision)
    if not decision.order.as_a_whole:
        decision.source_idle()
    return None


def _reserved(decision: Decision, line: Line, answer: Answer) -> None:
    waited = sum(wait.quantity for wait in line.waits if wait.attempt == answer.attempt)
    from_backordered = min(answer.quantity, waited)
    from_open = min(answer.quantity - from_backordered, line.sourcing)
    allocated = from_backordered + from_open
    if allocated:
        decision.add(
            LineAllocated(
                order_id=decision.order.order_id,
                line_id=line.line_id,
                sku=line.sku,
                location_id=answer.location_id,
                quantity=allocated,
                attempt=answer.attempt,
                from_open=from_open,
                from_backordered=from_backordered,
                stock_version=answer.stock_version,
            )
        )
    decision.surrender(line, answer, answer.quantity - allocated)


def _refused(decision: Decision, line: Line, answer: Answer) -> None:
    _note(decision, line, answer, min(answer.quantity, line.sourcing))


def _waiting(decision: Decision, line: Line, answer: Answer) -> None:
    waits = min(answer.quantity, line.sourcing)
    if waits:
        _backorder(decision, line, waits, answer.attempt, answer.stock_version)
    if waits or _only_waits_were_asked(decision):
        _wait_as_a_whole(decision)
    if not (waits and decision.order.as_a_whole):
        decision.surrender(line, answer, answer.quantity - waits)
        return
    # The queue place of an all-or-nothing order is for all units that it needs of the SKU, on all lines. If it needs
    # fewer now, the place would keep units from others although this order will not take them.
    needed = sum(one.unmade for one in decision.order.lines.values() if one.sku == line.sku)
    if answer.quantity > needed:
        decision.leave_queues("changed")


def _offered(decision: Decision, line: Line, answer: Answer) -> None:
    if any(wait.attempt == answer.attempt for wait in line.waits):
        version = answer.stock_version
    elif line.sourcing:
        # The offer came at once, without a place in the queue.
        _backorder(decision, line, min(answer.quantity, line.sourcing), answer.attempt, answer.stock_version)
        _wait_as_a_whole(decision)
        version = None
    else:
        _note(decision, line, answer, 0)
        if _only_waits_were_asked(decision):
            _wait_as_a_whole(decision)
        return
    for waiting in decision.order.lines.values():
        if not waiting.waits:
            continue
        releases = tuple(
            Release(
                line_id=waiting.line_id, sku=waiting.sku, attempt=wait.attempt, location_id="", quantity=wait.quantity
            )
            for wait in waiting.waits
            if wait.attempt != WHOLE_ORDER and (waiting.line_id, wait.attempt) != (line.line_id, answer.attempt)
        )
        decision.add(
            BackorderReopened(
                order_id=decision.order.order_id,
                line_id=waiting.line_id,
                sku=waiting.sku,
                quantity=waiting.backordered,
                releases=releases,
                stock_version=version if waiting.line_id == line.line_id else None,
            )
        )
    if not decision.order.may_source:
        # The order may not take the offer now. This fact says so, and somebody else gets the units.
        _note(decision, line, answer, 0)


def _lost(decision: Decision, line: Line, answer: Answer) -> None:
    """A reservation expired, or somebody else released it."""
    if not _no_longer_held(decision, line, answer, answer.quantity):
        _note(decision, line, answer, 0)


def _no_longer_held(decision: Decision, line: Line, answer: Answer, quantity: int) -> int:
    """State that up to `quantity` units of the answer's reservation are gone. Returns how many there were."""
    key = (answer.attempt, answer.location_id)
    units = min(quantity, sum(hold.quantity for hold in line.holds if (hold.attempt, hold.location_id) == key))
    if units:
        decision.add(
            LineDeallocated(
                order_id=decision.order.order_id,
                line_id=line.line_id,
                sku=line.sku,
                location_id=answer.location_id,
                quantity=units,
                attempt=answer.attempt,
                reason=answer.outcome,
                releases=(),
                stock_version=answer.stock_version,
            )
        )
    return units


def _shipped(decision: Decision, line: Line, answer: Answer) -> None:
    """The stock stream says that units of this attempt have already left with a parcel.

    The order may have counted their reservation for units that it still wants. Those units are open again. If something
    is still reserved for the units of the parcel, it is given back.
    """
    key = (answer.attempt, answer.location_id)
    covering = sum(cover.quantity for cover in line.covers if (cover.attempt, cover.location_id) == key)
    left = answer.quantity - min(answer.quantity, covering)
    _no_longer_held(decision, line, answer, left)
    if left and not answer.location_id and any(wait.attempt == answer.attempt for wait in line.waits):
        kept = [
            wait._replace(quantity=wait.quantity - left) if wait.attempt == answer.attempt else wait
            for wait in line.waits
        ]
        decision.add(
            BackorderReopened(
                order_id=decision.order.order_id,
                line_id=line.line_id,
                sku=line.sku,
                quantity=line.backordered,
                releases=tuple(
                    Release(
                        line_id=line.line_id, sku=line.sku, attempt=wait.attempt, location_id="", quantity=wait.quantity
                    )
                    for wait in kept
                    if wait.attempt != WHOLE_ORDER and wait.quantity > 0
                ),
                reason="shipped",
            )
        )
    _note(decision, line, answer, answer.quantity)
    decision.give_back_covers(line.line_id)
    waited = not answer.location_id and not decision.order.lines[line.line_id].sourcing
    if waited and _only_waits_were_asked(decision):
        _wait_as_a_whole(decision)


def _go_on_as_a_whole(decision: Decision, *, refused: bool) -> None:
    """If no answer is outstanding, start over after a refusal; otherwise ask for the next line."""
    lines = decision.order.lines.values()
    if any(line.sourcing or line.waits for line in lines) or not any(line.idle for line in lines):
        return
    # In the first round all lines ask at once. So a line that is idle now was refused.
    if refused or decision.order.round == 1:
        decision.let_go_of_all("all_or_nothing")
    decision.source_idle()


def _only_waits_were_asked(decision: Decision) -> bool:
    """Whether the order's first round asked only for a place in a queue.

    In that round an all-or-nothing order asks for all lines at once, or only for a place in a queue. If it asked for a
    place, nothing else is outstanding after the answer, even if the line is gone.
    """
    order = decision.order
    return order.as_a_whole and order.round == 1 and any(line.sourcing for line in order.lines.values())


def _wait_as_a_whole(decision: Decision) -> None:
    if not decision.order.as_a_whole:
        return
    decision.let_go_of_all("all_or_nothing")
    for line in decision.order.lines.values():
        if line.open:
            _backorder(decision, line, line.open, WHOLE_ORDER, None)


def _backorder(decision: Decision, line: Line, quantity: int, attempt: int, stock_version: int | None) -> None:
    decision.add(
        LineBackordered(
            order_id=decision.order.order_id,
            line_id=line.line_id,
            sku=line.sku,
            quantity=quantity,
            attempt=attempt,
            stock_version=stock_version,
        )
    )


def _note(decision: Decision, line: Line, answer: Answer, quantity: int) -> None:
    decision.add(
        AllocationAnswered(
            order_id=decision.order.order_id,
            line_id=line.line_id,
            sku=line.sku,
            attempt=answer.attempt,
            outcome=answer.outcome,
            location_id=answer.location_id,
            quantity=quantity,
            stock_version=answer.stock_version,
        )
    )


def backordered(order: Order, fact: LineBackordered) -> Order:
    line = order.lines[fact.line_id]
    line = line_changes.take_open(line, fact.quantity, under_way_first=True)
    # A new wait starts with the time that the customer was told last. A line without a place in a queue has no promise.
    told = line.told if fact.attempt else None
    waits = line_changes.add_wait(line.waits, Wait(fact.attempt, fact.quantity, None if line.waits else told))
    # This line waits only because another line does. It is sourced again when the other line gets an offer. That is no
    # reason for locations which refused this line to accept it now, so they stay excluded. Otherwise they would refuse
    # it again, for ever.
    excluded = () if fact.attempt else line.excluded
    return line_changes.with_line(
        order,
        replace(
            line, waits=waits, excluded=excluded, told=told, answered=line_changes.newest(line, fact.stock_version)
        ),
    )
