"""The reactions as a process on a real Kafka and a real PostgreSQL: facts in the ledger, commands in the intake."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from events.catalogue import COMMANDS, FACTS, INTAKE_TOPICS, LEDGER_TOPICS
from events.chain import GENESIS, digest
from events.orders.facts import OrderPlaced, PlacedLine
from events.stock.facts import StockReceived, StockReserved
from events.values import ShipTo
from projections.catalogue import PROJECTIONS
from runtime.kafka import TopicSpec, consumer, create_topics, end_offsets, murmur2_partition, producer
from runtime.postgres import connect
from schemas.codec import Codec
from tests.support.plain_avro import encode_around
from tests.support.projecting import make_live

PARTITIONS = 4
#: On a busy machine a process takes many seconds to start; a hang must still end a test with a message.
PATIENCE_SECONDS = 90.0
AT = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import sys
from runtime.logging import setup_logging
from runtime.services import find_services
from runtime.settings import Settings
from processors.reactions.run import run_reactions
setup_logging("INFO", process="reactions")
settings = Settings()
sys.exit(run_reactions(settings, find_services(settings)))
"""


class LedgerWriter:
    """Writes facts into ledger topics with a valid chain, as the ledger would."""

    def __init__(self, services: Any, partitions: int = PARTITIONS) -> None:
        self._services = services
        self._codec = Codec()
        self._producer = producer(services, linger_ms=20)
        self._partitions = partitions
        self._last: Counter[tuple[str, int]] = Counter()
        self._offset: Counter[tuple[str, int]] = Counter()
        self._version: Counter[tuple[str, str]] = Counter()
        self.sent: list[tuple[str, str, int, list[bytes]]] = []

    def decide(self, *facts: Any, channel: str = "web") -> None:
        """One decision with these facts, all of one stream."""
        kind = FACTS[type(facts[0]).__name__]
        key = getattr(facts[0], kind.key)
        partition = murmur2_partition(key.encode(), self._partitions)
        place = (kind.topic, partition)
        datas = [self._codec.encode_data(FACTS[type(f).__name__].schema, f) for f in facts]
        names = [FACTS[type(f).__name__].schema for f in facts]
        follows = self._last[place] or GENESIS
        decision = digest(follows, 0, self._offset[place], list(zip(names, datas, strict=True)))
        values = []
        for index, (name, data) in enumerate(zip(names, datas, strict=True), 1):
            self._version[kind.topic, key] += 1
            version = self._version[kind.topic, key]
            envelope = {
                "event_id": f"{kind.topic}:{key}:{version}",
                "stream_id": key,
                "stream_kind": kind.kind,
                "version": version,
                "decision": decision,
                "follows": follows,
                "index": index,
                "count": len(facts),
                "epoch": 0,
                "intake_offset": self._offset[place],
                "occurred_at": AT,
                "recorded_at": AT,
                "command_id": f"c:{key}:{version}",
                "command_digest": 1,
                "correlation_id": f"c:{key}",
                "causation_id": None,
                "channel": channel,
                "actor": None,
            }
            values.append(encode_around(self._codec, name, envelope, data))
        self._last[place] = decision
        self._offset[place] += 1
        self.sent.append((kind.topic, key, partition, values))
        self._produce(kind.topic, key, partition, values)

    def again(self, number: int) -> None:
        """Send a decision that was sent before, byte for byte: a writer that died and came back."""
        self._produce(*self.sent[number])

    def garbage(self, topic: str, partition: int) -> None:
        self._produce(topic, "", partition, [b"not a fact", b"\0\0\0\xff\xff"])

    def _produce(self, topic: str, key: str, partition: int, values: Sequence[bytes]) -> None:
        for value in values:
            self._producer.produce(self._services.topic(topic), value=value, key=key.encode(), partition=partition)
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0


