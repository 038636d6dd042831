"""What a fact costs from the log's bytes to the tables, by stage, in CPU time: the projector without Kafka.

    python -m benchmarks.fold --orders 4000 --batches 100000,1000,8 --json

The deciders make the facts: orders of 3 lines over 1,000 SKUs at 5 locations are placed, reserved and allocated (8
facts an order); `--shipped` is the share that then leaves and arrives. Partitions take turns, as a consumer hands them
out. Each batch size folds the same facts into empty tables of an embedded PostgreSQL (or of `--postgres`). `client` is
this process with all its threads, `postgres` its server. `facts_per_second` is by the clock.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg

from events.catalogue import COMMANDS, INTAKE_TOPICS
from events.envelope import AnyRecorded
from events.orders.facts import OrderPlaced
from events.stock.commands import ReserveStock
from gateway.sending.commands import check
from processors.following.facts import FactDecoder
from processors.following.positions import Partition
from processors.ledger.partition import Decided, PartitionLedger
from processors.projector.projector import Projector
from processors.projector.write import Store, ensure_tables
from processors.reactions import sourcing
from processors.reactions.asked import Asked, named
from processors.reactions.rows import On
from processors.reactions.sender import encode
from processors.reactions.wiring import REACTED_TO, REACTIONS
from projections.catalogue import PROJECTIONS
from runtime.embedded.postgres_server import PostgresServer
from runtime.kafka import murmur2_partition
from schemas.codec import Codec

LINES, SKUS, LOCATIONS, PARTITIONS = 3, 1_000, 5, 12
BEGINNING = datetime(2026, 11, 27, 18, tzinfo=UTC)
#: Orders whose facts the reactions see at a time: their answers travel together.
ORDERS_AT_A_TIME = 200
#: Facts of a partition that a consumer hands out in one piece.
PIECE = 50


@dataclass(slots=True)
class Fact:
    """A record as a consumer hands it out."""

    topic_name: str
    partition_number: int
    position: int
    content: bytes

    def topic(self) -> str:
        return self.topic_name

    def partition(self) -> int:
        return self.partition_number

    def offset(self) -> int:
        return self.position

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes:
        return self.content

    def headers(self) -> list[Any]:
        return []


class Ledger:
    """All partitions in memory, and the reactions without routing: an order takes its stock where `random` says."""

    def __init__(self, seed: int = 1) -> None:
        self.random = Random(seed)
        self.codec = Codec()
        self.logs: dict[Partition, list[Fact]] = {}
        self._partitions = {
            (topic, number): PartitionLedger(topic, number, partitions=PARTITIONS, codec=self.codec)
            for topic in INTAKE_TOPICS
            for number in range(PARTITIONS)
        }
        self._decoder = FactDecoder(self.codec, REACTED_TO | {OrderPlaced})
        self._sent = 0
        self._rows = [row for row in REACTIONS if row not in sourcing.REACTIONS]

    def now(self) -> datetime:
        return BEGINNING + timedelta(milliseconds=self._sent)

    def ask(self, commands: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Decide commands of a channel, and what the reactions ask for because of them, until all is quiet."""
        facts: list[AnyRecorded] = []
        for name, data in commands:
            document = {
                "command": name, "id": f"b{self._sent}", "channel": "bench", "data": data,
                "occurred_at": self.now().isoformat(),
            }  # fmt: skip
            parsed = check(document)
            facts += self._decide(parsed.type.topic, parsed.key, parsed.encode(self.codec))
        while facts:
            asked = self._react(facts)
            facts = []
            for one in asked:
                facts += self._decide(COMMANDS[one.name].topic, one.key.encode(), encode(self.codec, one))

    def _decide(self, topic: str, key: bytes, value: bytes) -> list[AnyRecorded]:
        self._sent += 1
        ledger = self._partitions[topic, murmur2_partition(key, PARTITIONS)]
        millis = int(self.now().timestamp() * 1000)
        outcome = ledger.decide(ledger.next_intake, millis, key, value)
        assert isinstance(outcome, Decided), outcome
        log = self.logs.setdefault((ledger.ledger_topic, ledger.partition), [])
        log += [
            Fact(ledger.ledger_topic, ledger.partition, len(log) + n, one.value) for n, one in enumerate(outcome.facts)
        ]
        read = (self._decoder.read(one.value)[1] for one in outcome.facts)
        return [self._decoder.as_fact(record) for record in read if record is not None]

    def _react(self, facts: Sequence[AnyRecorded]) -> list[Asked]:
        asked: list[Asked] = []
        for fact in facts:
            if isinstance(fact.data, OrderPlaced):
                asked += self._source(fact)
        for row in self._rows:
            if not isinstance(row, On):
                asked += row.react([fact for fact in facts if type(fact.data) in row.facts])
            elif row.needs is None:
                asked += [one for fact in facts if type(fact.data) is row.fact for one in row.react(fact)]
        return asked

    def _source(self, fact: AnyRecorded) -> Iterator[Asked]:
        for line in fact.data.lines:
            place = location_of(self.random.randrange(LOCATIONS))
            order_id = fact.data.order_id
            data = ReserveStock(
                sku=line.sku, location_id=place, quantity=line.quantity, order_id=order_id, line_id=line.line_id,
                attempt=1001,
            )  # fmt: skip
            yield Asked.because(fact, "sourcing", command_id=named(order_id, line.line_id, 1001), data=data)


