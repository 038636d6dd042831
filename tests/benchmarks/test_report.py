"""Tables, plots and judgements made of what was measured; no service is started here."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks.bars import Bar, bars
from benchmarks.peers.kafka_streams import build
from benchmarks.peers.kafka_streams.subject import IDS, schemas
from benchmarks.peers.peer import TOTALS, wanted_totals
from benchmarks.report import KEPT, PAGE, as_page, as_text, plots
from benchmarks.short import judged, ratio_of
from benchmarks.traffic import Traffic


def found(name, cpu, rate, wait, wrong=()):
    return {
        "name": name,
        "settings": "s",
        "postgres": 18,
        "rounds": [
            {"warm_up": one, "cpu_us_an_order": {"all": cpu}, "orders_per_second": rate, "calibration_seconds": 0.2}
            for one in (True, False)
        ],
        "median": {
            "cpu_us_an_order": {"app": cpu - 200, "Kafka": 100, "PostgreSQL": 100, "all": cpu},
            "cpu_us_an_order_afterwards": 10,
            "orders_per_second": rate,
            "records_an_order": {"a": 2.0},
            "bytes_an_order": {"a": 300},
        },
        "latency_ms": {"p50": wait, "p99": 2 * wait},
        "wrong": list(wrong),
    }


def a_run(**subjects):
    about = dict.fromkeys(
        ("commit", "command", "at", "processor", "memory_gb", "python", "kafka", "java", "load_before"), "-"
    )
    return {"about": about | {"cores": 2}, "subjects": subjects}


def test_a_peer_that_is_better_is_named_with_both_figures():
    run = a_run(ours=found("order-ledger", 1_000, 800, 90), faust=found("Faust", 3_000, 900, 40))
    text = as_text(run)
    assert "| CPU an order, µs: all | 1,000 | 3,000 (3.00) |" in text
    said = text.partition("Where another is better")[2].partition("By process")[0]
    assert "orders a second from a backlog: Faust 900; order-ledger 800" in said
    assert "a lone order, ms: p99: Faust 80; order-ledger 180" in said
    assert "CPU an order" not in said


def test_wrong_totals_and_a_subject_that_broke_are_told():
    run = a_run(
        ours=found("order-ledger", 1_000, 800, 90, wrong=["orders: 1, not 2"]),
        streams={"name": "Kafka Streams", "settings": "s", "failed": "it has ended"},
    )
    text = as_text(run)
    assert "wrong: orders: 1, not 2" in text
    assert "Kafka Streams broke: it has ended" in text


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="figures: begin"):
        as_page(a_run(ours=found("order-ledger", 1_000, 800, 90)), "no marks")


def test_the_page_and_its_plots_are_those_of_the_run_that_is_kept():
    run = json.loads(KEPT.read_text())
    assert not any(one.get("failed") or one["wrong"] for one in run["subjects"].values())
    page = PAGE.read_text()
    assert page == as_page(run, page), "python -m benchmarks.report"
    for path, plot in plots(run).items():
        assert path.read_text() == plot, "python -m benchmarks.report"


def test_bars_have_one_scale_and_what_is_too_long_is_cut():
    drawn = bars("µs", [Bar("a", {"x": 100, "y": 100}, 200), Bar("b", {"x": 50}, 50), Bar("c", {"x": 900}, 900)], 200)
    widths = [float(one) for one in re.findall(r'width="([0-9.]+)" height="30"', drawn)]
    assert widths[0] == widths[1] == 2 * widths[2]
    assert widths[3] == widths[0] + widths[1]
    assert "900 (cut)" in drawn
    assert "200 (cut)" not in drawn


def test_an_order_is_counted_in_orders_of_the_reference():
    assert ratio_of([200, 400], [100, 100, 100]) == 3.0


def test_a_figure_that_is_too_dear_is_measured_again_before_it_is_a_loss():
    def measured(*ratios):
        return iter(ratios).__next__

    assert judged(1.0, measured(1.05)) == (1.05, False)
    assert judged(1.0, measured(1.25, 0.75)) == (1.0, False)
    assert judged(1.0, measured(1.25, 1.25, 1.25)) == (1.25, True)


def test_every_total_that_is_wanted_is_asked_for():
    assert set(re.findall(r'AS "([^"]+)"', TOTALS)) == set(wanted_totals(Traffic()))


def test_frames_of_the_peer_have_the_ids_that_its_java_gives_them():
    source = (build.HERE / "peer" / "AvroSerde.java").read_text()
    names = re.findall(r"new (\w+)\(\)", source.partition("TYPES = List.of(")[2].partition(");")[0])
    assert {name: names.index(name) + 1 for name in IDS} == IDS
    assert set(names) <= set(schemas())
