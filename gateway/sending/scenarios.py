"""Whole runs: real orders or a simulated season go in, phase by phase, each phase settled before the next reads back.

Around real orders the warehouse and the carriers are simulated (no retailer's export has them), and said to be: their
channels, actors and locations carry the word.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from gateway import season
from gateway.connectors.decimal_marks import DecimalMark
from gateway.connectors.online_retail import mapping as retail
from gateway.connectors.online_retail import stock as retail_stock
from gateway.operating.settling import Flight, Gauge, settle
from gateway.operating.workers import Lookout, undecided
from gateway.sending.publishing import send_all
from processors.topics import ensure_topics
from projections.inventory.reader import read_inventory
from projections.kpi.opening import Scope
from projections.order_status.reader import read_orders
from runtime.errors import Fault
from runtime.progress import progress
from runtime.services import Services
from runtime.settings import Settings

#: A real order has no promise in the export; a simulated one of so many days makes on-time figures possible.
PROMISE_DAYS = 5
#: Simulated parcels and returns of the last day have moved by then.
COUNTED_AFTER_DAYS = 45
#: A phase that has not settled after this will not: workers are missing or stuck.
SETTLE_SECONDS_MAX = 1_800.0
#: Without a move for this long nobody is working.
STALL_SECONDS_MAX = 60.0
#: Refused rows that are shown in words; `--json` has all.
REFUSED_SHOWN = 10
#: Of a refused row so many letters are shown: a broken one may be a whole file.
ROW_SHOWN_LETTERS = 120

#: Orders that have something to pick.
_TO_PICK = ("allocated", "partially_allocated", "partially_shipped")
_DELIVERED = ("delivered",)

Command = dict[str, Any]


class Phase(NamedTuple):
    """A phase that is over: commands sent, facts that came of them and of the reactions, seconds."""

    name: str
    commands: int
    facts: int
    seconds: float


class Run:
    """Sends phases and waits for each; `phases` is what happened."""

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
        """The orders and counts that were sent. What an earlier run has sent just so is of both."""
        return Scope(sorted(self._orders), sorted(self._counted))

    def _noted(self, commands: Iterable[Command]) -> Iterator[Command]:
        for command in commands:
            data = command["data"]
            if command["command"] == "PlaceOrder":
                self._orders.add(data["order_id"])
            elif command["command"] == "CountStock":
                # A count that is not named has the id of its command.
                self._counted.add((f"{data['sku']} at {data['location_id']}", data.get("count_id") or command["id"]))
            yield command

    def phase(self, name: str, commands: Iterable[Command], total: int | None = None) -> None:
        """Send the commands and wait until nothing is in flight. Fault when it does not come to rest."""
        started = time.monotonic()
        facts_before = self._facts()
        with progress(name, total, unit="commands") as bar:
            sent = send_all(self.settings, self.services, self._noted(commands), bar.advance)
        self.settle(name)
        self.phases.append(Phase(name, sent, self._facts() - facts_before, time.monotonic() - started))

    def settle(self, name: str) -> None:
        """Wait until nothing is in flight, with progress."""
        moved_at, before = time.monotonic(), (0, -1)
        if self.lookout is not None:  # workers that are on their way up are not stuck
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
                        "nothing moves any more",
                        f"{flight.undecided} commands undecided, {flight.unanswered} facts without reaction, "
                        f"{flight.unprojected} not in the tables, for {STALL_SECONDS_MAX:g} s",
                        "`order-ledger doctor` says what lags",
                    )
                    raise undecided(stalled, [] if self.lookout is None else self.lookout.missing)
                # What is handled makes new records: how many there will be nobody knows before the end.
                bar.say(f"{name}: deciding, reacting, projecting; {flight.in_flight:,} in flight")

            flight = settle(self.gauge, SETTLE_SECONDS_MAX, look)
        if flight.in_flight:
            raise Fault(
                f"{flight.in_flight} records are still in flight",
                f"waited {SETTLE_SECONDS_MAX:g} s",
                "`order-ledger settle` waits on; `order-ledger doctor` says what lags",
            )

    def _facts(self) -> int:
        return sum(self.gauge.ledger_ends().values())


def import_online_retail(
    run: Run,
    path: Path,
    *,
    from_: date | None,
    to: date | None,
    seed: int,
    peak: bool = False,
    decimal: DecimalMark | None = None,
) -> dict[str, Any]:
    """A retailer's export through the ledger; the account of its rows. `peak`: by default the week with most sales.
    Raises Fault for a file that cannot be read, or has no row on these days.

    Phases: stock, orders, what was missing, picking and carriers (simulated), returns and refunds, counts (simulated).
    """
    with progress(f"reading {path.name}", None, unit="rows") as bar:
        frame = retail.read_file(path)
        bar.reach(frame.height)
        if peak and from_ is None and to is None:
            from_, to = retail.peak_slice(frame, decimal=decimal)
        bar.say("mapping rows to commands")
        mapping = retail.map_rows(frame, from_=from_, to=to, decimal=decimal)
    del frame
    if not mapping.account.rows_read:
        raise _nothing_in(path, mapping.account.rows_outside_slice, from_, to)
    run.phase("opening stock (simulated)", retail_stock.opening_stock(mapping, seed=seed))
    run.phase("orders", with_promise(mapping.orders(), PROMISE_DAYS), mapping.order_rows.height)
    run.phase(
        "stock that came late (simulated), corrections",
        merge(retail_stock.late_deliveries(mapping, seed=seed), mapping.adjustments(), key=_occurred_at),
    )
    run.phase("picking and carriers (simulated)", _picking(run, retail.ORDER_PREFIX, seed, scans="delivered"))
    run.phase("returns and refunds", merge(mapping.returns(), mapping.refunds(), key=_occurred_at))
    skus = set(mapping.line_rows["sku"])
    rows = [row for row in read_inventory(run.connection) if row["on_hand"] >= 0 and row["sku"] in skus]
    run.connection.rollback()
    # After the last parcel of the slice has moved: a count is compared with the record as of its own time. Without a
    # date all rows were refused, and there is nothing to count.
    if mapping.last_date is not None:
        at = datetime.combine(mapping.last_date + timedelta(days=COUNTED_AFTER_DAYS), datetime.min.time(), UTC)
        run.phase("cycle counts (simulated)", retail_stock.cycle_counts(rows, seed=seed, at=at))
    made_up = f"simulated: stock, picking, carriers, counts, and promises ({PROMISE_DAYS} days after each order)"
    refused = list(mapping.refused_rows())
    return {
        **mapping.as_dict(),
        "refused_rows": refused,
        "simulated": made_up,
        "text": "\n".join([mapping.render_account(), *map(_refused_row, refused[:REFUSED_SHOWN]), made_up]),
    }


def _nothing_in(path: Path, rows: int, from_: date | None, to: date | None) -> Fault:
    if not rows:
        return Fault("there is nothing to import", f"{path.name} has a header and no rows", "name a file with rows")
    return Fault(
        "there is nothing to import",
        f"none of the {rows:,} rows of {path.name} lies between {from_ or 'its first day'} and {to or 'its last'}",
        "choose other days: --from is the first one, --to the last",
    )


def _refused_row(row: dict[str, Any]) -> str:
    """`line 7: quantity is 0 … (536365 85048 …)`; a row of a workbook is counted from its first one."""
    where = f"row {row['row'] + 1}" if row["line"] is None else f"line {row['line']}"
    cells = (row["invoice"], row["sku"], row["description"], row["quantity"], row["price"])
    shown = row["broken"] or "  ".join(str(cell) for cell in cells if cell is not None)
    return f"{where} refused, {row['reason']}: {shown[:ROW_SHOWN_LETTERS]}"


def simulate(run: Run, *, orders: int, seed: int, surge: float) -> dict[str, Any]:
    """A seeded peak season through the ledger, everything outside it simulated. Other orders are left alone."""
    ours = f"{season.run_name(seed, orders, surge)}-"
    run.phase("locations, stock, policies (simulated)", season.opening(seed, orders, surge))
    run.phase(f"orders of a season, surge {surge:g} (simulated)", season.orders(seed, orders, surge))
    run.phase("picking and carriers (simulated)", _picking(run, ours, seed))
    run.phase("stock for what waited (simulated)", season.restock(seed, orders, surge))
    run.phase("picking what had waited (simulated)", _picking(run, ours, seed, not_before=season.SEASON.restocked_at))
    run.phase("returns (simulated)", season.returns(_orders(run, ours, _DELIVERED), seed))
    run.phase("sending in exchange (simulated)", _picking(run, ours, seed, not_before=season.SEASON.counted_at))
    rows = [row for row in read_inventory(run.connection) if row["sku"].startswith(season.SKU_PREFIX)]
    run.connection.rollback()
    run.phase("cycle counts (simulated)", season.counts(rows, seed, season.SEASON.counted_at))
    return {
        "label": "simulated",
        "orders": orders,
        "seed": seed,
        "surge": surge,
        "text": season.describe(seed, orders, surge),
    }


def with_promise(commands: Iterable[Command], days: int) -> Iterator[Command]:
    """The orders with a promise of so many days after placing, where they have none."""
    for command in commands:
        placed = datetime.fromisoformat(command["occurred_at"])
        promise = (placed.date() + timedelta(days=days)).isoformat()
        yield {**command, "data": {"promised_by": promise, **command["data"]}}


def _picking(run: Run, prefix: str, seed: int, **options: Any) -> Iterator[Command]:
    return season.fulfil(_orders(run, prefix, _TO_PICK), seed, **options)


def _orders(run: Run, prefix: str, statuses: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Orders of this run alone: nobody's real order may leave with a simulated carrier."""
    return (view for view in read_orders(run.connection, statuses) if view["order_id"].startswith(prefix))


def _occurred_at(command: Command) -> str:
    return str(command["occurred_at"])
