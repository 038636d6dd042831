"""Facts of stock, locations and answers in, rows out."""

import json

import pytest

from events.locations.facts import LocationRegistered
from projections.answers.projection import PROJECTION as ANSWERS
from projections.inventory.projection import PROJECTION as INVENTORY
from projections.locations.projection import PROJECTION as LOCATIONS
from projections.order_history.projection import PROJECTION as ORDER_HISTORY
from tests.support.chain import BEGINNING, ChainLog
from tests.support.facts import consumed, fact, order_placed, refused, stock_received
from tests.support.folding import rows

AT = {"sku": "SKU-1", "location_id": "WH1"}
HELD = {**AT, "order_id": "o-1", "line_id": "1", "attempt": 1}


def stock(*facts):
    log = ChainLog("ledger.stock")
    for one in facts:
        log.decide("SKU-1", one)
    return rows(INVENTORY, log)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([stock_received(quantity=5)], {"on_hand": 5}),
        ([fact("StockAdjusted", **AT, quantity_delta=-2)], {"on_hand": -2}),
        ([fact("StockCounted", **AT, counted=3, counted_at=BEGINNING, expected=5, variance=-2)], {"on_hand": -2}),
        ([fact("CountRestated", **AT, counted=3, expected=3, variance=0, variance_before=-2)], {"on_hand": 2}),
        ([fact("StockMarkedDamaged", **AT, quantity=2)], {"damaged": 2}),
        ([fact("StockReserved", **HELD, quantity=2)], {"reserved": 2}),
        ([fact("StockReserved", **HELD, quantity=2), fact("StockReleased", **HELD, quantity=1)], {"reserved": 1}),
        ([fact("StockReserved", **HELD, quantity=2), fact("ReservationExpired", **HELD, quantity=2)], {}),
        (
            [stock_received(quantity=5), fact("StockShipped", **AT, quantity=3, from_reserved=2)],
            {"on_hand": 2, "reserved": -2},
        ),
        (
            [fact("StockRejected", **AT, reason="not_in_stock", quantity=3, corrected=2, from_reserved=3)],
            {"on_hand": -2, "reserved": -3},
        ),
        (
            [fact("StockRejected", **AT, reason="damaged", quantity=2, corrected=2, from_reserved=1)],
            {"damaged": 2, "reserved": -1},
        ),
        ([fact("StockRejected", **AT, reason="mismatch", quantity=2, corrected=2)], {"quality_hold": 2}),
        ([fact("StockReturned", **AT, quantity=2, disposition="restock")], {"on_hand": 2}),
        ([fact("StockReturned", **AT, quantity=2, disposition="damaged")], {"on_hand": 2, "damaged": 2}),
        ([fact("StockReturned", **AT, quantity=2, disposition="inspect")], {"on_hand": 2, "quality_hold": 2}),
        ([fact("StockReturned", **AT, quantity=2, disposition="dispose")], {}),
        ([fact("StockPolicySet", **AT, safety_stock=3, reorder_point=7)], {"safety_stock": 3, "reorder_point": 7}),
    ],
)
def test_stock_facts_move_their_quantities(facts, expected):
    assert stock(*facts)["inventory"] == [{**AT, **expected}]


def test_a_move_takes_here_and_gives_there():
    moved = fact("StockMoved", sku="SKU-1", from_location_id="WH1", to_location_id="WH2", quantity=4)
    assert stock(moved)["inventory"] == [
        {"sku": "SKU-1", "location_id": "WH1", "on_hand": -4},
        {"sku": "SKU-1", "location_id": "WH2", "on_hand": 4},
    ]


def test_the_newest_policy_counts_and_its_largest_buffer():
    first = fact("StockPolicySet", **AT, safety_stock=3, buffers=[{"channel": "web", "quantity": 9}])
    second = fact(
        "StockPolicySet",
        **AT,
        safety_stock=1,
        buffers=[{"channel": "web", "quantity": 2}, {"channel": "shop", "quantity": 4}],
    )
    assert stock(first, second)["inventory"] == [{**AT, "safety_stock": 1, "buffer": 4}]


def test_a_hold_that_expires_is_followed_until_it_is_used():
    tables = stock(
        fact("StockReserved", **HELD, quantity=3, expires_at=BEGINNING),
        fact("StockShipped", **{**HELD, "attempt": 0}, quantity=1, from_reserved=1, consumed=[consumed("WH1", 1)]),
        fact("StockShipped", **{**HELD, "location_id": "WH2"}, quantity=1, consumed=[consumed("WH1", 1)]),
        fact("StockReleased", **HELD, quantity=1),
    )
    followed = [row for row in tables["expiring_reservations"] if "expires_at" in row]
    assert followed == [{**HELD, "quantity": 1, "expires_at": BEGINNING}]


