"""Two weeks of customers: the same seed gives the same weeks, Black Friday is what `surge` says, shares are kept."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import pytest

from gateway.season import SEASON, describe, opening, orders, restock
from gateway.season.days import day_weights, orders_per_day
from gateway.season.shelves import demand, shelves

SEED, ORDERS = 5, 8_000


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    return list(orders(SEED, ORDERS))


@pytest.fixture(scope="module")
def placed(told: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    first: dict[str, dict[str, Any]] = {}
    for command in told:
        if command["command"] == "PlaceOrder":
            first.setdefault(command["id"], command)
    return first


def test_the_same_seed_tells_the_same_season_to_the_byte(told: list[dict[str, Any]]) -> None:
    assert json.dumps(told) == json.dumps(list(orders(SEED, ORDERS)))
    assert list(opening(SEED, 500)) == list(opening(SEED, 500))
    assert list(restock(SEED, 500)) == list(restock(SEED, 500))


def test_these_bytes_stay_as_they_are() -> None:
    """A change of the generator is a new season under old ids; whoever makes one on purpose changes this line too."""
    first = next(iter(orders(1, 1000)))
    assert first["id"] == "sim-1-1000x10-000001"
    assert first["data"]["customer_id"].startswith("sim-1-1000x10-customer-")
    assert first["occurred_at"].startswith("2025-11-24T")


def test_another_seed_or_size_shares_no_order_id() -> None:
    def ids(seed: int, count: int, surge: float) -> set[str]:
        return {command["data"].get("order_id", command["id"]) for command in orders(seed, count, surge)}

    seasons = [ids(1, 200, 10), ids(2, 200, 10), ids(1, 201, 10), ids(1, 200, 3)]
    assert len(set.union(*seasons)) == sum(map(len, seasons))


def test_every_order_is_placed_once_and_first(told: list[dict[str, Any]], placed: dict[str, dict[str, Any]]) -> None:
    assert len(placed) == ORDERS
    seen: set[str] = set()
    for command in told:
        if command["command"] == "PlaceOrder":
            seen.add(command["data"]["order_id"])
        elif "order_id" in command["data"]:
            assert command["data"]["order_id"] in seen


@pytest.mark.parametrize("surge", [1, 3, 10, 25])
def test_black_friday_is_surge_times_a_normal_day(surge: float) -> None:
    per_day = Counter(
        date.fromisoformat(command["occurred_at"][:10])
        for command in {c["id"]: c for c in orders(SEED, 4_000, surge) if c["command"] == "PlaceOrder"}.values()
    )
    normal = [per_day[day] for day, weight in day_weights(surge).items() if weight == 1]
    assert len(normal) >= 8
    assert per_day[SEASON.black_friday] / (sum(normal) / len(normal)) == pytest.approx(surge, rel=0.03)
    assert per_day == orders_per_day(4_000, surge)
    assert sum(per_day.values()) == 4_000


def test_commands_come_by_time_but_for_what_a_channel_sends_again(told: list[dict[str, Any]]) -> None:
    first = {command["id"]: number for number, command in reversed(list(enumerate(told)))}
    fresh = [command for number, command in enumerate(told) if first[command["id"]] == number]
    assert all(before["occurred_at"] <= after["occurred_at"] for before, after in pairwise(fresh))
    assert 0 < len(told) - len(fresh) < 0.01 * ORDERS


def test_the_week_lies_between_opening_and_restock(told: list[dict[str, Any]]) -> None:
    last_order = max(command["occurred_at"] for command in told if command["command"] == "PlaceOrder")
    stocked = [command["occurred_at"] for command in opening(SEED, ORDERS)]
    restocked = [command["occurred_at"] for command in restock(SEED, ORDERS)]
    assert stocked == sorted(stocked)
    assert max(stocked) < "2025-11-24"
    assert restocked
    assert min(restocked) > last_order


def test_shares_are_what_the_season_says(told: list[dict[str, Any]], placed: dict[str, dict[str, Any]]) -> None:
    names = Counter(command["command"] for command in told)
    assert (
        0.06 <= sum(command["data"]["allocation"] == "all_or_nothing" for command in placed.values()) / ORDERS <= 0.10
    )
    by_customer = sum(c["command"] == "CancelOrder" and c["data"]["by"] == "customer" for c in told)
    assert 0.015 <= by_customer / ORDERS <= 0.025
    assert 0.02 <= names["HoldOrder"] / ORDERS <= 0.04
    assert names["ReleaseHold"] > 0.9 * names["HoldOrder"]
    assert 0 < names["AmendOrder"] <= 0.01 * ORDERS
    assert 0.01 <= names["OpenCase"] / ORDERS <= 0.025
    assert names["ReopenCase"] > 0
    assert Counter(len(command["data"]["lines"]) for command in placed.values()).keys() == {1, 2, 3, 4, 5}
    levels = Counter(command["data"]["service_level"] for command in placed.values())
    assert levels["standard"] > levels["express"] > levels["same_day"] > 0


def test_orders_look_like_orders(placed: dict[str, dict[str, Any]]) -> None:
    for command in placed.values():
        data = command["data"]
        day = datetime.fromisoformat(command["occurred_at"]).date()
        assert data["promised_by"][:10] >= day.isoformat()
        assert len({line["sku"] for line in data["lines"]}) == len(data["lines"])
        assert all(190 <= line["unit_price_minor"] <= 60_000 and 1 <= line["quantity"] <= 3 for line in data["lines"])
        assert data["ship_to"]["name"].startswith("Customer 0")
        assert "email" not in data["ship_to"]
        assert 35 < data["ship_to"]["latitude"] < 62
        assert -10 < data["ship_to"]["longitude"] < 26
    homes: dict[str, str] = {}
    for command in placed.values():
        home = json.dumps(command["data"]["ship_to"])
        assert homes.setdefault(command["data"]["customer_id"], home) == home


def test_demand_follows_the_rank_of_a_product(placed: dict[str, dict[str, Any]]) -> None:
    sold = Counter(line["sku"] for command in placed.values() for line in command["data"]["lines"])
    assert sold["SIM-0001"] > sold["SIM-0010"] > sold["SIM-0100"] > 0


def test_what_is_cancelled_is_not_in_demand() -> None:
    def said(name: str, **data: Any) -> dict[str, Any]:
        return {"command": name, "data": {"order_id": "o", **data}}

    lines = [{"line_id": str(n), "sku": f"S{n}", "quantity": 2} for n in (1, 2, 3)]
    story = [
        said("PlaceOrder", lines=lines),
        said("PlaceOrder", lines=[{**lines[0], "quantity": 99}]),
        said("AmendOrder", lines=[{"line_id": "2", "quantity": 5}]),
        said("CancelOrder", lines=[{"line_id": "3", "quantity": 2}]),
    ]
    assert demand(iter(story)) == {"S1": 2, "S2": 5}
    assert not demand(iter([*story, said("CancelOrder")]))


def test_only_the_deals_are_short() -> None:
    wanted = demand(orders(SEED, ORDERS))
    for shelf in shelves(ORDERS):
        wanted[shelf.sku] -= shelf.sellable
    short = {sku for sku, units in wanted.items() if units > 0}
    assert short
    assert short <= {f"SIM-{rank:04d}" for rank, _ in SEASON.short_ranks}


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_a_tiny_season_is_a_season(count: int) -> None:
    told = list(orders(9, count))
    assert len({command["id"] for command in told if command["command"] == "PlaceOrder"}) == count
    assert list(opening(9, count))
    assert isinstance(list(restock(9, count)), list)


@pytest.mark.parametrize(("count", "surge"), [(-1, 10.0), (10, 0.5), (10, float("nan")), (10, 5_000.0)])
def test_a_season_that_cannot_be_is_refused_with_a_reason(count: int, surge: float) -> None:
    for phase in (orders, opening, restock):
        with pytest.raises(ValueError, match="no such season"):
            next(phase(1, count, surge))
    with pytest.raises(ValueError, match="no such season"):
        describe(1, count, surge)


def test_the_summary_says_first_that_it_is_simulated() -> None:
    text = describe(SEED, 2_000, 10)
    assert text.startswith("label: simulated\n")
    assert "Fri 2025-11-28" in text
    assert "6 orders sent twice" in text
    assert text == describe(SEED, 2_000, 10)
