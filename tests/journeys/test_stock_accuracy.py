"""Stock as it really is, through a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.shop import PATIENCE_SECONDS, Shop, command, place, receive

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


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
