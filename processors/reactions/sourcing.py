"""An order that needs units is planned, and each part of the plan is asked of the stock stream it belongs to.

    OrderPlaced(lines=[2 of MUG]) with 5 of MUG at WH1 -> ReserveStock(MUG, WH1, 2)
    ... and with none anywhere                         -> AwaitStock(MUG, 2)

The table of stock may be behind. Too much in it: the stream refuses, and the order asks again without that location.
Too little: what is thought to be missing waits in the SKU's queue, which grants at once what is there after all.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from events.envelope import AnyRecorded, Recorded
from events.orders.attempts import ATTEMPTS_PER_ROUND, attempt_number
from events.orders.facts import OrderPlaced, SourcingRequested
from events.stock.commands import AwaitStock, ReserveStock
from processors.reactions.asked import Asked
from processors.reactions.plan import Availability, Coordinates, Need, Place, Plan, nearest_first, plan

ACTOR = "sourcing"

#: The part of a round that is a place in a queue: the last of the attempts of that round.
WAIT_NUMBER = ATTEMPTS_PER_ROUND - 1

#: Preferred locations named in a wait. More would make the command of a large shop chain long for nothing; then none
#: are named, which means any.
PREFERRED_LOCATIONS_MAX = 50


class Lookups(NamedTuple):
    """What sourcing knows of the world.

    `sellable` and `available`: units by SKU and location, with and without the channels' buffers kept back. `carts`:
    units that the carts of these orders hold; they are in neither.
    """

    sellable: Availability
    available: Availability
    places: Mapping[str, Place]
    carts: Mapping[str, Availability] = {}


class _Request(NamedTuple):
    order_id: str
    round: int
    needs: Sequence[Need]
    excluded: Sequence[tuple[str, str]]
    destination: Coordinates | None
    whole: bool
    placed_at: datetime
    sales_channel: str
    cart_id: str | None
    rejected: Mapping[str, tuple[str, ...]] = {}


def source_placed(fact: Recorded[OrderPlaced], lookups: Lookups) -> list[Asked]:
    """Commands for the first round of an order that wants its stock now (`sourcing`); else none."""
    order = fact.data
    if not order.sourcing:
        return []
    request = _Request(
        order_id=order.order_id,
        round=1,
        needs=[Need(line.line_id, line.sku, line.quantity) for line in order.lines],
        excluded=(),
        destination=_coordinates(order.ship_to.latitude, order.ship_to.longitude),
        whole=order.allocation == "all_or_nothing",
        placed_at=fact.occurred_at,
        sales_channel=fact.channel,
        cart_id=order.cart_id,
    )
    return _ask(fact, request, lookups)


def source_again(fact: Recorded[SourcingRequested], lookups: Lookups) -> list[Asked]:
    """Commands for a later round, without the locations that have just refused."""
    wanted = fact.data
    request = _Request(
        order_id=wanted.order_id,
        round=wanted.round,
        needs=[Need(line.line_id, line.sku, line.quantity) for line in wanted.lines],
        excluded=[(pair.line_id, pair.location_id) for pair in wanted.excluded],
        destination=_coordinates(wanted.latitude, wanted.longitude),
        whole=wanted.allocation == "all_or_nothing",
        placed_at=wanted.placed_at,
        sales_channel=wanted.sales_channel,
        cart_id=wanted.cart_id,
        rejected=_rejected(wanted),
    )
    return _ask(fact, request, lookups)


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
    lookups = _with_cart(lookups, request.cart_id)
    found = plan(request.needs, lookups.sellable, lookups.places, request.destination, request.excluded)
    if request.whole and found.short:
        # A buffer may be another channel's: only the stock stream knows. Without this second look, units behind such a
        # buffer would be offered to the order and overlooked by it again and again.
        found = plan(request.needs, lookups.available, lookups.places, request.destination, request.excluded)
        if found.short:
            # The order waits as a whole, so one short line is enough; nothing is held for the others meanwhile.
            short = {need.sku for need in found.short}
            whole: dict[str, Need] = {}
            for need in request.needs:
                if need.sku in short:
                    known = whole.get(need.sku)
                    whole[need.sku] = need if known is None else known._replace(quantity=known.quantity + need.quantity)
            return _wait(fact, request, list(whole.values()), "offer", lookups.places)
    waits = _wait(fact, request, found.short, "grant", lookups.places) if found.short else []
    return _reserve(fact, request, found) + waits


def _with_cart(lookups: Lookups, cart_id: str | None) -> Lookups:
    """What the order may take: what is free, and what its own cart holds."""
    held = lookups.carts.get(cart_id, {}) if cart_id is not None else {}
    if not held:
        return lookups
    sellable, available = (
        {
            **table,
            **{
                sku: {
                    **table.get(sku, {}),
                    **{place: table.get(sku, {}).get(place, 0) + units for place, units in here.items()},
                }
                for sku, here in held.items()
            },
        }
        for table in (lookups.sellable, lookups.available)
    )
    return lookups._replace(sellable=sellable, available=available)


def _reserve(fact: AnyRecorded, request: _Request, found: Plan) -> list[Asked]:
    asked = []
    numbers: dict[str, int] = {}
    for part in found.parts:
        number = numbers[part.line_id] = numbers.get(part.line_id, 0) + 1
        attempt = attempt_number(request.round, number, part.location_id, part.quantity)
        asked.append(
            Asked.because(
                fact,
                ACTOR,
                command_id=f"{request.order_id}:{part.line_id}:{attempt}",
                data=ReserveStock(
                    sku=part.sku,
                    location_id=part.location_id,
                    quantity=part.quantity,
                    order_id=request.order_id,
                    line_id=part.line_id,
                    attempt=attempt,
                    for_channel=request.sales_channel,
                    cart_id=request.cart_id,
                ),
            )
        )
    return asked


def _wait(
    fact: AnyRecorded,
    request: _Request,
    short: Sequence[Need],
    mode: Literal["grant", "offer"],
    places: Mapping[str, Place],
) -> list[Asked]:
    preferred: tuple[str, ...] = ()
    if request.destination is not None and len(places) <= PREFERRED_LOCATIONS_MAX:
        preferred = tuple(row[2] for row in nearest_first(places, places, request.destination))
    asked = [(need, attempt_number(request.round, WAIT_NUMBER, "", need.quantity)) for need in short]
    return [
        Asked.because(
            fact,
            ACTOR,
            command_id=f"{request.order_id}:{need.line_id}:{attempt}",
            data=AwaitStock(
                sku=need.sku,
                quantity=need.quantity,
                order_id=request.order_id,
                line_id=need.line_id,
                attempt=attempt,
                placed_at=request.placed_at,
                mode=mode,
                for_channel=request.sales_channel,
                locations=preferred,
                cart_id=request.cart_id,
                not_at=request.rejected.get(need.sku, ()),
            ),
        )
        for need, attempt in asked
    ]
