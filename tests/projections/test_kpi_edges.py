"""Edges of the definitions: hours, returns and cohorts, the perfect order, opening a figure."""

from __future__ import annotations

from datetime import date

import pytest

from projections.kpi.opening import behind
from projections.kpi.reader import kpis
from tests.projections.fact_rows import (
    Fact,
    at,
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
from tests.projections.kpi_moments import (
    DAY_AFTER,
    EVENING,
    MORNING,
    NEXT_DAY,
    NOON,
    ORDER,
    time_passes,
    why,
)

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


@pytest.mark.parametrize("cause", ["unclaimed", "refused", "recalled"])
@pytest.mark.parametrize("scan", [True, False])
def test_goods_that_come_back_without_having_been_the_customers_are_no_return_and_no_delivery(
    log, connection, cause, scan
):
    """The carrier may have said so or not: what is back is not on its way."""
    log.write(placed("o1", MORNING, due=EVENING), dispatched("o1", NOON))
    log.write(*([scanned("o1", EVENING, "returned_to_sender")] if scan else []))
    log.write(returned("o1", NEXT_DAY, units=2, cause=cause))
    for name in ("return_rate", "on_time_delivery_rate"):
        assert why(connection, name) == ("left_out", "lost or returned to sender")
    assert why(connection, "on_time_parcel_rate") == ("left_out", "returned to sender")
    assert why(connection, "order_fulfillment_rate") == ("rows", "inaccurate: returned to sender")
    assert why(connection, "perfect_order_rate")[1] == "not complete, not on time, damaged or lost"
    found = kpis(connection)["kpis"]["return_rate"]
    assert (found["numerator"], found["units_returned"], found["units_back_otherwise"]) == (0, 0, 2)


def test_an_order_of_which_a_parcel_was_refused_is_delivered_not_whole_and_not_returned(log, connection):
    log.write(placed("o1", MORNING, due=EVENING))
    log.write(*(dispatched("o1", NOON, units=1, parcel=parcel) for parcel in ("P1", "P2")))
    log.write(delivered("o1", EVENING, units=1))
    assert why(connection, "on_time_delivery_rate") == ("left_out", "on its way")
    log.write(returned("o1", NEXT_DAY, cause="refused"))
    assert why(connection, "on_time_delivery_rate") == ("rows", "not whole: returned to sender")
    assert why(connection, "return_rate") == ("rows", "0 of 1 units came back")
    log.write(returned("o1", DAY_AFTER))
    assert why(connection, "return_rate") == ("rows", "1 of 1 units came back")
    found = kpis(connection)["kpis"]["return_rate"]
    assert (found["numerator"], found["units_returned"], found["units_back_otherwise"]) == (1, 1, 1)


def test_what_the_seller_calls_back_from_a_customer_spoils_no_delivery_and_is_no_return(log, connection):
    log.write(placed("o1", MORNING, due=EVENING), dispatched("o1", NOON), delivered("o1", EVENING))
    log.write(returned("o1", NEXT_DAY, units=2, cause="recalled"))
    assert why(connection, "perfect_order_rate") == ("rows", "perfect")
    found = kpis(connection)["kpis"]["return_rate"]
    assert (found["numerator"], found["denominator"], found["units_back_otherwise"]) == (0, 1, 2)


def test_what_is_sent_in_exchange_makes_no_order_late_incomplete_or_wrong(log, connection):
    log.write(ORDER, dispatched("o1", NOON), delivered("o1", NOON), returned("o1", NEXT_DAY))
    log.write(time_passes())
    before = connection.execute("SELECT to_jsonb(o) FROM kpi_orders AS o WHERE order_id = 'o1'").fetchone()
    line = {"line_id": "2", "sku": "TRAY", "quantity": 1, "exchange": True}
    taken = {"from_open": 1, "from_backordered": 0, "from_allocated": 0}
    parcel = {"shipment_id": "P2", "location_id": "WH1", "carrier": "DHL"}
    added = {"line_id": "2", "sku": "TRAY", "quantity": 1, "unit_price_minor": 1, "attributes": []}
    log.write(
        fact(
            "ReturnRequested", "o1", DAY_AFTER, return_id="R3", rma="RMA-3", resolution="refund",
            lines=[line | {"reason": "broken", "reason_code": "damaged"}],
        ),
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


def test_a_scan_that_waited_for_its_dispatch_counts_at_its_own_time(log, connection):
    waited = {"shipment_id": "P1", "status": "lost", "deferred": 1, "scanned_at": at(MORNING)}
    log.write(ORDER, dispatched("o1", NOON), fact("ShipmentTracked", "o1", NOON, **waited))
    assert connection.execute("SELECT lost_at FROM kpi_parcels").fetchall() == [(at(MORNING),)]


def test_goods_that_left_after_their_cancellation_are_an_error_and_no_cancellation(log, connection):
    log.write(ORDER, cancelled("o1", MORNING, by="customer"))
    assert why(connection, "order_fulfillment_rate") == ("left_out", "cancelled by the customer before it left")
    crossed = fact("DispatchCrossed", "o1", NOON, shipment_id="P1", location_id="WH1", case_id="c-1", lines=[])
    log.write(dispatched("o1", NOON, called_off=2), crossed, time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", "inaccurate: left though cancelled")
    row = connection.execute("SELECT shipped, cancelled, ordered FROM kpi_orders WHERE order_id = 'o1'").fetchone()
    assert row == (2, 0, 2)


# --- the perfect order ----------------------------------------------------------------------------------------------


def test_the_perfect_order_is_counted_per_order_and_as_a_product(log, connection):
    names = ("perfect", "late", "damaged", "wrong", "late and damaged")
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
        complained("damaged", NEXT_DAY, "damaged"),
        complained("late and damaged", NEXT_DAY, "damaged"),
        complained("wrong", NEXT_DAY, "wrong_item"),
        # That somebody changes his mind spoils nothing, nor what becomes of the goods, nor an inner deviation.
        complained("perfect", NEXT_DAY, "changed_mind"),
        returned("perfect", NEXT_DAY, disposition="damaged"),
        differing("perfect", NOON),
        time_passes(),
    )
    found = kpis(connection, by="channel")["perfect_order"]
    rate, index = found["perfect_order_rate"], found["perfect_order_index"]
    assert (rate["numerator"], rate["denominator"], rate["definition"]) == (1, 7, "perfect_order_rate/2")
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
        "wrong": "not as ordered",
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
