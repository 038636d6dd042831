"""Goods on their way, who they are promised to, and what a channel may sell of what is there, on real services."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from gateway.story import as_text, tell
from projections.inventory.reader import read_expected
from projections.order_history.reader import read_history
from tests.support.quick_reactions import wait_until_places_are_known
from tests.support.shop import PATIENCE_SECONDS, Shop, command, place, receive

pytestmark = pytest.mark.journey


def expect(sku: str, quantity: int, expected_at: str, purchase_order: str = "PO-1") -> dict[str, object]:
    data = {"sku": sku, "location_id": "WH1", "purchase_order": purchase_order, "quantity": quantity}
    return command("ExpectStock", channel="wms", expected_at=expected_at, **data)


def arrive(sku: str, quantity: int, purchase_order: str = "PO-1") -> dict[str, object]:
    data = {"sku": sku, "location_id": "WH1", "quantity": quantity, "purchase_order": purchase_order}
    return command("ReceiveStock", channel="wms", **data)


def test_forty_on_their_way_are_incoming_and_never_available(shop: Shop) -> None:
    shop.accepted(
        receive("coming", "WH1", 100),
        command("MarkDamaged", sku="coming", location_id="WH1", quantity=3),
        command("SetStockPolicy", sku="coming", location_id="WH1", safety_stock=5),
        expect("coming", 40, "2099-12-03T12:00:00Z"),
    )
    shop.accepted(
        command("ReserveStock", sku="coming", location_id="WH1", quantity=10, order_id="till-1", line_id="1", attempt=1)
    )
    stock = shop.stock("coming", "WH1")
    assert (stock["on_hand"], stock["available"], stock["incoming"]) == (100, 82, 40)
    shop.accepted(arrive("coming", 30))
    stock = shop.stock("coming", "WH1")
    assert (stock["on_hand"], stock["available"], stock["incoming"]) == (130, 112, 10)
    (row,) = read_expected(shop.connection, "coming")
    assert (row["quantity"], row["expected_at"], row["overdue"]) == (10, "2099-12-03T12:00:00Z", False)


def test_units_in_transfer_are_nowhere_until_they_arrive_and_none_is_lost_without_a_word(shop: Shop) -> None:
    def transfer(name: str, **data: object) -> dict[str, object]:
        return command(name, channel="wms", sku="moving", transfer_id="T-1", **data)

    shop.accepted(receive("moving", "WH1", 10))
    shop.accepted(transfer("StartTransfer", from_location_id="WH1", to_location_id="WH2", quantity=6))
    here, there = shop.stock("moving", "WH1"), shop.stock("moving", "WH2")
    assert (here["on_hand"], here["available"]) == (4, 4)
    assert (there["on_hand"], there["available"], there["incoming"]) == (0, 0, 6)
    shop.accepted(transfer("ReceiveTransfer", quantity=3, damaged=1))
    shop.accepted(transfer("ReceiveTransfer", quantity=2, close=True))
    there = shop.stock("moving", "WH2")
    assert (there["on_hand"], there["available"], there["damaged"], there["incoming"]) == (5, 4, 1, 0)
    row = shop.connection.execute("SELECT sent, received, missing, on_their_way FROM transfers").fetchone()
    assert row == (6, 5, 1, 0)


def test_orders_that_wait_are_promised_what_comes_and_promised_anew_with_one_notice_each(shop: Shop) -> None:
    early, late = "2099-12-03T12:00:00Z", "2099-12-09T12:00:00Z"
    shop.accepted(
        place("young", ("TEAPOT", 2), at="2026-11-27T18:05:00Z"),
        expect("TEAPOT", 3, early, "PO-1"),
        expect("TEAPOT", 5, late, "PO-2"),
    )
    assert shop.line("young")["expected_at"] == early
    shop.accepted(place("old", ("TEAPOT", 2), at="2026-11-27T18:00:00Z"))
    assert (shop.line("old")["expected_at"], shop.line("young")["expected_at"]) == (early, late)
    shop.accepted(expect("TEAPOT", 1, early, "PO-1"))
    assert (shop.line("old")["expected_at"], shop.line("young")["expected_at"]) == (late, late)
    shop.accepted(expect("TEAPOT", 0, late, "PO-2"))
    assert shop.line("young")["expected_at"] is None

    story = as_text(tell(read_history(shop.connection, "young")))
    # By the channels' clocks: the older order was told of after the younger one, and what it led to says so.
    told = {
        line.strip()[7:].split(" (reported late")[0] for line in story.splitlines() if "The customer is told" in line
    }
    assert told == {
        "The customer is told: 2 × TEAPOT are expected by 3 December 2099, 12:00 UTC.",
        (
            "The customer is told: 2 × TEAPOT now by 9 December 2099, 12:00 UTC, instead of by 3 December 2099,"
            " 12:00 UTC, because an older order goes first."
        ),
        (
            "The customer is told: 2 × TEAPOT at an unknown time,"
            " instead of by 9 December 2099, 12:00 UTC, because less comes than was announced."
        ),
    }
    shop.accepted(arrive("TEAPOT", 4, "PO-1"))
    assert (shop.line("old")["allocated"], shop.line("young")["allocated"]) == (2, 2)
    assert shop.line("old")["expected_at"] is None


def test_what_does_not_come_in_time_is_promised_no_more(shop: Shop) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=4)
    shop.accepted(place("tardy", ("KETTLE", 1)), expect("KETTLE", 1, soon.isoformat()))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "LinePromised" not in (facts := shop.facts("tardy")) or facts.count("LinePromised") < 2:
        assert time.monotonic() < deadline, facts
        time.sleep(0.2)
    assert shop.line("tardy")["expected_at"] is None
    (row,) = read_expected(shop.connection, "KETTLE")
    assert row["overdue"]


def sellable(shop: Shop, sku: str, channel: str) -> int:
    """What a channel may sell at WH1."""
    rows = shop.connection.execute(
        "SELECT channel, sellable FROM v_channel_sellable WHERE sku = %s AND location_id = 'WH1'", [sku]
    ).fetchall()
    by_channel = dict(rows)
    units: int = by_channel.get(channel, by_channel["*"])
    return units


def test_of_fifty_the_most_specific_buffer_leaves_thirty_and_an_exclusion_none(shop: Shop) -> None:
    shop.accepted(receive("VASE", "WH1", 50))
    shop.accepted(
        command("SetCategoryPolicy", category_id="glass", buffers={"*": 5}),
        command("AssignCategory", sku="VASE", category_id="glass"),
    )
    assert shop.stock("VASE", "WH1")["sellable"] == sellable(shop, "VASE", "web") == 45
    shop.accepted(command("SetChannelPolicy", sku="VASE", buffers={"*": 10}))
    assert shop.stock("VASE", "WH1")["sellable"] == sellable(shop, "VASE", "web") == 40
    shop.accepted(command("SetStockPolicy", sku="VASE", location_id="WH1", buffers={"*": 20}))
    assert shop.stock("VASE", "WH1")["sellable"] == sellable(shop, "VASE", "web") == 30
    shop.accepted(command("SetCategoryPolicy", category_id="glass", excluded_channels=["web"]))
    assert shop.stock("VASE", "WH1")["sellable"] == sellable(shop, "VASE", "web") == 0
    assert sellable(shop, "VASE", "store") == 30


def test_a_location_that_does_not_serve_a_channel_is_passed_over(shop: Shop) -> None:
    places = [command("RegisterLocation", location_id=name, name=name, kind="store") for name in ("NEAR", "FAR")]
    shop.accepted(*places, receive("BOWL", "NEAR", 5), receive("BOWL", "FAR", 5))
    shop.accepted(command("SetLocationPolicy", location_id="FAR", excluded_channels=["web"]))
    wait_until_places_are_known()
    shop.accepted(place("bowls", ("BOWL", 6)))
    assert shop.stock("BOWL", "FAR")["sellable"] == 0
    rows = shop.connection.execute(
        "SELECT channel, sellable FROM v_channel_sellable WHERE location_id = 'FAR'"
    ).fetchall()
    assert dict(rows) == {"*": 5, "web": 0}
    assert (shop.line("bowls")["locations"], shop.line("bowls")["backordered"]) == ({"NEAR": 5}, 1)
    shop.accepted(command("SetLocationPolicy", location_id="FAR", excluded_channels=[]))
    assert shop.stock("BOWL", "FAR")["sellable"] == 5


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