def location_of(number: int) -> str:
    return f"WH-{number}"


def open_shop(ledger: Ledger) -> None:
    ledger.ask(
        ("RegisterLocation", {"location_id": location_of(n), "name": location_of(n), "kind": "warehouse"})
        for n in range(LOCATIONS)
    )
    ledger.ask(
        ("ReceiveStock", {"sku": f"SKU-{sku:04}", "location_id": location_of(n), "quantity": 1_000_000})
        for sku in range(SKUS)
        for n in range(LOCATIONS)
    )


def sell(ledger: Ledger, first: int, orders: int, shipped: float) -> None:
    """Place orders, and let a share of them leave and arrive."""
    placed: list[dict[str, Any]] = []
    for number in range(first, first + orders):
        lines = [
            {
                "line_id": str(n),
                "sku": f"SKU-{sku:04}",
                "quantity": ledger.random.randint(1, 3),
                "unit_price_minor": 100,
            }
            for n, sku in enumerate(ledger.random.sample(range(SKUS), LINES), start=1)
        ]
        placed.append(
            {
                "order_id": f"ORDER-{number:07}", "customer_id": f"C-{number % 997}", "currency": "EUR", "lines": lines,
                "ship_to": {"country": "DE"},
            }
        )  # fmt: skip
    ledger.ask(("PlaceOrder", one) for one in placed)
    left = placed[: round(len(placed) * shipped)]
    ledger.ask(
        (
            "DispatchShipment",
            {
                "order_id": one["order_id"], "shipment_id": "S1", "location_id": "WH-0", "carrier": "dhl",
                "service": "standard",
                "lines": [{"line_id": row["line_id"], "quantity": row["quantity"]} for row in one["lines"]],
            },
        )
        for one in left
    )  # fmt: skip
    ledger.ask(
        ("RecordTracking", {"order_id": one["order_id"], "shipment_id": "S1", "status": "delivered"}) for one in left
    )


def handed_out(logs: dict[Partition, list[Fact]], begins: dict[Partition, int]) -> list[Fact]:
    """The facts of all partitions in turn, in pieces, from these offsets on."""
    found: list[Fact] = []
    left = {partition: log[begins.get(partition, 0) :] for partition, log in logs.items()}
    while any(left.values()):
        for partition, facts in left.items():
            found += facts[:PIECE]
            left[partition] = facts[PIECE:]
    return found


class Clock:
    """CPU seconds of this process and of a PostgreSQL server with all its children, since the last look."""

    def __init__(self, server: psutil.Process) -> None:
        self._server = server
        self._dead: dict[int, float] = {}
        self.look()

    def look(self) -> tuple[float, float]:
        client, postgres = time.process_time(), self._postgres()
        before = getattr(self, "_before", (client, postgres))
        self._before = client, postgres
        return client - before[0], postgres - before[1]

    def _postgres(self) -> float:
        for one in (self._server, *self._server.children()):
            try:
                times = one.cpu_times()
            except psutil.NoSuchProcess:
                continue
            self._dead[one.pid] = times.user + times.system
        return sum(self._dead.values())


