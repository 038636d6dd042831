"""A surge through the whole flow: steady load, ten times as much for minutes, steady again, and more workers meanwhile.

    python -m benchmarks.surge --report docs/surge.md          (make surge; --short takes about a minute)

It starts a Kafka and a PostgreSQL of its own, and one process of each worker. First it measures how many orders a
second this machine takes; the peak is `--peak` times that, the steady load a tenth of the peak. In the peak a second
process of each worker joins; when all is worked off and the load is steady again, they are taken away. Each second is
measured on the way. At the end everything is counted: every order allocated once, units as ordered, nothing waiting,
`verify` equal. Otherwise the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.flow import note
from benchmarks.machine import calibration_seconds
from benchmarks.ours import WORKERS, Ours
from benchmarks.place import Place, place
from benchmarks.sender import Sender
from benchmarks.surge.disk import Disk
from benchmarks.surge.load import Load, Lone, Orders
from benchmarks.surge.page import write_report
from benchmarks.surge.plan import Plan
from benchmarks.surge.standing import Change, change
from benchmarks.surge.summary import WORKED_OFF_LOAD_SECONDS, Measured, summary
from benchmarks.surge.watch import Watch, owners, read_log, stood_still
from benchmarks.traffic import Traffic
from gateway.operating.settling import Gauge, settle
from runtime.kafka import admin
from runtime.postgres import connect

TIMES = 10.0
#: Bounds a hang. A process joins within seconds; one that is gone is missed after its session (10 s).
JOIN_SECONDS, WORKED_OFF_SECONDS = 120.0, 900.0


class Surge:
    """One run. `results` is what it prints."""

    def __init__(self, where: Place, options: argparse.Namespace) -> None:
        self.where, self.options = where, options
        self.subject = Ours(where)
        self.traffic = Traffic()
        self.orders = Orders(self.subject, self.traffic)
        self.changes: list[Change] = []
        self.plan = Plan(1.0, TIMES, options.before, options.peak_seconds)
        self._admin = admin(self.subject.services)
        self._load_average = round(os.getloadavg()[0], 1)

    def run(self) -> dict[str, Any]:
        self.subject.start()
        capacity = self._capacity()
        self.plan = Plan(capacity * self.options.peak / TIMES, TIMES, self.options.before, self.options.peak_seconds)
        note("orders a second that this machine takes", round(capacity))
        note("steady and peak, orders a second", (round(self.plan.steady), round(self.plan.peak)))
        services = self.subject.services
        with (
            ThreadPoolExecutor(4, "surge") as threads,
            connect(services, "bench-lone", autocommit=True) as lone_connection,
            connect(services, "bench-follow", autocommit=True) as follow_connection,
        ):
            disk = Disk(self.where, self.subject.connection)
            already = self.traffic.orders
            load = Load(self.where, self.orders, self.plan)
            lone = Lone(self.where, self.orders, lone_connection)
            own = [one.info.backend_pid for one in (self.subject.connection, lone_connection, follow_connection)]
            self._began, began_at = time.monotonic(), time.time()
            self._watch = Watch(self.where, self.subject, lambda: already + load.sent + lone.sent, self._began)
            self._jobs = [
                threads.submit(self._watch.look, own),
                threads.submit(self._watch.follow, follow_connection),
                threads.submit(load.run, self._began),
                threads.submit(lone.run, self._began),
            ]
            try:
                self._act()
                load.stop()
                lone.stop()
                for job in self._jobs[2:]:
                    job.result()
                wrong = self._settled()
            finally:
                load.stop()
                lone.give_up()  # it has ended, or the run has failed
                self._watch.stop()
            for job in self._jobs:
                job.result()
        wrong += self.subject.wrong(self.traffic)
        self.measured = Measured(self.plan, self._watch.rows, lone.waits, self.changes)
        orders = self.traffic.orders - already
        return {
            "name": self.subject.name,
            "settings": self.subject.settings,
            "calibration_seconds": round(calibration_seconds(), 4),
            "load_average_before": self._load_average,
            "began_at": datetime.fromtimestamp(began_at, UTC).isoformat(timespec="milliseconds"),
            "orders": orders,
            "wrong": wrong,
            "capacity_orders_per_second": round(capacity),
            "bytes_an_order": disk.since(orders),
            **summary(self.measured, stood_still(self._watch, read_log(services, began_at))),
        }

    def _capacity(self) -> float:
        """Orders a second from a backlog to the tables; the first backlog warms up."""
        sender = Sender(self.where.kafka, 50)
        rate = 0.0
        for orders in (self.options.capacity_orders // 3, self.options.capacity_orders):
            records = self.orders.make(orders)
            begun = time.monotonic()
            for _, record in records:
                sender.send(record)
            sender.finish()
            while self.subject.visible() < self.traffic.orders:
                self.subject.processes()
                time.sleep(0.1)
            rate = orders / (time.monotonic() - begun)
        return rate

    def _act(self) -> None:
        """Add and take away processes as the load goes up and down."""
        plan = self.plan
        for number, worker in enumerate(WORKERS, 1):
            self._sleep_until(plan.before_seconds + plan.peak_seconds * number / 5)
            self._change(worker, "joins", 2, partial(self.subject.add, worker, f"{worker}-2"))
        self._sleep_until(plan.peak_ends)
        note("the peak is over; orders not visible yet", self._not_visible())
        worked_off = plan.steady * WORKED_OFF_LOAD_SECONDS
        self._until(lambda: self._not_visible() <= worked_off, WORKED_OFF_SECONDS)
        note("worked off, seconds after the peak", round(self._now - plan.peak_ends, 1))
        self._sleep_until(self._now + self.options.after / 2)
        for worker in WORKERS:
            self._change(worker, "leaves", 1, partial(self.subject.take_away, f"{worker}-2"))
            self._sleep_until(self._now + self.options.after / 6)

    def _change(self, worker: str, action: str, members: int, act: Callable[[], None]) -> None:
        """Have a process join or leave, and wait until every partition has an owner again."""
        services, begin = self.subject.services, self._now
        before = owners(self._admin, services, worker)
        act()

        def shared() -> bool:
            found = owners(self._admin, services, worker)
            return len(set(found.values())) == members and set(found) == set(before)

        self._until(shared, JOIN_SECONDS, 0.5)
        after = owners(self._admin, services, worker)
        self.changes.append(change(worker, action, (begin, self._now), before, after))
        last = self.changes[-1]
        note(f"{worker} {action}", f"{last.end - begin:.1f} s; partitions moved {len(last.moved)}")

    def _settled(self) -> list[str]:
        with connect(self.subject.services, "bench-settle") as connection:
            flight = settle(Gauge(self.subject.services, connection), WORKED_OFF_SECONDS)
        return [f"records still waiting: {flight.in_flight}"] if flight.in_flight else []

    def _not_visible(self) -> int:
        rows = self._watch.rows
        return rows[-1].sent - rows[-1].visible if rows else 0

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def _sleep_until(self, seconds: float) -> None:
        self._until(lambda: self._now >= seconds)

    def _until(self, done: Callable[[], bool], patience_seconds: float = 3_600.0, pause: float = 0.1) -> None:
        deadline = time.monotonic() + patience_seconds
        while not done():
            for job in self._jobs:
                if job.done():
                    job.result()
                    sys.exit("a part of the benchmark ended too early")
            if time.monotonic() > deadline:
                sys.exit(f"not within {patience_seconds:.0f} s: {self._watch.rows[-1]}")
            time.sleep(pause)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Ten times the load for minutes, and more workers meanwhile.",
        epilog="Example: python -m benchmarks.surge --report docs/surge.md",
    )
    parser.add_argument("--before", type=float, default=45.0, help="seconds of steady load before the peak")
    parser.add_argument("--peak-seconds", type=float, default=180.0)
    parser.add_argument("--after", type=float, default=45.0, help="seconds of steady load after it, at least")
    parser.add_argument("--peak", type=float, default=1.25, help="orders a second, in shares of what the machine takes")
    parser.add_argument("--capacity-orders", type=int, default=6_000, help="a backlog to measure that")
    parser.add_argument("--short", action="store_true", help="a minute, to see that it works")
    parser.add_argument("--report", type=Path, help="markdown to write; a picture (.svg) is put beside it")
    parser.add_argument("--results", type=Path, help="JSON to write")
    parser.add_argument("--logs", type=Path, help="folder that gets the logs of the workers")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args()
    if options.short:
        options.before, options.peak_seconds, options.after, options.capacity_orders = 5.0, 25.0, 6.0, 2_400
    with place() as where:
        surge = Surge(where, options)
        try:
            results = surge.run()
        finally:
            surge.subject.stop()
            if options.logs:
                options.logs.mkdir(parents=True, exist_ok=True)
                for log in where.folder.glob("*.log"):
                    shutil.copy(log, options.logs)
    text = json.dumps(results, indent=2)
    if options.results:
        options.results.write_text(text + "\n")
    if options.report:
        write_report(options.report, command_line(parser, options), results, surge.measured)
    print(text if options.json else in_words(results))
    if results["wrong"]:
        sys.exit(1)


def command_line(parser: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """The command that measures the same."""
    if options.short:
        return 'make surge ARGS="--short"'
    numbers = ("before", "peak_seconds", "after", "peak", "capacity_orders")
    given = [
        f"--{name.replace('_', '-')} {getattr(options, name):g}"
        for name in numbers
        if getattr(options, name) != parser.get_default(name)
    ]
    return f'make surge ARGS="{" ".join(given)}"' if given else "make surge"


def in_words(results: Mapping[str, Any]) -> str:
    lines = [f"totals: {'right' if not results['wrong'] else '; '.join(results['wrong'])}"]
    for name, value in results["peak"].items():
        lines.append(f"{name}: {value}")
    lines += [json.dumps(one) for one in results["changes"]]
    lines += [f"{phase}: {json.dumps(waits)}" for phase, waits in results["placed_to_visible_ms"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
