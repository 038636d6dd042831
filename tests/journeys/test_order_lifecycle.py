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


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
