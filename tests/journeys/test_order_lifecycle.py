"""What an order goes through between its placing and its parcels, on a real Kafka and PostgreSQL."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.shop import PATIENCE_SECONDS, Shop, command, dispatch, place, receive

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


def test_what_is_not_there_by_the_last_time_of_a_line_is_cancelled_by_log_time(shop: Shop) -> None:
    shop.accepted(receive("last-time", "WH1", 1))
    order = place("last-time-1", ("last-time", 3))
    order["data"]["lines"][0]["cancel_after"] = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    shop.accepted(order)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while shop.line("last-time-1")["cancelled"] < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    line = shop.line("last-time-1")
    assert (line["allocated"], line["backordered"], line["cancelled"]) == (1, 0, 2)
    shop.accepted(receive("last-time", "WH1", 5))
    assert shop.stock("last-time", "WH1")["available"] == 5


def test_what_was_made_for_a_customer_is_not_sold_to_another(shop: Shop) -> None:
    shop.accepted(receive("engraved", "WH1", 1))
    order = place("engraved-1", ("engraved", 1))
    order["data"]["lines"][0] |= {"customised": True, "attributes": {"engraving": "For Ada"}}
    shop.accepted(order)
    (refused,) = shop.publish(command("CancelOrder", order_id="engraved-1", reason="changed my mind")).outcomes
    assert "at most 0" in refused.detail
    shop.accepted(dispatch("engraved-1", "E1", "WH1", ("1", 1)))
    back = {"order_id": "engraved-1", "return_id": "R1", "location_id": "WH1"}
    found = {"line_id": "1", "quantity": 1}
    (refused,) = shop.publish(command("ReceiveReturn", **back, lines=[{**found, "disposition": "restock"}])).outcomes
    assert "inspect" in refused.hint
    shop.accepted(command("ReceiveReturn", **back, lines=[{**found, "disposition": "damaged"}]))
    assert shop.stock("engraved", "WH1")["available"] == 0


def test_what_is_let_go_at_one_place_is_sought_at_another(shop: Shop) -> None:
    shop.accepted(receive("let-go-of", "WH1", 2), receive("let-go-of", "WH2", 2))
    shop.accepted(place("let-go-of-1", ("let-go-of", 2)))
    (first,) = shop.line("let-go-of-1")["locations"]
    lines = [{"line_id": "1", "quantity": 2, "location_id": first}]
    shop.accepted(command("DeallocateLines", order_id="let-go-of-1", lines=lines, reason="not picked"))
    (second,) = shop.line("let-go-of-1")["locations"]
    assert {first, second} == {"WH1", "WH2"}
    assert shop.stock("let-go-of", first)["available"] == 2


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference


def test_a_number_is_what_the_customer_gets_and_another_channels_mistakes_make_no_version_stale(shop: Shop) -> None:
    shop.accepted(receive("gets", "WH1", 10))
    shop.accepted(place("gets-1", ("gets", 10)))
    shop.accepted(command("CancelOrder", order_id="gets-1", reason="fewer", lines=[{"line_id": "1", "quantity": 3}]))
    version = shop.order("gets-1")["version"]

    def amended_to(units: int, channel: str) -> dict[str, Any]:
        wanted = [{"line_id": "1", "quantity": units}]
        asked = command("AmendOrder", channel=channel, order_id="gets-1", lines=wanted)
        return {**asked, "expected_version": version}

    (refused,) = shop.publish(amended_to(7, "store")).outcomes
    assert "10 ordered, 0 shipped, 3 cancelled" in refused.detail
    no_such_line = [{"line_id": "9", "quantity": 1}]
    (refused,) = shop.publish(
        command("CancelOrder", channel="store", order_id="gets-1", reason="wrong line", lines=no_such_line)
    ).outcomes
    assert "no line 9" in refused.detail
    assert shop.order("gets-1")["version"] == version

    shop.accepted(amended_to(8, "web"))
    order = shop.order("gets-1")
    line = order["lines"][0]
    assert (line["ordered"], line["cancelled"], line["allocated"]) == (11, 3, 8)
    assert [(one["ordered_before"], one["ordered"]) for one in order["amendments"][0]["lines"]] == [(7, 8)]
    assert order["version"] > version
    (stale,) = shop.publish(amended_to(9, "web")).outcomes
    assert f"has version {order['version']}" in stale.detail
    assert shop.verify().equal
