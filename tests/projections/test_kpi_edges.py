"""Edges of the definitions: who cancelled when, which promise counts, parcels, clocks, cohorts."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from events.promises import promise_end
from projections.kpi.opening import behind
from projections.kpi.reader import kpis
from tests.projections.fact_rows import (
    Fact,
    Log,
    allocated,
    amended,
    at,
    cancelled,
    delivered,
    dispatched,
    fact,
    placed,
    returned,
    scanned,
)

MORNING, NOON, EVENING = "2026-11-27T08:00Z", "2026-11-27T12:00Z", "2026-11-27T18:00Z"
NEXT_DAY, DAY_AFTER = "2026-11-28T12:00Z", "2026-11-29T12:00Z"
LONG_AFTER = "2026-12-31T00:00Z"

ORDER = placed("o1", MORNING, due=EVENING)


def time_passes() -> Fact:
    """Something far later in the log: everything promised for November is due."""
    return placed("someone-else", LONG_AFTER)


def why(connection: psycopg.Connection[Any], name: str, order_id: str = "o1") -> tuple[str, str]:
    """Whether the order's row is counted, and why."""
    document = behind(connection, name)
    found = [
        (kind, row["why"]) for kind in ("rows", "left_out") for row in document[kind] if row["order_id"] == order_id
    ]
    assert len(found) == 1, found
    return found[0]


def released_and_gone_again(order_id: str) -> list[Fact]:
    """A unit was set aside, then the hold of it lapsed."""
    lost = fact(
        "LineDeallocated", order_id, NOON, line_id="1", sku="MUG", location_id="WH1", quantity=2, attempt=1,
        reason="expired", releases=[],
    )  # fmt: skip
    return [allocated(order_id, MORNING), lost]


# Facts, whether the order is counted, why.
CANCELLED: dict[str, tuple[list[Fact], str, str]] = {
    "customer, the whole, before release": (
        [ORDER, cancelled("o1", NOON, by="customer")],
        "left_out",
        "cancelled by the customer before release",
    ),
    "customer, the whole in two steps, before release": (
        [ORDER, cancelled("o1", NOON, by="customer", units=1), cancelled("o1", NOON, by="customer", units=1)],
        "left_out",
        "cancelled by the customer before release",
    ),
    "customer, one unit before and one after release": (
        [
            ORDER,
            cancelled("o1", NOON, by="customer", units=1),
            allocated("o1", NOON, units=1),
            cancelled("o1", NOON, by="customer", units=1),
        ],
        "rows",
        "cancelled by the customer after release",
    ),
    "customer, after what was set aside is gone again": (
        [ORDER, *released_and_gone_again("o1"), cancelled("o1", EVENING, by="customer")],
        "rows",
        "cancelled by the customer after release",
    ),
    "customer amends all away before release": (
        [ORDER, amended("o1", NOON, by="customer", after=0)],
        "left_out",
        "cancelled by the customer before release",
    ),
    "customer amends all away after release": (
        [ORDER, allocated("o1", MORNING), amended("o1", NOON, by="customer", after=0)],
        "rows",
        "cancelled by the customer after release",
    ),
    "customer, part before release, the rest shipped": (
        [ORDER, cancelled("o1", MORNING, by="customer", units=1), dispatched("o1", NOON, units=1)],
        "rows",
        "in time",
    ),
    "customer, part after release, the rest shipped": (
        [
            ORDER,
            allocated("o1", MORNING),
            cancelled("o1", MORNING, by="customer", units=1),
            dispatched("o1", NOON, units=1),
        ],
        "rows",
        "in time",
    ),
    "customer, the rest after a first parcel": (
        [ORDER, dispatched("o1", NOON, units=1), cancelled("o1", NEXT_DAY, by="customer", units=1)],
        "rows",
        "in time",
    ),
    "seller, before release": ([ORDER, cancelled("o1", NOON, by="seller")], "rows", "cancelled by the seller"),
    "seller, one unit, the rest shipped": (
        [ORDER, cancelled("o1", NOON, by="seller", units=1), dispatched("o1", NOON, units=1)],
        "rows",
        "cancelled by the seller",
    ),
    "seller amends a unit away, the customer cancels the rest": (
        [ORDER, amended("o1", NOON, by="seller", after=1), cancelled("o1", NOON, by="customer", units=1)],
        "rows",
        "cancelled by the seller",
    ),
    "seller amends a unit away and gives it back": (
        [
            ORDER,
            amended("o1", NOON, by="seller", after=1),
            amended("o1", NOON, by="seller", before=1, after=2),
            dispatched("o1", NOON),
        ],
        "rows",
        "cancelled by the seller",
    ),
    "customer cancels before release what is promised for next year": (
        [placed("o1", MORNING, due="2027-02-01T00:00Z"), cancelled("o1", NOON, by="customer")],
        "left_out",
        "cancelled by the customer before release",
    ),
}