@contextmanager
def postgres(conninfo: str | None) -> Iterator[tuple[str, psutil.Process]]:
    """A PostgreSQL to write to, and its server process."""
    with ExitStack() as stack:
        if conninfo is None:
            folder = Path(tempfile.mkdtemp(prefix="order-ledger-fold-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            server = PostgresServer(folder)
            conninfo = server.start()
            stack.callback(server.destroy)
        with psycopg.connect(conninfo) as connection:
            server_process = psutil.Process(connection.info.backend_pid).parent()
        assert server_process is not None
        yield conninfo, server_process


def measure(
    ledger: Ledger, batch: int, facts: Sequence[Fact], warm: Sequence[Fact], *, conninfo: str, server: psutil.Process
) -> dict[str, Any]:
    """Fold `warm`, then `facts` in batches into empty tables; CPU µs a fact."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("DROP SCHEMA IF EXISTS bench CASCADE")
    with psycopg.connect(conninfo) as connection:
        ensure_tables(connection, PROJECTIONS.values(), "bench")
    store = Store(lambda: psycopg.connect(conninfo), "bench")
    projector = Projector(store, ledger.codec, PROJECTIONS.values(), lambda _: None)
    projector.place(dict.fromkeys(ledger.logs, "id"))
    projector.take(warm)
    stages: dict[str, float] = {}

    def timed(name: str, owner: Any, method: str) -> None:
        inner = getattr(owner, method)

        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return inner(*args, **kwargs)
            finally:
                stages[name] = stages.get(name, 0.0) + time.process_time() - began

        setattr(owner, method, run)

    timed("follow", projector._follower, "follow")  # noqa: SLF001 - a stage of its own
    timed("decode", projector._follower, "_decode")  # noqa: SLF001 - a stage of its own
    timed("fold_and_write", projector, "_write")  # at the same time
    clock, begun = Clock(server), time.monotonic()
    rows = written = batches = 0
    for start in range(0, len(facts), batch):
        taken = projector.take(facts[start : start + batch])
        written, rows, batches = written + taken.facts, rows + taken.rows, batches + 1
    client, server_seconds = clock.look()
    seconds = time.monotonic() - begun
    store.close()
    stages["accept"] = stages.pop("follow") - stages["decode"]
    stages["rest"] = client - sum(stages.values())
    per = 1e6 / written
    return {
        "batch": batch,
        "facts": written,
        "rows": rows,
        "facts_per_second": round(written / seconds),
        **{f"{name}_us": round(seconds * per, 1) for name, seconds in stages.items()},
        "client_us": round(client * per, 1),
        "postgres_us": round(server_seconds * per, 1),
        "client_us_a_batch": round(client * 1e6 / batches),
        "postgres_us_a_batch": round(server_seconds * 1e6 / batches),
    }


def main() -> None:
    """Measure, and print a line for each batch size and round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=4_000)
    parser.add_argument("--shipped", type=float, default=0.0)
    parser.add_argument("--batches", default="100000,1000,8")
    parser.add_argument("--facts-max", type=int, default=1_000_000, help="facts to fold for each batch size")
    parser.add_argument("--calls-max", type=int, default=300, help="batches to fold for each batch size")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--postgres", help="connection string; without it an embedded server is started")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ledger = Ledger()
    open_shop(ledger)
    begins = {partition: len(log) for partition, log in ledger.logs.items()}
    for first in range(0, options.orders, ORDERS_AT_A_TIME):
        sell(ledger, first, min(ORDERS_AT_A_TIME, options.orders - first), options.shipped)
    warm = [fact for partition, log in ledger.logs.items() for fact in log[: begins.get(partition, 0)]]
    facts = handed_out(ledger.logs, begins)
    with postgres(options.postgres) as (conninfo, server):
        for _ in range(options.rounds):
            for batch in map(int, options.batches.split(",")):
                some = facts[: min(options.facts_max, batch * options.calls_max)]
                found = measure(ledger, batch, some, warm, conninfo=conninfo, server=server)
                if options.json:
                    print(json.dumps(found), flush=True)
                else:
                    print(" ".join(f"{name}={value}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
