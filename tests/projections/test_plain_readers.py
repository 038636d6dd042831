"""What reactions, timers, routing and the demo read: plain rows, out of tables that the real folds filled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from projections.answers.reader import count_refused, read_answered, read_answers, read_first_answers
from projections.catalogue import PROJECTIONS
from projections.deferred_tracking.reader import read_deferred_of, read_deferred_totals, read_tracking_due
from projections.inventory.reader import (
    read_available,
    read_closed_channels,
    read_held_units,
    read_inventory,
    read_kept_units,
    read_receipts_due,
    read_reservations_due,
    read_stock_totals,
    read_unregistered,
)
from projections.order_history.reader import read_placed, read_telling_order
from projections.order_status.reader import (
    count_all_by_status,
    count_by_status,
    count_others,
    read_given_since,
    read_held,
    read_line_units,
    read_lines_due,
    read_orders_due,
    read_parcels_between,
    read_placed_between,
    read_totals_between,
    read_waiting_parcels,
    those_with_status,
)
from projections.routing.reader import read_dispatched, read_shipped
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services
from tests.projections.fact_rows import (
    REFUSED,
    Log,
    allocated,
    at,
    cancelled,
    delivered,
    dispatched,
    fact,
    make_tables,
    placed,
    retracted,
    sent_again,
)

MORNING, NOON, EVENING, NIGHT = "2026-11-27T08:00Z", "2026-11-27T12:00Z", "2026-11-27T18:00Z", "2026-11-27T23:00Z"


@pytest.fixture(scope="module")
def database(services: Services) -> Iterator[Services]:
    ensure_database(services, "plain_reader_tests")
    with connect(services, "test", database="plain_reader_tests") as connection:
        make_tables(connection, list(PROJECTIONS.values()))
    yield services
    drop_database(services, "plain_reader_tests")


@pytest.fixture
def connection(database: Services) -> Iterator[psycopg.Connection[Any]]:
    with connect(database, "test", database="plain_reader_tests") as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def log(connection: psycopg.Connection[Any]) -> Log:
    return Log(connection, list(PROJECTIONS.values()))


def received(sku: str, location: str, units: int) -> dict[str, Any]:
    return fact("StockReceived", sku, MORNING, location_id=location, quantity=units)


def open_for(sku: str, *locations: str) -> list[Any]:
    """The SKU has asked at these locations, and they are registered."""
    return [
        one
        for location in locations
        for one in (
            fact("StockLocated", sku, MORNING, location_id=location),
            fact("LocationConfirmed", sku, MORNING, location_id=location, registered=True),
        )
    ]


def reserved(sku: str, order_id: str, units: int, until: str | None) -> dict[str, Any]:
    data = {"location_id": "WH1", "order_id": order_id, "line_id": "1", "attempt": 1, "quantity": units}
    return fact("StockReserved", sku, MORNING, expires_at=until and at(until), **data)


def test_stock_is_read_where_there_is_any(log, connection):
    log.write(received("MUG", "WH1", 5), received("MUG", "WH2", 1), received("TRAY", "WH1", 3))
    log.write(reserved("MUG", "cart", 2, NOON), reserved("TRAY", "o1", 3, None))
    log.write(*open_for("MUG", "WH1", "WH2"), *open_for("TRAY", "WH1"))
    assert sorted(read_available(connection, ["MUG", "TRAY"])) == [("MUG", "WH1", 3), ("MUG", "WH2", 1)]
    assert read_available(connection, ["TRAY"]) == []
    assert len(read_available(connection, None)) == 2
    assert read_stock_totals(connection) == (3, 2, 9, 5)
    assert read_held_units(connection, ["cart", "o1"]) == [("cart", "MUG", "WH1", 2)]


def test_stock_at_a_location_that_nobody_has_registered_is_named_and_not_given_out(log, connection):
    coming = {"purchase_order": "PO-1", "quantity_before": 0, "cause": "announced", "overdue": False}
    log.write(
        received("MUG", "WH1", 5),
        *open_for("MUG", "WH1"),
        received("MUG", "WH-1", 5),
        fact("StockLocated", "MUG", MORNING, location_id="WH-1"),
        fact("StockExpected", "TRAY", NOON, location_id="WH-1", quantity=2, **coming),
        fact("StockLocated", "TRAY", NOON, location_id="WH-1"),
        fact("StockLocated", "TRAY", NOON, location_id="WH2"),
    )
    assert read_available(connection, None) == [("MUG", "WH1", 5)]
    assert read_unregistered(connection) == [("WH-1", 2, 5, 2, at(MORNING))]
    sellable = dict(connection.execute("SELECT location_id, sellable FROM v_channel_sellable WHERE sku = 'MUG'"))
    assert sellable == {"WH1": 5, "WH-1": 0}
    shown = {row["location_id"]: (row["registered"], row["sellable"]) for row in read_inventory(connection, "MUG")}
    assert shown == {"WH1": (True, 5), "WH-1": (False, 0)}
    log.write(fact("LocationConfirmed", "MUG", NOON, location_id="WH-1", registered=True))
    assert sorted(read_available(connection, None)) == [("MUG", "WH-1", 5), ("MUG", "WH1", 5)]
    assert read_unregistered(connection) == [("WH-1", 1, 0, 2, at(NOON))]


def test_what_is_due_comes_longest_overdue_first_and_no_more_than_is_wanted(log, connection):
    def expected(sku, order, when, units=2, overdue=False):
        more = {"location_id": "WH1", "purchase_order": order, "quantity_before": 0, "cause": "announced"}
        return fact("StockExpected", sku, MORNING, quantity=units, expected_at=at(when), overdue=overdue, **more)

    log.write(
        reserved("MUG", "later", 1, EVENING), reserved("MUG", "late", 1, NOON), reserved("TRAY", "over", 1, MORNING)
    )
    log.write(
        fact("StockReleased", "TRAY", MORNING, order_id="over", line_id="1", attempt=1, location_id="WH1", quantity=1)
    )
    assert [one.order_id for one in read_reservations_due(connection, at(EVENING), 9)] == ["late", "later"]
    assert [one.order_id for one in read_reservations_due(connection, at(EVENING), 1)] == ["late"]
    assert [one.order_id for one in read_reservations_due(connection, at(NOON), 9)] == ["late"]

    log.write(expected("MUG", "P1", NOON), expected("TRAY", "P2", MORNING), expected("CUP", "P3", MORNING, units=0))
    log.write(expected("LID", "P4", MORNING, overdue=True))
    assert read_receipts_due(connection, at(NOON), 9) == [("TRAY", at(MORNING)), ("MUG", at(NOON))]
    assert read_receipts_due(connection, at(NOON), 1) == [("TRAY", at(MORNING))]

    log.write(placed("o1", MORNING, release_at=NOON), placed("o2", MORNING, release_at=MORNING), placed("o3", MORNING))
    assert [one.order_id for one in read_orders_due(connection, at(NOON), 9)] == ["o2", "o1"]
    assert read_orders_due(connection, at(NOON), 1) == [("o2", at(MORNING))]


def test_lines_past_their_last_time_are_due_with_the_version_of_their_order(log, connection):
    def until(order, when):
        one = placed(order, MORNING)
        one["data"]["lines"] = [one["data"]["lines"][0] | {"cancel_after": at(when)}]
        return one

    log.write(until("o1", EVENING), until("o2", NOON), until("o3", NOON), allocated("o3", MORNING))
    assert read_lines_due(connection, at(EVENING), 9) == [("o2", 1, at(NOON)), ("o1", 1, at(EVENING))]
    assert read_lines_due(connection, at(EVENING), 1) == [("o2", 1, at(NOON))]
    assert read_lines_due(connection, at(MORNING), 9) == []
    # What is sent again is not given up.
    log.write(until("o4", MORNING), dispatched("o4", MORNING), sent_again("o4", MORNING))
    assert read_lines_due(connection, at(MORNING), 9) == []


def test_scans_that_wait_for_their_dispatch_and_when_their_time_is_over(log, connection):
    assert read_deferred_totals(connection) == (0, None, 0, None, [])
    log.write(
        *(
            fact(
                "TrackingDeferred",
                order_id,
                MORNING,
                number=number,
                waits_for=f"P{number}",
                status="delivered",
                scanned_at=at(MORNING),
                ends_at=at(ends),
            )
            for order_id, number, ends in (("o1", 1, NOON), ("o1", 2, EVENING), ("o1", 3, EVENING), ("o2", 1, MORNING))
        ),
        fact("ShipmentTracked", "o1", NOON, shipment_id="P1", status="delivered", deferred=1, scanned_at=at(MORNING)),
        fact("ShipmentTracked", "o1", NOON, shipment_id="P1", status="lost"),
    )
    assert read_tracking_due(connection, at(NIGHT), 9) == [("o2", at(MORNING)), ("o1", at(EVENING))]
    assert read_tracking_due(connection, at(NOON), 9) == [("o2", at(MORNING))]
    assert read_deferred_totals(connection) == (3, at(MORNING), 0, None, [])
    log.write(
        fact("TrackingExpired", "o2", NIGHT, number=1, waits_for="P1", status="delivered", scanned_at=at(MORNING))
    )
    assert read_tracking_due(connection, at(NIGHT), 9) == [("o1", at(EVENING))]
    assert [(one["number"], one["waits_for"], one["state"]) for one in read_deferred_of(connection, "o1")] == [
        (2, "P2", "waiting"),
        (3, "P3", "waiting"),
    ]
    (given_up,) = read_deferred_of(connection, "o2")
    assert (given_up["state"], given_up["scanned_at"]) == ("expired", "2026-11-27T08:00:00Z")
    totals = read_deferred_totals(connection)
    assert totals[:3] == (2, at(EVENING), 1)
    assert totals.last_expired_at is not None
    assert totals.expired_orders == ["o2"]


def test_what_channels_do_not_get(log, connection):
    rules = [
        {"channel": "*", "buffer": 2, "excluded": False},
        {"channel": "shop", "buffer": 0, "excluded": True},
        {"channel": "old", "buffer": None, "excluded": False},
    ]
    log.write(fact("SellingRulesResolved", "MUG", MORNING, location_id="WH1", rules=rules, exhausted=[], restored=[]))
    kept = [("MUG", "WH1", "*", 2), ("MUG", "WH1", "shop", None)]
    assert sorted(read_kept_units(connection, None)) == sorted(read_kept_units(connection, ["MUG"])) == kept
    assert read_kept_units(connection, ["TRAY"]) == []
    connection.execute(
        "INSERT INTO location_channels VALUES ('WH2', 'web', true), ('WH1', 'web', true), ('WH1', '*', true),"
        " ('WH3', 'web', false)"
    )
    assert read_closed_channels(connection) == [("WH1", "*"), ("WH1", "web"), ("WH2", "web")]


def test_what_waits_at_a_location_and_what_left(log, connection):
    for order in ("o1", "o2", "o3"):
        log.write(placed(order, MORNING))
    log.write(allocated("o1", MORNING), allocated("o2", MORNING), dispatched("o3", NOON))
    shipped = {"location_id": "WH1", "order_id": "o3", "line_id": "1", "attempt": 1, "shipment_id": "P1"}
    log.write(fact("StockShipped", "MUG", NOON, quantity=2, from_reserved=0, **shipped))
    assert read_waiting_parcels(connection) == [("WH1", 2)]
    friday, monday = date(2026, 11, 27), date(2026, 11, 23)
    assert read_dispatched(connection, [friday, monday]) == [("WH1", friday, 1)]
    assert read_dispatched(connection, [monday]) == []
    assert read_shipped(connection, None, monday, friday) == [("MUG", "WH1", 2)]
    assert read_shipped(connection, ["TRAY"], monday, friday) == []
    assert read_shipped(connection, ["MUG"], date(2026, 11, 16), monday) == []


def test_an_order_as_the_router_needs_it(log, connection):
    log.write(placed("o1", MORNING, units=5), allocated("o1", MORNING, units=2))
    log.write(dispatched("o1", NOON, units=1), cancelled("o1", NOON, by="customer", units=1))
    assert read_line_units(connection, "o1") == [("1", "MUG", 4, 3)]
    assert read_held(connection, "o1") == [("MUG", "WH1", 2)]
    assert read_line_units(connection, "o9") == read_held(connection, "o9") == []


def test_a_period_of_orders_and_what_became_of_them(log, connection):
    log.write(placed("o2", NOON, units=3), placed("o1", NOON), placed("o0", NIGHT), placed("o4", MORNING, units=0))
    log.write(allocated("o1", NOON), dispatched("o2", EVENING), delivered("o2", NIGHT, due=EVENING))
    first, last = at(MORNING), at(EVENING)
    assert read_placed_between(connection, first, last) == ["o4", "o1", "o2"]
    found = read_placed(connection, ["o2", "nobody", "o1"])
    assert [one.data["order_id"] for one in found] == ["o2", "o1"]
    assert (found[0].occurred_at, found[0].channel) == (at(NOON), "web")
    assert read_totals_between(connection, first, last) == (2, 5, 1)
    assert sorted(read_parcels_between(connection, first, last)) == [("o1", "WH1", False), ("o2", "WH1", True)]
    assert read_given_since(connection, first) == [("MUG", "WH1", 4)]
    log.write(dispatched("o2", EVENING, units=1, parcel="P2"), retracted("o2", EVENING, units=1, parcel="P2"))
    assert len(read_parcels_between(connection, first, last)) == 2, "a parcel that never left is none"
    assert read_given_since(connection, at(NIGHT)) == []


def test_a_telling_order_is_one_whose_facts_came_in_their_order(log, connection):
    log.write(placed("o1", NOON), dispatched("o1", MORNING), placed("o2", MORNING), placed("o3", MORNING))
    log.write(dispatched("o3", NOON))
    assert read_telling_order(connection, ["o1", "o2"]) is None
    assert read_telling_order(connection, ["o1", "o2", "o3"]) == "o3"
    assert count_by_status(connection, ["o1", "o2", "o3"]) == {"shipped": 2, "placed": 1}
    assert count_others(connection, ["o1", "o2"]) == 1
    assert count_all_by_status(connection) == {"shipped": 2, "placed": 1}
    assert sorted(those_with_status(connection, ["o1", "o2", "o3", "o4"], "shipped")) == ["o1", "o3"]


def test_answers_are_found_by_place_and_by_id(log, connection):
    log.write(placed("o1", MORNING), fact("CommandRefused", "o1", NOON, **REFUSED))
    accepted, refused = read_answers(connection, [("ledger.orders", 0, 0), ("ledger.orders", 0, 1)])
    assert (accepted.outcome, accepted.what, refused.outcome) == ("accepted", "", "refused")
    assert (refused.what, refused.hint) == (REFUSED["what"], REFUSED["hint"])
    assert read_answers(connection, []) == read_answers(connection, [("ledger.stock", 0, 0)]) == []
    assert read_first_answers(connection, [("web", "c1"), ("shop", "c1")]) == [
        ("web", "c1", "refused", REFUSED["what"], REFUSED["detail"], REFUSED["hint"])
    ]
    assert read_answered(connection, [("web", "c0")]) == [("web", "c0", "o1")]
    assert (count_refused(connection, ["o1"]), count_refused(connection, ["o2"])) == (1, 0)
