"""All reactions in one list: the rows that each file exports, in the order in which they ask.

react(facts, lookups) -> commands, in the order of the facts; grouped answers last
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from events.envelope import AnyRecorded
from events.stock.commands import ReserveStock
from processors.reactions import (
    allocation,
    amendments,
    categories,
    crossing,
    locations,
    movements,
    offers,
    rejections,
    release,
    sourcing,
    timers,
)
from processors.reactions.asked import Asked
from processors.reactions.rows import Needs, On, Reaction, Timer, Together, all_needs
from processors.reactions.sourcing import Lookups

REACTIONS: Sequence[Reaction] = (
    *sourcing.REACTIONS,
    *amendments.REACTIONS,
    *release.REACTIONS,
    *offers.REACTIONS,  # after release: what an order held is free before others are called
    *rejections.REACTIONS,
    *movements.REACTIONS,
    *crossing.REACTIONS,
    *categories.REACTIONS,
    *locations.REACTIONS,
    *allocation.REACTIONS,
)

TIMERS: Sequence[Timer] = (*timers.TIMERS,)


def _by_fact(rows: Iterable[Reaction]) -> Mapping[type[Any], Sequence[Reaction]]:
    found: dict[type[Any], list[Reaction]] = defaultdict(list)
    for row in rows:
        for fact in (row.fact,) if isinstance(row, On) else row.facts:
            found[fact].append(row)
    return found


BY_FACT = _by_fact(REACTIONS)

#: What has to be decoded; everything else only moves the position on. LowStockDetected is for people: it asks for
#: nothing.
REACTED_TO = frozenset(BY_FACT)


def needs_of(facts: Iterable[AnyRecorded]) -> Needs:
    """What the reactions to these facts want to know."""
    return all_needs(
        row.needs(fact)
        for fact in facts
        for row in BY_FACT.get(type(fact.data), ())
        if isinstance(row, On) and row.needs is not None
    )


def react(facts: Iterable[AnyRecorded], lookups: Lookups) -> list[Asked]:
    """All commands that these accepted facts ask for. `facts` in log order per partition, partitions in any order."""
    asked: list[Asked] = []
    together: dict[Together, list[AnyRecorded]] = {row: [] for row in REACTIONS if isinstance(row, Together)}
    left = _own_copy(lookups)
    for fact in facts:
        for row in BY_FACT.get(type(fact.data), ()):
            if isinstance(row, Together):
                together[row].append(fact)
            elif row.needs is None:
                asked += row.react(fact)
            else:
                informed = row.react(fact, left)
                _take(left, informed)
                asked += informed
    for row, answers in together.items():
        asked += row.react(answers)
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
