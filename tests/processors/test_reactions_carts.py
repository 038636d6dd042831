"""An order that comes from a cart may plan with what the cart holds; nobody else may."""

from __future__ import annotations

from typing import Any

from events.stock.commands import AwaitStock, ReserveStock
from processors.reactions.sourcing import Lookups
from processors.reactions.wiring import needs_of, react
from tests.processors.test_reactions import AT, PLACES, again, placed, recorded


def from_cart(fact: Any, cart_id: str, order_id: str = "o1") -> Any:
    data = {name: getattr(fact.data, name) for name in fact.data.__struct_fields__}
    return recorded(type(fact.data)(**{**data, "cart_id": cart_id, "order_id": order_id}), at=AT)


def asked(facts: list[Any], lookups: Lookups) -> list[tuple[Any, ...]]:
    return [
        (type(row.data), getattr(row.data, "location_id", ""), row.data.quantity, row.data.cart_id)
        for row in react(facts, lookups)
    ]


NOTHING_FREE = Lookups({}, PLACES, carts={"cart-1": {"mug": {"BERLIN": 2}}})


def test_what_the_cart_holds_is_available_to_its_order() -> None:
    order = placed(("1", "mug", 2))
    assert asked([from_cart(order, "cart-1")], NOTHING_FREE) == [(ReserveStock, "BERLIN", 2, "cart-1")]
    assert asked([from_cart(again(("1", "mug", 2)), "cart-1")], NOTHING_FREE) == [(ReserveStock, "BERLIN", 2, "cart-1")]
    assert asked([order], NOTHING_FREE) == [(AwaitStock, "", 2, None)]


def test_an_order_with_a_cart_waits_for_what_neither_it_nor_the_shelves_have() -> None:
    assert asked([from_cart(placed(("1", "mug", 5)), "cart-1")], NOTHING_FREE) == [
        (ReserveStock, "BERLIN", 2, "cart-1"),
        (AwaitStock, "", 3, "cart-1"),
    ]


def test_two_orders_of_one_batch_do_not_plan_with_the_same_cart_nor_is_free_stock_taken_twice() -> None:
    lookups = Lookups({"mug": {"BERLIN": 1}}, PLACES, carts={"cart-1": {"mug": {"BERLIN": 2}}})
    first, second = (from_cart(placed(("1", "mug", 2)), "cart-1", order_id) for order_id in ("o1", "o2"))
    assert asked([first, second], lookups) == [
        (ReserveStock, "BERLIN", 2, "cart-1"),
        (ReserveStock, "BERLIN", 1, "cart-1"),
        (AwaitStock, "", 1, "cart-1"),
    ]


def test_carts_are_looked_up_for_orders_that_want_stock_now() -> None:
    order = placed(("1", "mug", 1))
    assert needs_of([order, from_cart(order, "cart-1"), from_cart(again(("1", "mug", 1)), "cart-2")]).carts == {
        "cart-1",
        "cart-2",
    }
    assert needs_of([from_cart(placed(("1", "mug", 1), sourcing=False), "cart-1")]).carts == set()
