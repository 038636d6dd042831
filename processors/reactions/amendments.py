"""Stock is asked for the extra units of an amendment: for all of them or, where there are too few, for none.

AmendmentRequested(line 1 from 3 to 5) with 2 at WH1 -> ReserveStock(WH1, 2)
... and with 1 at WH1                                -> DeclineAmendment(line 1: 1 available)
"""

from hashlib import blake2b

from events.attempts import attempt_number
from events.envelope import Recorded
from events.orders.commands import DeclineAmendment, ExtraAvailable
from events.orders.facts import AmendmentRequested
from events.stock.commands import ReserveStock
from processors.reactions.asked import Asked, named
from processors.reactions.sourcing import Lookups
from processors.routing.model import Need, Part, Plan, Wanted
from processors.routing.route import route

ACTOR = "sourcing"


def ask_for_amendment(fact: Recorded[AmendmentRequested], lookups: Lookups) -> list[Asked]:
    """ReserveStock for each part of the plan, or the answer that there is too little."""
    wanted = fact.data
    needs = [
        Need(line.line_id, line.sku, line.ordered - line.ordered_before)
        for line in wanted.lines
        if line.ordered > line.ordered_before
    ]
    found = _plan(fact, needs, lookups)
    if found.short:
        return [_decline(fact, needs, found)]
    numbers: dict[str, int] = {}
    asked = []
    for part in found.parts:
        numbers[part.line_id] = numbers.get(part.line_id, 0) + 1
        asked.append(_reserve(fact, part, numbers[part.line_id], unproved=found.gap > 0))
    return asked


def _plan(fact: Recorded[AmendmentRequested], needs: list[Need], lookups: Lookups) -> Plan:
    data = fact.data
    known = data.latitude is not None and data.longitude is not None
    wanted = Wanted(
        order_id=data.order_id,
        needs=tuple(needs),
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
    free = lookups.offered(wanted)
    return route(wanted, lookups.router, lookups.world(free.stock, free.places)).plan


def _reserve(fact: Recorded[AmendmentRequested], part: Part, number: int, *, unproved: bool) -> Asked:
    wanted = fact.data
    attempt = attempt_number(wanted.round, number, part.location_id, part.quantity)
    asked = Asked.because(
        fact,
        ACTOR,
        command_id=named(wanted.order_id, part.line_id, attempt),
        data=ReserveStock(
            sku=part.sku,
            location_id=part.location_id,
            quantity=part.quantity,
            order_id=wanted.order_id,
            line_id=part.line_id,
            attempt=attempt,
            for_channel=wanted.sales_channel,
        ),
    )
    return asked._replace(unproved=unproved)


def _decline(fact: Recorded[AmendmentRequested], needs: list[Need], found: Plan) -> Asked:
    wanted = fact.data
    short = {need.line_id: need.quantity for need in found.short}
    lines = tuple(
        ExtraAvailable(line_id=need.line_id, available=need.quantity - short.get(need.line_id, 0)) for need in needs
    )
    # A plan that is made again may find other numbers; then it is another command, which comes too late.
    said = blake2b(repr([(line.line_id, line.available) for line in lines]).encode(), digest_size=8).hexdigest()
    return Asked.because(
        fact,
        ACTOR,
        command_id=named("decline", wanted.order_id, wanted.amendment_id, said),
        data=DeclineAmendment(order_id=wanted.order_id, amendment_id=wanted.amendment_id, lines=lines),
    )
