"""Which fact makes which reaction ask for something. All wiring of the reactions is these three tables.

react(facts, lookups) -> commands, in the order of the facts; grouped answers last
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from events.categories.facts import CategoryPolicyApplied
from events.envelope import AnyRecorded
from events.orders.facts import (
    AllocationAnswered,
    AllocationRejected,
    AmendmentDeclined,
    AmendmentRequested,
    BackorderReopened,
    DispatchCrossed,
    LineBackordered,
    LineDeallocated,
    OrderAmended,
    OrderCancelled,
    OrderHeld,
    OrderPlaced,
    OrderQueued,
    ReservationSurrendered,
    ReturnReceived,
    ShipmentDispatched,
    SourcingRequested,
)
from events.stock.commands import ReserveStock
from events.stock.facts import (
    BackorderPromised,
    ReservationExpired,
    ReservationRefused,
    SkuCategorised,
    StockAwaited,
    StockOffered,
    StockReleased,
    StockReserved,
    WaitEnded,
)
from processors.reactions.allocation import allocation
from processors.reactions.amendments import ask_for_amendment
from processors.reactions.asked import Asked
from processors.reactions.categories import apply, join
from processors.reactions.crossing import open_case
from processors.reactions.movements import ship, take_back
from processors.reactions.offers import pass_on, release_and_pass_on
from processors.reactions.rejections import correct
from processors.reactions.release import release
from processors.reactions.sourcing import Lookups, source_again, source_placed

Alone: TypeAlias = Callable[[Any], list[Asked]]
Informed: TypeAlias = Callable[[Any, Lookups], list[Asked]]

#: Needs to know stock and locations.
INFORMED: Mapping[type[Any], Informed] = {
    OrderPlaced: source_placed,
    SourcingRequested: source_again,
    AmendmentRequested: ask_for_amendment,
}

#: Needs the fact alone.
ALONE: Mapping[type[Any], Alone] = {
    OrderAmended: release_and_pass_on,
    AmendmentDeclined: release,
    OrderCancelled: release_and_pass_on,
    LineBackordered: pass_on,
    AllocationAnswered: pass_on,
    OrderHeld: pass_on,
    OrderQueued: pass_on,
    BackorderReopened: release,
    LineDeallocated: release,
    ReservationSurrendered: release,
    AllocationRejected: correct,
    ShipmentDispatched: ship,
    DispatchCrossed: open_case,
    ReturnReceived: take_back,
    SkuCategorised: join,
    CategoryPolicyApplied: apply,
}

#: Is brought back to its order, all of a batch together, by the allocation reaction.
GROUPED = frozenset(
    {
        StockReserved,
        ReservationRefused,
        StockAwaited,
        StockOffered,
        ReservationExpired,
        StockReleased,
        BackorderPromised,
        WaitEnded,
    }
)

#: What has to be decoded; everything else only moves the position on. LowStockDetected is for people: it asks for
#: nothing.
REACTED_TO = frozenset(INFORMED) | frozenset(ALONE) | GROUPED


def react(facts: Iterable[AnyRecorded], lookups: Lookups) -> list[Asked]:
    """All commands that these accepted facts ask for. `facts` in log order per partition, partitions in any order."""
    asked: list[Asked] = []
    answers: list[AnyRecorded] = []
    left = _own_copy(lookups)
    for fact in facts:
        kind = type(fact.data)
        if kind in GROUPED:
            answers.append(fact)
        elif kind in ALONE:
            asked += ALONE[kind](fact)
        elif kind in INFORMED:
            informed = INFORMED[kind](fact, left)
            _take(left, informed)
            asked += informed
    asked += allocation(answers)
    return asked


def _own_copy(lookups: Lookups) -> Lookups:
    available = {sku: dict(places) for sku, places in lookups.available.items()}
    carts = {cart_id: {sku: dict(places) for sku, places in held.items()} for cart_id, held in lookups.carts.items()}
    return lookups._replace(available=available, carts=carts, waiting=dict(lookups.waiting))


def _take(left: Lookups, asked: Iterable[Asked]) -> None:
    """What one order of a batch asks for is not planned for the next: much of a surge would be refused, and a location
    would be given more parcels than it can send.
    """
    parcels = set()
    for row in asked:
        data = row.data
        if not isinstance(data, ReserveStock):
            continue
        sku, location_id, units = data.sku, data.location_id, data.quantity
        of_cart = left.carts.get(data.cart_id or "", {}).get(sku)
        if isinstance(of_cart, dict) and location_id in of_cart:
            taken = min(units, of_cart[location_id])
            of_cart[location_id] -= taken
            units -= taken
        places = left.available.get(sku)
        if isinstance(places, dict) and location_id in places:
            places[location_id] = max(0, places[location_id] - units)
        parcels.add((data.order_id, data.location_id))
    for _, location_id in parcels:
        assert isinstance(left.waiting, dict)
        left.waiting[location_id] = left.waiting.get(location_id, 0) + 1


def skus_to_look_up(facts: Sequence[AnyRecorded]) -> set[str]:
    """SKUs whose availability the reactions to these facts want to know."""
    wanted: set[str] = set()
    for fact in facts:
        data = fact.data
        if type(data) is SourcingRequested or (type(data) is OrderPlaced and data.sourcing):
            wanted.update(line.sku for line in data.lines)
        elif type(data) is AmendmentRequested:
            wanted.update(line.sku for line in data.lines if line.ordered > line.ordered_before)
    return wanted


def carts_to_look_up(facts: Sequence[AnyRecorded]) -> set[str]:
    """Carts whose units the reactions to these facts may hand over."""
    wanted: set[str] = set()
    for fact in facts:
        data = fact.data
        asks = type(data) is SourcingRequested or (type(data) is OrderPlaced and data.sourcing)
        if asks and data.cart_id is not None:
            wanted.add(data.cart_id)
    return wanted


def moments_of(facts: Sequence[AnyRecorded]) -> list[datetime]:
    """When the plans are made that these facts ask for: a day's capacity is looked up for that day."""
    return [fact.occurred_at for fact in facts if type(fact.data) in INFORMED]
