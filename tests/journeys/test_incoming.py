"""Goods on their way, who they are promised to, and what a channel may sell of what is there, on real services."""

from __future__ import annotations

import pytest

from projections.inventory.reader import read_expected
from tests.support.shop import Shop, command, receive

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


def test_everything_above_is_equal_to_an_independent_fold(shop: Shop) -> None:
    shop.settle()
    report = shop.verify()
    assert report.equal, report.first_difference
