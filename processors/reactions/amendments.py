"""Stock is asked for the extra units of an amendment: one question to the stream of each SKU.

AmendmentRequested(line 1 from 3 to 5) with 2 at WH1 -> AwaitStock(2, WH1 first)
... and with 2 at WH2, which the rules do not allow  -> AwaitStock(2, nowhere)

The stream grants at once what there is at any location that the rules allow, those of the plan first. So it does not
matter whether the table of stock is behind: only the stream knows that there is too little, and then the order
declines. What a rule leaves out is asked for as well, to be granted nowhere: so the order has its answer in any case.
"""

from collections.abc import Iterator

from events.attempts import attempt_number
from events.envelope import Recorded
from events.orders.facts import AmendmentRequested
from events.stock.commands import AwaitStock
from processors.reactions.asked import Asked, named
from processors.reactions.rows import Needs, On
from processors.reactions.sourcing import WAIT_NUMBER, Lookups, Mode
from processors.routing.model import Need, Wanted
from processors.routing.route import Routed, allowed_at, route

ACTOR = "sourcing"

#: The part of a round that asks for what a rule leaves out.
LEFT_OUT_NUMBER = WAIT_NUMBER - 1


def ask_for_amendment(fact: Recorded[AmendmentRequested], lookups: Lookups) -> list[Asked]:
    """AwaitStock for each line that grows; two where a rule leaves out a part of what is in stock."""
    wanted = _wanted(fact)
    free = lookups.offered(wanted)
    world = lookups.world(free.stock, free.places)
    found = route(wanted, lookups.router, world)
    only = allowed_at(found, wanted, world)
    asked = [
        _await(fact, *question, not_at=free.closed)
        for need in wanted.needs
        for question in _questions(found, need, only)
    ]
    return [row._replace(unproved=True) for row in asked] if found.plan.gap else asked


def _questions(
    found: Routed, need: Need, only: tuple[str, ...] | None
) -> Iterator[tuple[int, Need, Mode, tuple[str, ...]]]:
    """Part of the round, units, mode, and the locations in the order in which they are to give the units."""
    parts = {part.location_id: part.quantity for part in found.plan.parts if part.line_id == need.line_id}
    given = sum(parts.values())
    if only is None and found.left_out and given < need.quantity:
        if given:
            yield WAIT_NUMBER, need._replace(quantity=given), "grant_there", tuple(parts)
        yield LEFT_OUT_NUMBER, need._replace(quantity=need.quantity - given), "grant_there", ()
    else:
        places = tuple(dict.fromkeys((*parts, *(only or ()))))
        yield WAIT_NUMBER, need, "grant" if only is None else "grant_there", places


def _wanted(fact: Recorded[AmendmentRequested]) -> Wanted:
    data = fact.data
    known = data.latitude is not None and data.longitude is not None
    return Wanted(
        order_id=data.order_id,
        needs=tuple(
            Need(line.line_id, line.sku, line.ordered - line.ordered_before)
            for line in data.lines
            if line.ordered > line.ordered_before
        ),
        at=fact.occurred_at,
        channel=data.sales_channel,
        service_level=data.service_level,
        country=data.country,
        region=data.region,
        value_minor=data.value_minor,
        destination=(data.latitude or 0.0, data.longitude or 0.0) if known else None,
        due_by=data.promised_by,
        excluded=tuple((pair.line_id, pair.location_id) for pair in data.excluded),
        held_at=data.held_at,
    )


def _await(
    fact: Recorded[AmendmentRequested],
    part: int,
    need: Need,
    mode: Mode,
    locations: tuple[str, ...],
    *,
    not_at: frozenset[str],
) -> Asked:
    wanted = fact.data
    # Made again from other tables, a plan may name other locations. Then it is another question.
    attempt = attempt_number(wanted.round, part, " ".join(locations), need.quantity)
    rejected = {pair.location_id for pair in wanted.excluded if pair.line_id == need.line_id}
    return Asked.because(
        fact,
        ACTOR,
        command_id=named(wanted.order_id, need.line_id, attempt),
        data=AwaitStock(
            sku=need.sku,
            quantity=need.quantity,
            order_id=wanted.order_id,
            line_id=need.line_id,
            attempt=attempt,
            placed_at=wanted.placed_at,
            mode=mode,
            for_channel=wanted.sales_channel,
            locations=locations,
            not_at=tuple(sorted(rejected | not_at)),
        ),
    )


def _needs(fact: Recorded[AmendmentRequested]) -> Needs:
    return Needs(frozenset(need.sku for need in _wanted(fact).needs), moments=(fact.occurred_at,))


REACTIONS = (On(AmendmentRequested, ask_for_amendment, _needs),)
