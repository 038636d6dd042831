"""An order that needs units is routed by the rules in force, and each part of the plan is asked of the stock stream it
belongs to.

    OrderPlaced(lines=[2 of MUG]) with 5 of MUG at WH1 -> ReserveStock(MUG, WH1, 2)
    ... and with none anywhere                         -> AwaitStock(MUG, 2)
    ... and at WH1 only, which the rules do not allow  -> QueueOrder(routing_exceptions), where they say so

The table of stock may be behind. Too much in it: the stream refuses, and the order asks again without that location.
Too little: what is thought to be missing waits in the SKU's queue, which grants at once what is there after all.

Everything that the plan depends on is in the fact and in the look-ups; "now" is the fact's own time.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from hashlib import blake2b
from typing import Literal, NamedTuple

from events.attempts import ATTEMPTS_PER_ROUND, attempt_number
from events.envelope import AnyRecorded, Recorded
from events.orders.commands import LineQuantity, QueueOrder
from events.orders.facts import OrderPlaced, SourcingRequested
from events.stock.commands import AwaitStock, ReserveStock
from events.values import TEXT_MAX
from processors.reactions.asked import Asked, named
from processors.reactions.rows import Needs, On
from processors.routing.book import Router, default_router
from processors.routing.channels import NOTHING_KEPT, KeptBack, Offered, offered
from processors.routing.model import Availability, Coordinates, Need, Place, Plan, Wanted, World
from processors.routing.objective import nearest_first
from processors.routing.route import Routed, route, why_left_out

ACTOR = "sourcing"

#: The part of a round that is a place in a queue: the last of the attempts of that round.
WAIT_NUMBER = ATTEMPTS_PER_ROUND - 1

#: Preferred locations named in a wait. More would make the command of a large shop chain long for nothing; then none
#: are named, which means any. Where a rule allows only some, all of these are named.
PREFERRED_LOCATIONS_MAX = 50

#: The queue of orders that the rules know no way for.
EXCEPTIONS = "routing_exceptions"

Mode = Literal["grant", "grant_there", "offer", "take"]


class Lookups(NamedTuple):
    """What sourcing knows of the world.

    `available`: units by SKU and location. `kept`: what of them is not for each channel. `carts`: units that the carts
    of these orders hold; they are not among the available ones. `router`: the rules in force. `waiting`, `sent`,
    `weekly`: see `processors.routing.model.World`.
    """

    available: Availability
    places: Mapping[str, Place]
    kept: KeptBack = NOTHING_KEPT
    carts: Mapping[str, Availability] = {}
    router: Router = default_router()
    waiting: Mapping[str, int] = {}
    sent: Mapping[tuple[str, date], int] = {}
    weekly: Mapping[str, Mapping[str, float]] = {}

    def offered(self, wanted: Wanted) -> Offered:
        """Stock and locations that the order's channel may have."""
        return offered(self.available, self.places, self.kept, wanted.channel, {need.sku for need in wanted.needs})

    def world(self, stock: Availability, places: Mapping[str, Place]) -> World:
        """The world as routing takes it, with this stock in these locations."""
        return World(stock, places, self.waiting, self.sent, self.weekly)


class _Request(NamedTuple):
    wanted: Wanted
    round: int
    whole: bool
    placed_at: datetime
    cart_id: str | None
    rejected: Mapping[str, tuple[str, ...]] = {}
    excluded_for_good: tuple[tuple[str, str], ...] = ()


def source_placed(fact: Recorded[OrderPlaced], lookups: Lookups) -> list[Asked]:
    """Commands for the first round of an order that wants its stock now (`sourcing`); else none."""
    if not fact.data.sourcing:
        return []
    wanted = wanted_by(fact.data, fact.occurred_at, fact.channel)
    whole = fact.data.allocation == "all_or_nothing"
    request = _Request(wanted, 1, whole, fact.occurred_at, fact.data.cart_id)
    return _ask(fact, request, lookups)


def wanted_by(order: OrderPlaced, at: datetime, channel: str) -> Wanted:
    """What a placed order wants, as routing takes it."""
    return Wanted(
        order_id=order.order_id,
        needs=tuple(Need(line.line_id, line.sku, line.quantity) for line in order.lines),
        at=at,
        channel=channel,
        service_level=order.service_level,
        country=order.ship_to.country,
        region=order.ship_to.region,
        value_minor=sum(line.quantity * line.unit_price_minor for line in order.lines)
        + sum(charge.amount_minor for charge in order.charges),
        destination=_coordinates(order.ship_to.latitude, order.ship_to.longitude),
        due_by=order.promised_by,
    )


