"""The report of a surge: a page and a picture."""

from __future__ import annotations

import os
import platform
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.surge.summary import Measured, by_time, cpu_by_kind, per_second, worked_off
from tests.faults.chart import Band, Line, Mark, Panel, chart

#: Rates in the picture are over so many seconds: less shows the projector's batches, more hides what a change does.
SMOOTH_SECONDS = 5
#: Lone orders of so many seconds give one point of p50 and p99.
WINDOW_SECONDS = 5.0
#: Characters in a line of the page.
WIDTH = 120

PAGE = """\
# A surge: ten times the load for minutes

{run}, with {settings}. Kafka, PostgreSQL, the workers and the channel shared these cores. The load average before the
run was {busy:g}: that is what else ran on the machine.

The load is {steady:,.0f} orders a second, then {peak:,.0f} for {seconds:g} s, then {steady:,.0f} again. The peak is
more than the machine can do, on purpose: work piles up for as long as the peak lasts, and is worked off after it. In
the peak, a second process of ledger, reactions and projector joins. Under the steady load after it, the second
processes are taken away. On cores that are all busy they add no speed. They show what a change of workers does to
those that go on.

![load, records waiting, placed until visible, cores and memory along the time]({image})

| measured | |
|---|---|
{measured}

## How long a lone order takes

Beside the load, lone orders are sent, about seven a second, and timed until PostgreSQL shows them as allocated. By
the time at which they were sent, in milliseconds:

| load | orders | p50 | p99 | longest |
|---|---|---|---|---|
{waits}

In the peak, an order waits behind all that came before it. So while more is sent than the machine can do, the wait
grows.

## A worker joins, a worker leaves

The longest standstill, in milliseconds: records waited, and none was handled. *Owners after*: the time until each
partition had an owner. *All that stayed*: no partition that kept its owner moved, so their worker stopped. *One that
stayed*: one of them did not move; under a backlog a worker takes its partitions in turn, so this also happens without a
change. *No change*: the same of all partitions, under the same load before the change.

| change | owners after | moved / stayed | all that stayed | no change | one that stayed | no change | one that moved |
|---|---|---|---|---|---|---|---|
{changes}

The ledger's figures come from the times of the facts in Kafka. Those of reactions and projector come from their
positions, looked at every 0.1 s.
"""


def write_report(path: Path, command: str, results: Mapping[str, Any], measured: Measured) -> None:
    image = path.with_suffix(".svg")
    image.write_text(picture(measured))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    path.write_text(page(f"`{command}` of {datetime.now(UTC).date()} on {machine}", results, image.name))


def picture(measured: Measured) -> str:
    plan, rows, waits, changes = measured
    at = [row.at for row in rows]
    kinds = list(dict.fromkeys(name.partition("-")[0] for row in rows for name in row.cpu))
    cores = {kind: [float("nan")] for kind in kinds}
    for number in range(1, len(rows)):
        span = rows[max(0, number - SMOOTH_SECONDS) : number + 1]
        used = cpu_by_kind(span)
        for kind in kinds:
            cores[kind].append(used.get(kind, 0.0) / (span[-1].at - span[0].at))
    memory = {
        kind: [max((mb for name, mb in row.rss.items() if name.partition("-")[0] == kind), default=0.0) for row in rows]
        for kind in rows[0].rss
    }
    panels = [
        Panel(
            "orders a second:",
            [
                Line("sent", at, per_second(rows, "sent", SMOOTH_SECONDS)),
                Line("visible", at, per_second(rows, "visible", SMOOTH_SECONDS)),
            ],
        ),
        Panel(
            "records that wait for:",
            [Line(worker, at, [float(row.waiting[worker]) for row in rows]) for worker in rows[0].waiting],
        ),
        Panel(
            "placed until visible, seconds (powers of ten):",
            [Line(name, *points) for name, points in by_time(waits, WINDOW_SECONDS).items()],
            log=True,
        ),
        Panel("cores in use by:", [Line(kind, at, cores[kind]) for kind in kinds]),
        Panel("memory of the largest process, MB:", [Line(kind, at, memory[kind]) for kind in memory]),
    ]
    bands = [
        Band(plan.before_seconds, plan.peak_ends, f"peak: {plan.times:g} × the load"),
        Band(plan.peak_ends, worked_off(plan, rows), "working off"),
    ]
    marks = [Mark(one.begin, f"{'+' if one.action == 'joins' else '−'} {one.worker}") for one in changes]
    return chart("seconds", panels, marks, bands)


def page(run: str, results: Mapping[str, Any], image: str) -> str:
    """The report's text; `results` is what the program prints."""
    load, peak, waits = results["load"], results["peak"], results["placed_to_visible_ms"]
    right = not results["wrong"]
    waiting = ", ".join(f"{worker} {count:,}" for worker, count in peak["records_waiting_at_most"].items())
    memory = ", ".join(f"{name} {mb:,}" for name, mb in results["memory_mb_at_most"].items())
    cpu = ", ".join(f"{name} {micros:,}" for name, micros in peak["cpu_us_an_order"].items())
    measured = {
        "orders": f"{results['orders']:,}",
        "every order allocated once, units on hand and reserved as ordered, no dead letter, nothing waiting, `verify` "
        "equal": "yes" if right else f"**no**: {'; '.join(results['wrong'])}",
        "orders a second that the machine takes from a backlog, before the run": (
            f"{results['capacity_orders_per_second']:,}"
        ),
        "orders a second in the peak: sent / visible": (
            f"{peak['sent_per_second']:,} / {peak['visible_per_second']:,}"
        ),
        "orders sent and not visible, at most": f"{peak['orders_not_visible_at_most']:,}",
        "records that waited, at most": waiting,
        "worked off after the end of the peak": f"{peak['worked_off_after_seconds']:,} s",
        "CPU µs an order, from the peak until worked off": cpu,
        "memory, MB, at most": memory,
    }
    text = PAGE.format(
        run=run,
        settings=results["settings"],
        busy=results["load_average_before"],
        steady=load["steady_orders_per_second"],
        peak=load["peak_orders_per_second"],
        seconds=load["peak_seconds"],
        image=image,
        measured="\n".join(f"| {name} | {value} |" for name, value in measured.items()),
        waits="\n".join(
            f"| {phase} | {one['orders']:,} | {one['p50']:,.0f} | {one['p99']:,.0f} | {one['max']:,.0f} |"
            for phase, one in waits.items()
        ),
        changes="\n".join(_change(one) for one in results["changes"]),
    )
    return "\n\n".join(_wrapped(paragraph) for paragraph in text.strip().split("\n\n")) + "\n"


def _wrapped(paragraph: str) -> str:
    if paragraph.startswith(("#", "|", "!")):
        return paragraph
    return textwrap.fill(" ".join(paragraph.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def _change(one: Mapping[str, Any]) -> str:
    stood = ["–" if ms is None else f"{ms:,}" for ms in one["longest_standstill_ms"].values()]
    return (
        f"| {one['worker']} {one['action']} | {one['took_seconds']:,} s "
        f"| {one['partitions_moved']} / {one['partitions_stayed']} | {' | '.join(stood)} |"
    )
