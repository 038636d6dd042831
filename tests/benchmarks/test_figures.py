"""What the benchmarks make of what they measured; no service is started here."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.flow import median_of, percentiles
from benchmarks.machine import calibration_seconds, cpu_seconds, spent
from benchmarks.ours import opening, place_order
from benchmarks.subject import compare
from benchmarks.traffic import LINES, LOCATIONS, SKUS, Traffic, receipts
from gateway.sending.commands import check


def a_round(all_of_it: int, rate: int, calibration: float = 0.2) -> dict[str, Any]:
    return {
        "warm_up": False,
        "cpu_us_an_order": {"ledger": all_of_it - 100, "Kafka": 100, "all": all_of_it},
        "orders_per_second": rate,
        "calibration_seconds": calibration,
        "records_an_order": {"ledger.orders": 5.0},
        "bytes_an_order": {"ledger.orders": 600},
    }


def test_the_same_seed_makes_the_same_orders_and_counts_them() -> None:
    one, other = Traffic(), Traffic()
    orders = [one.order() for _ in range(50)]
    assert orders == [other.order() for _ in range(50)]
    assert len({order.order_id for order in orders}) == one.orders == 50
    assert sum(line.quantity for order in orders for line in order.lines) == one.units == sum(one.units_of.values())
    assert one.lines == 50 * LINES


def test_every_command_is_one_that_a_channel_may_send() -> None:
    assert [check(command).type.name for command in opening()].count("ReceiveStock") == SKUS * len(LOCATIONS)
    assert check(place_order(Traffic().order())).type.name == "PlaceOrder"
    assert sum(1 for _ in receipts()) == SKUS * len(LOCATIONS)


def test_medians_are_taken_figure_by_figure() -> None:
    found = median_of([a_round(3_000, 90), a_round(1_000, 110), a_round(2_000, 100)])
    assert found["cpu_us_an_order"] == {"ledger": 1_900, "Kafka": 100, "all": 2_000}
    assert found["orders_per_second"] == 100
    assert "warm_up" not in found


def test_the_99th_percentile_of_a_hundred_waits_is_near_the_longest() -> None:
    found = percentiles(range(1, 101))
    assert (found["p50"], found["p99"], found["max"], found["orders"]) == (51, 100, 100, 100)
    assert percentiles([7.0])["p99"] == 7.0


def test_cpu_is_that_of_each_process_and_their_sum() -> None:
    assert spent({"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 2.25}, 1_000) == {"a": 500, "b": 250, "all": 750}


def test_work_of_this_process_shows_in_its_cpu() -> None:
    before = cpu_seconds(os.getpid())
    assert calibration_seconds() > 0
    assert cpu_seconds(os.getpid()) > before


def test_a_total_that_is_wrong_is_named() -> None:
    assert compare({"orders": 3, "lines": 9}, {"orders": 4, "lines": 9}) == ["orders: 3, not 4"]
