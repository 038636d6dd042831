"""Orders that compete for the same stock: deciders and reactions together, whatever comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from events.orders.state import Order
from tests.events.builders import cancel, place, receive
from tests.events.shop import Shop

SEEDS = range(25)
WHOLE = {"allocation": "all_or_nothing"}


def held(order: Order) -> Mapping[str, int]:
    units = Counter({line.sku: 0 for line in order.lines.values()})
    for line in order.lines.values():
        units[line.sku] += line.allocated
    return +units


def check_books(shop: Shop) -> None:
    """What orders hold is what is reserved for them, and no SKU gave more than it had."""
    for sku, stock in shop.skus.items():
        reserved = sum(level.reserved for level in stock.levels.values())
        assert all(level.available >= 0 for level in stock.levels.values())
        assert reserved == sum(held(order).get(sku, 0) for order in shop.orders.values()), sku


@pytest.mark.parametrize("seed", SEEDS)
def test_of_two_orders_that_want_the_same_two_units_one_gets_both_and_the_other_holds_none(seed: int) -> None:
    shop = Shop(seed)
    shop.ask(receive(1, sku="A"), receive(1, sku="B"))
    shop.run()
    shop.ask(
        place({"1": ("A", 1), "2": ("B", 1)}, order_id="X", **WHOLE),
        place({"1": ("B", 1), "2": ("A", 1)}, order_id="Y", **WHOLE),
    )
    shop.run()
    assert sorted(sum(held(order).values()) for order in shop.orders.values()) == [0, 2]
    check_books(shop)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_other_order_gets_its_units_when_there_are_more(seed: int) -> None:
    shop = Shop(seed)
    shop.ask(receive(1, sku="A"), receive(1, sku="B"))
    shop.ask(
        place({"1": ("A", 1), "2": ("B", 1)}, order_id="X", **WHOLE),
        place({"1": ("B", 1), "2": ("A", 1)}, order_id="Y", **WHOLE),
    )
    shop.run()
    shop.ask(receive(1, sku="A"), receive(1, sku="B"))
    shop.run()
    assert all(order.fully_allocated for order in shop.orders.values())
    check_books(shop)


@pytest.mark.parametrize("seed", SEEDS)
def test_many_orders_for_little_stock_end_and_none_of_them_sits_on_a_part(seed: int) -> None:
    shop = Shop(seed)
    shop.ask(*(receive(2, sku=sku, location=place) for sku in "ABC" for place in ("WH1", "WH2")))
    for number in range(6):
        skus = shop.random.sample("ABC", 2)
        shop.ask(place({sku: (sku, 1 + number % 2) for sku in skus}, order_id=f"W{number}", **WHOLE))
        shop.ask(place({sku: (sku, 1) for sku in skus}, order_id=f"L{number}"))
    shop.run()
    for order in shop.orders.values():
        units = sum(held(order).values())
        if order.as_a_whole:
            assert units in {0, sum(line.ordered for line in order.lines.values())}, order
        assert not any(line.sourcing or line.idle for line in order.lines.values()), order
    check_books(shop)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_order_that_loses_a_line_while_it_is_sourced_still_comes_to_an_end(seed: int) -> None:
    shop = Shop(seed)
    shop.ask(receive(1, sku="A"), place({"A": ("A", 1), "B": ("B", 1)}, order_id="o-1", **WHOLE), cancel({"B": 1}))
    shop.run()
    # It may have seen no A on the shelf yet, and waits in A's queue: then the next one is for it.
    shop.ask(receive(1, sku="A"))
    shop.run()
    assert held(shop.orders["o-1"]) == {"A": 1}
    check_books(shop)


@pytest.mark.parametrize("seed", SEEDS[:10])
@pytest.mark.parametrize(("wanted", "there"), [(5, 3), (2, 1)])
def test_an_order_that_goes_as_a_whole_waits_quietly_when_a_part_of_a_line_is_there(
    seed: int, wanted: int, there: int
) -> None:
    shop = Shop(seed)
    shop.ask(receive(there, sku="A"))
    shop.run()
    shop.ask(place({"A": ("A", wanted)}, **WHOLE))
    shop.run()
    assert held(shop.orders["o-1"]) == {}
    shop.ask(receive(wanted, sku="A"))
    shop.run()
    assert held(shop.orders["o-1"]) == {"A": wanted}


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_two_lines_of_one_sku_that_go_as_a_whole_wait_quietly(seed: int) -> None:
    shop = Shop(seed)
    shop.ask(receive(4, sku="A"))
    shop.run()
    shop.ask(place({"1": ("A", 3), "2": ("A", 3)}, **WHOLE))
    shop.run()
    assert held(shop.orders["o-1"]) == {}
    shop.ask(receive(2, sku="A"))
    shop.run()
    assert held(shop.orders["o-1"]) == {"A": 6}


@pytest.mark.parametrize("seed", range(10))
def test_with_the_projector_down_orders_that_go_as_a_whole_come_to_rest(seed: int) -> None:
    """Told to try again they looked at tables that knew of nothing, and were told again, for ever."""
    shop = Shop(seed)
    shop.blind = True
    for number in range(10):
        shop.ask(place({"1": ("A", 1), "2": ("B", 1)}, order_id=f"o-{number}", allocation="all_or_nothing"))
    shop.run()
    for _ in range(3):
        shop.ask(receive(1, sku="A"), receive(1, sku="B"))
    shop.run()
    assert sum(order.fully_allocated for order in shop.orders.values()) == 3
    assert all(level.reserved == 3 for stock in shop.skus.values() for level in stock.levels.values())
