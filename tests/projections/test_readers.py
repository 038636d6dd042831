"""What the readers give out of tables that the real folds filled: the JSON that the vocabulary promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from projections.answers.projection import PROJECTION as ANSWERS
from projections.answers.reader import read_rejections
from projections.inventory.projection import PROJECTION as INVENTORY
from projections.inventory.reader import read_expected, read_inventory
from projections.locations.projection import PROJECTION as LOCATIONS
from projections.locations.reader import read_locations
from projections.order_history.projection import PROJECTION as ORDER_HISTORY
from projections.order_history.reader import read_history
from projections.order_status.projection import PROJECTION as ORDER_STATUS
from projections.order_status.reader import read_order
from projections.work_queue.projection import PROJECTION as WORK_QUEUE
from projections.work_queue.reader import read_queue, read_queues_of
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services
from tests.projections.fact_rows import (
    Log,
    at,
    cancelled,
    delivered,
    dispatched,
    fact,
    make_tables,
    placed,
    retracted,
    returned,
    sent_again,
)

MORNING, NOON, EVENING = "2026-11-27T08:00Z", "2026-11-27T12:00Z", "2026-11-27T18:00Z"
PROJECTIONS = [ORDER_STATUS, ORDER_HISTORY, INVENTORY, LOCATIONS, ANSWERS, WORK_QUEUE]


@pytest.fixture(scope="module")
def database(services: Services) -> Iterator[Services]:
    ensure_database(services, "reader_tests")
    with connect(services, "test", database="reader_tests") as connection:
        make_tables(connection, PROJECTIONS)
    yield services
    drop_database(services, "reader_tests")


@pytest.fixture
def connection(database: Services) -> Iterator[psycopg.Connection[Any]]:
    with connect(database, "test", database="reader_tests") as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def log(connection: psycopg.Connection[Any]) -> Log:
    return Log(connection, PROJECTIONS)


def test_an_unknown_order_is_null_and_has_no_history(log, connection):
    assert read_order(connection, "nobody") is None
    assert read_history(connection, "nobody") == []


def test_an_order_as_the_vocabulary_says(log, connection):
    log.write(
        placed("o1", MORNING, due="2026-11-28T12:00+01:00", units=3, region="Leeds"),
        fact("OrderHeld", "o1", MORNING, hold="payment", reason="card declined"),
        fact("HoldReleased", "o1", MORNING, hold="payment"),
        fact("OrderHeld", "o1", NOON, hold="customer"),
        dispatched("o1", NOON, units=2),
        delivered("o1", EVENING, due="2026-11-28T11:00Z", units=2),
        returned("o1", EVENING, units=1),
    )
    order = read_order(connection, "o1")
    assert order is not None
    assert (order["order_id"], order["status"], order["version"]) == ("o1", "partially_shipped", 7)
    assert (order["channel"], order["customer_id"], order["country"], order["region"]) == ("web", "C1", "GB", "Leeds")
    assert (order["placed_at"], order["promised_by"]) == ("2026-11-27T08:00:00Z", "2026-11-28T11:00:00Z")
    assert order["holds"] == ["customer"]
    (line,) = order["lines"]
    promised = {
        "line_id": "1",
        "sku": "MUG",
        "unit_price_minor": 500,
        "ordered": 3,
        "open": 1,
        "backordered": 0,
        "allocated": 0,
        "shipped": 2,
        "delivered": 2,
        "cancelled": 0,
        "returned": 1,
        "returned_by_customer": 1,
        "locations": {"WH1": 2},
    }
    assert line | promised == line
    (parcel,) = order["shipments"]
    assert (parcel["shipment_id"], parcel["location_id"], parcel["carrier"]) == ("P1", "WH1", "DHL")
    assert (parcel["status"], parcel["on_time"]) == ("delivered", True)
    assert (parcel["dispatched_at"], parcel["delivered_at"]) == ("2026-11-27T12:00:00Z", "2026-11-27T18:00:00Z")
    assert parcel["lines"] == [{"line_id": "1", "sku": "MUG", "quantity": 2, "replaced": 0}]
    (one,) = order["returns"]
    assert one["cause"] == "customer"
    assert (one["return_id"], one["rma"], one["status"], one["received_at"]) == (
        "R1",
        "RMA-1",
        "received",
        "2026-11-27T18:00:00Z",
    )
    assert one["lines"][0] | {"reason": None, "quantity": 0} == {
        "line_id": "1",
        "sku": "MUG",
        "quantity": 0,
        "received": 1,
        "disposition": "restock",
        "reason": None,
        "reason_code": None,
    }


def test_an_order_is_delivered_when_all_but_what_was_written_off_has_arrived(log, connection):
    lost = {name: (placed(name, MORNING), dispatched(name, NOON), sent_again(name, EVENING)) for name in ("o1", "o2")}
    log.write(*lost["o1"], *lost["o2"])
    order = read_order(connection, "o1")
    assert order is not None
    assert (order["status"], order["replaced"], order["written_off"]) == ("partially_shipped", 2, 2)
    assert order["shipments"][0]["lines"][0]["replaced"] == order["lines"][0]["replaced"] == 2
    log.write(dispatched("o1", EVENING, parcel="P2"), delivered("o1", EVENING, parcel="P2"))
    log.write(cancelled("o2", EVENING, by="customer"))
    # Of the second order nothing ever arrived.
    for name, status in (("o1", "delivered"), ("o2", "shipped")):
        order = read_order(connection, name)
        assert order is not None
        assert order["status"] == status


def test_a_parcel_that_never_left_is_shown_with_what_it_holds(log, connection):
    log.write(placed("o1", MORNING), dispatched("o1", NOON), retracted("o1", EVENING))
    order = read_order(connection, "o1")
    assert order is not None
    assert (order["status"], order["lines"][0]["locations"]) == ("placed", {})
    assert [(one["status"], one["lines"][0]["quantity"]) for one in order["shipments"]] == [("retracted", 2)]


def test_lines_come_in_the_order_of_their_numbers(log, connection):
    order = placed("o1", MORNING)
    (line,) = order["data"]["lines"]
    order["data"]["lines"] = [line | {"line_id": number} for number in ("10", "2", "1")]
    log.write(order)
    found = read_order(connection, "o1")
    assert found is not None
    assert [line["line_id"] for line in found["lines"]] == ["1", "2", "10"]


def test_a_history_has_every_fact_refusals_included(log, connection):
    refusal = {
        "command": "CancelOrder",
        "code": "limit",
        "what": "not cancelled",
        "detail": "it left",
        "hint": "return it",
    }
    log.write(
        placed("o1", MORNING, due=EVENING), dispatched("o1", NOON), fact("CommandRefused", "o1", EVENING, **refusal)
    )
    history = read_history(connection, "o1")
    assert [(row["version"], row["fact"], row["occurred_at"]) for row in history] == [
        (1, "OrderPlaced", "2026-11-27T08:00:00Z"),
        (2, "ShipmentDispatched", "2026-11-27T12:00:00Z"),
        (3, "CommandRefused", "2026-11-27T18:00:00Z"),
    ]
    assert history[0]["data"]["lines"][0]["sku"] == "MUG"
    assert history[2]["data"]["detail"] == "it left"
    (rejection,) = read_rejections(connection, limit=5)
    assert (rejection["command"], rejection["what"], rejection["hint"]) == ("CancelOrder", "not cancelled", "return it")
    assert (rejection["channel"], rejection["stream_id"]) == ("web", "o1")
    assert rejection["recorded_at"] == "2026-11-27T18:00:00Z"
    assert read_rejections(connection, channel="shop") == []


def test_goods_on_their_way_are_read_soonest_first(log, connection):
    def expected(order, units, when):
        more = {"location_id": "WH1", "purchase_order": order, "quantity_before": 0, "overdue": False}
        return fact(
            "StockExpected", "MUG", MORNING, quantity=units, expected_at=when and at(when), cause="announced", **more
        )

    log.write(
        expected("PO-1", 3, None), expected("PO-2", 4, EVENING), expected("PO-3", 5, NOON), expected("PO-4", 0, NOON)
    )
    rows = read_expected(connection)
    assert [(row["reference"], row["quantity"]) for row in rows] == [("PO-3", 5), ("PO-2", 4), ("PO-1", 3)]
    assert (rows[0]["expected_at"], rows[0]["source"]) == ("2026-11-27T12:00:00Z", "purchase_order")
    assert read_inventory(connection)[0]["incoming"] == 12
    assert read_expected(connection, "TRAY") == read_expected(connection, location_id="WH9") == []


def test_stock_rows_keep_the_identity(log, connection):
    log.write(
        fact("StockReceived", "MUG", MORNING, location_id="WH1", quantity=20),
        fact("StockReceived", "MUG", MORNING, location_id="WH2", quantity=5),
        fact("StockReceived", "TRAY", MORNING, location_id="WH1", quantity=1),
        fact("LocationConfirmed", "MUG", MORNING, location_id="WH1", registered=True),
        fact("StockPolicySet", "MUG", MORNING, location_id="WH1", safety_stock=3, reorder_point=20, buffers=[]),
        fact("StockMarkedDamaged", "MUG", NOON, location_id="WH1", quantity=2),
        fact("LowStockDetected", "MUG", NOON, location_id="WH1", available=15, reorder_point=20),
    )
    rows = read_inventory(connection)
    assert [(row["sku"], row["location_id"]) for row in rows] == [("MUG", "WH1"), ("MUG", "WH2"), ("TRAY", "WH1")]
    for row in rows:
        parts = ("available", "reserved", "safety", "damaged", "quality_hold")
        assert row["on_hand"] == sum(row[part] for part in parts)
    assert (rows[0]["on_hand"], rows[0]["safety"], rows[0]["damaged"], rows[0]["available"]) == (20, 3, 2, 15)
    assert (rows[0]["incoming"], rows[0]["sellable"]) == (0, 15)
    assert [row["location_id"] for row in read_inventory(connection, "MUG")] == ["WH1", "WH2"]
    assert [row["sku"] for row in read_inventory(connection, location_id="WH1")] == ["MUG", "TRAY"]
    assert read_inventory(connection, "MUG", "WH9") == []
    assert len(read_inventory(connection, limit=1)) == 1
    (low,) = read_inventory(connection, low=True)
    assert (low["sku"], low["location_id"], low["low_since"]) == ("MUG", "WH1", "2026-11-27T12:00:00Z")
    assert read_inventory(connection, location_id="WH2", low=True) == []


def test_locations_are_as_they_were_last_registered(log, connection):
    for name in ("Old hall", "New hall"):
        log.write(fact("LocationRegistered", "WH1", MORNING, name=name, kind="warehouse", country="GB", latitude=53.8))
    assert read_locations(connection) == [
        {
            "location_id": "WH1",
            "name": "New hall",
            "kind": "warehouse",
            "latitude": 53.8,
            "longitude": None,
            "country": "GB",
            "daily_capacity": None,
            "cost_minor_per_parcel": None,
        }
    ]


def test_who_stands_in_a_queue_of_people_is_listed_oldest_first_until_that_is_over(log, connection):
    def queued(order, when, queue="rejections"):
        return fact("OrderQueued", order, when, queue=queue, reason="limit", detail="rejected thrice", lines=[])

    log.write(queued("o2", "2026-11-27T19:00Z"), queued("o1", "2026-11-27T18:00Z"))
    log.write(queued("o1", "2026-11-27T18:30Z", queue="routing_exceptions"))
    assert [(row["order_id"], row["queue"]) for row in read_queue(connection)] == [
        ("o1", "rejections"),
        ("o1", "routing_exceptions"),
        ("o2", "rejections"),
    ]
    log.write(fact("OrderUnqueued", "o1", "2026-11-27T20:00Z", queue="rejections", resolution="retry", reason=None))
    assert [row["order_id"] for row in read_queue(connection, "rejections")] == ["o2"]
    first, second = read_queues_of(connection, "o1")
    assert (first["state"], first["resolution"], first["since"]) == ("closed", "retry", "2026-11-27T18:00:00Z")
    assert (second["state"], second["resolution"]) == ("open", None)
    log.write(queued("o1", "2026-11-27T21:00Z"))
    assert [row["queue"] for row in read_queues_of(connection, "o1") if row["state"] == "open"] == [
        "routing_exceptions",
        "rejections",
    ]
