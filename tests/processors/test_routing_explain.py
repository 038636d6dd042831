"""Why a location was chosen or passed over, what would have changed it, and a period routed again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.routing.rules import read_rules
from processors.routing.book import Router, default_router
from processors.routing.explain import Explanation, Verdict, explain, parcels_cost_minor
from processors.routing.model import Need, Place, Wanted, World
from processors.routing.route import route
from processors.routing.whatif import Past, rerun

AT = datetime(2026, 11, 27, 18, tzinfo=UTC)
PLACES = {
    "L1": Place("L1", 50.0, 10.0, 800, "warehouse", "DE"),
    "L2": Place("L2", 50.0, 10.0, 500, "store", "DE"),
    "L3": Place("L3", 51.0, 10.0, 600, "third_party", "PL"),
    "L4": Place("L4", 50.0, 10.0, 400, "store", "DE"),
    "L5": Place("L5", 50.0, 10.0, 1, "store", "DE"),
}
SHELVES = {"A": {"L1": 1, "L4": 1}, "B": {"L1": 1, "L3": 1}, "C": {"L2": 1, "L3": 1}}


def rules(body: str = 'criteria = ["cost"]') -> Router:
    return Router(read_rules(f'name = "test"\n[[rules]]\nname = "all"\n{body}\n'))


def wants(*skus: str, **more: Any) -> Wanted:
    needs = tuple(Need(str(number), sku, 1) for number, sku in enumerate(skus, 1))
    return Wanted("o-1", needs, AT, **{"destination": (50.0, 10.0), "country": "DE", **more})


def verdicts(found: Explanation) -> dict[str, Verdict]:
    return {one.location_id: one for one in found.verdicts}


def test_each_location_says_why_it_was_chosen_or_passed_over() -> None:
    found = explain(wants("A", "B", "C"), rules(), World(SHELVES, PLACES))
    said = verdicts(found)
    assert {name: one.status for name, one in said.items()} == {
        "L1": "dearer", "L2": "dearer", "L3": "chosen", "L4": "chosen", "L5": "no_stock",
    }  # fmt: skip
    assert said["L3"].units == {"2": 1, "3": 1}
    assert said["L1"].why == "with L1 and L2: cost 13.00 instead of 10.00"
    assert said["L1"].change == "if a parcel from there cost less than 5.00 (it costs 8.00)"
    assert parcels_cost_minor(found.routed) == 1000


@pytest.mark.parametrize(("cost", "chosen"), [(499, True), (501, False)])
def test_what_is_said_to_change_the_plan_does(cost: int, chosen: bool) -> None:
    places = PLACES | {"L1": PLACES["L1"]._replace(cost_minor_per_parcel=cost)}
    used = {part.location_id for part in route(wants("A", "B", "C"), rules(), World(SHELVES, places)).plan.parts}
    assert ("L1" in used) is chosen


def test_one_unit_more_in_one_place_makes_it_one_parcel() -> None:
    found = explain(wants("A", "B", "C"), rules(), World(SHELVES, PLACES))
    assert found.changes[0] == "with 1 more of A at L3: one parcel from L3"


@pytest.mark.parametrize(
    ("filters", "location", "why", "change"),
    [
        ('kinds = ["warehouse"]', "L4", "kinds: it is a store", "if the rule had no kinds"),
        ('not_kinds = ["third_party"]', "L3", "not_kinds: it is a third_party", "if the rule had no not_kinds"),
        ('locations = ["L1"]', "L4", "locations: the rule does not name it", "if the rule had no locations"),
        ('not_locations = ["L4"]', "L4", "not_locations: the rule excludes it", "if the rule had no not_locations"),
        ("same_country = true", "L3", "same_country: it is in PL", "if the rule had no same_country"),
        ("distance_km_max = 50", "L3", "too far: 111 km, the rule allows 50", "if the rule allowed 111 km"),
        ("wait_days_max = 1", "L4", "full: a parcel would wait 3 days there, the rule allows 1", "3 days"),
        ("supply_weeks_min = 2", "L4", "supply_weeks_min 2: A lasts 0.5 weeks", None),
    ],
)
def test_a_filter_says_what_it_found_and_what_would_have_let_the_location_through(
    filters: str, location: str, why: str, change: str | None
) -> None:
    places = PLACES | {"L4": PLACES["L4"]._replace(daily_capacity=2)}
    world = World(SHELVES, places, waiting={"L4": 6}, weekly={"A": {"L4": 2.0}})
    said = verdicts(explain(wants("A", "B", "C"), rules(f'criteria = ["cost"]\nfilters = {{ {filters} }}'), world))
    assert said[location].status == "filtered"
    assert said[location].why == why
    assert (change or "") in (said[location].change or "")


def test_a_location_that_can_send_nothing_or_has_just_refused_is_told() -> None:
    places = PLACES | {"L4": PLACES["L4"]._replace(daily_capacity=0)}
    found = explain(wants("A", excluded=(("1", "L1"),)), default_router(), World(SHELVES, places))
    said = verdicts(found)
    assert said["L4"].why == "its daily capacity is 0"
    assert said["L1"].why == "it has just refused"


def test_farther_is_told_in_kilometres_and_what_is_weighed_as_a_sum() -> None:
    stock = {"A": {"L3": 1, "L4": 1}}
    far = verdicts(explain(wants("A"), default_router(), World(stock, PLACES)))["L3"]
    assert (far.why, far.change) == ("with L3 alone: distance 111 instead of 0", "if it were less than 0 km away") or (
        far.why == "with L3 alone: distance 111 instead of 0" and far.change is None
    )
    weighed = verdicts(explain(wants("A"), rules("objective = { cost = 1, distance = 0.5 }"), World(stock, PLACES)))[
        "L3"
    ]
    assert weighed.why == "with L3 alone: weighted sum 655.5 instead of 400"
    assert weighed.change == "if a parcel from there cost less than 3.44 (it costs 6.00)"


def test_where_a_limit_leaves_units_out_the_reason_names_the_one_that_lacks_least() -> None:
    one = rules('criteria = ["cost"]\nlimits = { split = false }\nfallbacks = ["queue"]')
    found = explain(wants("A", "B", "C"), one, World(SHELVES, PLACES))
    assert found.reason is not None
    assert found.reason[0] == "no_split"
    assert found.reason[1].endswith("L1 lacks 1 × C")
    two = rules('criteria = ["cost"]\nlimits = { parcels_max = 2 }')
    spread = {"A": {"L1": 1}, "B": {"L2": 1}, "C": {"L3": 1}}
    said = explain(wants("A", "B", "C"), two, World(spread, PLACES)).reason
    assert said is not None
    assert said[0] == "parcels_max"
    kept = rules('criteria = ["cost"]\nfilters = { supply_weeks_min = 3, kinds = ["store"] }')
    world = World({"A": {"L1": 1, "L4": 1}}, PLACES, weekly={"A": {"L4": 9}})
    assert explain(wants("A"), kept, world).reason == (
        "filtered",
        'rule "all" leaves no location for all of 1 × A: kinds excludes L1; supply_weeks_min excludes L4',
    )


@settings(max_examples=100, deadline=None)
@given(
    stock=st.dictionaries(
        st.sampled_from("ABC"),
        st.dictionaries(st.sampled_from(sorted(PLACES)), st.integers(1, 2), max_size=5),
        max_size=3,
    ),
    body=st.sampled_from(
        [
            'criteria = ["parcels", "cost"]',
            "objective = { cost = 1, parcels = 90, distance = 0.25, stock_out = 3 }",
            'criteria = ["cost"]\nlimits = { parcels_max = 2 }',
            'criteria = ["cost"]\nlimits = { split = false }\nfallbacks = ["relax split", "queue"]',
        ]
    ),
)
def test_an_explanation_speaks_of_every_location_and_of_the_plan_that_is_made(
    stock: dict[str, dict[str, int]], body: str
) -> None:
    router, world = rules(body), World(stock, PLACES, weekly={"A": {"L1": 1.0, "L4": 0.1}})
    found = explain(wants("A", "B", "C"), router, world)
    assert {one.location_id for one in found.verdicts} == set(PLACES)
    assert found.routed.plan == route(wants("A", "B", "C"), router, world).plan
    given_out = Counter(part.location_id for part in found.routed.plan.parts)
    assert {one.location_id for one in found.verdicts if one.status == "chosen"} == set(given_out)


# A period again


def order(number: int, *skus: str, day: int = 0, days: int | None = 3) -> Wanted:
    at = AT + timedelta(days=day, minutes=number)
    due = None if days is None else at + timedelta(days=days)
    return wants(*skus)._replace(order_id=f"o-{number}", at=at, due_by=due)


def test_orders_of_a_period_take_from_one_pool_and_wait_for_capacity() -> None:
    places = {"L4": PLACES["L4"]._replace(daily_capacity=2)}
    orders = tuple(order(number, "A", days=2) for number in range(5))
    totals = rerun(Past(orders, frozenset(), {"A": {"L4": 4}}, places), rules())
    assert (totals.orders, totals.parcels, totals.units_without_location) == (5, 4, 1)
    assert totals.cost_minor == 1600
    assert totals.late_orders == 0
    assert totals.parcels_by_location == {"L4": 4}
    tight = tuple(order(number, "A", days=1) for number in range(5))
    assert rerun(Past(tight, frozenset(), {"A": {"L4": 4}}, places), rules()).late_orders == 2
    later = tuple(order(number, "A", day=number, days=1) for number in range(5))
    assert rerun(Past(later, frozenset(), {"A": {"L4": 4}}, places), rules()).late_orders == 0, "each day sends two"


def test_other_rules_come_to_other_figures_and_whole_orders_stay_whole() -> None:
    past = Past((order(1, "A", "B", "C"), order(2, "A", "B")), frozenset({"o-2"}), SHELVES, PLACES)
    split, one = (
        rerun(past, rules()),
        rerun(past, rules('criteria = ["cost"]\nlimits = { split = false }\nfallbacks = ["queue"]')),
    )
    assert (split.parcels, split.split_orders, split.queued_orders) == (3, 1, 0)
    assert (one.parcels, one.split_orders, one.queued_orders) == (1, 0, 1)
    short = rerun(past._replace(stock={"A": {"L1": 1}}), rules())
    assert short.units_without_location == 4


def test_an_order_of_the_past_takes_what_its_channel_may_have_and_from_where_it_is_served() -> None:
    """The third order wants one unit more than the buffer leaves; another channel gets it."""
    orders = tuple(order(number, "A")._replace(channel="web") for number in range(3))
    past = Past(orders, frozenset(), {"A": {"L4": 4}}, PLACES, kept={"A": {"L4": {"web": 2}}})
    assert rerun(past, rules()).units_without_location == 1
    assert rerun(past._replace(orders=tuple(one._replace(channel="store") for one in orders)), rules()).parcels == 3
    shut = {**PLACES, "L4": PLACES["L4"]._replace(excluded_channels=("web",))}
    assert rerun(past._replace(places=shut, kept={}), rules()).units_without_location == 3
