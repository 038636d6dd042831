"""Edges of the definitions: which promise counts, and until when it is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from events.promises import promise_end
from projections.kpi.opening import behind
from projections.kpi.reader import kpis
from tests.projections.fact_rows import (
    Fact,
    Log,
    amended,
    arriving,
    at,
    delivered,
    dispatched,
    fact,
    placed,
    scanned,
)
from tests.projections.kpi_moments import (
    DAY_AFTER,
    EVENING,
    LEAVING,
    LONG_AFTER,
    MORNING,
    NEXT_DAY,
    NOON,
    ORDER,
    time_passes,
    why,
)

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
    (log.write if together else log.write_one_by_one)(LEAVING, *facts, time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", reason)


@pytest.mark.parametrize("case", PROMISES)
def test_which_promise_a_delivery_is_measured_against(log: Log, connection, case: str):
    facts, reason = PROMISES[case]
    log.write(ORDER, *arriving(*facts), time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", reason)
    rows = behind(connection, "on_time_delivery_rate")["rows"]
    assert [row["good"] for row in rows] == [reason == "in time"]


@pytest.mark.parametrize("asked_for", [NOON, None])
def test_a_promise_is_moved_when_that_is_asked_for_however_long_stock_takes_to_answer(log, connection, asked_for):
    """The units that the amendment adds are asked of stock first; the answer may carry a later time."""
    moved = amended("o1", DAY_AFTER, by="customer", after=3, promised_by=LONG_AFTER)
    moved["data"]["amendment_id"] = "A1"
    asked = {"amendment_id": "A1", "by": "customer", "lines": [], "promised_by": at(LONG_AFTER), "round": 2}
    log.write(ORDER, *([fact("AmendmentRequested", "o1", asked_for, **asked)] if asked_for else []))
    log.write(
        *arriving(dispatched("o1", NEXT_DAY)), moved, *arriving(dispatched("o1", DAY_AFTER, parcel="P2", units=1))
    )
    rows = {row["id"]: row["good"] for row in behind(connection, "on_time_parcel_rate")["rows"]}
    assert rows == {"o1 P1": asked_for is not None, "o1 P2": True}


def test_a_promise_that_was_asked_for_and_declined_does_not_count(log, connection):
    asked = {"amendment_id": "A1", "by": "customer", "lines": [], "promised_by": at(LONG_AFTER), "round": 2}
    log.write(ORDER, fact("AmendmentRequested", "o1", NOON, **asked))
    log.write(fact("AmendmentDeclined", "o1", NOON, amendment_id="A1", reason="not_enough", lines=[], releases=[]))
    log.write(*arriving(dispatched("o1", NEXT_DAY)), time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", "late")


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
    rows = {row["id"]: (row["good"], row["why"]) for row in behind(connection, "on_time_parcel_rate")["rows"]}
    assert rows == {"o1 P1": (False, "late by 18.0 h"), "o1 P2": (True, "on time, early by 12.0 h")}
    # The order is not forgiven what came late before that.
    assert why(connection, "on_time_delivery_rate") == ("rows", "late by 18.0 h")


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
    assert first["kpis"]["on_time_parcel_rate"]["left_out"] == {"on its way": 1}
    assert first["kpis"]["on_time_delivery_rate"]["left_out"] == {"on its way": 1, "not shipped complete": 1}
    assert first["kpis"]["return_rate"]["left_out"] == {"on its way": 1, "not shipped complete": 1}
    assert why(connection, "order_fulfillment_rate") == ("rows", "not delivered")
    assert first["perfect_order"]["components"]["complete"]["numerator"] == 0

    log.write(delivered("o1", NEXT_DAY, units=1, parcel="P2"))
    then = kpis(connection, by="carrier")
    assert [then["groups"][name]["on_time_parcel_rate"]["value"] for name in ("DHL", "UPS")] == [1.0, 0.0]
    assert then["kpis"]["on_time_parcel_rate"]["value"] == 0.5
    # One late parcel makes a late order: for the customer, and for all three figures.
    assert (found := then["kpis"]["on_time_delivery_rate"])["value"] == 0.0
    assert (found["denominator"], found["late_hours"]) == (1, 18.0)
    assert then["kpis"]["order_fulfillment_rate"]["numerator"] == 0
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
    document = behind(connection, "on_time_parcel_rate")
    assert {row["id"]: row["why"] for row in document["left_out"]} == {
        "o1 P2": "lost",
        "o1 P3": "returned to sender",
        "o1 P4": "on its way",
    }
    assert [row["id"] for row in document["rows"]] == ["o1 P5", "o1 P1"]
