"""The optimum against an independent brute force: all sets of locations, and units handed out by hand."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.routing import optimum
from processors.routing.model import Problem
from processors.routing.optimum import cost_of, solve

COUNTS = st.one_of(st.sampled_from([0, 0, 1, 9]), st.integers(0, 6))


@st.composite
def problems(draw, locations_max=7, skus_max=4, whole=False):
    locations, skus = draw(st.integers(1, locations_max)), draw(st.integers(1, skus_max))
    demand = draw(st.lists(st.integers(1, 8), min_size=skus, max_size=skus))
    counts = st.sampled_from([0, 9]) if whole else COUNTS
    stock = draw(st.lists(st.lists(counts, min_size=locations, max_size=locations), min_size=skus, max_size=skus))
    fixed = sorted(draw(st.lists(st.integers(0, 30), min_size=locations, max_size=locations)))
    prices = st.lists(st.lists(st.integers(0, 9), min_size=locations, max_size=locations), min_size=skus, max_size=skus)
    per_unit = draw(st.none() | prices)
    return Problem(
        locations=tuple(f"L{n}" for n in range(locations)),
        skus=tuple(f"S{n}" for n in range(skus)),
        demand=tuple(demand),
        stock=tuple(tuple(min(c, d) for c in row) for row, d in zip(stock, demand, strict=True)),
        fixed=tuple(fixed),
        per_unit=None if per_unit is None else tuple(map(tuple, per_unit)),
        parcels_max=draw(st.none() | st.integers(1, locations)),
    )


def worth(problem, chosen):
    """(units not filled, cost) of a set: each SKU's units one by one from the cheapest shelf that has one left."""
    left, cost = 0, sum(problem.fixed[location] for location in chosen)
    for sku, wanted in enumerate(problem.demand):
        shelf = [
            0 if problem.per_unit is None else problem.per_unit[sku][location]
            for location in chosen
            for _ in range(problem.stock[sku][location])
        ]
        taken = sorted(shelf)[:wanted]
        cost += sum(taken)
        left += wanted - len(taken)
    return left, cost


def brute_force(problem):
    everywhere = range(len(problem.locations))
    most = problem.parcels_max if problem.parcels_max is not None else len(problem.locations)
    sets = chain.from_iterable(combinations(everywhere, size) for size in range(most + 1))
    return min(worth(problem, some) for some in sets)


def found(problem):
    solution = solve(problem)
    left, cost = worth(problem, solution.chosen)
    assert (sum(problem.demand) - solution.filled, solution.cost) == (left, cost), "it says what it comes to"
    assert problem.parcels_max is None or len(solution.chosen) <= problem.parcels_max
    assert list(solution.chosen) == sorted(set(solution.chosen))
    return solution, (left, cost)


@settings(max_examples=600, deadline=None)
@given(problem=problems())
def test_it_is_never_worse_than_the_exact_optimum(problem):
    solution, value = found(problem)
    assert solution.gap == 0
    assert value == brute_force(problem)


@settings(max_examples=400, deadline=None)
@given(problem=problems(whole=True))
def test_nor_where_locations_have_all_or_nothing(problem):
    solution, value = found(problem)
    assert solution.gap == 0
    assert value == brute_force(problem)


@settings(max_examples=200, deadline=None)
@given(problem=problems(locations_max=9, skus_max=3), nodes=st.integers(0, 6))
def test_where_the_search_is_cut_short_the_stated_gap_holds(problem, nodes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimum, "NODES_MAX", nodes)
        patch.setattr(optimum, "TABLE_SKUS_MAX", 0)
        patch.setattr(optimum, "TABLE_SKUS_MAX_PER_UNIT", 0)
        solution, (left, cost) = found(problem)
    best_left, best_cost = brute_force(problem)
    # A unit left out weighs more than any cost, so the gap of a plan that leaves one too many is at least that.
    assert (left, cost) == (best_left, best_cost) or solution.gap > 0
    if left == best_left:
        assert cost - best_cost <= solution.gap


@given(problem=problems())
def test_it_repeats_itself(problem):
    assert solve(problem) == solve(problem)


def test_nothing_wanted_or_nowhere_to_take_it_from_is_an_empty_plan():
    assert solve(Problem((), ("S",), (3,), ((),), ())).chosen == ()
    assert solve(Problem(("L",), (), (), (), (4,))).chosen == ()
    assert solve(Problem(("L",), ("S",), (3,), ((0,),), (4,))).filled == 0


def test_cost_of_a_set_takes_units_from_the_cheapest():
    problem = Problem(("A", "B"), ("S",), (3,), ((2, 2),), (1, 1), ((5, 1),))
    assert cost_of(problem, (0, 1)) == (3, 1 + 1 + 2 * 1 + 5)


def test_a_chain_of_five_hundred_stores_with_scarce_stock_is_planned_with_a_stated_gap():
    stores = 500
    problem = Problem(
        locations=tuple(f"L{n:03}" for n in range(stores)),
        skus=("A", "B"),
        demand=(40, 40),
        stock=(tuple(n % 3 for n in range(stores)), tuple((n + 1) % 3 for n in range(stores))),
        fixed=tuple(100 + n // 7 for n in range(stores)),
    )
    solution = solve(problem)
    assert solution.filled == 80
    assert solution.cost - solution.gap <= solution.cost
    assert solution.gap < solution.cost / 2
