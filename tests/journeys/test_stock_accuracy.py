"""Stock as it really is, through a real Kafka and a real PostgreSQL."""

from __future__ import annotations

import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from projections.stock_counts.reader import read_counts
from projections.stock_movements.reader import read_movements
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
    for seconds in (3, 10, 60):  # on a busy machine the hold may be over before it is decided
        until = in_seconds(seconds)
        if shop.publish(reserve("lapse", "cart-1", attempt=seconds, expires_at=until)).counts.get("accepted"):
            break
    deadline = time.monotonic() + PATIENCE_SECONDS
    for attempt in itertools.count(1):
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
    shop.accepted(receive("cart", "WH1", 1))
    shop.accepted(reserve("cart", "basket-1", expires_at=until))
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
    kinds = [(row["kind"], row["on_hand"], row["reserved"]) for row in read_movements(shop.connection, "count")]
    assert kinds == [
        ("StockReceived", 40, 0),
        ("StockReserved", 0, 2),
        ("StockShipped", -2, -2),
        ("StockCounted", -1, 0),
    ]
    (refused,) = shop.publish(
        command("AdjustStock", quantity_delta=1, reason="found", expected_on_hand=38, **at)
    ).outcomes
    assert "at most 37" in refused.detail


def test_a_parcel_that_is_told_after_the_count_that_missed_it_leaves_once(shop: Shop) -> None:
    at = {"sku": "overtaken", "location_id": "WH1"}
    shop.accepted(command("ReceiveStock", at="2026-11-25T09:00:00Z", quantity=5, **at))
    shop.accepted(place("overtaken-1", ("overtaken", 3), at="2026-11-25T09:10:00Z"))
    count = command("CountStock", at="2026-11-25T10:00:00Z", counted=2, **at)
    shop.accepted(count)
    stock = shop.stock("overtaken", "WH1")
    assert (stock["on_hand"], stock["reserved"], stock["available"]) == (2, 3, -1)
    shop.accepted(dispatch("overtaken-1", "S1", "WH1", ("1", 3)) | {"occurred_at": "2026-11-25T09:30:00Z"})
    stock = shop.stock("overtaken", "WH1")
    assert (stock["on_hand"], stock["reserved"], stock["available"]) == (2, 0, 2)
    kinds = [(row["kind"], row["on_hand"]) for row in read_movements(shop.connection, "overtaken")]
    assert kinds[2:] == [("StockCounted", -3), ("StockShipped", -3), ("CountRestated", 3)]
    known = shop.connection.execute(
        "SELECT variance, accurate FROM kpi_counts WHERE sku = 'overtaken' AND count_id = %s", [count["id"]]
    ).fetchall()
    assert known == [(0, True)]
    (again,) = shop.publish(
        command("CountStock", at="2026-11-25T10:00:00Z", counted=2, count_id=count["id"], **at)
    ).outcomes
    assert "was already applied" in again.detail


def test_a_large_difference_is_counted_twice_and_approved_by_another_person(shop: Shop) -> None:
    at = {"sku": "approve", "location_id": "WH1"}

    def by(actor: str, document: dict[str, Any]) -> dict[str, Any]:
        return document | {"actor": actor}

    shop.accepted(
        command("ReceiveStock", at="2026-11-27T09:00:00Z", quantity=40, **at),
        command("SetStockPolicy", recount_above=2, approval_above=5, **at),
        by("anna", command("CountStock", at="2026-11-27T10:00:00Z", counted=30, count_id="A", **at)),
    )
    (waiting,) = read_counts(shop.connection)
    assert [waiting[name] for name in ("count_id", "status", "expected", "variance")] == ["A", "recount", 40, -10]
    (refused,) = shop.publish(by("carla", command("ApproveCount", count_id="A", approved=True, **at))).outcomes
    assert "a second count at another moment must come first" in refused.detail
    shop.accepted(by("ben", command("CountStock", at="2026-11-27T11:00:00Z", counted=30, count_id="B", **at)))
    assert shop.stock("approve", "WH1")["on_hand"] == 40
    assert [(row["count_id"], row["variance"]) for row in read_counts(shop.connection)] == [("B", -10)]
    (refused,) = shop.publish(by("ben", command("ApproveCount", count_id="B", approved=True, **at))).outcomes
    assert "ben counted it" in refused.detail
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


def test_what_is_told_late_corrects_yesterday_and_not_what_was_known_then(shop: Shop) -> None:
    at = {"sku": "late", "location_id": "WH1"}
    shop.accepted(command("ReceiveStock", at="2026-11-26T09:00:00Z", quantity=10, **at))
    (known,) = shop.connection.execute("SELECT max(recorded_at) FROM stock_movements WHERE sku = 'late'").fetchall()[0]
    time.sleep(0.01)  # log time is in milliseconds
    shop.accepted(
        command("AdjustStock", at="2026-11-26T12:00:00Z", quantity_delta=-3, reason="lost", document="A-7", **at)
    )

    def on_hand(*options: str) -> list[int]:
        shown = CliRunner(env=shop.env.env).invoke(app, ["inventory", "--sku", "late", "--json", *options])
        assert shown.exit_code == 0, shown.output
        return [row["on_hand"] for row in json.loads(shown.stdout)["rows"]]

    yesterday = ("--at", "2026-11-26T20:00:00Z")
    assert on_hand(*yesterday) == [7]
    assert on_hand(*yesterday, "--known-at", known.isoformat()) == [10]
    assert on_hand("--at", "2026-11-26T10:00:00Z") == [10]
    assert on_hand() == [7]
    moves = CliRunner(env=shop.env.env).invoke(app, ["movements", "--sku", "late"])
    assert "A-7" in moves.stdout
    assert "-3" in moves.stdout


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