def source_again(fact: Recorded[SourcingRequested], lookups: Lookups) -> list[Asked]:
    """Commands for a later round, without the locations that have just refused."""
    data = fact.data
    wanted = Wanted(
        order_id=data.order_id,
        needs=tuple(Need(line.line_id, line.sku, line.quantity) for line in data.lines),
        at=fact.occurred_at,
        channel=data.sales_channel,
        service_level=data.service_level,
        country=data.country,
        region=data.region,
        value_minor=data.value_minor,
        destination=_coordinates(data.latitude, data.longitude),
        due_by=data.promised_by,
        excluded=tuple((pair.line_id, pair.location_id) for pair in data.excluded),
        held_at=data.held_at,
    )
    whole = data.allocation == "all_or_nothing"
    request = _Request(wanted, data.round, whole, data.placed_at, data.cart_id, _rejected(data), _for_good(data))
    return _ask(fact, request, lookups)


def _for_good(wanted: SourcingRequested) -> tuple[tuple[str, str], ...]:
    """Locations that have rejected a line: they stay out, whatever comes in there."""
    return tuple((pair.line_id, pair.location_id) for pair in wanted.excluded if pair.rejected)


def _rejected(wanted: SourcingRequested) -> dict[str, tuple[str, ...]]:
    """By SKU the locations that have rejected it for this order: a place in the queue may be for several lines."""
    sku = {line.line_id: line.sku for line in wanted.lines}
    rejected: dict[str, tuple[str, ...]] = {}
    for pair in wanted.excluded:
        if pair.rejected:
            known = rejected.get(sku[pair.line_id], ())
            rejected[sku[pair.line_id]] = tuple(dict.fromkeys((*known, pair.location_id)))
    return rejected


def _coordinates(latitude: float | None, longitude: float | None) -> Coordinates | None:
    return None if latitude is None or longitude is None else (latitude, longitude)


def _ask(fact: AnyRecorded, request: _Request, lookups: Lookups) -> list[Asked]:
    wanted = request.wanted
    free = lookups.offered(wanted)
    if free.closed:
        # Nor may the queue grant from there what was there all along. What comes in later is granted: the SKU's stream
        # does not know the location's policy.
        rejected = {
            need.sku: tuple(sorted(free.closed.union(request.rejected.get(need.sku, ())))) for need in wanted.needs
        }
        request = request._replace(rejected=rejected)
    stock = free.stock if request.cart_id is None else _with_cart(free.stock, lookups.carts.get(request.cart_id, {}))
    world = lookups.world(stock, free.places)
    found = route(wanted, lookups.router, world)
    asked = _ask_by(fact, request, world, found, lookups.router)
    return [row._replace(unproved=True) for row in asked] if found.plan.gap else asked


def _ask_by(fact: AnyRecorded, request: _Request, world: World, found: Routed, router: Router) -> list[Asked]:
    if request.whole:
        return _ask_whole(fact, request, world, found, router)
    if found.outcome == "queue":
        return [_queue(fact, request, found)]
    short = found.plan.short
    if not short:
        return _reserve(fact, request, found.plan)
    mode: Mode = "grant" if found.wait_at is None else "grant_there"
    return _reserve(fact, request, found.plan) + _wait(
        fact, request, short, mode, _preferred(request, world.places, found.wait_at)
    )


def _with_cart(free: Availability, held: Availability) -> Availability:
    """What the order may take: what is free, and what its own cart holds."""
    return {
        **free,
        **{
            sku: {
                **free.get(sku, {}),
                **{place: free.get(sku, {}).get(place, 0) + units for place, units in here.items()},
            }
            for sku, here in held.items()
        },
    }


