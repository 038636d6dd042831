"""From a channel's command to the tables, through a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.support.shop import Shop, command, dispatch, place, receive

pytestmark = pytest.mark.journey


def test_the_last_unit_goes_to_one_of_fifty_and_then_to_the_oldest_who_waits(shop: Shop) -> None:
    shop.accepted(receive("last", "WH1", 1))
    orders = [f"last-{n:02}" for n in range(50)]
    # Oldest by placed_at is not the first one sent.
    report = shop.publish(
        *(place(order, ("last", 1), at=f"2026-11-27T18:{59 - n:02}:00Z") for n, order in enumerate(orders))
    )
    assert report.counts["accepted"] == 50
    shop.settle()

    lines = {order: shop.line(order) for order in orders}
    lucky = [order for order, line in lines.items() if line["allocated"] == 1]
    waiting = [order for order, line in lines.items() if line["backordered"] == 1]
    assert len(lucky) == 1
    assert len(waiting) == 49
    assert shop.stock("last", "WH1")["available"] == 0
    assert {shop.order(order)["status"] for order in waiting} == {"backordered"}

    shop.accepted(command("CancelOrder", order_id=lucky[0], reason="changed my mind"))
    oldest = max(waiting)  # the highest number was placed first
    assert shop.line(oldest)["allocated"] == 1
    assert shop.order(lucky[0])["status"] == "cancelled"
    assert sum(shop.line(order)["allocated"] for order in orders) == 1
    assert shop.stock("last", "WH1")["available"] == 0


def test_an_order_with_half_cancelled_and_half_shipped_is_shipped(shop: Shop) -> None:
    shop.accepted(receive("ten", "WH1", 10))
    shop.accepted(place("ten-1", ("ten", 10)))
    shop.accepted(command("CancelOrder", order_id="ten-1", reason="too many", lines=[{"line_id": "1", "quantity": 5}]))
    shop.accepted(dispatch("ten-1", "S1", "WH1", ("1", 5)))
    assert shop.order("ten-1")["status"] == "shipped"

    report = shop.publish(
        command("CancelOrder", order_id="ten-1", reason="even more", lines=[{"line_id": "1", "quantity": 6}])
    )
    (outcome,) = report.outcomes
    assert outcome.outcome == "rejected"
    assert "at most 0" in outcome.detail
    stock = shop.stock("ten", "WH1")
    assert (stock["on_hand"], stock["available"], stock["reserved"]) == (5, 5, 0)


def test_a_dispatch_from_elsewhere_is_recorded_as_it_happened(shop: Shop) -> None:
    shop.accepted(receive("else", "WH1", 5), receive("else", "WH2", 1))
    shop.accepted(place("else-1", ("else", 3)))
    assert shop.line("else-1")["locations"] == {"WH1": 3}

    shop.accepted(dispatch("else-1", "S1", "WH2", ("1", 3)))

    assert shop.order("else-1")["status"] == "shipped"
    assert shop.line("else-1")["locations"] == {"WH2": 3}
    there, here = shop.stock("else", "WH2"), shop.stock("else", "WH1")
    assert (there["on_hand"], there["available"], there["reserved"]) == (-2, -2, 0)
    assert (here["on_hand"], here["available"], here["reserved"]) == (5, 5, 0)
    assert "DispatchDiffered" in shop.facts("else-1")


def test_a_dispatch_of_a_backordered_line_is_recorded_as_it_happened(shop: Shop) -> None:
    shop.accepted(place("back-1", ("back", 2)))
    assert shop.order("back-1")["status"] == "backordered"

    shop.accepted(dispatch("back-1", "S1", "WH1", ("1", 2)))
    shop.accepted(receive("back", "WH1", 10))  # nobody waits any more: it is all free

    assert shop.order("back-1")["status"] == "shipped"
    stock = shop.stock("back", "WH1")
    assert (stock["on_hand"], stock["available"], stock["reserved"]) == (8, 8, 0)
    assert "DispatchDiffered" in shop.facts("back-1")


def test_an_order_that_goes_as_a_whole_waits_as_a_whole(shop: Shop) -> None:
    shop.accepted(receive("w-a", "WH1", 1))
    shop.accepted(place("whole-1", ("w-a", 1), ("w-b", 1), allocation="all_or_nothing"))
    assert shop.order("whole-1")["status"] == "backordered"
    assert shop.stock("w-a", "WH1")["reserved"] == 0

    shop.accepted(receive("w-b", "WH1", 1))
    assert shop.order("whole-1")["status"] == "allocated"
    assert shop.stock("w-a", "WH1")["reserved"] == 1


def test_what_a_whole_order_is_offered_and_cannot_use_goes_to_who_waits_behind_it(shop: Shop) -> None:
    shop.accepted(receive("jug", "WH1", 1))
    shop.accepted(place("both-1", ("tray", 1), ("jug", 1), allocation="all_or_nothing", at="2026-11-27T18:00:00Z"))
    shop.accepted(place("both-2", ("tray", 1), at="2026-11-27T18:01:00Z"))
    shop.accepted(place("both-3", ("jug", 1), at="2026-11-27T18:02:00Z"))
    # It waits for the tray alone, so the tray is offered to it first; but by now the jug is gone.
    shop.accepted(receive("tray", "WH1", 1))
    assert shop.order("both-1")["status"] == "backordered"
    assert shop.line("both-2")["allocated"] == 1

    shop.accepted(receive("jug", "WH1", 1), receive("tray", "WH1", 1))
    assert shop.order("both-1")["status"] == "allocated"


def test_two_orders_that_want_the_same_two_units_as_a_whole(shop: Shop) -> None:
    shop.accepted(receive("x-a", "WH1", 1), receive("x-b", "WH2", 1))
    shop.accepted(
        place("whole-x", ("x-a", 1), ("x-b", 1), allocation="all_or_nothing"),
        place("whole-y", ("x-b", 1), ("x-a", 1), allocation="all_or_nothing"),
    )
    held = {order: sum(line["allocated"] for line in shop.order(order)["lines"]) for order in ("whole-x", "whole-y")}
    assert sorted(held.values()) == [0, 2]


def test_goods_come_back_and_can_be_sold_again(shop: Shop) -> None:
    shop.accepted(receive("ret", "WH1", 2))
    shop.accepted(place("ret-1", ("ret", 2)))
    shop.accepted(
        dispatch("ret-1", "S1", "WH1", ("1", 2)),
        command("RecordTracking", order_id="ret-1", shipment_id="S1", status="delivered"),
    )
    shop.accepted(
        command(
            "RequestReturn",
            order_id="ret-1",
            return_id="R1",
            lines=[{"line_id": "1", "quantity": 1, "reason": "too small"}],
        ),
        command(
            "ReceiveReturn",
            order_id="ret-1",
            return_id="R1",
            location_id="WH1",
            lines=[{"line_id": "1", "quantity": 1, "disposition": "restock"}],
        ),
        command("IssueRefund", order_id="ret-1", return_id="R1", amount_minor=1_000, reason="too small"),
    )
    order = shop.order("ret-1")
    assert order["status"] == "partially_returned"
    (back,) = order["returns"]
    assert back["rma"].startswith("RMA-")
    assert back["lines"][0]["received"] == 1
    assert shop.stock("ret", "WH1")["available"] == 1


def test_a_hold_that_lapses_is_let_go(shop: Shop) -> None:
    from datetime import UTC, datetime, timedelta

    shop.accepted(receive("cart", "WH1", 1))
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    shop.accepted(
        command(
            "ReserveStock",
            sku="cart",
            location_id="WH1",
            quantity=1,
            order_id="cart-1",
            line_id="1",
            attempt=1,
            expires_at=soon,
        )
    )
    assert shop.stock("cart", "WH1")["reserved"] == 1
    import time

    deadline = time.monotonic() + 20
    while shop.stock("cart", "WH1")["reserved"] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert shop.stock("cart", "WH1")["available"] == 1


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
    assert report.tables["order_status"] > 50
