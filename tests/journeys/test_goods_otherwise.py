"""Goods that go otherwise than planned, on real services: rejections, crossings, and queues of people."""

from __future__ import annotations

from typing import Any

import pytest

from projections.cases.reader import read_open_cases
from projections.kpi.opening import behind
from projections.work_queue.reader import read_queue
from tests.support.shop import Shop, command, dispatch, place, receive

pytestmark = pytest.mark.journey


def reject(order_id: str, location_id: str, quantity: int, reason: str = "not_in_stock") -> dict[str, Any]:
    lines = [{"line_id": "1", "quantity": quantity}]
    return command(
        "RejectAllocation", channel="wms", order_id=order_id, location_id=location_id, lines=lines, reason=reason
    )


def test_what_a_location_cannot_find_is_corrected_there_and_sent_from_elsewhere(shop: Shop) -> None:
    shop.accepted(receive("gone", "WH1", 5), receive("gone", "WH2", 4))
    shop.accepted(place("gone-1", ("gone", 3)))
    assert shop.line("gone-1")["allocated_at"] == {"WH1": 3}
    shop.accepted(reject("gone-1", "WH1", 3))
    assert shop.line("gone-1")["allocated_at"] == {"WH2": 3}
    stock = shop.stock("gone", "WH1")
    assert (stock["on_hand"], stock["available"], stock["reserved"]) == (2, 2, 0)

    shop.accepted(reject("gone-1", "WH2", 1, "damaged"))
    # One unit is thought to be left at each place, and both have rejected the line: it waits for what arrives.
    assert (shop.line("gone-1")["allocated"], shop.line("gone-1")["backordered"]) == (2, 1)
    assert shop.stock("gone", "WH2")["damaged"] == 1
    shop.accepted(receive("gone", "WH1", 1))
    assert shop.line("gone-1")["allocated_at"] == {"WH1": 1, "WH2": 2}


def test_a_line_that_is_rejected_thrice_is_a_persons_who_tries_again_or_gives_up(shop: Shop) -> None:
    for order_id in ("thrice-1", "thrice-2"):
        shop.accepted(*(receive(order_id, place, 2) for place in ("WH1", "WH2", "WH3", "WH4")))
        shop.accepted(place(order_id, (order_id, 1)))
        for _ in range(3):
            ((location_id, _held),) = shop.line(order_id)["allocated_at"].items()
            shop.accepted(reject(order_id, location_id, 1, "mismatch"))
        assert shop.line(order_id)["open"] == 1
    waiting = [row["order_id"] for row in read_queue(shop.connection, "rejections")]
    assert waiting == ["thrice-1", "thrice-2"]
    assert [row["open"] for row in read_queue(shop.connection, "rejections")] == [1, 1]
    assert shop.order("thrice-1")["queues"][0]["reason"] == "mismatch"

    def decide(order_id: str, resolution: str) -> dict[str, Any]:
        return command("ResolveQueued", order_id=order_id, queue="rejections", resolution=resolution)

    shop.accepted(decide("thrice-1", "retry"), decide("thrice-2", "cancel"))
    assert shop.line("thrice-1")["allocated"] == 1
    assert shop.order("thrice-2")["status"] == "cancelled"
    assert read_queue(shop.connection, "rejections") == []
    assert [row["resolution"] for row in shop.order("thrice-2")["queues"]] == ["cancel"]


