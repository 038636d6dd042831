"""Tables and plots of a run that was kept: what `make bench` prints, and the figures of docs/performance.md.

    python -m benchmarks.report benchmarks/results/whole_flow.json

The page's figures stand between two marks and come from here alone, so that page and run cannot differ.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bars import Bar, bars
from tests.faults.chart import Line, Panel, chart

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
KEPT = ROOT / "benchmarks" / "results" / "whole_flow.json"
CPU_PLOT, WAIT_PLOT = PAGE.with_name("performance-cpu.svg"), PAGE.with_name("performance-waits.svg")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
SERVERS = ("Kafka", "PostgreSQL")
OURS = "ours"

Found = Mapping[str, Any]


class Row(NamedTuple):
    """A line of the comparison. `value` is None where it was not measured."""

    what: str
    value: Callable[[Found], float | None]
    less_is_better: bool = True


def _own(found: Found) -> float:
    cpu = found["median"]["cpu_us_an_order"]
    return float(sum(value for name, value in cpu.items() if name not in (*SERVERS, "all")))


def _cpu(name: str) -> Callable[[Found], float | None]:
    return lambda found: found["median"]["cpu_us_an_order"][name]


def _wait(at: str) -> Callable[[Found], float | None]:
    return lambda found: found.get("latency_ms", {}).get(at)


def _loaded(share: str, at: str) -> Callable[[Found], float | None]:
    return lambda found: found.get("latency_under_load_ms", {}).get(share, {}).get(at)


def _loaded_cpu(share: str) -> Callable[[Found], float | None]:
    return lambda found: found.get("latency_under_load_ms", {}).get(share, {}).get("cpu_us_an_order", {}).get("all")


def _sum(name: str) -> Callable[[Found], float | None]:
    return lambda found: round(sum(found[name].values()), 1) if name in found else None


def _of_the_log(name: str) -> Callable[[Found], float | None]:
    return lambda found: round(sum(found["median"][name].values()), 1)


ROWS = (
    Row("CPU an order, µs: all", _cpu("all")),
    Row("– its own processes", _own),
    Row("– Kafka", _cpu("Kafka")),
    Row("– PostgreSQL", _cpu("PostgreSQL")),
    Row("put off until nothing comes, µs an order", lambda found: found["median"]["cpu_us_an_order_afterwards"]),
    Row("orders a second from a backlog", lambda found: found["median"]["orders_per_second"], less_is_better=False),
    Row("a lone order, ms: p50", _wait("p50")),
    Row("– p99", _wait("p99")),
    Row("at 30 % of its own rate, ms: p50", _loaded("30%", "p50")),
    Row("– p99", _loaded("30%", "p99")),
    Row("– CPU an order then, µs", _loaded_cpu("30%")),
    Row("at 70 % of its own rate, ms: p50", _loaded("70%", "p50")),
    Row("– p99", _loaded("70%", "p99")),
    Row("– CPU an order then, µs", _loaded_cpu("70%")),
    Row("CPU at rest, with Kafka and PostgreSQL, ms a second", _sum("idle_cpu_ms_a_second")),
    Row("memory of its own processes, MB", _sum("rss_mb")),
    Row("records an order, with all topics", _of_the_log("records_an_order")),
    Row("bytes an order in Kafka", _of_the_log("bytes_an_order")),
)


class Aim(NamedTuple):
    """`value` of a run; None where the run does not measure it. Where `peer` is given, the moonshot is that of Kafka
    Streams, tuned, in the same run.
    """

    what: str
    aim: float
    moonshot: float | None
    value: Callable[[Mapping[str, Any]], float | None]
    less_is_better: bool = True
    peer: Callable[[Found], float | None] | None = None


def _of_ours(value: Callable[[Found], float | None]) -> Callable[[Mapping[str, Any]], float | None]:
    def ours(document: Mapping[str, Any]) -> float | None:
        found = document["subjects"].get(OURS)
        return value(found) if found and "median" in found else None

    return ours


def _lane(lane: str, value: Callable[[Mapping[str, Any]], float]) -> Callable[[Mapping[str, Any]], float | None]:
    def median(document: Mapping[str, Any]) -> float | None:
        rounds = document.get("lanes", {}).get(lane)
        return statistics.median(map(value, rounds)) if rounds else None

    return median


def _rebuilt(document: Mapping[str, Any]) -> float | None:
    """The whole call, from starting the processes to the last index."""
    rounds = document["subjects"].get(OURS, {}).get("rebuild", {}).get("two processes")
    return statistics.median(one["facts_per_second"] for one in rounds) if rounds else None


AIMS = (
    Aim("whole flow, CPU an order, µs", 1_300, 700, _of_ours(_cpu("all")), peer=_cpu("all")),
    Aim(
        "whole flow, orders a second",
        1_300,
        2_000,
        _of_ours(lambda found: found["median"]["orders_per_second"]),
        less_is_better=False,
    ),
    Aim("a lone order, p99, ms", 150, 154, _of_ours(_wait("p99")), peer=_wait("p99")),
    Aim("– at 70 % load, p99, ms", 500, None, _of_ours(_loaded("70%", "p99"))),
    Aim(
        "fold lane, facts a second, all projections",
        40_000,
        100_000,
        _lane("fold", lambda one: one["facts_per_second"]),
        less_is_better=False,
    ),
    Aim(
        "fold lane, rebuild with two processes, facts a second",
        80_000,
        200_000,
        _rebuilt,
        less_is_better=False,
    ),
    Aim(
        "decide lane, commands a second and process",
        16_000,
        25_000,
        _lane("decide", lambda one: one["commands_per_second"]),
        less_is_better=False,
    ),
    Aim(
        "reactions, facts a second and process",
        10_000,
        20_000,
        _lane("react", lambda one: 1e6 / one["us_per_fact"]),
        less_is_better=False,
    ),
    Aim(
        "memory of the largest worker after the run, MB",
        600,
        None,
        _of_ours(lambda found: max(found["rss_mb"].values()) if "rss_mb" in found else None),
    ),
    Aim("a year of Online Retail II, import to verified, s (`make year`)", 240, 120, lambda _: None),
)


TUNED = "streams-tuned"
"""The subject that the moonshots are taken from."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.1f}" if value < 100 and value != round(value) else f"{value:,.0f}"