def test_what_is_expected_is_incoming_until_it_comes_and_its_newest_word_is_the_row():
    def expected(units, before, **more):
        return fact("StockExpected", **AT, purchase_order="PO-1", quantity=units, quantity_before=before, **more)

    late = fact("ReceiptOverdue", **AT, purchase_order="PO-1", quantity=30, expected_at=BEGINNING)
    tables = stock(expected(40, 0, expected_at=BEGINNING), expected(30, 40, expected_at=BEGINNING), late)
    row = {"sku": "SKU-1", "source": "purchase_order", "reference": "PO-1", "location_id": "WH1"}
    assert tables["inventory"] == [{**AT, "incoming": 30}]
    assert tables["expected_receipts"] == [{**row, "quantity": 30, "expected_at": BEGINNING, "overdue": True}]
    (over,) = stock(expected(40, 0), expected(0, 40))["expected_receipts"]
    assert over == {**row, "overdue": False}  # units that are 0 are not shown here


def test_units_in_transfer_leave_at_once_and_arrive_in_parts():
    key = {"sku": "SKU-1", "transfer_id": "T-1"}
    both = {"from_location_id": "WH1", "to_location_id": "WH2"}
    tables = stock(
        fact("TransferStarted", **key, **both, quantity=9, expected_at=BEGINNING),
        fact("TransferReceived", **key, location_id="WH2", quantity=4, damaged=1, left=5),
        fact("TransferAmended", **key, location_id="WH2", left=5, expected_at=BEGINNING),
        fact("TransferDiffered", **key, **both, sent=9, received=6, missing=3),
    )
    assert tables["inventory"] == [
        {"sku": "SKU-1", "location_id": "WH1", "on_hand": -9},
        {"sku": "SKU-1", "location_id": "WH2", "on_hand": 4, "damaged": 1, "incoming": 2},
    ]
    (row,) = tables["transfers"]
    assert (row["sent"], row["received"], row["damaged"], row["missing"]) == (9, 4, 1, 3)
    assert tables["expected_receipts"] == [
        {"sku": "SKU-1", "source": "transfer", "reference": "T-1", "location_id": "WH2", "overdue": False}
    ]


def test_the_newest_registration_of_a_location_is_the_whole_of_it():
    log = ChainLog("ledger.service")
    log.decide("WH1", LocationRegistered(location_id="WH1", name="Old", kind="store", daily_capacity=10))
    log.decide("WH1", LocationRegistered(location_id="WH1", name="New", kind="warehouse"))
    assert rows(LOCATIONS, log)["locations"] == [{"location_id": "WH1", "name": "New", "kind": "warehouse"}]


def test_history_has_every_fact_of_an_order_with_what_it_says():
    log, other = ChainLog(), ChainLog("ledger.stock")
    log.decide("o-1", order_placed(), fact("OrderHeld", order_id="o-1", hold="fraud", reason="odd\x00 card"))
    log.decide("o-1", refused())
    other.decide("SKU-1", refused())
    history = rows(ORDER_HISTORY, log, other)["order_history"]
    assert [(row["version"], row["fact"]) for row in history] == [
        (1, "OrderPlaced"),
        (2, "OrderHeld"),
        (3, "CommandRefused"),
    ]
    assert json.loads(history[0]["data"])["lines"][0]["sku"] == "SKU-1"
    assert json.loads(history[1]["data"])["reason"] == "odd\ufffd card"


def test_each_command_from_outside_gets_one_answer():
    orders, stocks = ChainLog(partition=3), ChainLog("ledger.stock")
    orders.decide("o-1", order_placed(), fact("OrderHeld", order_id="o-1", hold="fraud"), command_id="web-1")
    orders.decide("o-1", refused("AmendOrder", "stale"), channel="shop", command_id="shop-1")
    orders.decide("o-1", fact("OrderAllocated", order_id="o-1", units=2), channel="order-ledger")
    stocks.decide("SKU-1", stock_received(), command_id="wms-1")
    answers = rows(ANSWERS, orders, stocks)["answers"]
    assert [(row["command_id"], row["outcome"], row.get("code")) for row in answers] == [
        ("web-1", "accepted", None),
        ("shop-1", "refused", "stale"),
        ("wms-1", "accepted", None),
    ]
    assert answers[1]["intake_offset"] == 1
    assert answers[1]["hint"] == "check the number"
    assert answers[1]["partition"] == 3


def test_what_had_lapsed_and_who_was_served_from_it_answers_no_command():
    log = ChainLog("ledger.stock")
    lapsed = fact("ReservationExpired", **HELD, quantity=2)
    served = fact("StockReserved", **HELD, quantity=1, waited=True)
    refusal = fact("ReservationRefused", **HELD, quantity=2, available=1, reason="not_enough")
    log.decide("SKU-1", lapsed, lapsed, served, refusal, served, command_id="web-1")
    log.decide("SKU-1", lapsed, stock_received(), served, command_id="wms-1")
    log.decide("SKU-1", stock_received(), served, command_id="wms-2")
    log.decide("SKU-1", lapsed, channel="order-ledger", command_id="expire:1")
    assert [(row["command_id"], row["outcome"], row["fact"]) for row in rows(ANSWERS, log)["answers"]] == [
        ("web-1", "refused", "ReservationRefused"),
        ("wms-1", "accepted", "StockReceived"),
        ("wms-2", "accepted", "StockReceived"),
    ]
