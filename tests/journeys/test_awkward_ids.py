"""Ids as channels may send them: as long as one may be, in any letters, with the colon of the ledger's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from events.values import ID_LENGTH_MAX
from tests.support.shop import Shop, command, dispatch, place, receive

pytestmark = pytest.mark.journey

SEED = 20261126


def _longest(draw: Random) -> str:
    """Letters of four bytes each that no index can make smaller."""
    return "".join(chr(draw.randrange(0x10000, 0x110000)) for _ in range(ID_LENGTH_MAX))


def test_the_longest_ids_live_a_whole_life(shop: Shop) -> None:
    print(f"seed {SEED}")
    draw = Random(SEED)
    sku, location_id, order_id, line_id, shipment_id, return_id, cart_id = (_longest(draw) for _ in range(7))
    shop.accepted(receive(sku, location_id, 5))
    shop.settle()  # the SKU asks whether the location is registered
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    held = {"sku": sku, "location_id": location_id, "quantity": 1, "order_id": cart_id, "line_id": line_id}
    shop.accepted(command("ReserveStock", attempt=1, expires_at=soon, **held))
    order = place(order_id, (sku, 2))
    order["data"]["lines"][0]["line_id"] = line_id
    shop.accepted(order)
    assert shop.line(order_id, line_id)["allocated_at"] == {location_id: 2}
    shop.accepted(dispatch(order_id, shipment_id, location_id, (line_id, 2)))
    stock = shop.stock(sku, location_id)
    assert (stock["on_hand"], stock["reserved"], stock["available"]) == (3, 1, 2)
    back = [{"line_id": line_id, "quantity": 1, "disposition": "restock"}]
    shop.accepted(command("ReceiveReturn", order_id=order_id, return_id=return_id, location_id=location_id, lines=back))
    assert shop.stock(sku, location_id)["on_hand"] == 4
    assert shop.line(order_id, line_id)["shipped"] == 2
    assert shop.verify().equal


def test_a_colon_does_not_make_two_lines_one(shop: Shop) -> None:
    shop.accepted(receive("colon", "WH1", 5))
    one, other = place("A:1", ("colon", 1)), place("A", ("colon", 1))
    one["data"]["lines"][0]["line_id"], other["data"]["lines"][0]["line_id"] = "2", "1:2"
    shop.accepted(one, other)
    assert shop.line("A:1", "2")["allocated_at"] == shop.line("A", "1:2")["allocated_at"] == {"WH1": 1}
    assert shop.stock("colon", "WH1")["reserved"] == 2
    shop.accepted(dispatch("A:1", "2", "WH1", ("2", 1)), dispatch("A", "1:2", "WH1", ("1:2", 1)))
    assert shop.stock("colon", "WH1")["on_hand"] == 3
