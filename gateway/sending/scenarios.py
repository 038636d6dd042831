"""Whole runs: send a connector's orders or a simulated season, phase by phase. Each phase settles before the next reads
the tables.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import psycopg

from gateway import season
from gateway.operating.settling import Flight, Gauge, settle
from gateway.operating.workers import Lookout, undecided
from gateway.season.picking import DELIVERED, orders_of, picking
from gateway.sending.publishing import send_all
from processors.topics import ensure_topics
from projections.inventory.reader import read_inventory
from projections.kpi.opening import Scope
from runtime.errors import Fault
from runtime.progress import progress
from runtime.services import Services
from runtime.settings import Settings

#: A phase that has not settled after this never will: workers are missing or stuck.
SETTLE_SECONDS_MAX = 1_800.0
#: Without progress for this long, no worker is working.
STALL_SECONDS_MAX = 60.0

Command = dict[str, Any]


class Phase(NamedTuple):
    """A finished phase: commands sent, the facts that followed (also from reactions), and seconds; `sending` are those
    until Kafka had all its commands.
    """

    name: str
    commands: int
    facts: int
    seconds: float
    sending: float


class Run:
    """Sends phases and waits for each; `phases` are the finished ones."""

    def __init__(
        self,
        settings: Settings,
        services: Services,
        connection: psycopg.Connection[Any],
        lookout: Lookout | None = None,
    ) -> None:
        ensure_topics(services, settings)
        self.lookout = lookout
        if lookout is not None:
            lookout.look()
        self.settings = settings
        self.services = services
        self.connection = connection
        self.gauge = Gauge(services, connection)
        self.phases: list[Phase] = []
        self._orders: set[str] = set()
        self._counted: set[tuple[str, str]] = set()

    def scope(self) -> Scope:
        """The orders and counts that were sent, even if an earlier run sent the same."""
        return Scope(sorted(self._orders), sorted(self._counted))

    def _noted(self, commands: Iterable[Command]) -> Iterator[Command]:
        for command in commands:
            data = command["data"]
            if command["command"] == "PlaceOrder":
                self._orders.add(data["order_id"])
            elif command["command"] == "CountStock":
                # A count without a count_id has the id of its command.
                self._counted.add((f"{data['sku']} at {data['location_id']}", data.get("count_id") or command["id"]))
            yield command

    def phase(self, name: str, commands: Iterable[Command], total: int | None = None) -> None:
        """Send the commands and wait until nothing is in flight. Raises Fault if it does not settle."""
        started = time.monotonic()
        facts_before = self._facts()
        with progress(name, total, unit="commands") as bar:
            sent = send_all(self.settings, self.services, self._noted(commands), bar.advance)
        sending = time.monotonic() - started
        self.settle(name)
        self.phases.append(Phase(name, sent, self._facts() - facts_before, time.monotonic() - started, sending))

    def settle(self, name: str) -> None:
        """Wait until nothing is in flight, with progress."""
        moved_at, before = time.monotonic(), (0, -1)
        if self.lookout is not None:  # starting workers are not stuck
            moved_at = max(moved_at, self.lookout.patient_until)
        with progress(f"{name}: deciding, reacting, projecting") as bar:

            def look(flight: Flight) -> None:
                nonlocal moved_at, before
                if self.lookout is not None:
                    self.lookout.look()
                now = (sum(flight.ends.values()), flight.in_flight)
                if now != before:
                    moved_at, before = max(moved_at, time.monotonic()), now
                elif time.monotonic() - moved_at > STALL_SECONDS_MAX:
                    stalled = Fault(
                        "no progress",
                        f"{flight.undecided} commands undecided, {flight.unanswered} facts without reaction, "
                        f"{flight.unprojected} not in the tables, for {STALL_SECONDS_MAX:g} s",
                        "`order-ledger doctor` shows what lags",
                    )
                    raise undecided(stalled, [] if self.lookout is None else self.lookout.missing)
                # No total: handling a record makes new ones, so the total is unknown until the end.
                bar.say(f"{name}: deciding, reacting, projecting; {flight.in_flight:,} in flight")

            flight = settle(self.gauge, SETTLE_SECONDS_MAX, look)
        if flight.in_flight:
            raise Fault(
                f"{flight.in_flight} records are still in flight",
                f"waited {SETTLE_SECONDS_MAX:g} s",
                "`order-ledger settle` waits longer; `order-ledger doctor` shows what lags",
            )

    def _facts(self) -> int:
        return sum(self.gauge.ledger_ends().values())


def simulate(run: Run, *, orders: int, seed: int, surge: float) -> dict[str, Any]:
    """Send a seeded peak season through the ledger; everything outside the ledger is simulated."""
    ours = f"{season.run_name(seed, orders, surge)}-"
    restocked_at, counted_at = season.SEASON.restocked_at, season.SEASON.counted_at
    run.phase("locations, stock, policies (simulated)", season.opening(seed, orders, surge))
    run.phase(f"orders of a season, surge {surge:g} (simulated)", season.orders(seed, orders, surge))
    run.phase("picking and carriers (simulated)", picking(run.connection, ours, seed))
    run.phase("stock for what waited (simulated)", season.restock(seed, orders, surge))
    run.phase(
        "picking what had waited (simulated)",
        picking(run.connection, ours, seed, not_before=restocked_at),
    )
    run.phase("returns (simulated)", season.returns(orders_of(run.connection, ours, DELIVERED), seed))
    run.phase("sending in exchange (simulated)", picking(run.connection, ours, seed, not_before=counted_at))
    rows = [row for row in read_inventory(run.connection) if row["sku"].startswith(season.SKU_PREFIX)]
    run.connection.rollback()
    run.phase("cycle counts (simulated)", season.counts(rows, seed, counted_at))
    return {
        "label": "simulated",
        "orders": orders,
        "seed": seed,
        "surge": surge,
        "text": season.describe(seed, orders, surge),
    }
