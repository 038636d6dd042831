"""Routing by rules: what a planner's words come to, and the plan against brute force."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.routing.rules import read_rules
from processors.routing.book import Router, default_router
from processors.routing.model import Need, Part, Place, Plan, Wanted, World
from processors.routing.objective import NEVER_DAYS, UNKNOWN_KM, kilometres, nearest_first
from processors.routing.route import Routed, route

LOCATIONS = ("A", "B", "C", "D", "E")
SKUS = ("MUG", "CUP", "POT")
HERE = (50.0, 10.0)
AT = datetime(2026, 11, 27, 18, tzinfo=UTC)

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
            st.none(),
            st.none(),
            st.none(),
        )
        for name in LOCATIONS
    }
)


def rules(body: str = 'criteria = ["cost"]', top: str = "") -> Router:
    """A router of one rule for all orders."""
    return Router(read_rules(f'name = "test"\n{top}\n[[rules]]\nname = "all"\n{body}\n'))


def wants(*lines: tuple[str, int], **more: Any) -> Wanted:
    needs = tuple(Need(str(number), sku, units) for number, (sku, units) in enumerate(lines, 1))
    return Wanted("o-1", needs, AT, **{"destination": HERE, **more})


def plan(
    needs: list[Need],
    stock: dict[str, dict[str, int]],
    where: dict[str, Place],
    excluded: list[tuple[str, str]] | tuple[()] = (),
) -> Plan:
    """What the rules that ship make of it."""
    wanted = Wanted("o-1", tuple(needs), AT, destination=HERE, excluded=tuple(excluded))
    return route(wanted, default_router(), World(stock, where)).plan


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
def test_as_shipped_a_plan_covers_what_can_be_covered_with_the_fewest_nearest_cheapest_parcels(
    needs: list[Need], stock: dict[str, dict[str, int]], where: dict[str, Place], excluded: list[tuple[str, str]]
) -> None:
    held = usable(needs, stock, excluded)
    found = plan(needs, stock, where, excluded)
    check(found, needs, held)
    rank = {row[2]: row for row in nearest_first(LOCATIONS, where, HERE)}

    def worth(some: set[str] | tuple[str, ...]) -> tuple[int, int, int]:
        return len(some), sum(rank[name][0] for name in some), sum(rank[name][1] for name in some)

    assert worth({part.location_id for part in found.parts}) == min(map(worth, covering(needs, held)))


@given(needs=orders, stock=shelves, where=places)
def test_a_plan_does_not_depend_on_the_order_of_the_tables(
    needs: list[Need], stock: dict[str, dict[str, int]], where: dict[str, Place]
) -> None:
    turned = {sku: dict(reversed(held.items())) for sku, held in reversed(stock.items())}
    assert plan(needs, stock, where) == plan(needs, turned, dict(reversed(where.items())))


@settings(max_examples=150, deadline=None)
@given(
    needs=orders, stock=shelves, where=places, limit=st.integers(1, 3), resort=st.sampled_from(["queue", "backorder"])
)
def test_a_limit_on_parcels_is_kept_and_what_it_leaves_out_is_counted(
    needs: list[Need], stock: dict[str, dict[str, int]], where: dict[str, Place], limit: int, resort: str
) -> None:
    router = rules(f'criteria = ["cost"]\nlimits = {{ parcels_max = {limit} }}\nfallbacks = ["{resort}"]')
    found = route(Wanted("o-1", tuple(needs), AT), router, World(stock, where))
    assert len({part.location_id for part in found.plan.parts}) <= limit
    free = route(Wanted("o-1", tuple(needs), AT), rules(), World(stock, where))
    lost = sum(need.quantity for need in found.plan.short) - sum(need.quantity for need in free.plan.short)
    assert found.left_out == lost >= 0
    assert found.outcome == (resort if lost else "planned")


# The numbers of the issue

BUILT = {name: Place(name, cost_minor_per_parcel=cost) for name, cost in {"L1": 8, "L2": 5, "L3": 6, "L4": 4}.items()}
SHELVES = {"A": {"L1": 1, "L4": 1}, "B": {"L1": 1, "L3": 1}, "C": {"L2": 1, "L3": 1}}
ONE_EACH = wants(("A", 1), ("B", 1), ("C", 1))


@pytest.mark.parametrize("router", [default_router(), rules(), rules("objective = { cost = 1, parcels = 0.5 }")])
def test_the_cheapest_two_parcels_are_found_where_nearest_first_would_pay_more(router: Router) -> None:
    found = route(ONE_EACH, router, World(SHELVES, BUILT))
    used = {part.location_id for part in found.plan.parts}
    assert used == {"L3", "L4"}
    assert sum(BUILT[name].cost_minor_per_parcel or 0 for name in used) == 10
    assert found.plan.gap == 0


def test_without_a_split_it_cannot_be_sent_and_goes_to_the_queue() -> None:
    router = rules('criteria = ["cost"]\nlimits = { split = false }\nfallbacks = ["queue"]')
    found = route(ONE_EACH, router, World(SHELVES, BUILT))
    assert (found.outcome, found.left_out) == ("queue", 1)


# One parcel, near, cheap


def test_one_parcel_from_afar_beats_two_from_nearby() -> None:
    where = {"NEAR": Place("NEAR", 50, 10), "NEXT": Place("NEXT", 50, 11), "FAR": Place("FAR", -30, 150)}
    stock = {"MUG": {"NEAR": 9, "FAR": 9}, "CUP": {"NEXT": 9, "FAR": 9}}
    found = plan([Need("1", "MUG", 1), Need("2", "CUP", 1)], stock, where)
    assert {part.location_id for part in found.parts} == {"FAR"}


def test_of_equally_near_locations_the_cheaper_is_taken_and_unknown_places_are_farthest() -> None:
    where = {
        "DEAR": Place("DEAR", 50, 10, 900),
        "CHEAP": Place("CHEAP", 50, 10, 100),
        "LOST": Place("LOST", None, None, 0),
    }
    stock = {"MUG": dict.fromkeys(where, 5)}
    assert plan([Need("1", "MUG", 1)], stock, where).parts == (Part("1", "MUG", "CHEAP", 1),)
    assert [row[2] for row in nearest_first(where, where, HERE)] == ["CHEAP", "DEAR", "LOST"]
    assert nearest_first(["LOST"], where, HERE)[0][0] == UNKNOWN_KM
    assert [row[2] for row in nearest_first(where, where, None)] == ["LOST", "CHEAP", "DEAR"]


def test_distances_are_those_along_the_surface() -> None:
    assert kilometres(Place("BERLIN", 52.52, 13.405), (48.1374, 11.5755)) == 504
    assert kilometres(Place("POLE", 90, 0), (-90, 0)) == 20015


def test_a_line_is_not_split_where_one_of_the_chosen_locations_has_enough_of_it() -> None:
    where = {"A": Place("A", 50, 10), "B": Place("B", 51, 10)}
    stock = {"MUG": {"A": 1, "B": 5}, "CUP": {"A": 1}}
    found = plan([Need("1", "MUG", 2), Need("2", "CUP", 1)], stock, where)
    assert found.parts == (Part("1", "MUG", "B", 2), Part("2", "CUP", "A", 1))


# Which rule


@pytest.mark.parametrize(
    ("when", "yes", "no"),
    [
        ('channels = ["web*"]', {"channel": "web-de"}, {"channel": "store"}),
        ('service_levels = ["express"]', {"service_level": "express"}, {"service_level": "standard"}),
        ('countries = ["DE"]', {"country": "DE"}, {"country": "FR"}),
        ('regions = ["Bay*"]', {"region": "Bayern"}, {"region": None}),
        ("value_from_minor = 100", {"value_minor": 100}, {"value_minor": 99}),
        ("value_below_minor = 100", {"value_minor": 99}, {"value_minor": 100}),
    ],
)
def test_the_first_rule_that_is_for_an_order_routes_it(when: str, yes: dict[str, Any], no: dict[str, Any]) -> None:
    text = 'name = "t"\n[[rules]]\nname = "some"\ncriteria = ["cost"]\nwhen = {{ {} }}\n[[rules]]\nname = "rest"\n'
    router = Router(read_rules(text.format(when) + 'criteria = ["cost"]'))
    assert router.rule_for(wants(("MUG", 1), **yes)).name == "some"
    assert router.rule_for(wants(("MUG", 1), **no)).name == "rest"


def test_a_rule_may_be_for_orders_with_some_sku_or_with_such_skus_only() -> None:
    text = 'name = "t"\n[[rules]]\nname = "{0}"\ncriteria = ["cost"]\nwhen = {{ {0} = ["BIG-*"] }}\n[[rules]]\n'
    some, only = (
        Router(read_rules(text.format(key) + 'name = "rest"\ncriteria = ["cost"]')) for key in ("skus", "only_skus")
    )
    mixed, pure = wants(("BIG-1", 1), ("MUG", 1)), wants(("BIG-1", 1), ("BIG-2", 1))
    assert [some.rule_for(one).name for one in (mixed, pure)] == ["skus", "skus"]
    assert [only.rule_for(one).name for one in (mixed, pure)] == ["rest", "only_skus"]


# Filters, fallbacks

SHOPS = {
    "WH": Place("WH", 52.0, 13.0, 400, "warehouse", "DE"),
    "ST": Place("ST", 50.1, 10.0, 500, "store", "DE"),
    "3P": Place("3P", 50.0, 10.0, 100, "third_party", "PL"),
}
EVERYWHERE = {"MUG": dict.fromkeys(SHOPS, 9)}


def from_where(found: Routed) -> set[str]:
    return {part.location_id for part in found.plan.parts}


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ('kinds = ["store"]', {"ST"}),
        ('not_kinds = ["third_party", "store"]', {"WH"}),
        ('locations = ["W*"]', {"WH"}),
        ('not_locations = ["3P", "ST"]', {"WH"}),
        ('countries = ["PL"]', {"3P"}),
        ("same_country = true", {"ST", "WH"}),
        ("distance_km_max = 20", {"3P", "ST"}),
    ],
)
def test_a_filter_keeps_locations_out_and_the_others_take_over(filters: str, left: set[str]) -> None:
    router = rules(f'criteria = ["cost"]\nfilters = {{ {filters} }}')
    found = route(wants(("MUG", 20), country="DE"), router, World(EVERYWHERE, SHOPS))
    assert from_where(found) == left
    assert found.outcome == ("backorder" if found.left_out else "planned")
    assert set(found.posed.failures) == set(SHOPS) - left


def test_fallbacks_are_taken_one_after_the_other_until_nothing_in_stock_is_left_out() -> None:
    body = """criteria = ["cost"]
