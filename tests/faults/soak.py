"""The long run: load at a share of what the machine can do, a random fault every so often, judged every few minutes.

    python -m tests.faults.soak --minutes 30 --seed 1 --report docs/soak.md

First it measures how many commands a second this machine takes to the end (decided, reacted to, in the tables), then it
sends `--load` of that. Of each worker two copies run: faults hit the second ones (kill -9, SIGSTOP, SIGTERM) and the
services (PostgreSQL: connections cut, kill -9; Kafka: kill -9); the first ones live from the beginning to the end, and
their memory is what is measured. The kinds of faults come in rounds, each round in an order that is drawn: were each
drawn for itself, one end of a run would have more killed Kafkas than the other, and what those leave would look like a
trend. In the first round, within the warm-up, each kind comes once and the services are away longest: what a process
keeps of its largest backlog is not a leak. Every other minute the load rests until everything is settled, and what each
process then keeps is its memory; every few minutes an independent oracle compares as well. The verdict: equal each
time, nothing acknowledged lost, memory within its bound.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg
from confluent_kafka import KafkaException

from processors.ledger.writer import QUIET_SECONDS
from processors.reactions.run import LOOK_BACK_SECONDS
from runtime.embedded.cluster import Embedded
from runtime.errors import Fault
from runtime.memory import GIVE_BACK_SECONDS
from runtime.settings import default_cache
from tests.conftest import LedgerEnv, open_world
from tests.faults.chart import Line, Mark, Panel, chart
from tests.faults.growth import WARM_UP_MINUTES, growth
from tests.faults.load import Load
from tests.support.oracle import Oracle
from tests.support.shop import Shop, open_shop

WORKERS = ("ledger", "reactions", "projector")
#: A round of faults: each kind as often as it is mentioned.
KINDS = ("kill", "kill", "kill", "stop", "term", "cut connections", "kill postgres", "kill kafka")
SAMPLE_SECONDS = 5.0
#: How long a service is away, but for its start: the first time, in the warm-up, and at most after that. What the first
#: one piles up (twenty thousand commands) is more than three of the others together.
FIRST_OUTAGE_SECONDS, OUTAGE_SECONDS_MAX = 30.0, 3.0
#: A worker takes no more than this: what a ledger keeps has a budget (decision 40).
MEMORY_MAX_MB = 600
#: A rest is long enough for every process to give back what the load made it borrow: the ledger saves what it holds,
#: and lets it go, the reactions have looked twice and found nothing, and malloc's free pieces go. Under load what is
#: borrowed goes up and down by more than a leak of 1 % an hour adds in half an hour: the least of each minute (looks
#: every five seconds) was 166 to 173 MB in a projector that had 166.1 to 166.4 at rest.
REST_SECONDS = max(QUIET_SECONDS, 2 * LOOK_BACK_SECONDS) + GIVE_BACK_SECONDS + 2
REST_SAMPLE_SECONDS = 0.25


@dataclass
class Samples:
    """What was measured, one row per moment (seconds from the start)."""

    at: list[float] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=dict)  # MB by process
    lag: list[float] = field(default_factory=list)  # records between a command and the tables
    sent: list[float] = field(default_factory=list)  # commands sent so far
    facts: list[float] = field(default_factory=list)  # facts on the log so far
    kept: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # at each rest: seconds, MB, by process


class Soak:
    """One run."""

    def __init__(self, env: LedgerEnv, cluster: Embedded, shop: Shop, options: argparse.Namespace) -> None:
        self.env = env
        self.cluster = cluster
        self.shop = shop
        self.options = options
        self.draw = Random(options.seed)
        self._round = self.draw.sample(sorted(set(KINDS)), len(set(KINDS)))
        self._first_round = True
        self.load = Load(env, options.seed)
        self.oracle = Oracle(env)
        self.samples = Samples()
        self.faults: list[tuple[float, str]] = []
        self.checks: list[tuple[float, int, str]] = []
        self.began = time.monotonic()
        self.capacity = 0.0
        self.ended_by_themselves: list[str] = []
        self._pids = {name: pid for name, pid in shop.workers.alive().items() if not name.endswith("-2")}

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    def run(self) -> dict[str, Any]:
        self._measure_capacity()
        self._check()
        end = self.now + self.options.minutes * 60
        next_fault = self.now + self.options.fault_seconds
        next_check = self.now + self.options.check_minutes * 60
        next_rest = self.now + self.options.rest_minutes * 60
        self.load.go(self.capacity * self.options.load)
        while self.now < end:
            self._sample()
            self._tell(end)
            if self.now > next_fault:
                self._fault()
                next_fault = self.now + self.draw.uniform(0.5, 1.5) * self.options.fault_seconds
            if self.now > min(next_rest, next_check):
                if self.now > next_check:
                    self._check()
                    next_check = self.now + self.options.check_minutes * 60
                else:
                    self._rest()
                next_rest = self.now + self.options.rest_minutes * 60
                self.load.go(self.capacity * self.options.load)
            self._restart_the_dead()
            time.sleep(SAMPLE_SECONDS)
        self._check()
        verified = self.shop.verify()
        return self._result(verified.equal)

    def _measure_capacity(self) -> None:
        self.load.burst(2_000)
        self._settled()
        begun = time.monotonic()
        self.load.burst(self.options.capacity_commands)
        self._settled()
        self.capacity = self.options.capacity_commands / (time.monotonic() - begun)
        self._say(f"this machine takes {self.capacity:,.0f} commands/s to the end; {self.options.load:.0%} of that now")

    def _settled(self) -> None:
        from gateway.operating.settling import settle

        deadline = time.monotonic() + 300
        flight = None
        while time.monotonic() < deadline:
            self._restart_the_dead()
            try:
                flight = settle(self.shop.gauge, 20)
            except (psycopg.OperationalError, KafkaException, Fault) as error:
                self._say(f"cannot look yet: {str(error).splitlines()[0]}")
                self._reconnect()
                continue
            if flight.in_flight == 0:
                return
        # Each writes where its threads stand, and ends (`-X faulthandler`): what stands still has nothing else to say.
        for pid in self.shop.workers.alive().values():
            os.kill(pid, signal.SIGABRT)
        self.shop.workers.wait(until_one_ends=False)
        raise AssertionError(f"never settled: {flight and flight[:3]}\n{self.shop.tail(100)}")

    def _reconnect(self) -> None:
        from gateway.operating.settling import Gauge
        from runtime.postgres import connect

        time.sleep(1)
        self.shop.connection.close()
        try:
            self.shop.connection = connect(self.env.services, "soak", autocommit=True)
        except psycopg.OperationalError:
            return
        self.shop.gauge = Gauge(self.env.services, self.shop.connection)

    def _rest(self) -> None:
        """The load stops, everything settles, and what each process keeps is noted: the least of the rest."""
        self.load.pause()
        self._settled()
        kept: dict[str, float] = {}
        until = time.monotonic() + REST_SECONDS
        while time.monotonic() < until:
            for name, pid in self._pids.items():
                kept[name] = min(kept.get(name, float("inf")), _kept_mb(pid))
            time.sleep(REST_SAMPLE_SECONDS)
        for name, megabytes in kept.items():
            self.samples.kept.setdefault(name, []).append((self.now, megabytes))
        self._say("at rest, MB: " + " ".join(f"{name} {megabytes:.1f}" for name, megabytes in kept.items()))

    def _check(self) -> None:
        self._rest()
        self.oracle.check(self.shop.connection, self.load.acknowledged)
        self.checks.append((self.now, self.oracle.facts, "equal"))
        self._say(f"equal: {self.oracle.facts:,} facts, {self.oracle.ignored:,} skipped")

    def _fault(self) -> None:
        name = f"{self.draw.choice(WORKERS)}-2"
        if not self._round:
            self._round, self._first_round = self.draw.sample(KINDS, len(KINDS)), False
        away = FIRST_OUTAGE_SECONDS if self._first_round else self.draw.uniform(0, OUTAGE_SECONDS_MAX)
        kind = self._round.pop()
        self.faults.append((self.now, kind if kind.startswith(("cut", "kill ")) else f"{kind} {name}"))
        self._say(f"fault: {self.faults[-1][1]}")
        pid = self.shop.workers.alive().get(name)
        if kind == "kill":
            self.shop.workers.kill(name)
            self.shop.start(name)
        elif kind == "term":
            self.shop.workers.end(name)
            self.shop.start(name)
        elif kind == "stop" and pid is not None:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.draw.uniform(2, 15))
            os.kill(pid, signal.SIGCONT)
        elif kind == "cut connections":
            with psycopg.connect(self.env.services.postgres, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'order-ledger %' AND pid <> pg_backend_pid()"
                )
            self._reconnect()
        elif kind == "kill postgres":
            postgres = psutil.Process(self.cluster.postgres.pid())
            for process in [postgres, *postgres.children(recursive=True)]:
                process.kill()
            psutil.wait_procs([postgres], 30)
            time.sleep(away)
            self.cluster.up()
            self._reconnect()
        elif kind == "kill kafka":
            self.cluster.kafka.stop_node(1, signal.SIGKILL)
            time.sleep(away)
            self.cluster.up()

    def _restart_the_dead(self) -> None:
        """As the supervisor of `order-ledger run` does. A first copy that ends is told: its memory begins anew."""
        for ended in self.shop.workers.ended():
            self._say(f"{ended.name} ended by itself with status {ended.status}; started again")
            self.ended_by_themselves.append(f"{ended.name} at {self.now:.0f} s: {ended.status}")
            self.shop.start(ended.name)
        self._pids = {name: pid for name, pid in self.shop.workers.alive().items() if not name.endswith("-2")}

    def _sample(self) -> None:
        try:
            flight = self.shop.gauge.look()
        except (psycopg.OperationalError, KafkaException, Fault):
            self._reconnect()
            return
        self.samples.at.append(self.now)
        self.samples.lag.append(flight.in_flight)
        self.samples.sent.append(self.load.sent)
        self.samples.facts.append(sum(end for place, end in flight.ends.items() if ".ledger." in f".{place[0]}"))
        for name, pid in self._pids.items():
            self.samples.memory.setdefault(name, []).append(_resident_mb(pid))

    def _tell(self, end: float) -> None:
        if not self.samples.at:
            return
        rate = self.load.sent / self.now
        memory = " ".join(f"{name} {values[-1]:.0f}" for name, values in self.samples.memory.items())
        lag = self.samples.lag[-1]
        self._say(f"{rate:,.0f} commands/s, {lag:,.0f} in flight, MB: {memory}; {end - self.now:,.0f} s left")

    def _say(self, text: str) -> None:
        print(f"[{self.now:7.0f} s] {text}", file=sys.stderr, flush=True)

    def _result(self, verified: bool) -> dict[str, Any]:
        warm_up = self.options.warm_up_minutes * 60
        growths = {name: growth(kept, warm_up) for name, kept in self.samples.kept.items()}
        # One that was started again is another process: what it keeps says nothing of the first.
        lived = not any(ended.split()[0] in WORKERS for ended in self.ended_by_themselves)
        largest = {name: _p99(values) for name, values in self.samples.memory.items()}
        within = lived and all(megabytes <= MEMORY_MAX_MB for megabytes in largest.values())
        return {
            "seed": self.options.seed,
            "minutes": self.options.minutes,
            "capacity_commands_per_second": round(self.capacity),
            "load": self.options.load,
            "commands": self.load.sent,
            "not_acknowledged": self.load.failed,
            "facts": self.oracle.facts,
            "skipped": self.oracle.ignored,
            "faults": len(self.faults),
            "checks": len(self.checks),
            "verified": verified,
            "memory_slope_per_hour": {name: round(one.per_hour, 4) for name, one in growths.items()},
            "memory_slope_95_percent_interval": {
                name: [round(one.least, 4), round(one.most, 4)] for name, one in growths.items()
            },
            "memory_at_rest_mb": {name: [round(mb, 1) for _, mb in kept] for name, kept in self.samples.kept.items()},
            "memory_at_rest_median_mb": {name: round(one.level, 1) for name, one in growths.items()},
            "memory_under_load_p99_mb": largest,
            "lag_median": statistics.median(self.samples.lag),
            "lag_p99": _p99(self.samples.lag),
            "ended_by_themselves": self.ended_by_themselves,
            "within": within,
            "verdict": "passed" if verified and within and not self.load.failed else "failed",
        }


def _p99(values: Sequence[float]) -> int:
    return round(sorted(values)[int(len(values) * 0.99)])


def _kept_mb(pid: int) -> float:
    """Resident, but for what the kernel takes when it needs it: polars gives back so, 2 to 4 MB of a projector."""
    try:
        fields = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    except OSError:  # not Linux, or the process is gone
        return _resident_mb(pid)
    return sum(sign * int(fields[name].split()[0]) for name, sign in (("Rss", 1), ("LazyFree", -1))) * 1024 / 1e6


def _resident_mb(pid: int) -> float:
    try:
        return psutil.Process(pid).memory_info().rss / 1e6
    except psutil.NoSuchProcess:
        return float("nan")  # `_restart_the_dead` tells and starts it again


def report(soak: Soak, result: dict[str, Any], path: Path) -> None:
    """The report as markdown, with a chart beside it."""
    samples = soak.samples
    image = path.with_suffix(".svg")
    facts_per_second = [
        (later - before) / max(1e-9, at - since)
        for before, later, since, at in zip(samples.facts, samples.facts[1:], samples.at, samples.at[1:], strict=False)
    ]
    image.write_text(
        chart(
            "seconds",
            [
                Panel("memory, MB", [Line(name, samples.at, values) for name, values in samples.memory.items()]),
                Panel(
                    "memory at rest, MB", [Line(name, *zip(*kept, strict=True)) for name, kept in samples.kept.items()]
                ),
                Panel("records in flight", [Line("in flight", samples.at, samples.lag)]),
                Panel("facts per second", [Line("facts", samples.at[1:], facts_per_second)]),
            ],
            marks=[Mark(at) for at, _ in soak.faults],
        )
    )
    options = soak.options
    arguments = f'ARGS="--fault-seconds {options.fault_seconds:g} --rest-minutes {options.rest_minutes:g}"'
    command = f"make soak MINUTES={options.minutes:g} SEED={options.seed} {arguments}"
    processor = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    title = f"Soak of {datetime.now(UTC).date()}: {result['verdict']}"
    path.write_text(page(title, f"`{command}` on {processor}", result, [kind for _, kind in soak.faults], image.name))


#: What a fault is called in a report. `-2` stands for the second copy of a worker.
_FAULTS = {
    "kill": "second copy of a worker killed (kill -9)",
    "term": "second copy of a worker ended (SIGTERM)",
    "stop": "second copy of a worker frozen for 2 to 15 s (SIGSTOP)",
    "cut connections": "all connections to PostgreSQL cut",
    "kill postgres": "PostgreSQL killed (kill -9)",
    "kill kafka": "Kafka killed (kill -9)",
}


def page(title: str, run: str, result: dict[str, Any], faults: Sequence[str], image: str) -> str:
    """The report's text. `result` is what the program prints; `faults` as they came, as `kill ledger-2`."""
    ended = ", ".join(result["ended_by_themselves"]) or "none"
    rows = {
        "commands sent": f"{result['commands']:,}; not acknowledged: {result['not_acknowledged']:,}",
        "commands a second that the machine takes": f"{result['capacity_commands_per_second']:,}; "
        f"the load was {result['load']:.0%} of this",
        "facts": f"{result['facts']:,}",
        "skipped facts (not in the line above)": f"{result['skipped']:,}",
        "checks by the oracle": f"{result['checks']:,}, all equal",
        "every row of every table equal at the end": "yes" if result["verified"] else "**no**",
        "records still to be processed, while the load ran": f"{result['lag_median']:,.0f} (median), "
        f"{result['lag_p99']:,} (99th percentile)",
        "workers that ended by themselves": ended,
        f"no measured worker ended, and none took more than {MEMORY_MAX_MB} MB": "yes"
        if result["within"]
        else "**no**",
    }
    counted = dict.fromkeys(_FAULTS.values(), 0)
    for fault in faults:
        counted[_FAULTS[fault if fault in _FAULTS else fault.split()[0]]] += 1
    memory = []
    for name, kept in result["memory_at_rest_mb"].items():
        least, most = result["memory_slope_95_percent_interval"][name]
        memory.append(
            f"| {name} | {100 * result['memory_slope_per_hour'][name]:.2f} | {100 * least:.2f} to {100 * most:.2f} "
            f"| {result['memory_at_rest_median_mb'][name]:.1f} | {min(kept):.1f} to {max(kept):.1f} "
            f"| {result['memory_under_load_p99_mb'][name]} |"
        )
    return "\n".join(
        [
            f"# {title}",
            "",
            f"{run}.",
            "Load generator, Kafka, PostgreSQL, two copies of each worker and the oracle ran on the same machine.",
            "[guarantees.md](guarantees.md#the-long-run) describes the method.",
            "",
            f"![memory, records still to be processed, and facts per second]({image})",
            "",
            "| measured | |",
            "|---|---|",
            *(f"| {name} | {said} |" for name, said in rows.items()),
            "",
            "Memory of the first copy of each worker, in MB. Slope and median leave out the warm-up:",
            "",
            "| worker | slope, % an hour | 95 % interval | at rest, median | at rest, all | under load, 99 % below |",
            "|---|---|---|---|---|---|",
            *memory,
            "",
            "| fault | times |",
            "|---|---|",
            *(f"| {words} | {count} |" for words, count in counted.items()),
            "",
        ]
    )


