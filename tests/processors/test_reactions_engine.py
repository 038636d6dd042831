"""One batch of the reactions: what is read, what is sent, what is saved, and in which order."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from events.catalogue import FACTS
from events.chain import digest
from events.stock.facts import StockOffered, StockReceived
from processors.following import follower as follower_module
from processors.following.database import Database, StoredPositions
from processors.following.facts import FactDecoder
from processors.following.follower import Fetched
from processors.following.patience import Patience, StoppedWaitingError
from processors.following.positions import ChainState, Move, Partition, Position, Positions, ensure_table
from processors.following.reading import HoleError, Reading
from processors.reactions.app import faust_credentials
from processors.reactions.asked import Asked
from processors.reactions.engine import Engine
from processors.reactions.rows import Due
from processors.reactions.sourcing import Lookups
from processors.reactions.wiring import REACTED_TO
from processors.routing.model import Place
from processors.slow_paths import Miss
from projections.inventory.reader import ReceiptDue, read_receipts_due
from projections.order_status.reader import OrderDue, read_orders_due
from runtime.errors import Fault
from schemas.codec import Codec
from tests.processors.test_reactions import placed
from tests.support.plain_avro import encode_around

AT = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
CODEC = Codec()
DECODER = FactDecoder(CODEC, REACTED_TO)
STOCK = ("ledger.stock", 3)


def offered(order_id: str) -> StockOffered:
    return StockOffered(sku="MUG", quantity=1, order_id=order_id, line_id="1", attempt=1999)


class Log:
    """Bytes of a partition with a valid chain; `follows` an older decision for what a late writer would write."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.last = 0
        self.version = 0
        self.intake_offset = 0

    def decide(self, *facts: Any, follows: int | None = None) -> list[bytes]:
        names = [FACTS[type(fact).__name__].schema for fact in facts]
        datas = [CODEC.encode_data(name, fact) for name, fact in zip(names, facts, strict=True)]
        rival = follows is not None
        follows = self.last if follows is None else follows
        decision = digest(follows, 0, self.intake_offset, list(zip(names, datas, strict=True)))
        written = []
        for index, (name, data) in enumerate(zip(names, datas, strict=True), 1):
            self.version += 1
            envelope = {
                "event_id": f"e{self.version}",
                "stream_id": "MUG",
                "stream_kind": "stock",
                "version": self.version,
                "decision": decision,
                "follows": follows,
                "index": index,
                "count": len(facts),
                "epoch": 0,
                "intake_offset": self.intake_offset,
                "occurred_at": AT,
                "recorded_at": AT,
                "command_id": "c",
                "command_digest": 1,
                "correlation_id": "c",
                "channel": "web",
            }
            written.append(encode_around(CODEC, name, envelope, data))
        self.intake_offset += 1
        if not rival:
            self.last = decision
        self.values += written
        return written

    def fetched(self, start: int = 0, end: int | None = None) -> Fetched:
        chosen: list[tuple[int, bytes | None]] = list(enumerate(self.values))[start:end]
        return Fetched(*STOCK, start, chosen)


