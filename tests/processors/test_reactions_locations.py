"""SKUs and their locations: what a SKU asks reaches the location, and the location's answer the SKU."""

from __future__ import annotations

import pytest

from events.locations.facts import LocationJoined
from events.stock.facts import StockLocated
from processors.reactions.locations import confirm, join
from tests.processors.test_reactions import recorded


def test_a_sku_that_is_somewhere_for_the_first_time_asks_there() -> None:
    (asked,) = join(recorded(StockLocated(sku="MUG", location_id="WH1"), version=4))
    assert (asked.data.location_id, asked.data.sku) == ("WH1", "MUG")


def test_two_locations_of_a_sku_are_asked_under_two_ids() -> None:
    facts = (recorded(StockLocated(sku="MUG", location_id=f"WH{version}"), version=version) for version in (1, 2))
    first, second = (join(fact)[0].id for fact in facts)
    assert first != second


@pytest.mark.parametrize("registered", [True, False])
def test_a_sku_hears_whether_the_location_is_registered(registered: bool) -> None:
    (asked,) = confirm(recorded(LocationJoined(location_id="WH1", sku="MUG", registered=registered)))
    assert (asked.data.sku, asked.data.location_id, asked.data.registered) == ("MUG", "WH1", registered)