@contextmanager
def _services(folder: Path) -> Iterator[tuple[Embedded, LedgerEnv]]:
    cache = Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache())
    cluster = Embedded(folder / "home", cache)
    cluster.stop_with_me()
    try:
        found = cluster.up()
        assert found.kafka is not None
        assert found.postgres is not None
        from runtime.services import Services

        services = Services({"bootstrap.servers": found.kafka}, found.postgres, "configured", "configured")
        with open_world(services, folder) as env:
            yield cluster, env
    finally:
        cluster.destroy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Load, faults and checks for a long time.",
        epilog="Example: python -m tests.faults.soak --minutes 30 --seed 1 --report docs/soak.md",
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--load", type=float, default=0.7, help="share of what the machine can do")
    parser.add_argument("--fault-seconds", type=float, default=40, help="between two faults, on average")
    parser.add_argument("--check-minutes", type=float, default=5)
    parser.add_argument("--rest-minutes", type=float, default=2, help="between two looks at what processes keep")
    parser.add_argument("--warm-up-minutes", type=float, default=WARM_UP_MINUTES, help="not counted as growth")
    parser.add_argument("--capacity-commands", type=int, default=20_000, help="for measuring what the machine can do")
    parser.add_argument("--report", type=Path, help="markdown to write; a chart (.svg) is put beside it")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args()
    if options.minutes - options.warm_up_minutes < 3 * options.rest_minutes:
        parser.error("too short for three rests after the warm-up: more --minutes, or fewer --rest-minutes")
    folder = Path(tempfile.mkdtemp(prefix="order-ledger-soak-"))
    folder.chmod(0o711)
    names = [name + suffix for suffix in ("", "-2") for name in WORKERS]
    try:
        with _services(folder) as (cluster, env), open_shop(env, *names, logs=folder / "logs") as shop:
            for name in ("ledger", "ledger-2", "reactions", "reactions-2"):
                shop.wait_for_line(name, "event")
            soak = Soak(env, cluster, shop, options)
            try:
                result = soak.run()
            finally:
                soak.load.close()
                soak.oracle.close()
            if options.report:
                report(soak, result, options.report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result) if options.json else "\n".join(f"{name:30} {value}" for name, value in result.items()))
    sys.exit(result["verdict"] != "passed")


if __name__ == "__main__":
    main()
