"""The whole flow: CPU time an order from `PlaceOrder` to its rows in PostgreSQL, by process, and a lone order's wait.

Five locations get plenty of stock of 1,000 SKUs. A round sends a backlog of orders of 3 lines, and ends when PostgreSQL
shows all of them as allocated. The first rounds only warm up. The figures are medians of the rounds after them. CPU is
that of the processes and their children; the sender and the benchmark's own queries do not count.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import psutil

from benchmarks.machine import calibration_seconds, cpu_seconds, rss_mb, spent
from benchmarks.place import Place
from benchmarks.sender import Sender
from benchmarks.subject import Record, Subject
from benchmarks.traffic import Traffic

#: Looks at the tables: more often costs PostgreSQL's cores, more rarely makes a round look longer than it was.
LOOK_SECONDS = 0.1
#: Looks for a lone order: a wait is known as well as that. More often takes much of a core from who is measured.
LOOK_ALONE_SECONDS = 0.004
#: Bounds a hang.
PATIENCE_SECONDS = 600.0
#: What is put off until nothing comes (a snapshot, a commit) is done in this time after a round.
AFTERWARDS_SECONDS = 3.0
#: What is done now and then at rest (a hint committed, a snapshot) shows in this time.
IDLE_SECONDS = 10.0


class Bench:
    """One subject under load; `results` grows with every step."""

    def __init__(self, place: Place, subject: Subject) -> None:
        self._place, self._subject = place, subject
        self._traffic = Traffic()
        self._backend = subject.connection.info.backend_pid
        self._bulk, self._lone, self._steady = (Sender(place.kafka, linger_ms) for linger_ms in (50, 0, 5))
        self.results: dict[str, Any] = {"name": subject.name, "settings": subject.settings, "rounds": []}
        self.results["postgres"] = subject.connection.info.server_version // 10_000

    def cpu(self) -> dict[str, float]:
        own = {name: cpu_seconds(pid) for name, pid in self._subject.processes().items()}
        return own | self._place.server_cpu(self._backend)

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (seen := self._subject.visible()) < self._traffic.orders:
            self._subject.processes()
            if time.monotonic() > deadline:
                sys.exit(f"{self._subject.name}: {seen:,} of {self._traffic.orders:,} orders allocated in time")
            time.sleep(LOOK_SECONDS)

    def round(self, orders: int, *, warm_up: bool) -> dict[str, Any]:
        """Send a backlog, wait until all of it is visible, and keep what it cost."""
        records = self._subject.records([self._traffic.order() for _ in range(orders)])
        calibration = calibration_seconds()
        topics, sizes = self._subject.topics(), self._place.bytes_on_disk()
        before, begun = self.cpu(), time.monotonic()
        for record in records:
            self._bulk.send(record)
        self._bulk.finish()
        self._wait()
        seconds, after = time.monotonic() - begun, self.cpu()
        time.sleep(AFTERWARDS_SECONDS)
        settled = self.cpu()
        ends, later = self._subject.topics(), self._place.bytes_on_disk()
        row: dict[str, Any] = {
            "warm_up": warm_up,
            "orders": orders,
            "cpu_us_an_order": spent(before, after, orders),
            "cpu_us_an_order_afterwards": spent(after, settled, orders)["all"],
            "orders_per_second": round(orders / seconds),
            "calibration_seconds": round(calibration, 4),
            "records_an_order": {name: round((ends[name] - topics.get(name, 0)) / orders, 2) for name in ends},
            "bytes_an_order": {
                name: round((size - sizes.get(name, 0)) / orders)
                for name, size in later.items()
                if size > sizes.get(name, 0)
            },
        }
        self.results["rounds"].append(row)
        note("warm-up" if warm_up else "round", shown(row))
        return row

    def idle(self) -> None:
        """CPU of each process in ms a second with nothing to do, and its memory."""
        before = self.cpu()
        time.sleep(IDLE_SECONDS)
        after = self.cpu()
        self.results["idle_cpu_ms_a_second"] = {
            name: round((after[name] - before[name]) / IDLE_SECONDS * 1000, 1) for name in after
        }
        self.results["rss_mb"] = {name: rss_mb(pid) for name, pid in self._subject.processes().items()}
        note("idle, CPU ms a second", self.results["idle_cpu_ms_a_second"])
        note("memory, MB", self.results["rss_mb"])

    def alone(self, orders: int) -> None:
        """How long a lone order takes from `produce` to its row."""
        pause = Random(1)
        waits = []
        for _ in range(orders):
            time.sleep(pause.uniform(0.05, 0.2))
            waits.append(self._one_order())
        self.results["latency_ms"] = percentiles(waits)
        note("a lone order, ms", self.results["latency_ms"])

    def under_load(self, share: float, seconds: float) -> None:
        """The wait of lone orders while others come at a share of what the rounds have done a second."""
        rate = max(1.0, share * self.results["median"]["orders_per_second"])
        records = self._subject.records([self._traffic.order() for _ in range(round(rate * seconds))])
        stream = threading.Thread(target=self._send_evenly, args=(records, rate), daemon=True)
        before, machine, own, begun = self.cpu(), psutil.cpu_times(), time.process_time(), time.monotonic()
        stream.start()
        waits = []
        while stream.is_alive():
            waits.append(self._one_order())
            time.sleep(0.1)
        self._steady.finish()
        found: dict[str, Any] = percentiles(waits) | {"orders_per_second": round(rate, 1)}
        found["benchmark_busy"] = round((time.process_time() - own) / (time.monotonic() - begun), 2)
        found["machine_busy"] = busy(machine, psutil.cpu_times())
        self._wait()
        found["cpu_us_an_order"] = spent(before, self.cpu(), len(records) + len(waits))
        self.results.setdefault("latency_under_load_ms", {})[f"{share:.0%}"] = found
        note(f"an order at {share:.0%} load, ms", found)

    def _send_evenly(self, records: Sequence[Record], rate: float) -> None:
        begun = time.monotonic()
        for number, record in enumerate(records):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            self._steady.send(record)

    def _one_order(self) -> float:
        order = self._traffic.order()
        (record,) = self._subject.records([order])
        begun = time.perf_counter()
        self._lone.send(record)
        while not self._subject.sees(order.order_id):
            if time.perf_counter() - begun > PATIENCE_SECONDS:
                sys.exit(f"{self._subject.name}: {order.order_id} never got visible")
            time.sleep(LOOK_ALONE_SECONDS)
        return (time.perf_counter() - begun) * 1000

    def check(self) -> None:
        """Count everything. A wrong total makes the run fail, because its figures would be worth nothing."""
        self._lone.finish()
        self._wait()
        self.results["wrong"] = self._subject.wrong(self._traffic)
        self.results["orders"] = self._traffic.orders
        note("totals", "right" if not self.results["wrong"] else "; ".join(self.results["wrong"]))

    def summarise(self) -> None:
        self.results["median"] = median_of([row for row in self.results["rounds"] if not row["warm_up"]])
        note("median", shown(self.results["median"]))


def median_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of rounds, figure by figure; `all` is the median of the sums."""

    def middle(values: Sequence[Any]) -> Any:
        if isinstance(values[0], dict):
            names = {name: None for value in values for name in value}
            return {name: middle([value.get(name, 0) for value in values]) for name in names}
        found = statistics.median(values)
        return round(found, 4) if isinstance(found, float) else found

    return {name: middle([row[name] for row in rows]) for name in rows[0] if name != "warm_up"}