def test_goods_that_left_after_their_cancellation_are_shipped_and_somebody_looks_after_it(shop: Shop) -> None:
    shop.accepted(receive("crossed", "WH1", 5))
    shop.accepted(place("crossed-1", ("crossed", 3)))
    shop.accepted(command("CancelOrder", order_id="crossed-1", reason="changed my mind"))
    assert shop.order("crossed-1")["status"] == "cancelled"
    report = shop.publish(dispatch("crossed-1", "S1", "WH1", ("1", 4)))
    assert "at most 3" in report.outcomes[0].detail

    shop.accepted(dispatch("crossed-1", "S1", "WH1", ("1", 2)))
    line = shop.line("crossed-1")
    assert (line["shipped"], line["cancelled"]) == (2, 1)
    assert shop.order("crossed-1")["status"] == "shipped"
    assert shop.stock("crossed", "WH1")["on_hand"] == 3
    (case,) = shop.order("crossed-1")["cases"]
    assert (case["topic"], case["urgency"], case["state"]) == ("dispatch_crossed_cancellation", "high", "open")

    def listed() -> list[str]:
        return [row["order_id"] for row in read_open_cases(shop.connection, case["topic"])]

    assert listed() == ["crossed-1"]
    shop.accepted(command("ResolveCase", case_id=case["case_id"], resolution="the customer keeps it"))
    assert listed() == []


def test_an_exchange_is_set_aside_at_once_and_may_leave_when_the_return_has_come(shop: Shop) -> None:
    shop.accepted(receive("small", "WH1", 1), receive("large", "WH1", 2), receive("large-2", "WH1", 1))
    shop.accepted(place("change-1", ("small", 1)), place("change-2", ("large", 1)))
    for order_id in ("change-1", "change-2"):
        shop.accepted(dispatch(order_id, "S1", "WH1", ("1", 1)))
        back: dict[str, Any] = {"order_id": order_id, "return_id": "R1"}
        asked = [{"line_id": "1", "quantity": 1, "reason": "size"}]
        instead = [{"line_id": "2", "sku": {"change-1": "large", "change-2": "large-2"}[order_id], "quantity": 1}]
        exchange = [{**line, "unit_price_minor": 1_500} for line in instead]
        shop.accepted(command("RequestReturn", **back, lines=asked, resolution="exchange", exchange=exchange))
        line = shop.line(order_id, "2")
        assert (line["allocated"], line["held_for_return"]) == (1, "R1")

    came = [{"line_id": "1", "quantity": 1, "disposition": "restock"}]
    shop.accepted(command("ReceiveReturn", order_id="change-1", return_id="R1", location_id="WH1", lines=came))
    assert shop.line("change-1", "2")["held_for_return"] is None
    shop.accepted(dispatch("change-1", "S2", "WH1", ("2", 1)))
    assert "DispatchDiffered" not in shop.facts("change-1")
    assert shop.stock("large", "WH1")["on_hand"] == 0

    shop.accepted(command("WithdrawReturn", order_id="change-2", return_id="R1", reason="keeps it"))
    order = shop.order("change-2")
    assert (order["returns"][0]["status"], order["returns"][0]["lines"][0]["quantity"]) == ("withdrawn", 0)
    assert shop.line("change-2", "2")["cancelled"] == 1
    assert shop.stock("large-2", "WH1")["available"] == 1


def test_a_parcel_that_nobody_claimed_comes_back_and_no_customer_sent_it(shop: Shop) -> None:
    shop.accepted(receive("unclaimed", "WH1", 2))
    shop.accepted(place("unclaimed-1", ("unclaimed", 2)))
    shop.accepted(dispatch("unclaimed-1", "S1", "WH1", ("1", 2)))
    scan = {"order_id": "unclaimed-1", "shipment_id": "S1", "status": "returned_to_sender"}
    shop.accepted(command("RecordTracking", **scan))
    came = [{"line_id": "1", "quantity": 2, "disposition": "restock"}]
    back = {"order_id": "unclaimed-1", "return_id": "R1"}
    shop.accepted(command("ReceiveReturn", **back, location_id="WH1", lines=came))
    shop.accepted(command("IssueRefund", **back, amount_minor=100, reason="it came back"))

    order, line = shop.order("unclaimed-1"), shop.line("unclaimed-1")
    assert (order["status"], order["returns"][0]["cause"]) == ("returned", "unclaimed")
    assert (line["delivered"], line["returned"], line["returned_by_customer"]) == (0, 2, 0)
    assert not {"DeliveryInferred", "ReturnDiffered"} & set(shop.facts("unclaimed-1"))
    assert shop.stock("unclaimed", "WH1")["available"] == 2
    left_out = behind(shop.connection, "return_rate", limit=None)["left_out"]
    assert {row["id"]: row["why"] for row in left_out}["unclaimed-1"] == "lost or returned to sender"