@pytest.mark.parametrize("case", CANCELLED)
@pytest.mark.parametrize("together", [True, False])
def test_who_cancelled_and_when(log: Log, connection, case: str, together: bool):
    facts, kind, reason = CANCELLED[case]
    (log.write if together else log.write_one_by_one)(*facts, time_passes())
    assert why(connection, "order_fulfillment_rate") == (kind, reason)


def test_an_order_that_is_not_counted_says_why(log, connection):
    log.write(
        placed("charges", MORNING, units=0, due=EVENING),
        placed("unpromised", MORNING),
        placed("later", MORNING, due="2027-02-01T00:00Z"),
        time_passes(),
    )
    found = kpis(connection)["kpis"]["order_fulfillment_rate"]
    assert found["left_out"] == {"nothing to ship": 1, "nothing promised": 2, "not due yet": 1}
    rows = {row["id"]: row["why"] for row in behind(connection, "order_fulfillment_rate")["left_out"]}
    assert rows == {
        "charges": "nothing to ship",
        "unpromised": "nothing promised",
        "someone-else": "nothing promised",
        "later": "not due yet",
    }


# --- which promise counts -------------------------------------------------------------------------------------------


PROMISES: dict[str, tuple[list[Fact], str]] = {
    "moved by the seller": (
        [amended("o1", NOON, by="seller", promised_by=DAY_AFTER), dispatched("o1", NEXT_DAY)],
        "late",
    ),
    "moved by the customer": (
        [amended("o1", NOON, by="customer", promised_by=DAY_AFTER), dispatched("o1", NEXT_DAY)],
        "in time",
    ),
    "moved by the customer, then by the seller": (
        [
            amended("o1", NOON, by="customer", promised_by=NEXT_DAY),
            amended("o1", NOON, by="seller", promised_by=LONG_AFTER),
            dispatched("o1", DAY_AFTER),
        ],
        "late",
    ),
    "moved by the customer after it had left": (
        [dispatched("o1", NEXT_DAY), amended("o1", DAY_AFTER, by="customer", promised_by=LONG_AFTER)],
        "late",
    ),
    "moved by the customer before it left, told afterwards": (
        [dispatched("o1", NEXT_DAY), amended("o1", NOON, by="customer", promised_by=DAY_AFTER)],
        "in time",
    ),
    "moved by the customer between two parcels": (
        [
            dispatched("o1", NOON, units=1),
            amended("o1", EVENING, by="customer", promised_by=DAY_AFTER),
            dispatched("o1", NEXT_DAY, units=1, parcel="P2"),
        ],
        "in time",
    ),
    "moved nearer by the customer": (
        [amended("o1", MORNING, by="customer", promised_by=NOON), dispatched("o1", "2026-11-27T12:00:01Z")],
        "late",
    ),
    "a unit more after a first parcel, the promise as it was": (
        [
            dispatched("o1", NOON),
            amended("o1", NOON, by="customer", after=3),
            dispatched("o1", NEXT_DAY, units=1, parcel="P2"),
        ],
        "late",
    ),
    "a unit more after a first parcel, with a promise of its own": (
        [
            dispatched("o1", NOON),
            amended("o1", NOON, by="customer", after=3, promised_by=DAY_AFTER),
            dispatched("o1", NEXT_DAY, units=1, parcel="P2"),
        ],
        "in time",
    ),
}


