"""Movements of stock, stock at another time, and counts that wait: facts in, rows and answers out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from projections.inventory.projection import PROJECTION as INVENTORY
from projections.inventory.reader import read_inventory
from projections.stock_counts.projection import PROJECTION as STOCK_COUNTS
from projections.stock_counts.reader import read_counts
from projections.stock_movements.projection import PROJECTION as STOCK_MOVEMENTS
from projections.stock_movements.reader import read_movements, read_stock_as_of
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services
from tests.projections.fact_rows import Log, at, fact, make_tables

AT_WH1 = {"sku": "MUG", "location_id": "WH1"}
HELD = {"order_id": "o-1", "line_id": "1", "attempt": 1, "for_order": True}
MORNING, NOON, EVENING = "2026-11-26T08:00Z", "2026-11-26T12:00Z", "2026-11-26T20:00Z"
TODAY = "2026-11-27T09:00Z"


@pytest.fixture(scope="module")
def database(services: Services) -> Iterator[Services]:
    ensure_database(services, "movement_tests")
    with connect(services, "test", database="movement_tests") as connection:
        make_tables(connection, [INVENTORY, STOCK_MOVEMENTS, STOCK_COUNTS])
    yield services
    drop_database(services, "movement_tests")


@pytest.fixture
def connection(database: Services) -> Iterator[psycopg.Connection[Any]]:
    with connect(database, "test", database="movement_tests") as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def log(connection: psycopg.Connection[Any]) -> Log:
    return Log(connection, [INVENTORY, STOCK_MOVEMENTS, STOCK_COUNTS])


def moved(name: str, when: str, **data: Any) -> Any:
    return fact(name, "MUG", when, channel=data.pop("channel", "wms"), **{**AT_WH1, **data})


def changes(row: dict[str, Any]) -> dict[str, int]:
    return {name: row[name] for name in ("on_hand", "reserved", "damaged", "quality_hold") if row[name]}


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("StockReceived", {"quantity": 5, "purchase_order": "PO-1"}, {"on_hand": 5}),
        ("StockAdjusted", {"quantity_delta": -2, "reason": "lost"}, {"on_hand": -2}),
        (
            "TransferReceived",
            {"quantity": 5, "damaged": 1, "transfer_id": "T-1", "left": 0, "overdue": False},
            {"on_hand": 5, "damaged": 1},
        ),
        ("StockMarkedDamaged", {"quantity": 2}, {"damaged": 2}),
        ("StockHeld", {"quantity": 2}, {"quality_hold": 2}),
        ("QualityHoldReleased", {"quantity": 2, "disposition": "restock"}, {"quality_hold": -2}),
        ("QualityHoldReleased", {"quantity": 2, "disposition": "damaged"}, {"damaged": 2, "quality_hold": -2}),
        ("QualityHoldReleased", {"quantity": 2, "disposition": "dispose"}, {"on_hand": -2, "quality_hold": -2}),
        ("StockDisposed", {"quantity": 2, "taken_from": "available"}, {"on_hand": -2}),
        ("StockDisposed", {"quantity": 2, "taken_from": "damaged"}, {"on_hand": -2, "damaged": -2}),
        ("StockDisposed", {"quantity": 2, "taken_from": "quality_hold"}, {"on_hand": -2, "quality_hold": -2}),
        ("StockReserved", {**HELD, "quantity": 2}, {"reserved": 2}),
        ("StockReleased", {**HELD, "quantity": 2}, {"reserved": -2}),
        ("StockShipped", {"quantity": 3, "from_reserved": 2, "shipment_id": "S-1"}, {"on_hand": -3, "reserved": -2}),
        ("StockRestored", {"quantity": 3, "to_reserved": 2, "shipment_id": "S-1"}, {"on_hand": 3, "reserved": 2}),
        ("StockReturned", {"quantity": 1, "disposition": "inspect"}, {"on_hand": 1, "quality_hold": 1}),
        (
            "StockRejected",
            {"corrected": 1, "from_reserved": 2, "reason": "not_in_stock"},
            {"on_hand": -1, "reserved": -2},
        ),
        ("StockRejected", {"corrected": 1, "from_reserved": 2, "reason": "damaged"}, {"damaged": 1, "reserved": -2}),
    ],
)
def test_each_change_of_a_quantity_is_a_movement_and_stock_is_their_sum(
    log: Log, connection: psycopg.Connection[Any], name: str, data: dict[str, Any], expected: dict[str, int]
) -> None:
    log.write(moved(name, MORNING, **data))
    (row,) = read_movements(connection, "MUG")
    assert (row["kind"], changes(row)) == (name, expected)
    (stock,) = read_inventory(connection, "MUG")
    assert changes(stock) == expected


def test_a_movement_says_why_on_which_document_for_whom_and_by_whom(
    log: Log, connection: psycopg.Connection[Any]
) -> None:
    log.write(
        fact("StockReceived", "MUG", MORNING, actor="anna", **AT_WH1, quantity=5, purchase_order="PO-1", reason="new"),
        moved("StockAdjusted", NOON, quantity_delta=-1, reason="lost", document="A-7"),
        moved("StockShipped", NOON, quantity=1, from_reserved=0, shipment_id="S-1", order_id="o-1", line_id="1"),
    )
    received, adjusted, shipped = read_movements(connection, "MUG", "WH1")
    assert [received[name] for name in ("reason", "document", "channel", "actor")] == ["new", "PO-1", "web", "anna"]
    assert [adjusted[name] for name in ("reason", "document", "actor")] == ["lost", "A-7", None]
    assert [shipped[name] for name in ("order_id", "line_id", "shipment_id")] == ["o-1", "1", "S-1"]
    assert [row["version"] for row in read_movements(connection, "MUG", limit=2)] == [2, 3]


def test_a_move_is_seen_at_both_places_and_what_changes_nothing_at_none(
    log: Log, connection: psycopg.Connection[Any]
) -> None:
    log.write(
        fact("StockMoved", "MUG", NOON, from_location_id="WH1", to_location_id="WH2", quantity=2),
        moved("StockCounted", NOON, counted=5, counted_at=at(NOON), expected=5, variance=0),
        moved("StockReturned", NOON, quantity=1, disposition="dispose"),
    )
    rows = [(row["location_id"], row["on_hand"]) for row in read_movements(connection, "MUG")]
    assert rows == [("WH1", -2), ("WH2", 2)]


def as_of(connection: psycopg.Connection[Any], when: str, known: str | None = None) -> dict[str, int]:
    rows = read_stock_as_of(connection, "MUG", at=at(when), known_at=at(known) if known else None)
    return changes(rows[0]) if rows else {}


def test_what_is_told_late_corrects_the_past_and_counts_once_today(
    log: Log, connection: psycopg.Connection[Any]
) -> None:
    log.write(moved("StockReceived", MORNING, quantity=10), moved("StockReserved", MORNING, quantity=4, **HELD))
    log.write(moved("StockAdjusted", NOON, recorded_at=TODAY, quantity_delta=-3, reason="lost"))
    assert as_of(connection, EVENING) == {"on_hand": 7, "reserved": 4}
    assert as_of(connection, EVENING, known=EVENING) == {"on_hand": 10, "reserved": 4}
    assert as_of(connection, TODAY) == {"on_hand": 7, "reserved": 4}
    assert as_of(connection, MORNING) == {"on_hand": 10, "reserved": 4}
    assert as_of(connection, "2026-11-25T00:00Z") == {}
    (now,) = read_inventory(connection, "MUG")
    assert changes(now) == {"on_hand": 7, "reserved": 4}


def test_a_count_belongs_to_its_moment_and_a_hold_ends_when_it_lapsed(
    log: Log, connection: psycopg.Connection[Any]
) -> None:
    log.write(
        moved("StockReceived", MORNING, quantity=10),
        moved("StockReserved", MORNING, quantity=4, **HELD, expires_at=at(NOON)),
        moved("StockCounted", EVENING, counted=9, counted_at=at(NOON), expected=10, variance=-1),
        moved("ReservationExpired", EVENING, quantity=4, **HELD, expires_at=at(NOON)),
    )
    assert as_of(connection, "2026-11-26T11:59Z") == {"on_hand": 10, "reserved": 4}
    assert as_of(connection, NOON) == {"on_hand": 9}


def test_what_a_count_has_found_already_is_taken_off_at_its_moment(
    log: Log, connection: psycopg.Connection[Any]
) -> None:
    log.write(
        moved("StockReceived", MORNING, quantity=10),
        moved("StockCounted", EVENING, counted=7, counted_at=at(NOON), expected=10, variance=-3, count_id="A"),
        moved("StockShipped", MORNING, recorded_at=TODAY, quantity=3, from_reserved=0),
        moved(
            "CountRestated", MORNING, recorded_at=TODAY, counted=7, counted_at=at(NOON), expected=7, variance=0,
            variance_before=-3, count_id="A",
        ),
    )  # fmt: skip
    assert as_of(connection, MORNING)["on_hand"] == 7
    assert as_of(connection, EVENING)["on_hand"] == 7
    assert [row["on_hand"] for row in read_movements(connection, "MUG")] == [10, -3, -3, 3]
    (stock,) = read_inventory(connection, "MUG")
    assert stock["on_hand"] == 7


def test_a_count_that_is_to_be_repeated_is_open_until_then(log: Log, connection: psycopg.Connection[Any]) -> None:
    first = {"counted": 30, "counted_at": at(NOON), "expected": 40, "variance": -10, "counted_by": ["anna"]}
    log.write(moved("RecountRequested", NOON, count_id="A", **first))
    (waiting,) = read_counts(connection)
    assert [waiting[name] for name in ("count_id", "status", "expected", "counted_by")] == ["A", "recount", 40, "anna"]
    second = {"counted": 40, "counted_at": at(EVENING), "expected": 40, "variance": 0}
    log.write(moved("StockCounted", EVENING, count_id="B", **second))
    assert read_counts(connection) == []
    log.write(moved("RecountRequested", EVENING, count_id="C", **first))
    assert [row["count_id"] for row in read_counts(connection)] == ["C"]


def test_a_count_waits_until_somebody_has_decided(log: Log, connection: psycopg.Connection[Any]) -> None:
    asked = {"counted": 30, "counted_at": at(NOON), "expected": 40, "variance": -10, "counted_by": ["anna", "ben"]}
    log.write(
        moved("CountApprovalRequested", NOON, count_id="A", **asked),
        moved("CountApprovalRequested", EVENING, count_id="B", **asked),
        moved("CountRejected", EVENING, count_id="A", variance=-10, reason="counted again: B"),
        moved(
            "StockCounted", EVENING, count_id="never-waited", counted=1, counted_at=at(NOON), expected=2, variance=-1
        ),
    )
    (waiting,) = read_counts(connection)
    assert [waiting[name] for name in ("count_id", "status", "variance", "counted_by")] == [
        "B",
        "waiting",
        -10,
        "anna, ben",
    ]
    log.write(
        fact(
            "StockCounted",
            "MUG",
            TODAY,
            actor="carla",
            **AT_WH1,
            count_id="B",
            counted_at=at(NOON),
            expected=38,
            variance=-8,
        )
    )
    assert read_counts(connection) == []
    known_now = {"counted_at": at(NOON), "expected": 36, "variance": -6, "variance_before": -8}
    log.write(fact("CountRestated", "MUG", TODAY, **AT_WH1, count_id="B", **known_now))
    decided = [
        (row["count_id"], row["status"], row["variance"], row["decided_by"])
        for row in read_counts(connection, waiting_only=False)
    ]
    assert decided == [("A", "rejected", -10, None), ("B", "applied", -6, "carla")]