filters = { kinds = ["store"], distance_km_max = 20 }
fallbacks = ["relax distance_km_max", "relax kinds", "queue"]"""
    world = World(EVERYWHERE, SHOPS)
    assert route(wants(("MUG", 9)), rules(body), world).relaxed == ()
    assert route(wants(("MUG", 10)), rules(body), world).relaxed == ("distance_km_max", "kinds")
    far = World({"MUG": {"ST": 1}}, {"ST": Place("ST", 60, 10, 1, "store")})
    assert route(wants(("MUG", 1)), rules(body), far).relaxed == ("distance_km_max",)


def test_what_nobody_has_is_no_matter_of_rules() -> None:
    router = rules('criteria = ["cost"]\nlimits = { split = false }\nfallbacks = ["relax split", "queue"]')
    found = route(wants(("MUG", 3)), router, World({"MUG": {"WH": 1}}, SHOPS))
    assert (found.outcome, found.relaxed, found.plan.short) == ("planned", (), (Need("1", "MUG", 2),))


def test_missing_units_wait_only_where_the_rule_allows() -> None:
    world = World({"MUG": {"WH": 1}}, SHOPS)
    assert route(wants(("MUG", 3)), rules(), world).wait_at is None
    own = rules('criteria = ["cost"]\nfilters = { not_kinds = ["third_party"] }')
    assert route(wants(("MUG", 3)), own, world).wait_at == ("ST", "WH")
    one = rules('criteria = ["cost"]\nlimits = { split = false }')
    assert route(wants(("MUG", 3)), one, world).wait_at == ("WH",)
    busy = rules('criteria = ["cost"]\nfilters = { wait_days_max = 1 }')
    assert route(wants(("MUG", 3)), busy, world).wait_at is None, "how busy a place is changes"


def test_a_split_is_allowed_from_a_value_on() -> None:
    router = rules('criteria = ["cost"]\nlimits = { split_from_minor = 5000 }\nfallbacks = ["queue"]')
    cheap, dear = (route(wants(("MUG", 20), value_minor=v), router, World(EVERYWHERE, SHOPS)) for v in (4999, 5000))
    assert (cheap.outcome, dear.outcome) == ("queue", "planned")


def test_an_order_that_holds_as_many_parcels_as_it_may_puts_more_into_these_only() -> None:
    router = rules('criteria = ["cost"]\nlimits = { parcels_max = 1 }')
    found = route(wants(("MUG", 2), held_at=("ST",)), router, World(EVERYWHERE, SHOPS))
    assert from_where(found) == {"ST"}
    two = rules('criteria = ["cost"]\nlimits = { parcels_max = 2 }')
    assert from_where(route(wants(("MUG", 2), held_at=("ST",)), two, World(EVERYWHERE, SHOPS))) == {"ST"}, (
        "what travels in a parcel that leaves anyhow costs nothing more"
    )


# Measures


def test_own_and_third_party_locations_are_compared_by_their_own_costs() -> None:
    assert from_where(route(wants(("MUG", 1)), rules(), World(EVERYWHERE, SHOPS))) == {"3P"}


def test_a_listed_priority_decides_where_it_stands_first() -> None:
    router = rules('criteria = ["priority", "cost"]\npriority = ["ST*", "WH"]')
    assert from_where(route(wants(("MUG", 1)), router, World(EVERYWHERE, SHOPS))) == {"ST"}
    assert from_where(route(wants(("MUG", 1)), router, World({"MUG": {"3P": 1, "WH": 1}}, SHOPS))) == {"WH"}


def test_a_farther_location_that_would_be_late_is_passed_over_for_two_parcels_in_time() -> None:
    where = {"FAR": Place("FAR", 60, 10, 1), "N1": Place("N1", 50, 10, 9), "N2": Place("N2", 50, 10, 9)}
    stock = {"MUG": {"FAR": 1, "N1": 1}, "CUP": {"FAR": 1, "N2": 1}}
    lines = ("MUG", 1), ("CUP", 1)
    world = World(stock, where)
    soon, later = AT + timedelta(days=1), AT + timedelta(days=4)
    assert from_where(route(wants(*lines, due_by=soon), default_router(), world)) == {"N1", "N2"}
    assert from_where(route(wants(*lines, due_by=later), default_router(), world)) == {"FAR"}
    assert from_where(route(wants(*lines), default_router(), world)) == {"FAR"}


def test_a_full_location_is_pushed_to_a_later_day_that_still_keeps_the_promise_or_passed_over() -> None:
    where = {
        "NEAR": Place("NEAR", 50, 10, 1, daily_capacity=10),
        "FAR": Place("FAR", 53, 10, 1),
    }
    one, both = {"MUG": {"NEAR": 9}}, {"MUG": {"NEAR": 9, "FAR": 9}}
    promise = wants(("MUG", 1), due_by=AT + timedelta(days=3))

    def sends(stock: dict[str, dict[str, int]], waiting: int, left: int = 0) -> set[str]:
        world = World(stock, where, waiting={"NEAR": waiting}, sent={("NEAR", AT.date()): left})
        return from_where(route(promise, default_router(), world))

    assert sends(both, 9) == {"NEAR"}
    assert sends(both, 10) == {"FAR"}, "today is full: the other can send it today"
    assert sends(both, 6, left=4) == {"FAR"}, "what left today has used the day up, too"
    assert sends(one, 19) == {"NEAR"}, "tomorrow is in time"
    assert sends(one, 200) == {"NEAR"}, "far too full, but nobody else has it: the fallback relaxes the filter"


def test_a_location_that_can_send_nothing_is_never_used() -> None:
    where = {"SHUT": Place("SHUT", 50, 10, 1, daily_capacity=0)}
    found = route(wants(("MUG", 1)), default_router(), World({"MUG": {"SHUT": 5}}, where))
    assert found.plan.parts == ()
    assert found.posed.failures == {"SHUT": "daily_capacity"}
    assert found.posed.measured["SHUT"].wait_days == NEVER_DAYS


def test_stock_that_goes_fast_is_spared_and_stock_that_is_sold_off_goes_first() -> None:
    world = World(EVERYWHERE, SHOPS, weekly={"MUG": {"3P": 9.0, "ST": 1.0}})
    spared = rules("objective = { cost = 1, stock_out = 20 }")
    assert from_where(route(wants(("MUG", 1)), rules(), world)) == {"3P"}
    # 9 units last a week there: 30 tenths of a week short of four, at 20 each.
    assert from_where(route(wants(("MUG", 1)), spared, world)) == {"WH"}
    kept = rules('criteria = ["cost"]\nfilters = { supply_weeks_min = 2 }')
    assert from_where(route(wants(("MUG", 1)), kept, world)) == {"WH"}
    sale = '[[markdowns]]\nlocations = ["ST"]\nskus = ["MUG"]\npercent = 50'
    sold = Router(read_rules(f'name = "t"\n[[rules]]\nname = "all"\nobjective = {{ cost = 1, markdown = 10 }}\n{sale}'))
    assert from_where(route(wants(("MUG", 1)), sold, world)) == {"ST"}


def test_units_come_from_where_each_is_cheapest() -> None:
    sale = '[[markdowns]]\nlocations = ["ST"]\npercent = 50'
    router = Router(read_rules(f'name = "t"\n[[rules]]\nname = "all"\ncriteria = ["markdown"]\n{sale}'))
    stock = {"MUG": {"WH": 9, "ST": 2}, "CUP": {"WH": 9}}
    found = route(wants(("MUG", 3), ("CUP", 1)), router, World(stock, SHOPS))
    assert Part("1", "MUG", "ST", 2) in found.plan.parts
    assert Part("1", "MUG", "WH", 1) in found.plan.parts


def test_a_backlog_is_told_in_percent_of_a_day() -> None:
    where = {"NEAR": Place("NEAR", 50, 10, 1, daily_capacity=50)}
    world = World({"MUG": {"NEAR": 5}}, where, waiting={"NEAR": 20}, sent={("NEAR", date(2026, 11, 26)): 50})
    found = route(wants(("MUG", 1)), rules("objective = { backlog = 1, days = 1 }"), world)
    (measured,) = found.posed.measured.values()
    assert (measured.backlog, measured.wait_days, measured.days) == (40, 0, 1)
