"""What a surge is made of, and what becomes of its measurements; no service is started here."""

from __future__ import annotations

import argparse
import math
from xml.etree import ElementTree as ET

import pytest

from benchmarks.surge.__main__ import command_line
from benchmarks.surge.hot import Stock
from benchmarks.surge.page import page, picture
from benchmarks.surge.plan import Plan
from benchmarks.surge.standing import Standstill, all_stood, change, longest, standstills
from benchmarks.surge.summary import Measured, by_time, cpu_by_kind, per_second, summary, worked_off
from benchmarks.surge.watch import Row, Stood
from tests.faults.chart import Line, Mark, Panel, chart

PLAN = Plan(steady=10.0, times=10.0, before_seconds=10.0, peak_seconds=20.0)
ORDERS, STOCK = ("ledger.orders", 0), ("ledger.stock", 1)


def test_a_plan_is_steady_then_ten_times_as_much_then_steady() -> None:
    assert PLAN.peak == 100.0
    assert [PLAN.due(at) for at in (0, 1, 10, 11, 30, 31)] == [0, 10, 100, 200, 2_100, 2_110]


def test_a_partition_stands_still_only_while_a_record_waits() -> None:
    came = [0.0, 0.1, 5.0, 5.1]
    # Record 2 came at 5.0, long after the last move, and was handled at 5.4.
    assert list(standstills([(0.2, 0), (0.3, 2), (5.4, 4)], came)) == [
        Standstill(0.2, 0.3),
        Standstill(5.0, 5.4),
    ]


def test_a_partition_that_was_moved_past_all_its_records_does_not_stand_still() -> None:
    assert list(standstills([(0.0, 2), (9.0, 3)], [0.0, 0.0])) == []
    assert list(standstills([], [0.0])) == []


def test_the_longest_standstill_is_looked_for_in_its_time_and_among_its_partitions() -> None:
    found = {ORDERS: [Standstill(1.0, 2.0), Standstill(8.0, 8.5)], STOCK: [Standstill(1.0, 9.0)]}
    assert longest(found, {ORDERS}, 0.0, 3.0) == Standstill(1.0, 2.0)
    assert longest(found, {ORDERS}, 3.0, 10.0) == Standstill(8.0, 8.5)
    assert longest(found, {ORDERS, STOCK}, 3.0, 10.0) == Standstill(1.0, 9.0)
    assert longest(found, {ORDERS}, 3.0, 4.0) is None


def test_partitions_stand_still_together_only_while_none_of_them_moves() -> None:
    still = {ORDERS: [Standstill(1.0, 5.0)], STOCK: [Standstill(2.5, 6.0)]}
    moved_at = {ORDERS: [0.5, 5.0], STOCK: [2.5, 6.0]}
    assert all_stood(still, moved_at, {ORDERS, STOCK}, 0.0, 9.0) == Standstill(2.5, 5.0)
    assert all_stood(still, moved_at, {ORDERS}, 0.0, 9.0) == Standstill(1.0, 5.0)
    assert all_stood(still, moved_at, {ORDERS, STOCK}, 7.0, 9.0) is None


def test_a_partition_stayed_if_its_owner_is_the_same() -> None:
    one = change("ledger", "joins", (1.0, 4.0), {ORDERS: "a", STOCK: "a"}, {ORDERS: "a", STOCK: "b"})
    assert (one.stayed, one.moved) == (frozenset({ORDERS}), frozenset({STOCK}))


def rows() -> list[Row]:
    """The peak sends 100 a second, 60 get visible; after it the rest is worked off by second 45."""
    found = []
    for second in range(61):
        visible = min(PLAN.due(second), 10 * min(second, 10) + 60 * max(0, second - 10))
        waiting = {"ledger": PLAN.due(second) - visible, "reactions": 0, "projector": 5}
        cpu = {"ledger": 0.5 * second, "Kafka": 100 + 0.2 * second}
        if second > 15:
            cpu["ledger-2"] = 0.25 * (second - 15)
        found.append(Row(float(second), PLAN.due(second), visible, waiting, cpu, {"ledger": 100.0 + second}))
    return found


def measured() -> Measured:
    changes = [
        change("ledger", "joins", (15.0, 18.0), {ORDERS: "a", STOCK: "a"}, {ORDERS: "a", STOCK: "b"}),
        change("ledger", "leaves", (50.0, 60.0), {ORDERS: "a", STOCK: "b"}, {ORDERS: "a", STOCK: "a"}),
    ]
    return Measured(PLAN, rows(), [(5.0, 0.1), (12.0, 2.0), (13.0, 4.0), (31.0, 9.0), (58.0, 0.2)], changes)


