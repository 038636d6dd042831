"""An order that the best location has whole needs no problem to be solved; the plan is the one that solving gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from events.routing.rules import read_rules
from processors.routing.book import Router, default_router
from processors.routing.model import Need, Place, Plan, Wanted, World
from processors.routing.objective import Scene, first_has_all, look
from processors.routing.route import Routed, _solved, route, usable

AT = datetime(2026, 11, 27, 18, tzinfo=UTC)
LOCATIONS = ("A", "B", "C", "D")
SKUS = ("MUG", "CUP", "POT")

RULES = (
    "criteria = ['cost']",
    "criteria = ['parcels', 'cost', 'distance']",
    "criteria = ['late_days', 'days', 'backlog']",
    "criteria = ['priority', 'wait_days']\npriority = ['C', 'A']",
    "criteria = ['cost', 'parcels']\nlimits = { parcels_max = 1 }",
    "criteria = ['distance']\nlimits = { split = false }\nfallbacks = ['relax split', 'queue']",
    "criteria = ['cost']\nfilters = { kinds = ['store'], wait_days_max = 1 }\nfallbacks = ['relax kinds', 'queue']",
    "criteria = ['cost']\nfilters = { supply_weeks_min = 2 }",
    "criteria = ['stock_out', 'cost']",
    "objective = { cost = 1, parcels = 100, distance = 0.5 }",
)
ROUTERS = (default_router(), *(Router(read_rules(f'name = "t"\n[[rules]]\nname = "all"\n{one}')) for one in RULES))

places = st.fixed_dictionaries(
    {
        name: st.builds(
            Place,
            st.just(name),
            st.none() | st.sampled_from((48.0, 50.0, 52.0)),
            st.none() | st.sampled_from((9.0, 10.0)),
            st.none() | st.integers(0, 3),
            st.sampled_from(("store", "warehouse")),
            st.none() | st.just("DE"),
            st.none() | st.integers(0, 4),
        )
        for name in LOCATIONS
    }
)
shelves = st.fixed_dictionaries(
    {sku: st.dictionaries(st.sampled_from(LOCATIONS), st.integers(-1, 9), max_size=4) for sku in SKUS}
)
worlds = st.builds(
    World,
    shelves,
    places,
    st.dictionaries(st.sampled_from(LOCATIONS), st.integers(0, 9)),
    st.just({}),
    st.just({sku: dict.fromkeys(LOCATIONS, 1.5) for sku in SKUS}),
)
wants = st.builds(
    Wanted,
    st.just("o-1"),
    st.lists(st.tuples(st.sampled_from(SKUS), st.integers(1, 3)), min_size=1, max_size=4).map(
        lambda rows: tuple(Need(str(number), sku, units) for number, (sku, units) in enumerate(rows, 1))
    ),
    st.just(AT),
    country=st.just("DE"),
    destination=st.none() | st.just((50.0, 10.0)),
    due_by=st.none() | st.integers(0, 6).map(lambda days: AT + timedelta(days=days)),
    excluded=st.lists(st.tuples(st.just("1"), st.sampled_from(LOCATIONS)), max_size=1).map(tuple),
    held_at=st.lists(st.sampled_from(LOCATIONS), max_size=1).map(tuple),
)


def solved(wanted: Wanted, router: Router, world: World) -> Routed:
    """The plan of the whole problem, whatever the first location has."""
    rule = router.rule_for(wanted)
    scene = Scene(router, wanted, world, usable(wanted.needs, world.stock, wanted.excluded))
    return _solved(scene, rule, look(scene, rule))


@settings(max_examples=600)
@given(st.sampled_from(ROUTERS), worlds, wants)
def test_the_plan_is_the_one_that_solving_the_problem_gives(router: Router, world: World, wanted: Wanted) -> None:
    found, full = route(wanted, router, world), solved(wanted, router, world)
    event("first has all" if found.solved is None else "solved")
    assert found._replace(solved=None, scene=full.scene) == full._replace(solved=None)
    assert (found.posed, found.solution) == full.solved


def test_a_first_location_with_everything_is_not_looked_at_further() -> None:
    world = World({"MUG": {"A": 5, "B": 5}, "CUP": {"A": 5}}, {"A": Place("A", 50, 10, 1), "B": Place("B", 48, 10, 1)})
    wanted = Wanted("o-1", (Need("1", "MUG", 2), Need("2", "CUP", 1)), AT, destination=(50.0, 10.0))
    found = route(wanted, default_router(), world)
    assert found.solved is None
    assert found.solution.chosen == (0,)


def test_a_nearer_location_that_lacks_a_line_is_a_problem_to_solve() -> None:
    world = World({"MUG": {"A": 5, "B": 5}, "CUP": {"B": 5}}, {"A": Place("A", 50, 10, 1), "B": Place("B", 48, 10, 1)})
    wanted = Wanted("o-1", (Need("1", "MUG", 2), Need("2", "CUP", 1)), AT, destination=(50.0, 10.0))
    scene = Scene(default_router(), wanted, world, usable(wanted.needs, world.stock, ()))
    rule = default_router().rule_for(wanted)
    assert first_has_all(scene, rule, look(scene, rule)) is None
    assert {part.location_id for part in route(wanted, default_router(), world).plan.parts} == {"B"}
    assert route(wanted, default_router(), world).plan != Plan((), ())