def _ask_whole(fact: AnyRecorded, request: _Request, world: World, found: Routed, router: Router) -> list[Asked]:
    if not found.plan.short:
        return _reserve(fact, request, found.plan)
    # What is there and not allowed cannot be waited for: the stock stream would call the order at once, for ever.
    if not found.left_out and request.wanted.excluded:
        # Nor what is missing only because it was refused a moment ago: when the order is called it is there again.
        later = request.wanted._replace(excluded=request.excluded_for_good)
        found = route(later, router, world)._replace(plan=found.plan)
    if found.left_out:
        return [_queue(fact, request, found)]
    # The order waits as a whole, so one short line is enough; nothing is held for the others meanwhile.
    short = {need.sku for need in found.plan.short}
    whole: dict[str, Need] = {}
    for need in request.wanted.needs:
        if need.sku in short:
            known = whole.get(need.sku)
            whole[need.sku] = need if known is None else known._replace(quantity=known.quantity + need.quantity)
    # Line by line, it takes what the tables do not know of; all lines at once, it could be left with half of them.
    alone = request.round > 1 and len(request.wanted.needs) == 1 and request.cart_id is None and found.wait_at is None
    mode: Mode = "take" if alone else "offer"
    return _wait(fact, request, list(whole.values()), mode, _preferred(request, world.places, None))


def _queue(fact: AnyRecorded, request: _Request, found: Routed) -> Asked:
    """Nothing is reserved; a person decides. The id repeats for the same question and reason only."""
    wanted = request.wanted
    reason, detail = why_left_out(wanted, found)
    digest = blake2b(f"{reason}:{detail}:{wanted.needs}".encode(), digest_size=8).hexdigest()
    lines = tuple(LineQuantity(line_id=need.line_id, quantity=need.quantity) for need in wanted.needs)
    return Asked.because(
        fact,
        ACTOR,
        command_id=named("queue", wanted.order_id, request.round, digest),
        data=QueueOrder(
            order_id=wanted.order_id, queue=EXCEPTIONS, reason=reason, detail=detail[:TEXT_MAX], lines=lines
        ),
    )


def _preferred(request: _Request, places: Mapping[str, Place], only: tuple[str, ...] | None) -> tuple[str, ...]:
    """Locations in the order in which a wait is to be granted, nearest first; those that a rule allows, or none."""
    if only is None:
        if request.wanted.destination is None or len(places) > PREFERRED_LOCATIONS_MAX:
            return ()
        only = tuple(places)
    return tuple(row[2] for row in nearest_first(only, places, request.wanted.destination))


def _reserve(fact: AnyRecorded, request: _Request, found: Plan) -> list[Asked]:
    asked = []
    numbers: dict[str, int] = {}
    order_id = request.wanted.order_id
    for part in found.parts:
        number = numbers[part.line_id] = numbers.get(part.line_id, 0) + 1
        attempt = attempt_number(request.round, number, part.location_id, part.quantity)
        asked.append(
            Asked.because(
                fact,
                ACTOR,
                command_id=named(order_id, part.line_id, attempt),
                data=ReserveStock(
                    sku=part.sku,
                    location_id=part.location_id,
                    quantity=part.quantity,
                    order_id=order_id,
                    line_id=part.line_id,
                    attempt=attempt,
                    for_channel=request.wanted.channel,
                    cart_id=request.cart_id,
                ),
            )
        )
    return asked


def _wait(
    fact: AnyRecorded, request: _Request, short: Sequence[Need], mode: Mode, locations: tuple[str, ...]
) -> list[Asked]:
    order_id = request.wanted.order_id
    asked = [(need, attempt_number(request.round, WAIT_NUMBER, "", need.quantity)) for need in short]
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=named(order_id, need.line_id, attempt),
            data=AwaitStock(
                sku=need.sku,
                quantity=need.quantity,
                order_id=order_id,
                line_id=need.line_id,
                attempt=attempt,
                placed_at=request.placed_at,
                mode=mode,
                for_channel=request.wanted.channel,
                locations=locations,
                cart_id=request.cart_id,
                not_at=request.rejected.get(need.sku, ()),
            ),
        )
        for need, attempt in asked
    ]


def _needs(fact: Recorded[OrderPlaced] | Recorded[SourcingRequested]) -> Needs:
    data = fact.data
    if isinstance(data, OrderPlaced) and not data.sourcing:
        return Needs()
    carts = frozenset() if data.cart_id is None else frozenset({data.cart_id})
    return Needs(frozenset(line.sku for line in data.lines), carts, (fact.occurred_at,))


REACTIONS = (On(OrderPlaced, source_placed, _needs), On(SourcingRequested, source_again, _needs))