def figures() -> dict[str, object]:
    still = {ORDERS: [Standstill(15.5, 15.7), Standstill(6.0, 6.1)], STOCK: [Standstill(16.0, 18.5)]}
    moved_at = {ORDERS: [5.9, 6.1, 15.4, 15.7, 60.0], STOCK: [5.0, 6.05, 18.5]}
    return summary(measured(), {"ledger": Stood(still, moved_at)})


def test_the_surge_is_worked_off_when_almost_all_orders_are_visible() -> None:
    at = worked_off(PLAN, rows())
    assert at == next(row.at for row in rows() if row.at > 30 and row.sent - row.visible <= 20)


def test_cpu_of_a_worker_is_that_of_all_its_processes_from_their_start() -> None:
    found = cpu_by_kind(rows()[10:31])
    assert found["ledger"] == pytest.approx(0.5 * 20 + 0.25 * 15)
    assert found["Kafka"] == pytest.approx(4.0)


def test_waits_are_told_by_the_load_at_which_the_order_was_sent() -> None:
    waits = figures()["placed_to_visible_ms"]
    assert {phase: one["orders"] for phase, one in waits.items()} == {  # type: ignore[attr-defined]
        "steady, before": 1,
        "peak": 2,
        "working off": 1,
        "steady, after": 1,
    }


def test_a_change_is_told_with_the_standstills_of_partitions_that_stayed_and_moved() -> None:
    joins, leaves = figures()["changes"]  # type: ignore[misc]
    assert list(joins["longest_standstill_ms"].values()) == [200, None, 200, None, 2_500]
    assert list(leaves["longest_standstill_ms"].values()) == [None, 50, None, 100, None]
    assert (joins["partitions_stayed"], joins["partitions_moved"], joins["took_seconds"]) == (1, 1, 3.0)


def test_rates_are_taken_over_the_rows_before() -> None:
    found = per_second(rows(), "sent", 5)
    assert math.isnan(found[0])
    assert (found[1], found[20]) == (10.0, 100.0)


def test_waits_make_one_point_for_each_window() -> None:
    lines = by_time([(0.5, 1.0), (1.0, 3.0), (7.0, 9.0)], 5.0)
    assert lines["p50"] == ([2.5, 7.5], [3.0, 9.0])


def test_the_page_says_when_a_total_was_wrong() -> None:
    results = {
        "settings": "12 partitions", "orders": 2_400, "wrong": ["allocated orders: 1, not 2"],
        "capacity_orders_per_second": 60, "load_average_before": 0.5, **figures(),
    }  # fmt: skip
    text = page("`make surge`", results, "surge.svg")
    assert "**no**: allocated orders: 1, not 2" in text
    assert "| ledger joins | 3.0 s | 1 / 1 | 200 | – | 200 | – | 2,500 |" in text
    assert "**no**" not in page("`make surge`", results | {"wrong": []}, "surge.svg")


def test_the_picture_is_drawn_with_every_change_and_line() -> None:
    text = picture(measured())
    ET.fromstring(text)
    for word in ("+ ledger", "− ledger", "peak: 10 × the load", "working off", ">sent<", ">p99<"):
        assert word in text, word


def test_powers_of_ten_are_equally_far_apart() -> None:
    text = chart("s", [Panel("p", [Line("l", [0, 1, 2, 3], [0.1, 1.0, 10.0, 0.0])], log=True)], [Mark(1, "now")])
    points = text.split('points="')[1].split('"')[0].split()
    heights = [float(point.split(",")[1]) for point in points]
    assert len(heights) == 3  # 0 has no place on such an axis
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.11)


def test_a_sku_in_memory_reserves_what_there_is_and_no_more() -> None:
    stock = Stock(10)
    _, facts = stock.take(stock.reservations(12))
    assert facts == {"StockReserved": 10, "ReservationRefused": 2}
    assert stock.snapshot()[1] > 0


def test_the_command_of_a_report_names_what_is_not_usual() -> None:
    parser = argparse.ArgumentParser()
    for name, usual in (("before", 45.0), ("peak-seconds", 180.0), ("after", 45.0), ("peak", 1.25)):
        parser.add_argument(f"--{name}", type=float, default=usual)
    parser.add_argument("--capacity-orders", type=int, default=6_000)
    parser.add_argument("--short", action="store_true")
    assert command_line(parser, parser.parse_args([])) == "make surge"
    assert command_line(parser, parser.parse_args(["--before", "30"])) == 'make surge ARGS="--before 30"'
    assert command_line(parser, parser.parse_args(["--short"])) == 'make surge ARGS="--short"'
