"""The sourcing plan against brute force."""

from __future__ import annotations

import time
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.reactions import plan as plan_module
from processors.reactions.plan import UNKNOWN_KM, Need, Part, Place, Plan, nearest_first, plan

LOCATIONS = ("A", "B", "C", "D", "E")
SKUS = ("MUG", "CUP", "POT")
HERE = (50.0, 10.0)

shelves = st.dictionaries(
    st.sampled_from(SKUS), st.dictionaries(st.sampled_from(LOCATIONS), st.integers(-1, 6), max_size=5), max_size=3
)
orders = st.lists(st.tuples(st.sampled_from(SKUS), st.integers(1, 8)), min_size=1, max_size=5).map(
    lambda rows: [Need(str(number), sku, units) for number, (sku, units) in enumerate(rows, 1)]
)
exclusions = st.lists(st.tuples(st.sampled_from(["1", "2", "3", "9"]), st.sampled_from(LOCATIONS)), max_size=3)
places = st.fixed_dictionaries(
    {
        name: st.builds(
            Place,
            st.just(name),
            st.one_of(st.none(), st.integers(-80, 80).map(float)),
            st.one_of(st.none(), st.integers(-170, 170).map(float)),
            st.one_of(st.none(), st.integers(0, 3)),
        )
        for name in LOCATIONS
    }
)


