"""Goods that are made for one customer: once set aside they are nobody else's, and they cannot be sold again."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from events.orders import commands as c
from events.orders import facts as f
from tests.events.builders import (
    amend,
    answer,
    answers,
    cancel,
    dispatch,
    hold,
    in_round,
    place,
    receive_return,
    reserved,
)
from tests.support.given import Story, given, like


def engraved(lines: dict[str, Any] | None = None, **more: Any) -> c.PlaceOrder:
    """Line 1 is made for the customer."""
    order = place(lines or {"1": 3, "2": 1}, **more)
    return replace(order, lines=(replace(order.lines[0], customised=True), *order.lines[1:]))


def two_set_aside_and_one_waits() -> Story:
    said = answers(
        answer("reserved", 2, version=1, attempt=in_round(1, 999)),
        answer("waiting", 1, version=2, attempt=in_round(1, 999)),
    )
    return given(engraved(), said)


def test_the_order_says_which_lines_are_made_for_the_customer() -> None:
    placed = given(engraved()).facts[0]
    assert [line.customised for line in placed.lines] == [True, False]


def test_a_customer_can_cancel_what_is_not_set_aside_yet_and_no_more() -> None:
    two_set_aside_and_one_waits().when(cancel({"1": 1})).then(f.OrderCancelled)
    two_set_aside_and_one_waits().when(cancel({"1": 2})).then_refused("limit", at_most=1, says="seller")
    two_set_aside_and_one_waits().when(cancel()).then_refused("limit", at_most=1)
    two_set_aside_and_one_waits().when(cancel({"2": 1})).then(f.OrderCancelled)


def test_what_stock_is_being_asked_for_counts_as_made_for_it_may_be_set_aside_already() -> None:
    given(engraved()).when(cancel({"1": 1})).then_refused("limit", at_most=0, says="being sourced")
    refused = answers(answer("refused", 3, version=1))
    given(engraved(), hold(stock="release"), refused).when(cancel({"1": 3})).then(f.OrderCancelled)


def test_a_customer_can_amend_down_to_what_is_set_aside_and_no_further() -> None:
    two_set_aside_and_one_waits().when(amend({"1": 2})).then(f.OrderAmended)
    two_set_aside_and_one_waits().when(amend({"1": 1})).then_refused("limit", at_most=1)


def test_the_seller_may_cancel_all_of_it() -> None:
    two_set_aside_and_one_waits().when(cancel(by="seller")).then(f.OrderCancelled)
    two_set_aside_and_one_waits().when(amend({"1": 0}, by="seller")).then(f.OrderAmended)


def test_a_hold_that_lets_go_of_stock_keeps_what_is_made_for_the_customer() -> None:
    story = given(engraved(), reserved(3), reserved(1, line="2")).when(hold(stock="release"))
    story.then(f.OrderHeld, like(f.LineDeallocated, line_id="2"))


def test_an_order_that_goes_as_a_whole_keeps_all_with_what_is_made_for_the_customer() -> None:
    """Seed 709121 of the simulation: it was left with a part."""
    placed = engraved(allocation="all_or_nothing")
    story = given(placed, reserved(3), reserved(1, line="2")).when(hold(stock="release"))
    story.then(f.OrderHeld)
    # Seed 1117030: what was made has left in spite of the hold, and nothing keeps the rest any more.
    story.when(dispatch({"1": 3})).then(f.ShipmentDispatched, like(f.LineDeallocated, line_id="2", reason="hold"))


def test_what_comes_back_cannot_be_sold_to_another() -> None:
    story = given(engraved(), reserved(3), dispatch({"1": 3}))
    story.when(receive_return({"1": 1})).then_refused("impossible", says="inspect, damaged or dispose")


@pytest.mark.parametrize("disposition", ["inspect", "damaged", "dispose"])
def test_what_comes_back_is_inspected_written_off_or_thrown_away(disposition: str) -> None:
    story = given(engraved(), reserved(3), dispatch({"1": 3}))
    story.when(receive_return({"1": 1}, disposition=disposition))
    assert isinstance(story.answer[1], f.ReturnReceived)
