"""The stock simulated around the real orders."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from gateway.connectors.online_retail.mapping import MAIN_LOCATION, Mapping
from gateway.connectors.online_retail.stock import cycle_counts, late_deliveries, opening_stock
from tests.gateway.online_retail_builders import (
    mapped,
    named,
    row,
)


def year_of_sales() -> Mapping:
    """Forty SKUs, sold a hundred units each over ten days, and a write-off."""
    sales = [
        row(str(500000 + 100 * day + number), sku=str(20000 + number), quantity=10, at=f"2010-11-{day:02} 09:00:00")
        for day in range(1, 11)
        for number in range(40)
    ]
    return mapped(*sales, row("509999", sku="20000", quantity=-7, price=0.0, customer=None, at="2010-11-05 09:00:00"))


def test_the_opening_stock_is_labelled_simulated_and_lies_a_day_before_the_first_order() -> None:
    for command in [*opening_stock(year_of_sales(), seed=7), *late_deliveries(year_of_sales(), seed=7)]:
        assert (command["channel"], command["actor"]) == ("simulated-warehouse", "simulation")
        assert command["id"].startswith("sim-")
    assert {command["occurred_at"] for command in opening_stock(year_of_sales(), seed=7)} == {"2010-10-31T09:00:00Z"}


def test_most_of_what_is_needed_is_there_at_the_opening_and_the_rest_comes_later() -> None:
    mapping = year_of_sales()
    opening = named(opening_stock(mapping, seed=7), "ReceiveStock")
    late = named(late_deliveries(mapping, seed=7), "ReceiveStock")
    assert sum(part["quantity"] for part in opening) == round(0.97 * 4000) + 7
    assert sum(part["quantity"] for part in late) == round(0.03 * 4000) + 40 * 5
    per_sku = Counter[str]()
    for part in [*opening, *late]:
        per_sku[part["sku"]] += part["quantity"]
    assert per_sku == {str(20000 + number): 105 + (7 if number == 0 else 0) for number in range(40)}
    at_main = sum(part["quantity"] for part in opening if part["location_id"] == MAIN_LOCATION)
    assert at_main > 0.7 * 4000


def test_a_late_delivery_comes_the_morning_after_its_sku_ran_short() -> None:
    times = {command["occurred_at"] for command in late_deliveries(year_of_sales(), seed=7)}
    # A SKU that lacks 30 of its 100 units is missed on the 8th day; the margin of the others comes after the end.
    assert times <= {"2010-11-09T06:00:00Z", "2010-11-11T06:00:00Z"}
    assert "2010-11-09T06:00:00Z" in times


def test_the_same_seed_simulates_the_same_and_another_one_something_else() -> None:
    mapping = year_of_sales()
    assert opening_stock(mapping, seed=7) == opening_stock(mapping, seed=7)
    assert named(opening_stock(mapping, seed=7), "ReceiveStock") != named(
        opening_stock(mapping, seed=8), "ReceiveStock"
    )


def test_cycle_counts_state_the_counted_number_and_rarely_differ() -> None:
    inventory = [{"sku": str(number), "location_id": MAIN_LOCATION, "on_hand": 50} for number in range(4000)]
    counts = cycle_counts(
        [*inventory, {"sku": "x", "location_id": MAIN_LOCATION, "on_hand": -4}],
        seed=7,
        at=datetime(2010, 12, 1, tzinfo=UTC),
    )
    assert len(counts) == 4001
    assert counts[-1]["data"] == {
        "sku": "x", "location_id": MAIN_LOCATION, "counted": 0, "counted_at": "2010-12-01T00:00:00Z",
    }  # fmt: skip
    off = [count for count in counts[:-1] if count["data"]["counted"] != 50]
    assert 8 <= len(off) <= 35
    assert all(1 <= abs(count["data"]["counted"] - 50) <= 3 for count in off)