def measured(document: Mapping[str, Any]) -> dict[str, Found]:
    """The subjects that have come to an end with all their orders."""
    return {key: found for key, found in document["subjects"].items() if "median" in found}


def comparison(document: Mapping[str, Any]) -> str:
    """One line a figure; in brackets the peer's figure divided by ours."""
    subjects = measured(document)
    rows = []
    for row in ROWS:
        values = {key: row.value(found) for key, found in subjects.items()}
        if not any(value is not None for value in values.values()):
            continue
        ours = values.get(OURS)
        cells = [
            number(value) if key == OURS or not ours or value is None else f"{number(value)} ({value / ours:.2f})"
            for key, value in values.items()
        ]
        rows.append([row.what, *cells])
    rows.append(["totals", *("wrong: " + "; ".join(f["wrong"]) if f["wrong"] else "right" for f in subjects.values())])
    return table(["", *(found["name"] for found in subjects.values())], rows)


def wins(document: Mapping[str, Any]) -> str:
    """Where a peer is better, in plain words."""
    subjects = measured(document)
    if OURS not in subjects:
        return ""
    said, whole = [], ""
    for row in ROWS:
        whole = row.what.partition(":")[0] + ": " if not row.what.startswith("–") else whole
        name = row.what if not row.what.startswith("–") else whole + row.what.removeprefix("– ")
        ours = row.value(subjects[OURS])
        better = [
            f"{found['name']} {number(value)}"
            for key, found in subjects.items()
            if key != OURS
            and ours is not None
            and (value := row.value(found)) is not None
            and (value < ours if row.less_is_better else value > ours)
        ]
        if better:
            said.append(f"- {name}: {', '.join(better)}; order-ledger {number(ours)}")
    return "\n".join(said) or "- nowhere"


def by_process(document: Mapping[str, Any]) -> str:
    rows = [
        [found["name"], ", ".join(f"{name} {value:,}" for name, value in found["median"]["cpu_us_an_order"].items())]
        for found in measured(document).values()
    ]
    return table(["CPU µs an order", "by process"], rows)


def rounds(document: Mapping[str, Any]) -> str:
    """Each round: how far they lie apart says what the medians are worth."""
    rows = []
    for found in measured(document).values():
        for name, chosen in (("warm-up", True), ("measured", False)):
            some = [one for one in found["rounds"] if one["warm_up"] is chosen]
            rows.append(
                [
                    found["name"],
                    name,
                    ", ".join(f"{one['cpu_us_an_order']['all']:,}" for one in some),
                    ", ".join(f"{one['orders_per_second']:,}" for one in some),
                    ", ".join(f"{one['calibration_seconds']:.2f}" for one in some),
                ]
            )
    return table(["", "rounds", "CPU µs an order", "orders a second", "calibration, s"], rows)


