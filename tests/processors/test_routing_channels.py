"""What a channel may have is what the stock streams would grant it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.stock.rules import Rules, kept_back, resolved
from processors.routing.channels import offered
from processors.routing.model import Place

PLACES = {name: Place(name) for name in ("L1", "L2")}
CHANNELS = st.sampled_from(["web", "store", "*"])
RULES = st.builds(
    Rules, st.dictionaries(CHANNELS, st.integers(0, 9), max_size=3), st.lists(CHANNELS, max_size=1).map(tuple)
)


@given(st.lists(RULES, max_size=3), st.sampled_from(["web", "store", "till"]), st.integers(0, 12))
def test_it_is_what_the_rules_of_the_sku_leave(chain: list[Rules], channel: str, units: int) -> None:
    there = {"A": {"L1": units}, "B": {"L1": units}}
    free = offered(there, PLACES, {"A": {"L1": resolved(chain)}}, channel, ["A", "B"])
    buffer = kept_back(chain, channel)
    assert free.stock == {"A": {"L1": 0 if buffer is None else max(0, units - buffer)}, "B": {"L1": units}}


@pytest.mark.parametrize("excluded", [("web",), ("*",)])
def test_a_location_that_does_not_serve_it_has_nothing_for_it(excluded: tuple[str, ...]) -> None:
    places = {**PLACES, "L2": Place("L2", excluded_channels=excluded)}
    free = offered({"A": {"L1": 1, "L2": 2}}, places, {}, "web", ["A"])
    assert (free.stock, set(free.places), free.closed) == ({"A": {"L1": 1}}, {"L1"}, frozenset({"L2"}))


def test_where_nothing_is_kept_nothing_is_copied() -> None:
    there = {"A": {"L1": 1}}
    free = offered(there, PLACES, {"B": {"L1": {"*": 1}}}, "web", ["A"])
    assert free.stock is there
    assert free.places is PLACES
