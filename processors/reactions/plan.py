"""Where the units of an order are to come from: as many units as there are, in the fewest parcels, then nearest, then
cheapest.

    plan([Need("1", "MUG", 2)], {"MUG": {"WH1": 5}}, {"WH1": Place("WH1", 52.5, 13.4, 400)}, destination=(48.1, 11.6))
    -> Plan(parts=[Part(line 1, "WH1", 2)], short=[])

Availability comes from a table that may be a moment behind; the stock streams decide against the truth.

Which locations: the smallest set that holds as many units of every SKU as all locations together (up to what is
needed). Up to `EXACT_LOCATIONS_MAX` candidates every set is looked at, so that is exact; beyond it a greedy cover
takes the location that adds the most units each time and then leaves out what turned out to be superfluous: at most
ln(units) + 1 times the fewest (the bound of greedy set cover), and a valid plan always.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from haversine import haversine

#: Candidate locations up to which all sets are compared: 2^12 = 4,096 sets of a few microseconds each, about 10 ms in
#: the worst case (nothing but the full set covers). Smaller is greedy, thus sometimes a parcel too many, where exact
#: would do; each location more doubles the time of the worst case.
EXACT_LOCATIONS_MAX = 12

#: Stands for "nobody knows how far": more than half of the Earth's circumference (20,037 km), so farther than any
#: place.
UNKNOWN_KM = 99_999

Coordinates = tuple[float, float]


class Need(NamedTuple):
    """Units of a line that need a location."""

    line_id: str
    sku: str
    quantity: int


class Place(NamedTuple):
    """A location: degrees, and minor units of money for a parcel from there (None: not told, taken as 0)."""

    location_id: str
    latitude: float | None = None
    longitude: float | None = None
    cost_minor_per_parcel: int | None = None


class Part(NamedTuple):
    """Units of a line from one location."""

    line_id: str
    sku: str
    location_id: str
    quantity: int


class Plan(NamedTuple):
    """`parts` in the order of the lines, nearest location first; `short` is what nobody has."""

    parts: tuple[Part, ...]
    short: tuple[Need, ...]


Availability = Mapping[str, Mapping[str, int]]
"""Units by SKU and location. What is zero or less counts as none."""


def nearest_first(
    location_ids: Collection[str], places: Mapping[str, Place], destination: Coordinates | None
) -> list[tuple[int, int, str]]:
    """(whole kilometres, cost, location) of each location, sorted: nearest, then cheapest, then by name.

    Kilometres are whole so that a metre does not outweigh the cost; a location or destination without coordinates is
    farthest.
    """
    ranked = []
    for location_id in location_ids:
        place = places.get(location_id)
        distance_km, cost_minor = UNKNOWN_KM, 0
        if place is not None:
            cost_minor = place.cost_minor_per_parcel or 0
            if destination is not None and place.latitude is not None and place.longitude is not None:
                distance_km = round(haversine((place.latitude, place.longitude), destination))
        ranked.append((distance_km, cost_minor, location_id))
    ranked.sort()
    return ranked


def plan(
    needs: Sequence[Need],
    availability: Availability,
    places: Mapping[str, Place],
    destination: Coordinates | None,
    excluded: Collection[tuple[str, str]] = (),
) -> Plan:
    """Where each unit comes from, as the module says.

    `excluded` are (line_id, location_id) that have just refused: the location is left out for the line's SKU
    altogether, for another line of the SKU would be served from the same shelf.
    """
    demand: dict[str, int] = {}
    for need in needs:
        demand[need.sku] = demand.get(need.sku, 0) + need.quantity
    stock = _usable(needs, demand, availability, excluded)
    target = {sku: min(units, sum(stock[sku].values())) for sku, units in demand.items()}
    wanted = {sku: units for sku, units in target.items() if units > 0}
    candidates = {location_id for sku in wanted for location_id in stock[sku]}
    ranked = nearest_first(candidates, places, destination)
    chosen = _choose(ranked, stock, wanted)
    return _hand_out(needs, stock, chosen)


def _usable(
    needs: Sequence[Need], demand: Mapping[str, int], availability: Availability, excluded: Collection[tuple[str, str]]
) -> dict[str, dict[str, int]]:
    stock = {
        sku: {location_id: units for location_id, units in availability.get(sku, {}).items() if units > 0}
        for sku in demand
    }
    if excluded:
        sku_of_line = {need.line_id: need.sku for need in needs}
        for line_id, location_id in excluded:
            if line_id in sku_of_line:
                stock[sku_of_line[line_id]].pop(location_id, None)
    return stock


Ranked = tuple[int, int, str]


def _choose(ranked: Sequence[Ranked], stock: Availability, wanted: Mapping[str, int]) -> list[str]:
    """The best set of locations that covers what is wanted, nearest first."""
    if not wanted:
        return []
    needed = list(wanted.items())
    # The usual order: one location has it all. The first that does is the nearest.
    for _, _, location_id in ranked:
        if all(stock[sku].get(location_id, 0) >= units for sku, units in needed):
            return [location_id]
    if len(ranked) > EXACT_LOCATIONS_MAX:
        return _greedy(ranked, stock, wanted)
    for size in range(2, len(ranked)):
        covering = [some for some in combinations(ranked, size) if _covers(some, stock, needed)]
        if covering:
            best = min(covering, key=_worth)
            return [location_id for _, _, location_id in best]
    return [location_id for _, _, location_id in ranked]


def _covers(some: Sequence[Ranked], stock: Availability, needed: Sequence[tuple[str, int]]) -> bool:
    for sku, units in needed:
        held = stock[sku]
        if sum(held.get(location_id, 0) for _, _, location_id in some) < units:
            return False
    return True


def _worth(some: Sequence[Ranked]) -> tuple[int, int, tuple[str, ...]]:
    """Kilometres in all, cost in all, names: the smaller the better."""
    return sum(row[0] for row in some), sum(row[1] for row in some), tuple(row[2] for row in some)


def _greedy(ranked: Sequence[Ranked], stock: Availability, wanted: Mapping[str, int]) -> list[str]:
    missing = dict(wanted)
    left = list(ranked)
    taken: list[Ranked] = []
    while any(missing.values()):
        # Most units added; of equals the first, which is the nearest.
        best = max(left, key=lambda row: sum(min(units, stock[sku].get(row[2], 0)) for sku, units in missing.items()))
        left.remove(best)
        taken.append(best)
        for sku, units in missing.items():
            missing[sku] = units - min(units, stock[sku].get(best[2], 0))
    needed = list(wanted.items())
    for row in sorted(taken, reverse=True):
        without = [other for other in taken if other is not row]
        if _covers(without, stock, needed):
            taken = without
    return [location_id for _, _, location_id in sorted(taken)]


def _hand_out(needs: Sequence[Need], stock: Mapping[str, dict[str, int]], chosen: Sequence[str]) -> Plan:
    parts: list[Part] = []
    short: list[Need] = []
    for line_id, sku, quantity in needs:
        held = stock[sku]
        left = quantity
        # A line stays whole where one of the chosen has enough of it.
        whole = next((location_id for location_id in chosen if held.get(location_id, 0) >= left), None)
        for location_id in chosen if whole is None else (whole,):
            units = min(left, held.get(location_id, 0))
            if units > 0:
                held[location_id] -= units
                left -= units
                parts.append(Part(line_id, sku, location_id, units))
            if not left:
                break
        if left:
            short.append(Need(line_id, sku, left))
    return Plan(tuple(parts), tuple(short))