def test_a_dispatch_that_was_a_mistake_leaves_no_trace_in_stock_and_figures(shop: Shop) -> None:
    shop.accepted(receive("mistake", "WH1", 3))
    shop.accepted(place("mistake-1", ("mistake", 2)))
    shop.accepted(place("mistake-2", ("mistake", 3)))
    assert (shop.line("mistake-1")["allocated"], shop.line("mistake-2")["backordered"]) == (2, 2)
    shop.accepted(dispatch("mistake-1", "S1", "WH1", ("1", 2)))
    assert shop.stock("mistake", "WH1")["on_hand"] == 1
    retract = {"order_id": "mistake-1", "shipment_id": "S1", "reason": "wrong gate"}
    shop.accepted(command("RetractDispatch", channel="wms", **retract))

    order, stock = shop.order("mistake-1"), shop.stock("mistake", "WH1")
    assert (order["status"], order["lines"][0]["allocated_at"]) == ("allocated", {"WH1": 2})
    assert [parcel["status"] for parcel in order["shipments"]] == ["retracted"]
    assert (stock["on_hand"], stock["reserved"], stock["available"]) == (3, 3, 0)
    assert shop.line("mistake-2")["backordered"] == 2, "what was held is nobody else's"
    left_out = behind(shop.connection, "order_processing_hours", limit=None)["left_out"]
    assert {row["id"]: row["why"] for row in left_out}["mistake-1"] == "not shipped yet"
    report = shop.publish(dispatch("mistake-1", "S1", "WH1", ("1", 2)))
    assert "retracted" in report.outcomes[0].detail
    shop.accepted(dispatch("mistake-1", "S2", "WH1", ("1", 2)))
    assert shop.order("mistake-1")["status"] == "shipped"


def test_a_lost_parcel_is_sent_again_and_paid_for_once(shop: Shop) -> None:
    shop.accepted(receive("lost", "WH1", 3))
    shop.accepted(place("lost-1", ("lost", 2)))
    shop.accepted(dispatch("lost-1", "S1", "WH1", ("1", 2)))
    shop.accepted(command("RecordTracking", order_id="lost-1", shipment_id="S1", status="lost"))
    again = {"order_id": "lost-1", "shipment_id": "S1", "reason": "lost"}
    shop.accepted(command("ReplaceShipment", channel="phone", **again))
    line = shop.line("lost-1")
    counters = [line[name] for name in ("ordered", "shipped", "allocated", "backordered", "replaced", "written_off")]
    assert counters == [4, 2, 1, 1, 2, 2], "one unit is there, the other waits like any other"
    worth = 2 * line["unit_price_minor"]
    report = shop.publish(command("IssueRefund", order_id="lost-1", amount_minor=worth + 1, reason="too much"))
    assert f"at most {worth}" in report.outcomes[0].detail

    shop.accepted(receive("lost", "WH1", 1))
    shop.accepted(dispatch("lost-1", "S2", "WH1", ("1", 2)))
    shop.accepted(command("RecordTracking", order_id="lost-1", shipment_id="S2", status="delivered"))
    order = shop.order("lost-1")
    assert (order["status"], order["replaced"], order["written_off"]) == ("delivered", 2, 2)
    assert {parcel["shipment_id"]: parcel["lines"][0]["replaced"] for parcel in order["shipments"]} == {
        "S1": 2,
        "S2": 0,
    }
    assert shop.stock("lost", "WH1")["on_hand"] == 0


def test_every_table_is_what_the_log_says(shop: Shop) -> None:
    verified = shop.verify()
    assert verified.equal, verified
