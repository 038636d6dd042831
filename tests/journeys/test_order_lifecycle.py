"""What an order goes through between its placing and its parcels, on a real Kafka and PostgreSQL."""

from __future__ import annotations

import pytest

from tests.support.shop import Shop, command, place, receive

pytestmark = pytest.mark.journey


def test_a_held_order_lets_younger_ones_pass(shop: Shop) -> None:
    shop.accepted(place("held-1", ("held", 1), at="2026-11-27T18:00:00Z"))
    shop.accepted(place("held-2", ("held", 1), at="2026-11-27T18:01:00Z"))
    shop.accepted(command("HoldOrder", order_id="held-1", hold="fraud"))
    assert shop.order("held-1")["status"] == "held"
    shop.accepted(receive("held", "WH1", 1))
    assert [shop.line(order)["allocated"] for order in ("held-1", "held-2")] == [0, 1]

    shop.accepted(command("ReleaseHold", order_id="held-1", hold="fraud"), receive("held", "WH1", 1))
    assert shop.line("held-1")["allocated"] == 1


def test_a_hold_lets_go_of_stock_where_it_says_so(shop: Shop) -> None:
    shop.accepted(receive("let-go", "WH1", 1))
    shop.accepted(place("let-go-1", ("let-go", 1)))
    shop.accepted(command("HoldOrder", order_id="let-go-1", hold="payment", stock="release"))
    assert shop.line("let-go-1")["open"] == 1
    assert shop.stock("let-go", "WH1")["available"] == 1


def test_more_is_given_when_all_of_it_is_there(shop: Shop) -> None:
    shop.accepted(receive("more", "WH1", 3), receive("more", "WH2", 2))
    shop.accepted(place("more-1", ("more", 1)))
    shop.accepted(command("AmendOrder", order_id="more-1", lines=[{"line_id": "1", "quantity": 4}]))
    order = shop.order("more-1")
    assert order["lines"][0]["allocated"] == 4
    (amendment,) = order["amendments"]
    assert (amendment["amendment_id"], amendment["status"]) == ("A1", "applied")


def test_an_increase_that_is_not_there_whole_leaves_the_order_as_it_was_and_says_what_there_is(shop: Shop) -> None:
    shop.accepted(receive("too-few", "WH1", 2))
    shop.accepted(place("too-few-1", ("too-few", 1)))
    shop.accepted(command("AmendOrder", order_id="too-few-1", lines=[{"line_id": "1", "quantity": 4}]))
    order = shop.order("too-few-1")
    assert order["lines"][0]["ordered"] == order["lines"][0]["allocated"] == 1
    (amendment,) = order["amendments"]
    assert (amendment["status"], amendment["reason"], amendment["lines"][0]["available"]) == (
        "declined",
        "not_enough",
        2,
    )
    assert shop.stock("too-few", "WH1")["reserved"] == 1

    shop.accepted(command("AmendOrder", order_id="too-few-1", lines=[{"line_id": "1", "quantity": 2}]))
    assert shop.line("too-few-1")["allocated"] == 2


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