def placed(order_id: str, *lines: tuple[str, str, int], sourcing: bool = True) -> OrderPlaced:
    return OrderPlaced(
        order_id=order_id,
        customer_id="c1",
        currency="EUR",
        lines=tuple(
            PlacedLine(line_id=line_id, sku=sku, quantity=quantity, unit_price_minor=100, attributes=())
            for line_id, sku, quantity in lines
        ),
        ship_to=ShipTo(country="DE", latitude=52.5, longitude=13.4),
        service_level="standard",
        allocation="ship_available",
        charges=(),
        sourcing=sourcing,
    )


def reserved(sku: str, order_id: str, line_id: str = "1") -> StockReserved:
    return StockReserved(
        sku=sku,
        location_id="WH1",
        quantity=1,
        order_id=order_id,
        line_id=line_id,
        attempt=1001,
        waited=False,
        for_order=True,
    )


@pytest.fixture
def ledger(ledger_env: Any) -> LedgerWriter:
    """Topics, the tables that the reactions read with some stock in them, and a writer of facts."""
    services = ledger_env.services
    names = [*INTAKE_TOPICS, *LEDGER_TOPICS]
    create_topics(services, [TopicSpec(services.topic(name), PARTITIONS) for name in names])
    with connect(services, "test") as connection:
        make_live(connection, PROJECTIONS.values())
        connection.execute(
            "INSERT INTO inventory (sku, location_id, on_hand, registered) VALUES ('MUG', 'WH1', 1000000, true)"
        )
        connection.execute("INSERT INTO locations (location_id, latitude, longitude) VALUES ('WH1', 52.5, 13.4)")
    return LedgerWriter(services)


@contextmanager
def running(env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    folder = Path(env["ORDER_LEDGER_HOME"]) / "cwd"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_name(f"{uuid.uuid4().hex}.log")
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env={**env, "PYTHONPATH": str(ROOT)},
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "reactions_assigned" not in log.read_text():  # before that, a signal would meet half a process
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait(PATIENCE_SECONDS)
        print(log.read_text(), file=sys.stderr)
        assert list(folder.iterdir()) == [], "a worker leaves nothing where it was started"


def commands_of(
    services: Any, wanted: int, timeout_seconds: float = PATIENCE_SECONDS
) -> list[tuple[str, dict[str, Any]]]:
    """All commands in the intake topics once `wanted` ids are there: (name, record), in the order of a partition."""
    codec = Codec()
    topics = [services.topic(name) for name in INTAKE_TOPICS]
    reader = consumer(services, "test-reader")
    reader.subscribe(topics)
    found: list[tuple[str, dict[str, Any]]] = []
    read: Counter[tuple[str, int]] = Counter()
    deadline = time.monotonic() + timeout_seconds
    try:
        while time.monotonic() < deadline:
            for message in reader.consume(10_000, 0.1):
                assert message.error() is None
                contract, record = codec.decode(message.value())
                row = COMMANDS[contract.name]
                assert message.key() == record["data"][row.key].encode()
                assert message.partition() == murmur2_partition(message.key(), PARTITIONS)
                read[message.topic(), message.partition()] = message.offset() + 1
                found.append((contract.name, record))
            if len({record["id"] for _, record in found}) >= wanted:
                ends = end_offsets(services, topics)
                if all(read[partition] >= end for partition, end in ends.items()):
                    return found
    finally:
        reader.close()
    pytest.fail(f"{len({r['id'] for _, r in found})} of {wanted} commands came")


def settled(services: Any, timeout_seconds: float = PATIENCE_SECONDS) -> None:
    """Return when the saved positions have reached the end of the ledger."""
    topics = [services.topic(name) for name in ("ledger.orders", "ledger.stock")]
    ends = {place: end for place, end in end_offsets(services, topics).items() if end}
    deadline = time.monotonic() + timeout_seconds
    rows: dict[tuple[str, int], int] = {}
    while time.monotonic() < deadline:
        with connect(services, "test") as connection:
            query = "SELECT topic, partition, next_offset FROM follower_positions WHERE follower = 'reactions'"
            rows = {(services.topic(topic), number): offset for topic, number, offset in connection.execute(query)}
        if all(rows.get(place) == end for place, end in ends.items()):
            return
        time.sleep(0.05)
    pytest.fail(f"positions {rows} have not reached {ends}")


def test_facts_become_exactly_the_commands_they_ask_for_and_a_stop_is_in_order(
    ledger_env: Any, ledger: LedgerWriter
) -> None:
    for number in range(50):
        ledger.decide(placed(f"o{number}", ("1", "MUG", 2), ("2", "GONE", 1)))
    ledger.garbage("ledger.orders", 0)
    ledger.decide(StockReceived(sku="MUG", location_id="WH1", quantity=5), reserved("MUG", "o1"), reserved("MUG", "o2"))
    for number in range(20):
        ledger.again(number)
    ledger.flush()
    with running(ledger_env.env) as child:
        found = commands_of(ledger_env.services, 102)
        settled(ledger_env.services)
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE_SECONDS) == 0
    found = commands_of(ledger_env.services, 102)
    assert Counter(name for name, _ in found) == {"ReserveStock": 50, "AwaitStock": 50, "RecordAllocation": 2}
    ids = [record["id"] for _, record in found]
    assert len(ids) == len(set(ids)), "decisions that stood twice in the log were reacted to once"
    first = next(record for name, record in found if name == "ReserveStock" and record["data"]["order_id"] == "o7")
    assert first["channel"] == "order-ledger"
    assert first["actor"] == "sourcing"
    assert first["causation_id"] == "ledger.orders:o7:1"
    assert first["correlation_id"] == "c:o7"
    assert first["occurred_at"] == AT
    assert first["data"]["location_id"] == "WH1"


