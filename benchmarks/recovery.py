"""Recovery after kill -9: how long a worker with a backlog of 100,000 facts takes to catch up.

    python -m benchmarks.recovery --facts 100000 --rounds 3 --json

Each worker in turn: while it is stopped, a backlog is made. It starts, joins its group, reads, and kills itself
(SIGKILL) just before its first effect is durable. Then it is started again at once. The time runs from the death until
everything that was on the log at the death is done: the positions of projector or reactions have reached its end. The
ledger must have decided a command that was sent after the death; its snapshots were removed, so it reads the whole log.
The time includes the start of the process, rejoining the group and reading.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gateway.operating.settling import Gauge, settle
from gateway.operating.workers import WORKERS as ROWS
from gateway.sending.publishing import send_all
from processors.topics import ensure_topics
from runtime.embedded.cluster import Embedded
from runtime.postgres import connect
from runtime.process import Workers
from runtime.services import Services, find_services
from runtime.settings import Settings, default_cache

WORKERS = ("ledger", "reactions", "projector")
#: Where each dies: the last moment before its first effect.
DIES_AT = {
    "ledger": "ledger.before_commit",
    "reactions": "reactions.before_position",
    "projector": "projector.before_commit",
}
SKUS = 500
LINES_PER_ORDER = 2
#: Bounds a hang; a recovery takes seconds.
PATIENCE_SECONDS = 600.0


@dataclass
class Bench:
    """Services, workers and the number of commands sent."""

    settings: Settings
    services: Services
    workers: Workers
    logs: Path
    sent: int = 0

    def start(self, name: str, failpoints: str = "") -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("ORDER_LEDGER_")} | self.settings.as_env()
        if failpoints:
            env["ORDER_LEDGER_FAILPOINTS"] = failpoints
        self.workers.start(name, ["run", "--only", name], env=env, log=self.logs / f"{name}.log")

    def commands(self, facts: int) -> Iterator[dict[str, Any]]:
        """One order for nine receipts: about as many facts as commands, before any reaction."""
        for number in () if self.sent else range(3):
            name = f"WH{number}"
            yield {
                "command": "RegisterLocation",
                "id": f"open-{name}",
                "channel": "bench",
                "occurred_at": "2026-11-27T18:00:00Z",
                "data": {"location_id": name, "name": name, "kind": "warehouse"},
            }
        for number in range(self.sent, self.sent + facts):
            sku = f"s{number % SKUS}"
            if number % 10:
                data: dict[str, Any] = {"sku": sku, "location_id": f"WH{number % 3}", "quantity": 5}
                name = "ReceiveStock"
            else:
                name = "PlaceOrder"
                data = {
                    "order_id": f"o{number}",
                    "customer_id": "c",
                    "currency": "EUR",
                    "ship_to": {"country": "DE"},
                    "lines": [
                        {"line_id": str(n), "sku": f"s{(number + n) % SKUS}", "quantity": 1, "unit_price_minor": 100}
                        for n in range(LINES_PER_ORDER)
                    ],
                }
            yield {
                "command": name,
                "id": f"b{number}",
                "channel": "bench",
                "occurred_at": "2026-11-27T18:00:00Z",
                "data": data,
            }
        self.sent += facts

    def send(self, facts: int) -> None:
        send_all(self.settings, self.services, self.commands(facts), lambda _: None)


def wait(what: str, done: Callable[[], bool], pause_seconds: float = 0.05) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {PATIENCE_SECONDS:.0f} s")
        time.sleep(pause_seconds)


def died(bench: Bench, name: str) -> None:
    wait(f"{name} dies", lambda: name not in bench.workers.alive(), 0.005)


def recovery_seconds(bench: Bench, gauge: Gauge, name: str, facts: int) -> tuple[float, int]:
    """Seconds from the death until the worker has caught up, and its backlog in facts."""
    settle(gauge, PATIENCE_SECONDS)
    if name == "ledger":
        bench.send(facts)  # the ledger's backlog is the whole log
        settle(gauge, PATIENCE_SECONDS)
    bench.workers.end(name)
    if name == "ledger":
        with connect(bench.services, "bench") as connection:
            connection.execute("TRUNCATE ledger_positions, ledger_streams")
        bench.send(10)
        bench.start(name, f"{DIES_AT[name]}=kill")
        died(bench, name)
        at = time.monotonic()
        bench.start(name)
        bench.send(10)
        ends = {p: e for p, e in gauge.ends().items() if "intake." in p[0]}
        wait("the ledger decides", lambda: all(gauge.decided().get(p, 0) >= e for p, e in ends.items()))
        return time.monotonic() - at, sum(gauge.ledger_ends().values())
    before = sum(gauge.ledger_ends().values())
    bench.send(facts)
    if name == "projector":
        # Reactions and ledger must finish first. Otherwise they take time from the projector, which is measured.
        wait("ledger and reactions finish", lambda: (look := gauge.look()).undecided + look.unanswered == 0, 0.5)
    else:
        wait("the ledger finishes", lambda: gauge.look().undecided == 0, 0.5)
    bench.start(name, f"{DIES_AT[name]}=kill")
    died(bench, name)
    at = time.monotonic()
    backlog = gauge.ledger_ends()
    bench.start(name)
    wait(f"{name} is live", lambda: all(gauge.followed(ROWS[name]).get(p, 0) >= e for p, e in backlog.items()))
    return time.monotonic() - at, sum(backlog.values()) - before


def main() -> None:
    parser = argparse.ArgumentParser(
        description="How long a worker takes to catch up after kill -9.",
        epilog="Example: python -m benchmarks.recovery --facts 100000 --rounds 3 --json",
    )
    parser.add_argument("--facts", type=int, default=100_000, help="backlog of the worker that dies")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(WORKERS), help="workers to kill, separated by commas")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="order-ledger-bench-"))
    folder.chmod(0o711)
    cache = Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache())
    embedded = Embedded(folder / "home", cache)
    embedded.stop_with_me()
    try:
        found = find_services(Settings(home=folder / "home", cache=cache), start=embedded)
        settings = Settings(kafka=found.bootstrap_servers, postgres=SecretStr(found.postgres), home=folder / "home")
        results = measure(settings, folder, options)
    finally:
        embedded.destroy()
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(results))
    else:
        for name, rounds in results.items():
            seconds = [one["seconds"] for one in rounds]
            print(f"{name:10} {statistics.median(seconds):5.1f} s median of {seconds}; facts {rounds[0]['facts']:,}")


def measure(settings: Settings, folder: Path, options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    services = find_services(settings)
    ensure_topics(services, settings)
    results: dict[str, list[dict[str, float]]] = {}
    with Workers() as workers, connect(services, "bench", autocommit=True) as connection:
        bench = Bench(settings, services, workers, folder)
        gauge = Gauge(services, connection)
        for name in WORKERS:
            bench.start(name)
        bench.send(5_000)
        for name in options.only.split(","):
            for number in range(options.rounds):
                print(f"{name}: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
                seconds, facts = recovery_seconds(bench, gauge, name, options.facts)
                print(f"  {seconds:.1f} s, {facts:,} facts", file=sys.stderr, flush=True)
                results.setdefault(name, []).append({"seconds": round(seconds, 2), "facts": facts})
    return results


if __name__ == "__main__":
    main()