def usable(
    needs: list[Need], stock: dict[str, dict[str, int]], excluded: list[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Units by (sku, location) that may be planned with."""
    out = {(need.sku, location) for need in needs for line, location in excluded if line == need.line_id}
    wanted = {need.sku for need in needs}
    return {
        (sku, location): units
        for sku, held in stock.items()
        for location, units in held.items()
        if units > 0 and sku in wanted and (sku, location) not in out
    }


def check(found: Plan, needs: list[Need], held: dict[tuple[str, str], int]) -> None:
    used = Counter[tuple[str, str]]()
    planned = Counter[str]()
    sku_of = {need.line_id: need.sku for need in needs}
    for part in found.parts:
        assert part.quantity > 0
        assert sku_of[part.line_id] == part.sku
        used[part.sku, part.location_id] += part.quantity
        planned[part.line_id] += part.quantity
    assert all(units <= held.get(place, 0) for place, units in used.items()), "never more than there is"
    assert len({(p.line_id, p.location_id) for p in found.parts}) == len(found.parts), (
        "a line is asked for once a location"
    )
    short = {need.line_id: need.quantity for need in found.short}
    assert all(planned[need.line_id] + short.get(need.line_id, 0) == need.quantity for need in needs)
    for sku in set(sku_of.values()):
        demand = sum(need.quantity for need in needs if need.sku == sku)
        there = sum(units for (other, _), units in held.items() if other == sku)
        missing = sum(need.quantity for need in found.short if need.sku == sku)
        assert missing == max(0, demand - there), "covered as far as it can be"


def covering(needs: list[Need], held: dict[tuple[str, str], int]) -> list[tuple[str, ...]]:
    """All smallest sets of locations that hold as much as all together."""
    demand = Counter[str]()
    for need in needs:
        demand[need.sku] += need.quantity

    def reach(some: tuple[str, ...]) -> int:
        return sum(min(units, sum(held.get((sku, name), 0) for name in some)) for sku, units in demand.items())

    best = reach(LOCATIONS)
    for size in range(len(LOCATIONS) + 1):
        found = [some for some in combinations(LOCATIONS, size) if reach(some) == best]
        if found:
            return found
    raise AssertionError("all locations together hold what all locations hold")


@settings(max_examples=300, deadline=None)
@given(needs=orders, stock=shelves, where=places, excluded=exclusions)
def test_a_plan_covers_what_can_be_covered_with_the_fewest_nearest_cheapest_parcels(
    needs: list[Need], stock: dict[str, dict[str, int]], where: dict[str, Place], excluded: list[tuple[str, str]]
) -> None:
    held = usable(needs, stock, excluded)
    found = plan(needs, stock, where, HERE, excluded)
    check(found, needs, held)
    rank = {row[2]: row for row in nearest_first(LOCATIONS, where, HERE)}
    best = min(
        covering(needs, held),
        key=lambda some: (
            sum(rank[name][0] for name in some),
            sum(rank[name][1] for name in some),
            tuple(sorted(some, key=rank.__getitem__)),
        ),
    )
    assert {part.location_id for part in found.parts} == set(best)


@settings(max_examples=200, deadline=None)
@given(needs=orders, stock=shelves, where=places)
def test_the_greedy_plan_is_valid_too(
    needs: list[Need], stock: dict[str, dict[str, int]], where: dict[str, Place]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "EXACT_LOCATIONS_MAX", 1)
        found = plan(needs, stock, where, HERE)
    check(found, needs, usable(needs, stock, []))


@given(needs=orders, stock=shelves, where=places)
def test_a_plan_does_not_depend_on_the_order_of_the_tables(
    needs: list[Need], stock: dict[str, dict[str, int]], where: dict[str, Place]
) -> None:
    turned = {sku: dict(reversed(held.items())) for sku, held in reversed(stock.items())}
    assert plan(needs, stock, where, HERE) == plan(needs, turned, dict(reversed(where.items())), HERE)


def test_one_parcel_from_afar_beats_two_from_nearby() -> None:
    where = {"NEAR": Place("NEAR", 50, 10), "NEXT": Place("NEXT", 50, 11), "FAR": Place("FAR", -30, 150)}
    stock = {"MUG": {"NEAR": 9, "FAR": 9}, "CUP": {"NEXT": 9, "FAR": 9}}
    found = plan([Need("1", "MUG", 1), Need("2", "CUP", 1)], stock, where, HERE)
    assert {part.location_id for part in found.parts} == {"FAR"}


def test_of_equally_near_locations_the_cheaper_is_taken_and_unknown_places_are_farthest() -> None:
    where = {
        "DEAR": Place("DEAR", 50, 10, 900),
        "CHEAP": Place("CHEAP", 50, 10, 100),
        "LOST": Place("LOST", None, None, 0),
    }
    stock = {"MUG": dict.fromkeys(where, 5)}
    assert plan([Need("1", "MUG", 1)], stock, where, HERE).parts == (Part("1", "MUG", "CHEAP", 1),)
    assert [row[2] for row in nearest_first(where, where, HERE)] == ["CHEAP", "DEAR", "LOST"]
    assert nearest_first(["LOST"], where, HERE)[0][0] == UNKNOWN_KM
    assert [row[2] for row in nearest_first(where, where, None)] == ["LOST", "CHEAP", "DEAR"]


def test_a_line_is_not_split_where_one_of_the_chosen_locations_has_enough_of_it() -> None:
    where = {"A": Place("A", 50, 10), "B": Place("B", 51, 10)}
    stock = {"MUG": {"A": 1, "B": 5}, "CUP": {"A": 1}}
    found = plan([Need("1", "MUG", 2), Need("2", "CUP", 1)], stock, where, HERE)
    assert found.parts == (Part("1", "MUG", "B", 2), Part("2", "CUP", "A", 1))


def test_the_usual_order_is_planned_two_thousand_times_a_second_and_more() -> None:
    where = {f"WH{n}": Place(f"WH{n}", 50.0 + n, 10.0, 100) for n in range(3)}
    stock = {f"S{n}": dict.fromkeys(where, 1000) for n in range(20)}
    needs = [Need(str(n), f"S{n}", 2) for n in range(20)]
    seconds = min(_seconds(lambda: plan(needs, stock, where, HERE)) for _ in range(5))
    assert seconds / 200 < 1 / 2_000


def test_the_worst_case_of_the_exact_search_stays_short() -> None:
    where = {f"WH{n}": Place(f"WH{n}", 50.0 + n, 10.0, 100) for n in range(12)}
    stock = {f"S{n}": {f"WH{n}": 1} for n in range(12)}
    needs = [Need(str(n), f"S{n}", 1) for n in range(12)]
    began = time.process_time()
    assert len(plan(needs, stock, where, HERE).parts) == 12
    assert time.process_time() - began < 0.5


def _seconds(work: object) -> float:
    began = time.process_time()
    for _ in range(200):
        work()  # type: ignore[operator]
    return time.process_time() - began