def busy(before: Any, after: Any) -> float:
    """The share of all cores that anybody used: near 1, the waits are those of the machine."""
    idle, total = after.idle + after.iowait - before.idle - before.iowait, sum(after) - sum(before)
    return round(1 - float(idle / total), 2)


def percentiles(waits: Sequence[float]) -> dict[str, float]:
    ordered = sorted(waits)
    at = {"p50": 0.50, "p99": 0.99}
    found = {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) for name, share in at.items()}
    return found | {"max": round(ordered[-1], 1), "orders": len(ordered)}


def shown(row: dict[str, Any]) -> str:
    return f"CPU µs an order {row['cpu_us_an_order']}; {row['orders_per_second']} orders/s"


def note(what: str, found: Any) -> None:
    print(f"  {what}: {found}", file=sys.stderr, flush=True)


def measure(
    place: Place,
    subject: Subject,
    options: argparse.Namespace,
    afterwards: Callable[[], Mapping[str, Any]] = dict,
) -> dict[str, Any]:
    """All figures of one subject, which is started and stopped here; `afterwards` measures more while it still runs."""
    print(subject.name, file=sys.stderr, flush=True)
    try:
        subject.start()
        bench = Bench(place, subject)
        for number in range(subject.warm_ups + options.rounds):
            bench.round(round(options.orders * subject.share), warm_up=number < subject.warm_ups)
        bench.summarise()
        if options.idle:
            bench.idle()
        if options.alone:
            bench.alone(options.alone)
        for share in options.load:
            bench.under_load(share, options.load_seconds)
        bench.check()
        bench.results |= afterwards()
    finally:
        subject.stop()
        place.clear(subject.database, subject.prefix)
    return bench.results