@pytest.mark.parametrize("case", PROMISES)
@pytest.mark.parametrize("together", [True, False])
def test_which_promise_a_dispatch_is_measured_against(log: Log, connection, case: str, together: bool):
    facts, reason = PROMISES[case]
    (log.write if together else log.write_one_by_one)(ORDER, *facts, time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", reason)


def test_a_promise_that_the_seller_gives_where_there_was_none_is_a_promise(log, connection):
    log.write(
        placed("o1", MORNING),
        amended("o1", NOON, by="seller", promised_by=EVENING),
        amended("o1", NOON, by="seller", promised_by=LONG_AFTER),
        dispatched("o1", NEXT_DAY),
        delivered("o1", NEXT_DAY),
        time_passes(),
    )
    assert why(connection, "order_fulfillment_rate") == ("rows", "late")
    assert why(connection, "on_time_delivery_rate") == ("rows", "late by 18.0 h")


def test_a_parcel_keeps_the_promise_that_counted_when_it_arrived(log, connection):
    log.write(
        placed("o1", MORNING, due=EVENING),
        dispatched("o1", NOON, units=1),
        dispatched("o1", NOON, units=1, parcel="P2"),
        delivered("o1", NEXT_DAY, units=1),
        amended("o1", "2026-11-28T13:00Z", by="customer", promised_by="2026-11-30T00:00Z"),
        delivered("o1", DAY_AFTER, units=1, parcel="P2"),
    )
    rows = {row["id"]: (row["good"], row["why"]) for row in behind(connection, "on_time_delivery_rate")["rows"]}
    assert rows == {"o1 P1": (False, "late by 18.0 h"), "o1 P2": (True, "on time, early by 12.0 h")}


# A promise that is a date ends with that day at ship_to: the date, country, time zone, last moment that keeps it.
DATES = {
    "Berlin in winter": ("2026-12-24", "DE", None, "2026-12-24T23:59:59.999999+01:00"),
    "Berlin in summer": ("2026-07-24", "DE", None, "2026-07-24T23:59:59.999999+02:00"),
    "Berlin, the day that has 25 hours": ("2026-10-25", "DE", None, "2026-10-25T23:59:59.999999+01:00"),
    "Berlin, the day that has 23 hours": ("2026-03-29", "DE", None, "2026-03-29T23:59:59.999999+02:00"),
    "New York, the last day of the year": ("2026-12-31", "US", None, "2026-12-31T23:59:59.999999-05:00"),
    "Los Angeles, where the address says so": (
        "2026-12-31",
        "US",
        "America/Los_Angeles",
        "2026-12-31T23:59:59.999999-08:00",
    ),
    "Auckland, where the day ends first": ("2026-12-31", "NZ", None, "2026-12-31T23:59:59.999999+13:00"),
    "Havana, where clocks go back over midnight's hour": (
        "2026-10-31",
        "CU",
        "America/Havana",
        "2026-10-31T23:59:59.999999-04:00",
    ),
    "Beirut, where midnight is skipped": ("2026-03-28", "LB", None, "2026-03-28T23:59:59.999999+02:00"),
}


@pytest.mark.parametrize("case", DATES)
def test_a_date_is_kept_until_its_last_minute_at_the_address(log, connection, case):
    day, country, zone, last = DATES[case]
    due = promise_end(day, country=country, time_zone=zone)
    assert due == at(last)
    at_23_59 = last.replace(":59.999999", ":00")
    one_minute_later = (at(at_23_59) + timedelta(minutes=1)).isoformat()
    for name, moment in (("kept", at_23_59), ("broken", one_minute_later)):
        log.write(
            placed(name, "2026-01-01T00:00Z", due=due.isoformat(), region=zone),
            dispatched(name, "2026-01-02T00:00Z"),
            delivered(name, moment),
        )
    rows = {row["order_id"]: row["good"] for row in behind(connection, "on_time_delivery_rate")["rows"]}
    assert rows == {"kept": True, "broken": False}


def test_how_early_and_how_late_stands_beside(log, connection):
    log.write(
        *(placed(name, MORNING, due=EVENING) for name in ("early", "very early", "late")),
        *(dispatched(name, MORNING) for name in ("early", "very early", "late")),
        delivered("early", "2026-11-27T17:00Z"),
        delivered("very early", "2026-11-27T15:00Z"),
        delivered("late", "2026-11-27T20:00Z"),
    )
    found = kpis(connection)["kpis"]["on_time_delivery_rate"]
    assert (found["numerator"], found["denominator"]) == (2, 3)
    assert (found["early_hours"], found["late_hours"]) == (2.0, 2.0)


def test_an_order_with_two_parcels_one_of_them_late(log, connection):
    log.write(
        ORDER,
        dispatched("o1", NOON, units=1),
        dispatched("o1", NOON, units=1, parcel="P2", carrier="UPS"),
        delivered("o1", EVENING, units=1),
        time_passes(),
    )
    first = kpis(connection)
    assert first["kpis"]["on_time_delivery_rate"]["left_out"] == {"on its way": 1}
    assert first["kpis"]["return_rate"]["left_out"] == {"on its way": 1, "not shipped complete": 1}
    assert first["perfect_order"]["components"]["complete"]["numerator"] == 0

    log.write(delivered("o1", NEXT_DAY, units=1, parcel="P2"))
    then = kpis(connection, by="carrier")
    found = then["kpis"]["on_time_delivery_rate"]
    assert (found["numerator"], found["denominator"]) == (1, 2)
    assert (found["orders"], found["orders_with_a_late_parcel"]) == (1, 1)
    assert [then["groups"][name]["on_time_delivery_rate"]["value"] for name in ("DHL", "UPS")] == [1.0, 0.0]
    # It left in time as a whole, and it is no perfect order: complete, but not on time.
    assert then["kpis"]["order_fulfillment_rate"]["numerator"] == 1
    assert {name: one["numerator"] for name, one in then["perfect_order"]["components"].items()} == {
        "complete": 1,
        "on_time": 0,
        "undamaged": 1,
        "accurate": 1,
    }


def test_a_parcel_that_did_not_arrive_says_so(log, connection):
    log.write(
        placed("o1", MORNING, due=EVENING, units=5),
        *(dispatched("o1", NOON, units=1, parcel=f"P{number}") for number in range(1, 6)),
        delivered("o1", EVENING, units=1),
        scanned("o1", NEXT_DAY, "lost", parcel="P2"),
        scanned("o1", NEXT_DAY, "returned_to_sender", parcel="P3"),
        scanned("o1", NEXT_DAY, "lost", parcel="P5"),
        delivered("o1", DAY_AFTER, units=1, parcel="P5"),  # it was found
    )
    document = behind(connection, "on_time_delivery_rate")
    assert {row["id"]: row["why"] for row in document["left_out"]} == {
        "o1 P2": "lost",
        "o1 P3": "returned to sender",
        "o1 P4": "on its way",
    }
    assert [row["id"] for row in document["rows"]] == ["o1 P5", "o1 P1"]


# --- hours ----------------------------------------------------------------------------------------------------------


def hold(name: str, when: str) -> Fact:
    return fact(name, "o1", when, hold="customer")


def test_holds_that_overlap_by_their_clocks_stop_the_time_once(log, connection):
    """The second hold was set while, as was told only later, the first one still stood."""
    log.write_one_by_one(
        placed("o1", MORNING),
        hold("OrderHeld", "2026-11-27T09:00Z"),
        hold("HoldReleased", "2026-11-27T11:00Z"),
        hold("OrderHeld", "2026-11-27T10:00Z"),
        hold("HoldReleased", "2026-11-27T11:30Z"),
        dispatched("o1", NOON),
    )
    found = kpis(connection)["kpis"]["order_processing_hours"]
    assert (found["value"], found["customer_hold_hours"], found["elapsed_hours"]) == (1.5, 2.5, 4.0)


def test_the_first_parcel_is_the_one_that_left_first_though_told_last(log, connection):
    log.write_one_by_one(
        placed("o1", MORNING),
        dispatched("o1", NOON, units=1, location="WH1"),
        dispatched("o1", "2026-11-27T10:00Z", units=1, parcel="P2", location="WH2"),
    )
    answer = kpis(connection, by="location")
    assert answer["kpis"]["order_processing_hours"]["value"] == 2.0
    assert answer["groups"]["WH2"]["order_processing_hours"]["denominator"] == 1
    assert "order_processing_hours" not in [
        name for name, one in answer["groups"].get("WH1", {}).items() if one["denominator"]
    ]


def test_a_parcel_that_left_before_its_order_was_placed_took_no_time(log, connection):
    log.write(placed("o1", NOON, release_at=EVENING), dispatched("o1", MORNING))
    found = kpis(connection)["kpis"]["order_processing_hours"]
    assert (found["value"], found["elapsed_hours"], found["before_release_hours"]) == (0.0, 0.0, 0.0)


def test_orders_without_a_parcel_have_no_hours_and_say_why(log, connection):
    log.write(placed("o1", MORNING), placed("o2", MORNING), cancelled("o2", NOON, by="seller"))
    assert kpis(connection)["kpis"]["order_processing_hours"]["left_out"] == {
        "nothing to ship": 1,
        "not shipped yet": 1,
    }


def test_hours_go_over_the_turn_of_the_year_and_a_change_of_clocks(log, connection):
    log.write(
        placed("o1", "2026-12-31T23:00+01:00"),
        dispatched("o1", "2027-01-01T01:00+01:00"),
        placed("o2", "2026-10-25T00:00+02:00"),  # that night has an hour more
        dispatched("o2", "2026-10-25T04:00+01:00"),
    )
    rows = behind(connection, "order_processing_hours", by="day")["rows"]
    assert [(row["id"], row["hours"], row["group"]) for row in rows] == [
        ("o2", 5.0, "2026-10-25"),
        ("o1", 2.0, "2027-01-01"),
    ]


def test_an_open_case_has_no_hours_yet_and_says_so(log, connection):
    log.write(
        *(fact("CaseOpened", name, MORNING, topic="where is it", urgency="high", order_id="o1") for name in ("a", "b")),
        fact("CaseResolved", "b", NOON, resolution="sent again"),
        fact("CaseReopened", "b", EVENING, reason="still missing"),
    )
    document = behind(connection, "case_resolution_hours")
    assert document["rows"] == []
    assert [(row["id"], row["order_id"], row["why"]) for row in document["left_out"]] == [
        ("a", "o1", "not resolved yet"),
        ("b", "o1", "reopened, not resolved again yet"),
    ]


# --- returns --------------------------------------------------------------------------------------------------------


def test_a_return_of_a_later_period_changes_the_period_of_the_delivery(log, connection):
    log.write(placed("o1", MORNING), dispatched("o1", NOON), delivered("o1", EVENING))
    november = {"from_": date(2026, 11, 1), "to": date(2026, 11, 30)}
    before = kpis(connection, **november)["kpis"]["return_rate"]
    assert (before["value"], before["returns_seen_until"]) == (0.0, "2026-11-27T18:00:00Z")
    log.write(returned("o1", "2027-01-15T12:00Z"))
    after = kpis(connection, **november)["kpis"]["return_rate"]
    assert (after["value"], after["returns_seen_until"]) == (1.0, "2027-01-15T12:00:00Z")
    assert kpis(connection, from_=date(2027, 1, 1))["kpis"]["return_rate"]["denominator"] == 0


def test_an_order_whose_other_parcel_is_lost_is_delivered_whether_or_not_something_comes_back(log, connection):
    for name in ("kept", "sent back"):
        log.write(
            placed(name, MORNING),
            dispatched(name, NOON, units=1),
            dispatched(name, NOON, units=1, parcel="P2"),
            delivered(name, EVENING, units=1),
        )
    log.write(returned("sent back", NEXT_DAY))
    assert kpis(connection)["kpis"]["return_rate"]["left_out"] == {"on its way": 2}
    log.write(*(scanned(name, NEXT_DAY, "lost", parcel="P2") for name in ("kept", "sent back")))
    found = kpis(connection)["kpis"]["return_rate"]
    assert (found["numerator"], found["denominator"], found["units_delivered"]) == (1, 2, 2)


def test_an_order_of_which_nothing_arrived_is_not_delivered(log, connection):
    log.write(placed("o1", MORNING), dispatched("o1", NOON), scanned("o1", NEXT_DAY, "lost"))
    assert why(connection, "return_rate") == ("left_out", "lost or returned to sender")


def test_what_is_sent_in_exchange_makes_no_order_late_incomplete_or_wrong(log, connection):
    log.write(ORDER, dispatched("o1", NOON), delivered("o1", NOON), returned("o1", NEXT_DAY))
    log.write(time_passes())
    before = connection.execute("SELECT to_jsonb(o) FROM kpi_orders AS o WHERE order_id = 'o1'").fetchone()
    line = {"line_id": "2", "sku": "TRAY", "quantity": 1, "exchange": True}
    taken = {"from_open": 1, "from_backordered": 0, "from_allocated": 0}
    parcel = {"shipment_id": "P2", "location_id": "WH1", "carrier": "DHL"}
    added = {"line_id": "2", "sku": "TRAY", "quantity": 1, "unit_price_minor": 1, "attributes": []}
    log.write(
        fact("ExchangeLinesAdded", "o1", NEXT_DAY, return_id="R1", credit_minor=1, lines=[added]),
        fact("DispatchDiffered", "o1", DAY_AFTER, **parcel, lines=[line | {"planned": "held"}]),
        fact("ShipmentTracked", "o1", DAY_AFTER, shipment_id="P2", status="lost", exchange=True),
        fact("OrderCancelled", "o1", DAY_AFTER, by="seller", lines=[line | taken], releases=[]),
        fact("ReturnReceived", "o1", DAY_AFTER, return_id="R2", lines=[line | {"disposition": "damaged"}]),
        fact(
            "ShipmentDispatched", "o1", DAY_AFTER, **parcel, service="parcel",
            lines=[line | taken | {"from_cancelled": 0, "from_removed": 0, "consumed": []}],
        ),
        fact("ShipmentDelivered", "o1", DAY_AFTER, **parcel, delivered_at=at(DAY_AFTER), exchange=True, lines=[line]),
    )  # fmt: skip
    assert connection.execute("SELECT to_jsonb(o) FROM kpi_orders AS o WHERE order_id = 'o1'").fetchone() == before
    assert connection.execute("SELECT count(*) FROM kpi_parcels WHERE order_id = 'o1'").fetchone() == (1,)
    assert why(connection, "order_fulfillment_rate") == ("rows", "in time")


def test_goods_that_left_after_their_cancellation_are_an_error_and_no_cancellation(log, connection):
    log.write(ORDER, cancelled("o1", MORNING, by="customer"))
    assert why(connection, "order_fulfillment_rate") == ("left_out", "cancelled by the customer before release")
    crossed = fact("DispatchCrossed", "o1", NOON, shipment_id="P1", location_id="WH1", case_id="c-1", lines=[])
    log.write(dispatched("o1", NOON, called_off=2), crossed, time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", "fulfilment error")
    row = connection.execute("SELECT shipped, cancelled, ordered FROM kpi_orders WHERE order_id = 'o1'").fetchone()
    assert row == (2, 0, 2)


# --- the perfect order ----------------------------------------------------------------------------------------------


def test_the_perfect_order_is_counted_per_order_and_as_a_product(log, connection):
    names = ("perfect", "late", "damaged", "differed", "late and damaged")
    log.write(
        *(placed(name, MORNING, due=EVENING) for name in names),
        placed("seller cancelled a unit", MORNING, due=EVENING),
        cancelled("seller cancelled a unit", MORNING, by="seller", units=1),
        dispatched("seller cancelled a unit", NOON, units=1),
        delivered("seller cancelled a unit", EVENING, units=1),
        placed("never left", MORNING, due=EVENING),
        placed("withdrawn", MORNING, due=EVENING),
        cancelled("withdrawn", MORNING, by="customer"),
        *(dispatched(name, NOON) for name in names),
        *(delivered(name, NEXT_DAY if name.startswith("late") else EVENING) for name in names),
        returned("damaged", NEXT_DAY, disposition="damaged"),
        returned("late and damaged", NEXT_DAY, disposition="damaged"),
        returned("perfect", NEXT_DAY),  # that somebody sends something back whole spoils nothing
        fact("DispatchDiffered", "differed", NOON, shipment_id="P1", location_id="WH1", lines=[]),
        time_passes(),
    )
    found = kpis(connection, by="channel")["perfect_order"]
    rate, index = found["perfect_order_rate"], found["perfect_order_index"]
    assert (rate["numerator"], rate["denominator"], rate["definition"]) == (1, 7, "perfect_order_rate/1")
    assert {name: (one["numerator"], one["denominator"]) for name, one in found["components"].items()} == {
        "complete": (5, 7),
        "on_time": (4, 7),
        "undamaged": (5, 7),
        "accurate": (6, 7),
    }
    assert index["value"] == pytest.approx(5 * 4 * 5 * 6 / 7**4, abs=1e-6)
    assert found["not_known"] == ["documentation"]
    assert found["groups"]["web"]["perfect_order_rate"]["denominator"] == 7
    rows = {row["id"]: row["why"] for row in behind(connection, "perfect_order_index")["rows"]}
    assert rows == {
        "perfect": "perfect",
        "late": "not on time",
        "damaged": "damaged or lost",
        "differed": "otherwise than planned",
        "late and damaged": "not on time, damaged or lost",
        "seller cancelled a unit": "not complete",
        "never left": "not complete, not on time",
    }


def test_without_orders_due_the_perfect_order_is_null(log, connection):
    found = kpis(connection)["perfect_order"]
    assert (found["perfect_order_rate"]["value"], found["perfect_order_index"]["value"]) == (None, None)
    assert found["components"]["complete"] == {"value": None, "numerator": 0, "denominator": 0}


# --- opening a figure -----------------------------------------------------------------------------------------------


def test_a_figure_opens_by_group_and_period(log, connection):
    for number, channel in enumerate(("web", "web", "shop")):
        name = f"o{number}"
        log.write(placed(name, MORNING, due=EVENING, channel=channel), dispatched(name, NOON))
    log.write(placed("later", MORNING, due=NEXT_DAY), time_passes())
    rows = behind(connection, "order_fulfillment_rate", by="channel", group="web", to=date(2026, 11, 27))["rows"]
    assert [(row["id"], row["group"]) for row in rows] == [("o0", "web"), ("o1", "web")]
    with pytest.raises(ValueError, match="not counted by carrier"):
        behind(connection, "order_fulfillment_rate", by="carrier")
    with pytest.raises(ValueError, match="name the dimension"):
        behind(connection, "order_fulfillment_rate", group="web")