def test_timers_say_what_is_due_once(ledger_env: Any, ledger: LedgerWriter) -> None:
    with connect(ledger_env.services, "test") as connection:
        connection.execute(
            "INSERT INTO expiring_reservations VALUES"
            " ('MUG', 'o1', '1', 7, 'WH1', 2, %s), ('MUG', 'o2', '1', 7, 'WH1', 2, %s)",
            [AT - timedelta(days=400), AT + timedelta(days=40_000)],
        )
    with running(ledger_env.env):
        found = commands_of(ledger_env.services, 1)
        time.sleep(2.5)
        assert len(commands_of(ledger_env.services, 1)) == 1
    assert [(name, record["id"], record["occurred_at"]) for name, record in found] == [
        ("ExpireReservation", "expire:o1:1:7:WH1", AT - timedelta(days=400))
    ]


def test_a_killed_worker_loses_nothing_and_asks_for_the_same_again(ledger_env: Any, ledger: LedgerWriter) -> None:
    orders = 3_000
    with running(ledger_env.env) as child:
        for number in range(orders):
            ledger.decide(placed(f"o{number}", ("1", "MUG", 1)))
            if number == orders // 2:
                ledger.flush()
                commands_of(ledger_env.services, 1)
        ledger.flush()
        child.kill()
        child.wait(PATIENCE_SECONDS)
    with running(ledger_env.env):
        found = commands_of(ledger_env.services, orders)
        settled(ledger_env.services)
    assert {record["data"]["order_id"] for _, record in found} == {f"o{number}" for number in range(orders)}
    by_id: dict[str, dict[str, Any]] = {}
    for _, record in found:
        assert by_id.setdefault(record["id"], record) == record, "a repeat says the same"


def test_two_copies_share_the_partitions_and_take_over_from_each_other(ledger_env: Any, ledger: LedgerWriter) -> None:
    with running(ledger_env.env) as first, running(ledger_env.env):
        for number in range(1_000):
            ledger.decide(placed(f"a{number}", ("1", "MUG", 1)))
        ledger.flush()
        commands_of(ledger_env.services, 1_000)
        first.send_signal(signal.SIGTERM)
        for number in range(1_000):
            ledger.decide(placed(f"b{number}", ("1", "MUG", 1)))
        ledger.flush()
        assert first.wait(PATIENCE_SECONDS) == 0
        found = commands_of(ledger_env.services, 2_000)
        settled(ledger_env.services)
    wanted = {f"{letter}{number}" for letter in "ab" for number in range(1_000)}
    assert {record["data"]["order_id"] for _, record in found} == wanted
