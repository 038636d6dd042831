"""What figures say of parcels that were sent again, and of parcels that never left."""

from __future__ import annotations

import pytest

from projections.kpi.reader import kpis
from tests.projections.fact_rows import (
    cancelled,
    delivered,
    dispatched,
    fact,
    placed,
    retracted,
    scanned,
    sent_again,
)
from tests.projections.kpi_moments import DAY_AFTER, EVENING, MORNING, NEXT_DAY, NOON, ORDER, time_passes, why

PLACED = placed("o1", MORNING, due=NEXT_DAY)
LOST = (PLACED, dispatched("o1", NOON), sent_again("o1", EVENING), time_passes())


def test_an_order_is_not_complete_until_what_is_sent_again_has_left(log, connection):
    log.write_one_by_one(*LOST)
    assert why(connection, "order_fulfillment_rate") == ("rows", "not shipped complete")
    assert why(connection, "on_time_delivery_rate") == ("left_out", "not shipped complete")


def test_an_order_whose_lost_parcel_was_replaced_in_time_is_on_time_and_not_accurate(log, connection):
    log.write_one_by_one(*LOST, dispatched("o1", EVENING, parcel="P2"))
    assert why(connection, "on_time_delivery_rate") == ("left_out", "on its way")
    log.write(delivered("o1", NEXT_DAY, parcel="P2"))
    assert why(connection, "order_fulfillment_rate") == ("rows", "inaccurate: lost")
    assert why(connection, "on_time_delivery_rate")[1].startswith("on time")
    assert why(connection, "perfect_order_rate") == ("rows", "damaged or lost")
    assert why(connection, "return_rate") == ("rows", "0 of 2 units came back")


def test_a_replacement_that_comes_after_the_promise_makes_the_order_late(log, connection):
    log.write_one_by_one(*LOST, dispatched("o1", EVENING, parcel="P2"), delivered("o1", DAY_AFTER, parcel="P2"))
    assert why(connection, "on_time_delivery_rate")[1].startswith("late by")


def test_a_lost_parcel_of_which_only_a_part_is_sent_again_leaves_the_order_without_the_rest(log, connection):
    log.write_one_by_one(PLACED, dispatched("o1", NOON), sent_again("o1", EVENING, units=1))
    log.write_one_by_one(
        dispatched("o1", EVENING, units=1, parcel="P2"), delivered("o1", NEXT_DAY, units=1, parcel="P2")
    )
    assert why(connection, "on_time_delivery_rate") == ("rows", "not whole: lost")


def test_a_parcel_that_was_replaced_and_arrives_after_all_has_not_gone_astray(log, connection):
    log.write_one_by_one(*LOST, delivered("o1", NEXT_DAY), dispatched("o1", NEXT_DAY, parcel="P2"))
    log.write(delivered("o1", NEXT_DAY, parcel="P2"), time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", "in time")


def test_a_parcel_that_the_carrier_calls_delivered_and_the_customer_does_not_have_is_lost(log, connection):
    log.write_one_by_one(PLACED, dispatched("o1", NOON), delivered("o1", NOON), sent_again("o1", EVENING))
    log.write_one_by_one(dispatched("o1", EVENING, parcel="P2"), delivered("o1", NEXT_DAY, parcel="P2"), time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", "inaccurate: lost")


@pytest.mark.parametrize(("reason", "said"), [("damaged", "damaged"), ("wrong_goods", "wrong item")])
def test_what_was_damaged_or_wrong_spoils_its_order(log, connection, reason, said):
    log.write_one_by_one(PLACED, dispatched("o1", NOON), delivered("o1", NOON), sent_again("o1", EVENING, reason))
    log.write_one_by_one(dispatched("o1", EVENING, parcel="P2"), delivered("o1", NEXT_DAY, parcel="P2"), time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", f"inaccurate: {said}")
    assert connection.execute("SELECT said_in, said_id FROM kpi_complaints").fetchall() == [("replacement", "P1")]


def test_a_lost_parcel_whose_replacement_was_cancelled_is_not_delivered(log, connection):
    log.write_one_by_one(*LOST, cancelled("o1", NEXT_DAY, by="customer"))
    assert why(connection, "on_time_delivery_rate") == ("left_out", "lost or returned to sender")
    assert why(connection, "order_fulfillment_rate") == ("rows", "inaccurate: lost")


def test_a_parcel_that_never_left_counts_nowhere(log, connection):
    log.write_one_by_one(ORDER, dispatched("o1", MORNING), retracted("o1", NOON), time_passes())
    assert why(connection, "order_processing_hours") == ("left_out", "not shipped yet")
    assert why(connection, "order_fulfillment_rate") == ("rows", "not shipped complete")
    found = kpis(connection)["kpis"]
    assert (found["on_time_parcel_rate"]["denominator"], found["on_time_parcel_rate"]["left_out"]) == (0, {})
    assert kpis(connection)["left_otherwise_than_planned"]["denominator"] == 0


def test_the_first_shipment_is_the_first_that_left(log, connection):
    log.write(placed("o1", MORNING), dispatched("o1", MORNING, location="WH1"), retracted("o1", NOON))
    log.write(dispatched("o1", NOON, parcel="P2", location="WH2"))
    answer = kpis(connection, by="location")
    assert answer["kpis"]["order_processing_hours"]["elapsed_hours"] == 4.0
    assert answer["groups"]["WH2"]["order_processing_hours"]["denominator"] == 1


def test_goods_that_had_been_called_off_and_never_left_are_no_error(log, connection):
    log.write(ORDER, cancelled("o1", MORNING, by="customer"), dispatched("o1", NOON, called_off=2))
    log.write(fact("DispatchCrossed", "o1", NOON, shipment_id="P1", location_id="WH1", case_id="c-1", lines=[]))
    log.write(retracted("o1", EVENING, called_off=2), time_passes())
    assert why(connection, "order_fulfillment_rate") == ("left_out", "cancelled by the customer before it left")
    row = connection.execute("SELECT shipped, cancelled, ordered, crossed FROM kpi_orders").fetchone()
    assert row == (0, 2, 2, 0)


def test_a_parcel_that_was_replaced_as_lost_and_never_left_was_never_lost(log, connection):
    log.write_one_by_one(*LOST, retracted("o1", EVENING, replaced=2))
    log.write_one_by_one(dispatched("o1", EVENING, parcel="P2"), delivered("o1", NEXT_DAY, parcel="P2"), time_passes())
    assert why(connection, "order_fulfillment_rate") == ("rows", "in time")
    assert why(connection, "perfect_order_rate") == ("rows", "perfect")


def test_a_parcel_that_was_lost_is_not_replaced_by_what_is_sent_again_of_another(log, connection):
    log.write(PLACED, dispatched("o1", NOON, units=1), dispatched("o1", NOON, units=1, parcel="P2"))
    log.write(scanned("o1", EVENING, "lost"), sent_again("o1", EVENING, units=1, parcel="P2"))
    log.write(dispatched("o1", EVENING, units=1, parcel="P3"), delivered("o1", NEXT_DAY, units=1, parcel="P3"))
    assert why(connection, "on_time_delivery_rate") == ("rows", "not whole: lost")