class World:
    """Positions, look-ups and a sender in memory; `steps` is what happened, in order."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.positions: dict[Partition, Position] = {}
        self.sent: list[Asked] = []
        self.broken = False
        self.counted: Counter[Miss] = Counter()
        self.lookups = Lookups({}, {})

    def load(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        return {partition: self.positions.setdefault(partition, Position()) for partition in partitions}

    def save(self, moves: Mapping[Partition, Move]) -> set[Partition]:
        self.steps.append("save")
        overtaken = {p for p, move in moves.items() if self.positions[p].next_offset != move.before}
        self.positions |= {p: move.after for p, move in moves.items() if p not in overtaken}
        return overtaken

    def stored(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        return {partition: self.positions[partition] for partition in partitions if partition in self.positions}

    def read(self, skus: Collection[str], carts: Collection[str], moments: Collection[datetime]) -> Lookups:
        return self.lookups

    def due(self, queries: Sequence[Due], now: datetime) -> list[Sequence[Any]]:
        rows = {read_orders_due: [OrderDue("o1", AT)], read_receipts_due: [ReceiptDue("MUG", AT)] * 2}
        return [rows.get(query, []) for query in queries]

    def send(self, batch: Sequence[Asked]) -> None:
        if self.broken:
            raise Fault("commands could not be sent")
        self.steps.append(f"send {len(batch)}")
        self.sent += batch

    def engine(self) -> Engine:
        engine = Engine(DECODER, self, self, self, self.counted.update)
        engine.assign([STOCK])
        return engine


def orders_told(world: World) -> list[str]:
    return [row.data.order_id for row in world.sent]


def test_commands_are_sent_before_the_position_is_saved() -> None:
    log, world = Log(), World()
    log.decide(offered("o1"))
    assert world.engine().handle([log.fetched()]) == {}
    assert world.steps == ["send 1", "save"]
    assert world.positions[STOCK] == Position(1, ChainState(log.last, 0, 0))


def test_a_plan_that_is_not_proved_to_be_the_best_is_followed_and_counted() -> None:
    # Given: two SKUs that are scarce in a chain of 500 stores, more than the search looks through.
    stores = {f"L{n:03}": Place(f"L{n:03}", 48 + n / 100, 11.0) for n in range(500)}
    log, world = Log(), World()
    world.lookups = Lookups(
        {
            "A": {name: n % 3 for n, name in enumerate(stores)},
            "B": {name: (n + 1) % 3 for n, name in enumerate(stores)},
        },
        stores,
    )
    # When: an order wants 40 of each, and another one of which any store will do
    log.decide(placed(("1", "A", 40), ("2", "B", 40)).data)
    log.decide(placed(("1", "A", 1)).data)
    world.engine().handle([log.fetched()])
    # Then
    assert sum(row.data.quantity for row in world.sent) == 81
    assert world.counted == {Miss("route", "not_proved", "sourcing"): 1}


def test_nothing_is_saved_when_a_command_could_not_be_sent_and_the_same_is_asked_again() -> None:
    log, world = Log(), World()
    log.decide(offered("o1"))
    world.broken = True
    with pytest.raises(Fault):
        world.engine().handle([log.fetched()])
    assert world.positions[STOCK] == Position()
    world.broken = False
    world.engine().handle([log.fetched()])
    world.engine().handle([log.fetched()])
    assert orders_told(world) == ["o1"]


def test_repeats_late_writers_and_garbage_are_passed_over() -> None:
    log, world = Log(), World()
    first = log.decide(offered("o1"))
    before = log.last
    log.decide(offered("o2"))
    log.values += first
    log.decide(offered("rival"), follows=before)
    log.values += [b"garbage", b"\0\0\0\xff\xff", first[0][:20], log.values[1] + b"more"]
    log.decide(offered("o3"))
    world.engine().handle([log.fetched()])
    assert orders_told(world) == ["o1", "o2", "o3"]


def test_a_decision_counts_when_all_its_facts_are_there_also_over_a_restart() -> None:
    log, world = Log(), World()
    log.decide(offered("o1"))
    log.decide(StockReceived(sku="MUG", location_id="B", quantity=5), offered("o2"), offered("o3"))
    world.engine().handle([log.fetched(0, 3)])
    assert orders_told(world) == ["o1"]
    assert world.positions[STOCK].next_offset == 1, "a restart reads the decision from its first fact"
    restarted = world.engine()
    assert restarted.handle([log.fetched(1, 2)]) == {}
    assert restarted.handle([log.fetched(2)]) == {}
    assert orders_told(world) == ["o1", "o2", "o3"]
    assert world.positions[STOCK].next_offset == 4


def test_records_that_were_read_before_are_passed_over_and_missing_ones_are_read_again() -> None:
    log, world = Log(), World()
    for number in range(6):
        log.decide(offered(f"o{number}"))
    engine = world.engine()
    engine.handle([log.fetched(0, 2)])
    engine.handle([log.fetched(0, 3)])
    assert engine.handle([log.fetched(4, 5), log.fetched(5, 6)]) == {STOCK: 3}
    assert engine.next_offsets == {STOCK: 3}
    assert engine.handle([log.fetched(3)]) == {}
    assert orders_told(world) == [f"o{number}" for number in range(6)]


def test_a_hole_that_stays_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "READ_AGAIN_MAX", 3)
    log, world = Log(), World()
    for number in range(3):
        log.decide(offered(f"o{number}"))
    engine = world.engine()
    for _ in range(3):
        assert engine.handle([log.fetched(1)]) == {STOCK: 0}
    with pytest.raises(Fault, match="has a hole"):
        engine.handle([log.fetched(1)])


def test_a_copy_that_was_overtaken_goes_on_from_where_the_other_is() -> None:
    log, world = Log(), World()
    for number in range(4):
        log.decide(offered(f"o{number}"))
    zombie = world.engine()
    other = world.engine()
    other.handle([log.fetched(0, 3)])
    saved = world.positions[STOCK]
    assert zombie.handle([log.fetched(0, 2)]) == {STOCK: 3}
    assert world.positions[STOCK] == saved, "what the other has saved stays"
    assert zombie.handle([log.fetched(2)]) == {}
    assert world.positions[STOCK].next_offset == 4
    assert [row.id for row in world.sent[:1]] == ["alloc:o0:" + world.sent[0].id.rpartition(":")[2]]


def test_records_of_a_partition_that_was_taken_away_are_dropped() -> None:
    log, world = Log(), World()
    log.decide(offered("o1"))
    engine = world.engine()
    engine.assign(())
    assert engine.handle([log.fetched()]) == {}
    assert world.sent == []
    assert engine.next_offsets == {}


def test_a_timer_sends_a_command_once_until_it_is_time_to_repeat_it() -> None:
    world = World()
    engine = world.engine()
    assert engine.ring(AT, 0.0) == 2
    assert engine.ring(AT + timedelta(seconds=1), 1.0) == 0
    assert engine.ring(AT + timedelta(seconds=31), 31.0) == 2


def test_what_is_cut_behind_its_place_in_the_chain_counts_for_nothing() -> None:
    """Seen to fail where a fact was read only so far: what followed was a gap, and nobody was told of any of it."""
    log, world = Log(), World()
    received = StockReceived(sku="MUG", location_id="B", quantity=5)
    (cut,) = log.decide(received)
    log.values[0], log.last, log.version = cut[:-1], 0, 0
    log.decide(received, offered("o1"))
    world.engine().handle([log.fetched()])
    assert orders_told(world) == ["o1"]


def test_of_a_fact_that_nobody_reacts_to_only_its_place_in_the_chain_is_kept() -> None:
    log = Log()
    (value,) = log.decide(StockReceived(sku="MUG", location_id="B", quantity=5))
    link, record = DECODER.read(value)
    _, whole = CODEC.decode(value)
    assert record is None
    assert tuple(link) == tuple(whole[name] for name in link._fields)


def test_a_hole_names_what_is_missing() -> None:
    with pytest.raises(HoleError, match="expected offset 5, found 7"):
        Reading(Position(5), DECODER.read).read(7, [(7, b"")])


def test_a_service_that_is_away_is_waited_for_and_a_stop_ends_the_wait() -> None:
    patience = Patience("test")
    failures = [psycopg.OperationalError("gone"), psycopg.OperationalError("still gone")]
    seen: list[str | None] = []

    def work() -> str:
        seen.append(patience.standing.waiting_for)
        if failures:
            raise failures.pop()
        return "done"

    assert patience.until_done("postgres", work, psycopg.OperationalError) == "done"
    assert seen == [None, "postgres", "postgres"]
    assert patience.standing.waiting_for is None
    threading.Timer(0.1, patience.stop).start()
    failures.extend(psycopg.OperationalError("for ever") for _ in range(1000))
    with pytest.raises(StoppedWaitingError):
        patience.until_done("postgres", work, psycopg.OperationalError)
    assert failures, "it did not go through them all"


def test_positions_move_on_only_from_where_they_stand(ledger_env: Any) -> None:
    database = Database(ledger_env.services, "test", Patience("test"))
    rows = Positions("reactions")
    positions = StoredPositions(database, rows, lambda topics: dict.fromkeys(topics, "id-1"))
    database.run(ensure_table)
    database.run(ensure_table)
    other = ("ledger.stock", 4)
    assert positions.load([STOCK, other]) == {STOCK: Position(), other: Position()}
    after = Position(7, ChainState(-123, 0, 6))
    assert positions.save({STOCK: Move(0, after), other: Move(3, after)}) == {other}
    assert positions.save({STOCK: Move(0, Position(9, ChainState(5, 0, 8)))}) == {STOCK}
    others = StoredPositions(database, Positions("another"), lambda topics: dict.fromkeys(topics, "id-1"))
    assert others.stored([STOCK]) == {}, "each follower has rows of its own"
    assert positions.load([STOCK, other]) == {STOCK: after, other: Position()}
    with pytest.raises(Fault, match="recreated"):
        StoredPositions(database, rows, lambda topics: dict.fromkeys(topics, "id-2")).load([STOCK])
    database.close()


def test_a_lost_connection_to_postgres_is_made_again(ledger_env: Any) -> None:
    database = Database(ledger_env.services, "test", Patience("test"))
    mine = database.run(lambda connection: connection.execute("SELECT pg_backend_pid()").fetchone())
    assert mine is not None
    with psycopg.connect(ledger_env.services.postgres) as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", mine)
    assert database.run(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
    database.close()


def test_the_brokers_security_is_passed_on_to_faust() -> None:
    assert faust_credentials({}) is None
    signed_in = faust_credentials(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "ledger",
            "sasl.password": "secret",
        }
    )
    assert (signed_in.protocol.value, signed_in.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (signed_in.username, signed_in.password) == ("ledger", "secret")
    assert faust_credentials({"security.protocol": "ssl"}).protocol.value == "SSL"
    with pytest.raises(Fault, match="OAUTHBEARER"):
        faust_credentials({"security.protocol": "sasl_plaintext", "sasl.mechanism": "OAUTHBEARER"})