def lanes(document: Mapping[str, Any]) -> str:
    def middle(lane: str, name: str) -> float:
        return float(statistics.median(one[name] for one in document["lanes"][lane]))

    fold = f"client {middle('fold', 'client_us')} µs, PostgreSQL {middle('fold', 'postgres_us')} µs a fact"
    rows = [
        ["fold: log bytes to tables, all projections", number(middle("fold", "facts_per_second")) + " facts", fold],
        [
            "decide: command bytes to fact bytes",
            number(middle("decide", "commands_per_second")) + " commands",
            f"{middle('decide', 'us_a_command')} µs a command, {middle('decide', 'us_an_order')} µs an order",
        ],
        [
            "react: fact bytes to command bytes",
            number(1e6 / middle("react", "us_per_fact")) + " facts",
            f"{middle('react', 'us_per_fact')} µs a fact, {middle('react', 'us_per_order')} µs an order",
        ],
    ]
    for name, floor in document["subjects"].get(OURS, {}).get("floors", {}).items():
        spent = ", ".join(f"{process} {value} µs" for process, value in floor["cpu_us_a_record"].items())
        rows.append([f"floor: {name}", number(floor["records_per_second"]) + " facts", spent + " a fact"])
    for name, found in document["subjects"].get(OURS, {}).get("rebuild", {}).items():
        median = sorted(found, key=lambda one: one["seconds"])[len(found) // 2]
        spent = ", ".join(f"{process} {value} µs" for process, value in median["cpu_us_a_fact"].items())
        whole = f"{number(median['seconds'])} s for {median['facts']:,} facts: {spent} a fact"
        rate = "–" if name.endswith("nothing") else number(median["facts_per_second"]) + " facts"
        rows.append([f"all tables anew: {name}", rate, whole])
    return table(["one process", "a second", "CPU"], rows)


def aims(document: Mapping[str, Any]) -> str:
    rows = []
    for aim in AIMS:
        value = aim.value(document)
        met = (
            "–" if value is None else "yes" if (value <= aim.aim if aim.less_is_better else value >= aim.aim) else "no"
        )
        sign = "≤" if aim.less_is_better else "≥"
        tuned = measured(document).get(TUNED)
        beside = aim.peer(tuned) if aim.peer and tuned else None
        moonshot = aim.moonshot if beside is None else beside
        most = "" if moonshot is None else f"{sign} {number(moonshot)}"
        most += "" if beside is None else " (Kafka Streams, tuned)"
        rows.append([aim.what, f"{sign} {number(aim.aim)}", most, number(value), met])
    return table(["what", "aim", "moonshot", "measured", "met"], rows)


def about(document: Mapping[str, Any]) -> str:
    it = document["about"]
    postgres = sorted({str(found["postgres"]) for found in measured(document).values()})
    versions = f"Python {it['python']}, Kafka {it['kafka']} on {it['java']}, PostgreSQL {', '.join(postgres)}."
    lines = [
        f"`{it['command']}` at {it['commit']} on {it['at']}: {it['cores']} cores ({it['processor']}), "
        f"{it['memory_gb']} GB; load average before {it['load_before']}, after {it.get('load_after', '–')}. "
        + versions,
        "",
        *(f"- {found['name']}: {found['settings']}." for found in document["subjects"].values()),
    ]
    failed = [f"- {f['name']} broke: {f['failed']}" for f in document["subjects"].values() if "failed" in f]
    return "\n".join([*lines, *failed])


def parts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Headings and their tables."""
    found = [("The run", about(document))]
    if OURS in document["subjects"]:
        found.append(("Aims", aims(document)))
    found.append(("Side by side", comparison(document)))
    if len(measured(document)) > 1 and OURS in document["subjects"]:
        found.append(("Where another is better", wins(document)))
    found += [("By process", by_process(document)), ("Round by round", rounds(document))]
    if "lanes" in document:
        found.append(("Lanes alone, and floors", lanes(document)))
    return found


def as_text(document: Mapping[str, Any]) -> str:
    return "\n\n".join(f"{title}\n\n{text}" for title, text in parts(document))


def as_page(document: Mapping[str, Any], page: str) -> str:
    """The page with the figures of this run between the marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    sections = []
    for title, text in parts(document):
        sections.append(f"### {title}\n\n{text}")
        if title == "Side by side":
            sections.append(
                f"In brackets: divided by order-ledger's figure.\n\n![CPU an order by process]({CPU_PLOT.name})\n\n"
                f"![how long a lone order waits]({WAIT_PLOT.name})"
            )
    return "\n\n".join([before + begin, *sections, end]) + after


def plots(document: Mapping[str, Any]) -> dict[Path, str]:
    subjects = measured(document)
    cpu = []
    for found in subjects.values():
        spent = found["median"]["cpu_us_an_order"]
        parts = {"its own processes": _own(found), **{name: float(spent[name]) for name in SERVERS}}
        cpu.append(Bar(found["name"], parts, spent["all"]))
    # One that costs ten times as much would leave nothing to see of the others.
    ours = subjects[OURS]["median"]["cpu_us_an_order"]["all"] if OURS in subjects else 0
    shown = min(max(bar.total for bar in cpu), 2 * ours) or max(bar.total for bar in cpu)
    panels = []
    for at in ("p50", "p99"):
        lines = []
        for found in subjects.values():
            waits = {0.0: found.get("latency_ms", {})} | {
                float(share.rstrip("%")): one for share, one in found.get("latency_under_load_ms", {}).items()
            }
            known = {share: one[at] for share, one in waits.items() if one}
            lines.append(Line(found["name"], list(known), list(known.values())))
        panels.append(Panel(f"a lone order, {at}, ms", lines))
    return {
        CPU_PLOT: bars("CPU µs an order:", cpu, shown) + "\n",
        WAIT_PLOT: chart("load, % of the subject's own rate", panels) + "\n",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=KEPT)
    document = json.loads(parser.parse_args().file.read_text())
    PAGE.write_text(as_page(document, PAGE.read_text()))
    for path, plot in plots(document).items():
        path.write_text(plot)


if __name__ == "__main__":
    main()
