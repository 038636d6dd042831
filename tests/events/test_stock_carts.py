"""A cart becomes an order: what it holds is the order's, and nobody else gets it in between."""

from __future__ import annotations

from typing import Any

import pytest

from events.envelope import INTERNAL_CHANNEL
from events.stock import facts as f
from events.stock.state import Attempt
from tests.events.builders import adjust, amounts, at, policy, put_in_cart, receive, release, reserve, wait_for
from tests.support.given import given, like, sent

CART = {"cart_id": "cart-1"}


def for_order(units: int = 1, *, attempt: int = 7, **more: Any) -> sent:
    return sent(reserve(units, attempt=attempt, **{**CART, **more}), channel=INTERNAL_CHANNEL)


def test_an_order_takes_over_what_its_cart_holds_in_one_decision() -> None:
    story = given(receive(1), put_in_cart(1)).when(for_order(1))
    story.then(
        like(f.StockReleased, order_id="cart-1", quantity=1, for_order=False),
        like(f.StockReserved, order_id="o-1", quantity=1, for_order=True, expires_at=None),
    )
    assert amounts(story.state.level("WH1")) == {"on_hand": 1, "reserved": 1}
    story.when(sent(receive(1), at=at("20:00:00"))).then(f.StockReceived)


def test_without_naming_the_cart_its_units_are_somebody_elses() -> None:
    given(receive(1), put_in_cart(1)).when(for_order(1, cart_id=None)).then(like(f.ReservationRefused, available=0))
    given(receive(1), put_in_cart(1)).when(for_order(1, cart_id="cart-2")).then(f.ReservationRefused)


def test_what_the_order_does_not_take_stays_in_the_cart_and_lapses() -> None:
    story = given(receive(3), put_in_cart(3)).when(for_order(1))
    story.then(like(f.StockReleased, quantity=1), like(f.StockReserved, quantity=1))
    story.when(sent(receive(1), at=at("20:00:00"))).then(like(f.ReservationExpired, quantity=2), f.StockReceived)


def test_an_order_for_more_than_the_cart_held_gets_the_rest_from_what_is_free() -> None:
    story = given(receive(5), put_in_cart(3)).when(for_order(6))
    story.then(like(f.ReservationRefused, available=5))
    story.when(for_order(5, attempt=8)).then(like(f.StockReleased, quantity=3), like(f.StockReserved, quantity=5))


def test_several_holds_of_a_cart_go_over_together_the_one_that_would_lapse_first_before_the_others() -> None:
    story = given(receive(5), put_in_cart(2), put_in_cart(2, attempt=2, until=at("19:00:00"))).when(for_order(3))
    story.then(
        like(f.StockReleased, attempt=2, quantity=2), like(f.StockReleased, attempt=1, quantity=1), f.StockReserved
    )


def test_a_cart_at_another_location_stays_as_it_is() -> None:
    story = given(receive(1), receive(1, location="WH2"), put_in_cart(1, location="WH2"))
    story.when(for_order(1)).then(like(f.StockReserved, location_id="WH1"))
    assert Attempt("cart-1", "1", 1) in story.state.reservations


def test_neither_a_buffer_nor_safety_stock_that_was_raised_later_keeps_a_cart_from_its_units() -> None:
    story = given(receive(5), put_in_cart(2), policy(safety_stock=5, buffers={"*": 9}))
    story.when(for_order(2)).then(f.StockReleased, like(f.StockReserved, quantity=2))
    assert amounts(story.state.level("WH1")) == {"on_hand": 5, "reserved": 2, "safety": 3}


def test_where_more_is_held_than_there_is_a_cart_is_good_for_what_there_is_without_it() -> None:
    story = given(receive(3), put_in_cart(3), adjust(-2))
    story.when(for_order(2)).then(like(f.ReservationRefused, available=1))
    story.when(for_order(1, attempt=8)).then(f.StockReleased, f.StockReserved)


def test_a_cart_that_has_lapsed_holds_nothing_for_its_order() -> None:
    story = given(receive(1), put_in_cart(1), wait_for(1, order="o-9", attempt=3))
    story.when(sent(for_order(1).data, channel=INTERNAL_CHANNEL, at=at("20:00:00")))
    story.then(f.ReservationExpired, like(f.StockReserved, order_id="o-9"), like(f.ReservationRefused, available=0))


def test_a_hold_without_an_end_is_no_cart() -> None:
    given(receive(1), reserve(1, order="cart-1")).when(for_order(1)).then(f.ReservationRefused)


def test_a_hold_of_another_order_is_no_cart() -> None:
    story = given(receive(1), sent(put_in_cart(1), channel=INTERNAL_CHANNEL))
    story.when(for_order(1)).then(f.ReservationRefused)


def test_units_that_left_the_cart_are_not_handed_over() -> None:
    story = given(receive(2), put_in_cart(2), release(1, order="cart-1"), reserve(1, order="o-9"))
    story.when(for_order(2)).then(like(f.ReservationRefused, available=1))


def test_a_line_that_would_have_to_wait_takes_its_carts_units_first_wherever_they_are() -> None:
    story = given(receive(1, location="WH2"), put_in_cart(1, location="WH2"))
    story.when(wait_for(3, attempt=7, **CART)).then(
        like(f.StockReleased, location_id="WH2", order_id="cart-1"),
        like(f.StockReserved, location_id="WH2", quantity=1, waited=False),
        like(f.StockAwaited, quantity=2),
    )


@pytest.mark.parametrize(("units", "answer"), [(3, f.StockOffered), (4, f.StockAwaited)])
def test_an_order_that_waits_as_a_whole_is_called_at_once_where_cart_and_free_stock_are_enough(
    units: int, answer: type[Any]
) -> None:
    story = given(receive(1), receive(2, location="WH2"), put_in_cart(2, location="WH2"))
    story.when(wait_for(units, attempt=7, mode="offer", **CART)).then(answer)
