"""Stock as it really is, through a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.shop import PATIENCE_SECONDS, Shop, command, dispatch, place, receive

pytestmark = pytest.mark.journey


def reserve(sku: str, owner: str, quantity: int = 1, *, attempt: int = 1, **more: Any) -> dict[str, Any]:
    return command(
        "ReserveStock",
        sku=sku,
        location_id="WH1",
        quantity=quantity,
        order_id=owner,
        line_id="1",
        attempt=attempt,
        **more,
    )


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_unit_is_free_for_the_next_who_asks_when_its_hold_is_over(shop: Shop) -> None:
    shop.accepted(receive("lapse", "WH1", 1))
    until = in_seconds(10)  # a busy machine decides within that
    shop.accepted(reserve("lapse", "cart-1", expires_at=until))
    deadline = time.monotonic() + PATIENCE_SECONDS
    attempt = 1
    while True:
        attempt += 1
        report = shop.publish(reserve("lapse", "cart-2", attempt=attempt))
        if report.counts.get("accepted"):
            break
        assert "at most 0" in report.outcomes[0].detail
        assert time.monotonic() < deadline
    shop.settle()
    assert shop.stock("lapse", "WH1")["reserved"] == 1
    (fact,) = shop.connection.execute(
        "SELECT recorded_at >= %s FROM answers WHERE stream_id = 'lapse' AND outcome = 'accepted' "
        "ORDER BY intake_offset DESC LIMIT 1",
        [until],
    ).fetchall()
    assert fact == (True,)


def test_a_cart_becomes_an_order_and_nobody_else_gets_its_unit(shop: Shop) -> None:
    until = in_seconds(600)
    shop.accepted(receive("cart", "WH1", 1), reserve("cart", "basket-1", expires_at=until))
    shop.accepted(place("cart-other", ("cart", 1)), place("cart-own", ("cart", 1), cart_id="basket-1"))
    assert shop.line("cart-own")["locations"] == {"WH1": 1}
    assert shop.line("cart-other")["backordered"] == 1
    stock = shop.stock("cart", "WH1")
    assert (stock["on_hand"], stock["reserved"], stock["available"]) == (1, 1, 0)
    assert shop.connection.execute(
        "SELECT sum(quantity) FROM expiring_reservations WHERE order_id = 'basket-1'"
    ).fetchone() == (0,)


def test_forty_on_record_two_picked_and_37_counted_is_one_missing(shop: Shop) -> None:
    at = {"sku": "count", "location_id": "WH1"}
    shop.accepted(command("ReceiveStock", at="2026-11-27T09:00:00Z", quantity=40, **at))
    shop.accepted(place("count-1", ("count", 2), at="2026-11-27T09:10:00Z"))
    shop.accepted(dispatch("count-1", "S1", "WH1", ("1", 2)) | {"occurred_at": "2026-11-27T09:30:00Z"})
    shop.accepted(command("CountStock", at="2026-11-27T10:00:00Z", counted=37, **at))
    stock = shop.stock("count", "WH1")
    assert (stock["on_hand"], stock["reserved"], stock["available"]) == (37, 0, 37)
    (refused,) = shop.publish(
        command("AdjustStock", quantity_delta=1, reason="found", expected_on_hand=38, **at)
    ).outcomes
    assert "at most 37" in refused.detail


def test_a_large_difference_is_counted_twice_and_approved_by_another_person(shop: Shop) -> None:
    at = {"sku": "approve", "location_id": "WH1"}

    def by(actor: str, document: dict[str, Any]) -> dict[str, Any]:
        return document | {"actor": actor}

    shop.accepted(
        command("ReceiveStock", at="2026-11-27T09:00:00Z", quantity=40, **at),
        command("SetStockPolicy", recount_above=2, approval_above=5, **at),
        by("anna", command("CountStock", at="2026-11-27T10:00:00Z", counted=30, **at)),
    )
    shop.accepted(by("ben", command("CountStock", at="2026-11-27T11:00:00Z", counted=30, count_id="B", **at)))
    assert shop.stock("approve", "WH1")["on_hand"] == 40
    (refused,) = shop.publish(by("ben", command("ApproveCount", count_id="B", approved=True, **at))).outcomes
    assert "ben has counted it" in refused.detail
    shop.accepted(by("carla", command("ApproveCount", count_id="B", approved=True, **at)))
    assert shop.stock("approve", "WH1")["on_hand"] == 30


def test_of_a_hundred_units_82_are_available_and_what_is_bad_leaves_by_its_own_ways(shop: Shop) -> None:
    at = {"sku": "hundred", "location_id": "WH1"}
    shop.accepted(
        command("ReceiveStock", quantity=100, **at),
        command("MarkDamaged", quantity=3, **at),
        command("SetStockPolicy", safety_stock=5, **at),
    )
    shop.accepted(place("hundred-1", ("hundred", 10)))
    stock = shop.stock("hundred", "WH1")
    assert (stock["available"], stock["on_hand"], stock["incoming"]) == (82, 100, 0)
    shop.accepted(dispatch("hundred-1", "S1", "WH1", ("1", 10)))
    assert shop.stock("hundred", "WH1")["on_hand"] == 90
    shop.accepted(
        command("HoldStock", quantity=4, reason="smells", **at),
        command("ReleaseQualityHold", quantity=1, disposition="damaged", **at),
        command("DisposeStock", quantity=4, reason="broken", **{"from": "damaged"}, **at),
    )
    stock = shop.stock("hundred", "WH1")
    assert [stock[name] for name in ("on_hand", "available", "damaged", "quality_hold", "safety")] == [86, 78, 0, 3, 5]


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
