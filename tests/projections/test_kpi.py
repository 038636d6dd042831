"""The six figures, by hand: small histories through the real fold into a real PostgreSQL."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest

from projections.kpi.definitions import DEFINITIONS
from projections.kpi.opening import Scope, behind
from projections.kpi.reader import kpis
from tests.projections.fact_rows import (
    REFUSED,
    Fact,
    Log,
    amended,
    arriving,
    at,
    called,
    cancelled,
    complained,
    delivered,
    differing,
    dispatched,
    fact,
    placed,
    returned,
    scanned,
)

MORNING, NOON, EVENING = "2026-11-27T08:00Z", "2026-11-27T12:00Z", "2026-11-27T18:00Z"
NEXT_DAY = "2026-11-28T12:00Z"
LONG_AFTER = "2026-12-31T00:00Z"


def time_passes() -> Fact:
    """Something far later in the log: everything promised for November is due."""
    return placed("someone-else", LONG_AFTER)


def figure(connection: psycopg.Connection[Any], name: str, **options: Any) -> tuple[Any, Any, Any]:
    found = kpis(connection, **options)["kpis"][name]
    return found["value"], found["numerator"], found["denominator"]


def fulfilment(connection: psycopg.Connection[Any]) -> tuple[Any, Any, Any]:
    return figure(connection, "order_fulfillment_rate")


def test_without_facts_every_figure_is_null_over_zero(log, connection):
    answer = kpis(connection)
    assert list(answer["kpis"]) == list(DEFINITIONS)
    assert {(one["value"], one["numerator"], one["denominator"]) for one in answer["kpis"].values()} == {(None, 0, 0)}
    assert answer["as_of"] is None


def test_a_figure_carries_unit_ideal_and_version(log, connection):
    log.write(placed("o1", MORNING, due=EVENING), *arriving(dispatched("o1", NOON)), time_passes())
    found = kpis(connection)["kpis"]["order_fulfillment_rate"]
    assert (found["unit"], found["ideal"], found["ideal_met"]) == ("ratio", [0.98, 0.99], True)
    assert found["definition"] == "order_fulfillment_rate/3"


def crossing(order_id: str, when: str) -> Fact:
    return fact("DispatchCrossed", order_id, when, shipment_id="P1", location_id="WH1", case_id="c-1", lines=[])


ORDER = placed("o1", MORNING, due=EVENING)
LEAVING = placed("o1", MORNING, due=EVENING, promise="dispatch")
# Facts after the order; of whether what was promised by the evening is that it leaves, or that it arrives.
FULFILMENT_CASES: dict[str, tuple[list[Fact], tuple[int, int]]] = {
    "shipped at the very moment promised": ([dispatched("o1", EVENING)], (1, 1)),
    "shipped a second late": ([dispatched("o1", "2026-11-27T18:00:01Z")], (0, 1)),
    "never shipped": ([], (0, 1)),
    "half shipped": ([dispatched("o1", NOON, units=1)], (0, 1)),
    "second parcel late": (
        [dispatched("o1", NOON, units=1), dispatched("o1", NEXT_DAY, units=1, parcel="P2")],
        (0, 1),
    ),
    "left from elsewhere": ([dispatched("o1", NOON), differing("o1", NOON)], (1, 1)),
    "left though not allocated": ([dispatched("o1", NOON), differing("o1", NOON, "open")], (1, 1)),
    "left though it waited": ([dispatched("o1", NOON), differing("o1", NOON, "backordered")], (1, 1)),
    "left though it was called off": ([dispatched("o1", NOON), crossing("o1", NOON)], (0, 1)),
    "lost on the way": ([dispatched("o1", NOON), scanned("o1", NEXT_DAY, "lost")], (0, 1)),
    "sent back": ([dispatched("o1", NOON), scanned("o1", NEXT_DAY, "returned_to_sender")], (0, 1)),
    "a failed attempt is no error": (
        [dispatched("o1", NOON), scanned("o1", NEXT_DAY, "delivery_failed")],
        (1, 1),
    ),
    "customer cancels before it left": ([cancelled("o1", NOON, by="customer")], (0, 0)),
    "seller cancels before it left": ([cancelled("o1", NOON, by="seller")], (0, 1)),
    "seller cancels a unit": (
        [cancelled("o1", NOON, by="seller", units=1), dispatched("o1", NOON, units=1)],
        (0, 1),
    ),
    "customer cancels a unit": (
        [cancelled("o1", NOON, by="customer", units=1), dispatched("o1", NOON, units=1)],
        (1, 1),
    ),
    "seller amends a unit away": (
        [amended("o1", NOON, by="seller", after=1), dispatched("o1", NOON, units=1)],
        (0, 1),
    ),
    "customer amends a unit away": (
        [amended("o1", NOON, by="customer", after=1), dispatched("o1", NOON, units=1)],
        (1, 1),
    ),
    "seller adds a unit": ([amended("o1", NOON, by="seller", after=3), dispatched("o1", NOON, units=3)], (1, 1)),
    "seller moves the promise": (
        [amended("o1", NOON, by="seller", promised_by=NEXT_DAY), dispatched("o1", NEXT_DAY)],
        (0, 1),
    ),
    "customer moves the promise": (
        [amended("o1", NOON, by="customer", promised_by=NEXT_DAY), dispatched("o1", NEXT_DAY)],
        (1, 1),
    ),
}


@pytest.mark.parametrize("case", FULFILMENT_CASES)
@pytest.mark.parametrize("promise", ["delivery", "dispatch"])
def test_fulfilment(log, connection, case, promise):
    facts, counts = FULFILMENT_CASES[case]
    facts = [ORDER, *arriving(*facts)] if promise == "delivery" else [LEAVING, *facts]
    (log.write if promise == "delivery" else log.write_one_by_one)(*facts, time_passes())
    assert fulfilment(connection)[1:] == counts


def test_what_was_promised_to_arrive_has_to_arrive_and_what_was_promised_to_leave_has_to_leave(log, connection):
    log.write(
        *(placed(name, MORNING, due=EVENING) for name in ("arrived", "arrived late", "on its way")),
        *(placed(name, MORNING, due=EVENING, promise="dispatch") for name in ("left", "left late")),
        *(dispatched(name, NOON) for name in ("arrived", "arrived late", "on its way", "left")),
        dispatched("left late", NEXT_DAY),
        delivered("arrived", EVENING),
        delivered("arrived late", NEXT_DAY),
        time_passes(),
    )
    rows = {row["id"]: (row["good"], row["why"]) for row in behind(connection, "order_fulfillment_rate")["rows"]}
    assert rows == {
        "arrived": (True, "in time"),
        "arrived late": (False, "late"),
        "on its way": (False, "not delivered"),
        "left": (True, "in time"),
        "left late": (False, "late"),
    }
    found = kpis(connection)["kpis"]
    assert (found["order_fulfillment_rate"]["late"], found["order_fulfillment_rate"]["not_delivered"]) == (2, 1)
    # Nobody said when the last two would arrive.
    assert found["on_time_delivery_rate"]["left_out"]["on its way"] == 3


def test_an_order_without_a_promise_or_without_goods_is_never_due(log, connection):
    log.write(
        placed("unpromised", MORNING),
        *arriving(dispatched("unpromised", NOON)),
        placed("charges", MORNING, due=EVENING, units=0),
        time_passes(),
    )
    assert fulfilment(connection) == (None, 0, 0)


SPOILING = ("wrong_item", "missing", "damaged", "not_as_described")
CODES = (*SPOILING, "size", "changed_mind", "defective", "late", "duplicate", "other", None)


def test_only_what_the_customer_notices_makes_an_order_inaccurate(log, connection):
    """By the code of a return or a case, whoever comes first; free text says nothing."""
    for code in CODES:
        for said in ("return", "case"):
            name = f"{code} {said}"
            log.write(placed(name, MORNING, due=EVENING), *arriving(dispatched(name, NOON)))
    log.write(*(called(f"{code} case", NEXT_DAY, code, case_id=str(code)) for code in CODES), time_passes())
    log.write(*(complained(f"{code} return", LONG_AFTER, code) for code in CODES))
    rows = behind(connection, "order_fulfillment_rate")["rows"]
    assert {row["id"]: row["why"] for row in rows if not row["good"]} == {
        f"{code} {said}": f"inaccurate: {code.replace('_', ' ')}" for code in SPOILING for said in ("return", "case")
    }
    assert fulfilment(connection)[1:] == (2 * (len(CODES) - len(SPOILING)), 2 * len(CODES))
    assert kpis(connection)["kpis"]["order_fulfillment_rate"]["inaccurate"] == 2 * len(SPOILING)


def test_a_case_about_no_order_or_about_an_unknown_one_spoils_nothing(log, connection):
    log.write(ORDER, *arriving(dispatched("o1", NOON)), time_passes())
    log.write(called(None, NOON, "damaged"), called("nobody's", NOON, "damaged", case_id="c-2"))
    assert fulfilment(connection)[1:] == (1, 1)


def test_a_parcel_that_was_found_and_arrived_in_time_is_not_lost(log, connection):
    scans = [scanned("o1", NOON, "lost"), delivered("o1", EVENING)]
    log.write(ORDER, dispatched("o1", MORNING), *scans, time_passes())
    assert fulfilment(connection)[1:] == (1, 1)


def test_what_left_otherwise_than_planned_is_a_figure_of_its_own(log, connection):
    log.write(
        ORDER,
        dispatched("o1", NOON, units=1),
        dispatched("o1", NOON, units=1, parcel="P2", location="WH2", carrier="UPS"),
        differing("o1", NOON, parcel="P2"),
    )
    answer = kpis(connection, by="location")
    found = answer["left_otherwise_than_planned"]
    assert (found["value"], found["numerator"], found["denominator"]) == (0.5, 1, 2)
    assert (found["ideal"], found["ideal_met"], found["definition"]) == (None, None, "left_otherwise_than_planned/1")
    assert {name: one["value"] for name, one in found["groups"].items()} == {"WH1": 0.0, "WH2": 1.0}
    rows = behind(connection, "left_otherwise_than_planned")["rows"]
    assert [(row["id"], row["good"], row["why"]) for row in rows] == [
        ("o1 P2", True, "left otherwise than planned"),
        ("o1 P1", False, "left as planned"),
    ]


def test_an_order_is_not_due_before_the_log_has_reached_its_promise(log, connection):
    log.write(placed("o1", MORNING, due=EVENING), *arriving(dispatched("o1", NOON)))
    assert fulfilment(connection) == (None, 0, 0)
    log.write(placed("o2", EVENING))
    assert fulfilment(connection) == (1.0, 1, 1)


def test_a_refused_command_makes_nothing_due(log, connection):
    log.write(placed("o1", MORNING, due=EVENING), dispatched("o1", NOON))
    log.write(fact("CommandRefused", "o1", LONG_AFTER, **REFUSED))
    answer = kpis(connection)
    assert answer["as_of"] == "2026-11-27T12:00:00Z"
    assert answer["kpis"]["order_fulfillment_rate"]["denominator"] == 0


def test_a_channel_whose_clock_runs_ahead_makes_nothing_due(log, connection):
    log.write(placed("o1", MORNING, due=EVENING), placed("o2", LONG_AFTER, recorded_at=NOON))
    answer = kpis(connection)
    assert answer["as_of"] == "2026-11-27T12:00:00Z"
    assert answer["kpis"]["order_fulfillment_rate"]["denominator"] == 0


def test_a_figure_opens_to_the_orders_behind_it_what_spoils_it_first(log, connection):
    log.write(
        *(placed(name, MORNING, due=EVENING) for name in ("fine", "late", "lost", "missing")),
        *arriving(dispatched("fine", NOON), dispatched("late", NEXT_DAY)),
        dispatched("lost", NOON),
        scanned("lost", NEXT_DAY, "lost"),
        time_passes(),
    )
    found = behind(connection, "order_fulfillment_rate")["rows"]
    assert [(row["id"], row["good"], row["why"]) for row in found] == [
        ("late", False, "late"),
        ("lost", False, "inaccurate: lost"),
        ("missing", False, "not shipped complete"),
        ("fine", True, "in time"),
    ]
    found = kpis(connection)["kpis"]["order_fulfillment_rate"]
    assert (found["late"], found["inaccurate"], found["incomplete"], found["cancelled_by_seller"]) == (1, 1, 1, 0)
    assert found["ideal_met"] is False


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_figure_opens(log, connection, name):
    write_a_bit_of_everything(log)
    opened = behind(connection, name)["rows"]
    found = kpis(connection)["kpis"][name]
    assert len(opened) == found["denominator"] > 0
    if found["unit"] == "ratio":
        assert sum(row["good"] for row in opened) == found["numerator"]
    else:
        assert sum(row["hours"] for row in opened) == pytest.approx(found["numerator"])
    assert len(behind(connection, name, limit=1)["rows"]) == 1


def held(order_id: str, when: str, hold: str = "customer") -> Fact:
    return fact("OrderHeld", order_id, when, hold=hold)


def lifted(order_id: str, when: str, hold: str = "customer") -> Fact:
    return fact("HoldReleased", order_id, when, hold=hold)


# Each: facts after placing at 08:00; hours counted, hours on hold, hours before release.
PROCESSING_CASES: dict[str, tuple[list[Fact], tuple[float, float, float]]] = {
    "no pause": ([placed("o1", MORNING), dispatched("o1", NOON)], (4, 0, 0)),
    "the first parcel counts": (
        [placed("o1", MORNING), dispatched("o1", NOON, units=1), dispatched("o1", NEXT_DAY, units=1, parcel="P2")],
        (4, 0, 0),
    ),
    "customer's hold": (
        [
            placed("o1", MORNING),
            held("o1", "2026-11-27T09:00Z"),
            lifted("o1", "2026-11-27T10:30Z"),
            dispatched("o1", NOON),
        ],
        (2.5, 1.5, 0),
    ),
    "our own hold": (
        [placed("o1", MORNING), held("o1", MORNING, "fraud"), lifted("o1", NOON, "fraud"), dispatched("o1", NOON)],
        (4, 0, 0),
    ),
    "a hold that nobody lifted": (
        [placed("o1", MORNING), held("o1", "2026-11-27T11:00Z"), dispatched("o1", NOON)],
        (3, 1, 0),
    ),
    "a hold after the first parcel": (
        [placed("o1", MORNING), dispatched("o1", NOON, units=1), held("o1", EVENING), lifted("o1", NEXT_DAY)],
        (4, 0, 0),
    ),
    "before release_at": ([placed("o1", MORNING, release_at="2026-11-27T11:00Z"), dispatched("o1", NOON)], (1, 0, 3)),
    "shipped before release_at": ([placed("o1", MORNING, release_at=EVENING), dispatched("o1", NOON)], (0, 0, 4)),
    "released at once": ([placed("o1", MORNING, release_at="2026-11-26T00:00Z"), dispatched("o1", NOON)], (4, 0, 0)),
    "held over release_at": (
        [
            placed("o1", MORNING, release_at="2026-11-27T09:00Z"),
            held("o1", "2026-11-27T08:30Z"),
            lifted("o1", "2026-11-27T10:00Z"),
            dispatched("o1", NOON),
        ],
        (2, 1, 1),
    ),
}


@pytest.mark.parametrize("case", PROCESSING_CASES)
def test_processing_hours(log, connection, case):
    facts, (hours, on_hold, before_release) = PROCESSING_CASES[case]
    log.write_one_by_one(*facts)
    found = kpis(connection)["kpis"]["order_processing_hours"]
    assert (found["value"], found["customer_hold_hours"], found["before_release_hours"]) == (
        hours,
        on_hold,
        before_release,
    )
    assert found["elapsed_hours"] == 4
    assert (found["numerator"], found["denominator"]) == (hours, 1)


def test_processing_hours_have_mean_and_percentiles(log, connection):
    for number, hour in enumerate((9, 10, 11, 20)):
        log.write(placed(f"o{number}", MORNING), dispatched(f"o{number}", f"2026-11-27T{hour:02}:00Z"))
    log.write(placed("not shipped yet", MORNING))
    found = kpis(connection)["kpis"]["order_processing_hours"]
    assert (found["value"], found["p50"], found["denominator"]) == (4.5, 2.5, 4)
    assert found["p90"] == pytest.approx(9.3)


def counted(
    sku: str, location: str, variance: int, *, accurate: bool, when: str = NOON, count_id: str | None = None
) -> Fact:
    return fact(
        "StockCounted",
        sku,
        when,
        location_id=location,
        counted=10,
        counted_at=at(when),
        expected=10 - variance,
        variance=variance,
        tolerance=1,
        accurate=accurate,
        count_id=count_id,
    )


def test_a_count_that_is_restated_is_one_count_with_what_is_known_now(log, connection):
    first = counted("MUG", "WH1", -3, accurate=False)
    log.write(first, counted("MUG", "WH1", 0, accurate=True, when=EVENING))
    assert kpis(connection)["kpis"]["inventory_accuracy"]["value"] == 0.5
    known_now = {"counted": 10, "counted_at": at(NOON), "expected": 10, "variance": 0, "tolerance": 1, "accurate": True}
    log.write(fact("CountRestated", "MUG", EVENING, location_id="WH1", variance_before=-3, **known_now))
    found = kpis(connection)["kpis"]["inventory_accuracy"]
    assert (found["value"], found["denominator"], found["units_off"]) == (1.0, 2, 0)


def test_counts_of_one_moment_are_told_apart_by_their_ids(log, connection):
    log.write(
        counted("MUG", "WH1", 0, accurate=True, count_id="ours"),
        counted("MUG", "WH1", -3, accurate=False, count_id="theirs"),
        counted("MUG", "WH2", -3, accurate=False, count_id="ours"),
    )
    ours = Scope([], [("MUG at WH1", "ours"), ("MUG at WH1", "refused")])
    assert figure(connection, "inventory_accuracy", scope=ours) == (1.0, 1, 1)
    assert figure(connection, "inventory_accuracy", scope=Scope(["MUG"])) == (None, 0, 0)
    assert figure(connection, "inventory_accuracy") == (pytest.approx(1 / 3, abs=1e-6), 1, 3)


def test_inventory_accuracy_counts_counts_not_units(log, connection):
    log.write(
        counted("MUG", "WH1", 0, accurate=True),
        counted("MUG", "WH1", -1, accurate=True, when=EVENING),
        counted("MUG", "WH2", -5, accurate=False),
        counted("TRAY", "WH1", 0, accurate=True),
    )
    answer = kpis(connection, by="location")
    found = answer["kpis"]["inventory_accuracy"]
    assert (found["value"], found["numerator"], found["denominator"], found["units_off"]) == (0.75, 3, 4, 6)
    assert answer["groups"]["WH1"]["inventory_accuracy"]["value"] == 1.0
    assert answer["groups"]["WH2"]["inventory_accuracy"]["value"] == 0.0


def test_on_time_delivery_is_counted_by_order_and_by_carrier_its_parcels_have_a_figure_of_their_own(log, connection):
    log.write(
        placed("o1", MORNING, due=NEXT_DAY),
        dispatched("o1", NOON, units=1),
        dispatched("o1", NOON, units=1, parcel="P2", carrier="UPS"),
        delivered("o1", NEXT_DAY, units=1),
        delivered("o1", "2026-11-28T12:00:00.000001Z", units=1, parcel="P2"),
        placed("o2", MORNING),
        dispatched("o2", NOON),
        delivered("o2", NOON),
        placed("o3", MORNING, due=NEXT_DAY),
        dispatched("o3", NOON),
        delivered("o3", NOON),
    )
    answer = kpis(connection, by="carrier")
    assert figure(connection, "on_time_delivery_rate") == (0.5, 1, 2)
    assert answer["kpis"]["on_time_delivery_rate"]["definition"] == "on_time_delivery_rate/3"
    assert figure(connection, "on_time_parcel_rate") == (pytest.approx(2 / 3, abs=1e-6), 2, 3)
    assert list(answer["groups"]) == ["DHL", "UPS"]
    assert list(answer["groups"]["UPS"]) == ["on_time_parcel_rate"]
    assert answer["groups"]["UPS"]["on_time_parcel_rate"]["value"] == 0.0
    assert [row["id"] for row in behind(connection, "on_time_delivery_rate")["rows"]] == ["o1", "o3"]
    with pytest.raises(ValueError, match="for parcels use on_time_parcel_rate"):
        behind(connection, "on_time_delivery_rate", by="carrier")


def test_an_order_is_on_time_when_all_of_it_arrived_by_the_promise(log, connection):
    """What has not left, or is on its way, is not delivered yet; what a carrier lost will not arrive any more."""
    names = ("whole", "half left", "half on its way", "half lost", "half unseen", "all lost", "half cancelled")
    log.write(*(placed(name, MORNING, due=EVENING) for name in names))
    for name in names:
        log.write(*arriving(dispatched(name, NOON, units=1)) if name != "all lost" else [dispatched(name, NOON)])
    log.write(
        *(dispatched(name, NOON, units=1, parcel="P2") for name in names[2:5]),
        *arriving(dispatched("whole", EVENING, units=1, parcel="P2")),
        scanned("half lost", NEXT_DAY, "lost", parcel="P2"),
        scanned("all lost", NEXT_DAY, "lost"),
        cancelled("half cancelled", NOON, by="customer", units=1),
        fact("DeliveryInferred", "half unseen", NEXT_DAY, return_id="R1", lines=[UNIT]),
        returned("half unseen", NEXT_DAY),
    )
    document = behind(connection, "on_time_delivery_rate")
    assert {row["id"]: (row["good"], row["why"]) for row in document["rows"]} == {
        "whole": (True, "on time, early by 0.0 h"),
        "half lost": (False, "not whole: lost"),
        "half cancelled": (True, "on time, early by 6.0 h"),
    }
    assert {row["id"]: row["why"] for row in document["left_out"]} == {
        "half left": "not shipped complete",
        "half on its way": "on its way",
        "half unseen": "arrived, nobody saw when",
        "all lost": "lost or returned to sender",
    }
    found = kpis(connection)["kpis"]["on_time_delivery_rate"]
    assert (found["early_hours"], found["late_hours"], found["not_whole"]) == (3.0, None, 1)


UNIT = {"line_id": "1", "sku": "MUG", "quantity": 1}


def case_opened(case_id: str, when: str, channel: str = "phone") -> Fact:
    one = fact("CaseOpened", case_id, when, topic="where is it", urgency="high")
    one["data"]["channel"] = channel
    return one


def test_a_reopened_case_runs_on_to_its_last_resolution(log, connection):
    log.write_one_by_one(
        case_opened("c1", MORNING),
        fact("CaseResolved", "c1", "2026-11-27T09:00Z", resolution="sent again"),
    )
    assert figure(connection, "case_resolution_hours") == (1.0, 1.0, 1)
    log.write(fact("CaseReopened", "c1", NOON, reason="still missing"))
    assert figure(connection, "case_resolution_hours") == (None, 0.0, 0)
    log.write(fact("CaseResolved", "c1", EVENING, resolution="refunded"))
    assert figure(connection, "case_resolution_hours") == (10.0, 10.0, 1)
    assert kpis(connection)["kpis"]["case_resolution_hours"]["reopened"] == 1


def test_cases_are_grouped_by_how_the_customer_wrote(log, connection):
    log.write(
        case_opened("c1", MORNING, "chat"),
        fact("CaseResolved", "c1", NOON, resolution="done"),
        case_opened("c2", MORNING),
    )
    groups = kpis(connection, by="channel")["groups"]
    assert groups["chat"]["case_resolution_hours"]["value"] == 4.0
    assert "phone" not in groups


def test_return_rate_is_of_orders_delivered_whole_and_units_stand_beside(log, connection):
    log.write(
        *(placed(name, MORNING) for name in ("kept", "one back", "on its way", "half delivered")),
        *(dispatched(name, NOON) for name in ("kept", "one back", "on its way")),
        *(dispatched("half delivered", NOON, units=1, parcel=parcel) for parcel in ("P1", "P2")),
        *(delivered(name, EVENING) for name in ("kept", "one back")),
        delivered("half delivered", EVENING, units=1),
        returned("one back", NEXT_DAY),
    )
    found = kpis(connection)["kpis"]["return_rate"]
    assert (found["value"], found["numerator"], found["denominator"]) == (0.5, 1, 2)
    assert (found["units_returned"], found["units_delivered"]) == (1, 4)


def test_a_return_counts_on_the_day_of_its_delivery(log, connection):
    log.write(placed("o1", MORNING), dispatched("o1", NOON), delivered("o1", EVENING), returned("o1", LONG_AFTER))
    assert figure(connection, "return_rate", from_=date(2026, 11, 27), to=date(2026, 11, 27)) == (1.0, 1, 1)
    assert figure(connection, "return_rate", from_=date(2026, 12, 1)) == (None, 0, 0)


def test_a_scan_that_is_told_after_the_return_still_says_when_the_order_was_delivered(log, connection):
    log.write(
        placed("o1", MORNING, due=EVENING),
        dispatched("o1", NOON, units=1),
        fact("DeliveryInferred", "o1", LONG_AFTER, return_id="R1", lines=[UNIT]),
        returned("o1", LONG_AFTER),
        dispatched("o1", NOON, units=1, parcel="P2"),
        delivered("o1", EVENING, units=1, parcel="P2"),
    )
    assert figure(connection, "return_rate", from_=date(2026, 12, 31)) == (1.0, 1, 1)
    log.write(delivered("o1", EVENING, units=0) | {"recorded_at": at(LONG_AFTER)})
    assert figure(connection, "return_rate", to=date(2026, 11, 27)) == (1.0, 1, 1)
    assert figure(connection, "on_time_delivery_rate") == (1.0, 1, 1)


def test_a_return_without_a_delivery_scan_shows_that_it_was_delivered(log, connection):
    line = {"line_id": "1", "sku": "MUG", "quantity": 1}
    log.write(
        placed("o1", MORNING),
        dispatched("o1", NOON),
        fact("DeliveryInferred", "o1", NEXT_DAY, return_id="R1", lines=[line]),
        returned("o1", NEXT_DAY),
    )
    assert figure(connection, "return_rate") == (1.0, 1, 1)
    assert figure(connection, "on_time_delivery_rate") == (None, 0, 0)


def test_days_are_utc_and_both_ends_are_included(log, connection):
    log.write(
        placed("o1", MORNING, due="2026-11-27T23:59:59.999999Z"),
        placed("o2", MORNING, due="2026-11-28T00:00Z"),
        time_passes(),
    )
    day = date(2026, 11, 27)
    assert figure(connection, "order_fulfillment_rate", from_=day, to=day)[2] == 1
    assert figure(connection, "order_fulfillment_rate", from_=day, to=date(2026, 11, 28))[2] == 2
    assert figure(connection, "order_fulfillment_rate", to=day)[2] == 1
    assert list(kpis(connection, by="day")["groups"]) == ["2026-11-27", "2026-11-28"]


def test_a_region_that_is_not_given_is_the_country(log, connection):
    log.write(placed("o1", MORNING, due=NOON), placed("o2", MORNING, due=NOON, region="Leeds"), time_passes())
    assert set(kpis(connection, by="region")["groups"]) == {"GB", "Leeds"}


def test_groups_add_up_to_the_total(log, connection):
    write_a_bit_of_everything(log)
    for by in ("channel", "region", "location", "carrier", "day"):
        answer = kpis(connection, by=by)
        for name, definition in DEFINITIONS.items():
            groups = [group[name] for group in answer["groups"].values() if name in group]
            assert bool(groups) == (by in definition.applies_to)
            if groups:
                assert sum(group["denominator"] for group in groups) == answer["kpis"][name]["denominator"]
                assert sum(group["numerator"] for group in groups) == pytest.approx(answer["kpis"][name]["numerator"])


def test_an_unknown_dimension_is_refused(log, connection):
    with pytest.raises(ValueError, match="colour"):
        kpis(connection, by="colour")


def write_a_bit_of_everything(log: Log) -> None:
    for number in range(6):
        name, channel = f"o{number}", ("web", "shop")[number % 2]
        due = (EVENING, LONG_AFTER)[number % 2]
        log.write(placed(name, MORNING, due=due, channel=channel, region=("Leeds", None)[number % 2]))
        log.write(dispatched(name, (NOON, NEXT_DAY)[number % 2], location=f"WH{number % 3}"))
        log.write(delivered(name, NEXT_DAY, due=due, location=f"WH{number % 3}"))
    log.write(
        returned("o1", LONG_AFTER),
        counted("MUG", "WH1", 0, accurate=True),
        case_opened("c1", MORNING),
        fact("CaseResolved", "c1", NOON, resolution="done"),
        time_passes(),
    )
