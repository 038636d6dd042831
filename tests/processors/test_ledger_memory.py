"""What a ledger keeps in memory of a partition, and what it lets go."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from events.catalogue import INTAKE_TOPICS
from events.streams import StreamKey
from processors.ledger import saving, snapshots, writer
from processors.ledger.memory import Memory
from processors.ledger.owned import Owned
from processors.ledger.partition import Decided
from processors.ledger.saving import Counts, Saver
from tests.events import builders as b
from tests.simulation.memory import Broker, Clock, Database, RememberingCodec
from tests.simulation.writers import Services, WriterProcess, shell_in_memory, use_codec
from tests.support.intake import Intake, record

NOBODY = Counts(Counter(), Counter())


def stored(memory: Memory, offset: int) -> None:
    """A snapshot of all that changed."""
    memory.saved({one.key: len(snapshots.stored(one)) for one in memory.to_save(offset).streams})


def with_skus(*skus: str) -> Intake:
    """Each has been received once; the ledger knows that no snapshot holds an answer."""
    intake = Intake("intake.stock")
    intake.ledger.memory.answered(array("q"))
    for number, sku in enumerate(skus):
        intake.send(record(b.receive(5, sku=sku), f"r-{number}"))
    return intake


def test_streams_go_least_recently_used_first_until_the_rest_fits() -> None:
    intake = with_skus("A", "B", "C")
    memory = intake.ledger.memory
    stored(memory, 6)
    intake.send(record(b.receive(1, sku="A"), "again"))
    stored(memory, 7)
    size = memory.streams[StreamKey("stock", "A")].stored_bytes
    assert memory.let_go(memory.stored_bytes) == 0, "all of it fits"
    assert memory.let_go(2 * size) == 1
    assert [key.id for key in memory.streams] == ["A", "C"]
    assert memory.let_go(0) == 2
    assert (memory.streams, memory.stored_bytes) == ({}, 0)


def test_what_changed_stays_and_so_does_what_is_being_written() -> None:
    intake = with_skus("A", "B")
    memory = intake.ledger.memory
    stored(memory, 4)
    intake.send(record(b.receive(1, sku="A"), "again"))
    memory.to_save(5)
    assert memory.let_go() == 1
    memory.not_saved()
    assert memory.let_go() == 0
    assert [one.key.id for one in memory.to_save(5).streams] == ["A"], "the next snapshot has to write it"


def test_while_a_snapshot_is_written_the_tables_may_hold_it_or_the_one_before() -> None:
    intake = with_skus("A")
    memory = intake.ledger.memory
    assert not memory.is_ours((7, 7))
    stored(memory, 2)
    intake.send(record(b.receive(1, sku="A"), "again"))
    memory.to_save(3)
    assert [memory.is_ours((at, at)) for at in (-1, 2, 3, 4)] == [False, True, True, False]
    assert not memory.is_ours((2, 3)), "streams and answers of two snapshots"
    memory.saved({})
    assert [memory.is_ours((at, at)) for at in (2, 3)] == [False, True]


def test_only_a_command_that_may_have_been_answered_is_looked_up() -> None:
    intake = with_skus("A")
    ledger = intake.ledger
    known = next(iter(ledger.memory.answers.values())).command
    stored(ledger.memory, 2)
    ledger.memory.answered(None)
    new = ledger.parse(record(b.receive(1, sku="A"), "new"))
    repeat = ledger.parse(record(b.receive(5, sku="A"), "r-0"))
    assert ledger.needs(new) is not None, "nobody has said yet which commands were answered"
    ledger.memory.answered(array("q", [known]))
    assert ledger.needs(new) is None
    need = ledger.needs(repeat)
    assert need is not None
    assert need.command == known
    # What is saved later is added to the list.
    intake.send(record(b.receive(1, sku="A"), "new"))
    stored(ledger.memory, 3)
    assert ledger.needs(new) is not None


class Thread:
    """A thread pool that works when it is told to."""

    def __init__(self, *_: Any) -> None:
        self.work: Any = None
        self.result: Any = None

    def submit(self, work: Any, *arguments: Any) -> Thread:
        self.work = lambda: work(*arguments)
        return self

    def done(self) -> bool:
        return self.work is None

    def run(self) -> None:
        result, self.work = self.work(), None
        self.result = lambda: result

    def shutdown(self) -> None:
        """Nothing to end."""


@pytest.fixture
def saver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """With its database at hand: `away` makes it fail."""
    database = Database()
    away: list[bool] = []

    def connect(*_: Any, **__: Any) -> Database:
        if away:
            raise psycopg.OperationalError("away")
        return database

    monkeypatch.setattr(saving, "connect", connect)
    monkeypatch.setattr(saving, "ThreadPoolExecutor", Thread)
    services: Any = type("Services", (), {"topic": staticmethod(lambda name: name)})
    found: Any = Saver(services, "ledger")
    found.database, found.away = database, away
    return found


def sent(intake: Intake) -> Owned:
    """The partition of a writer that has sent all that was decided, and heard of nothing yet."""
    owned = Owned(intake.ledger, 0)
    owned.sent = len(intake.facts)
    return owned


def test_a_snapshot_is_written_when_the_broker_has_all_of_it_and_deciding_goes_on_meanwhile(saver: Any) -> None:
    intake = with_skus("A")
    owned = sent(intake)
    saver.begin([owned], 0, NOBODY)
    assert saver.carry_on(1) is None
    assert saver._thread.work is None, "the broker has nothing of it"
    for offset in range(owned.sent):
        owned.acked, owned.next_offset, owned.ledger.last_offset = offset + 1, offset + 1, offset
    assert saver.carry_on(0) is None
    assert saver._thread.work is None, "a dead letter from before is not acknowledged"
    assert saver.carry_on(1) is None
    assert isinstance(intake.send(record(b.receive(1, sku="B"), "meanwhile")), Decided)
    saver._thread.run()
    outcome = saver.carry_on(1)
    assert (outcome.facts, outcome.streams, saver.busy) == (2, 1, False)
    assert {stream_id for _, stream_id in saver.database.streams["ledger.stock", 0]} == {"", "A"}
    assert {key.id for key in intake.ledger.memory.changed} == {"B"}


def test_what_could_not_be_written_is_written_by_the_next_snapshot(saver: Any) -> None:
    owned = sent(with_skus("A"))
    owned.acked, owned.next_offset = owned.sent, owned.sent
    saver.away.append(True)
    saver.begin([owned], 0, Counts(Counter({("web", "intake.stock"): 3}), Counter()))
    saver.carry_on(1)
    saver._thread.run()
    outcome = saver.carry_on(1)
    assert (outcome.facts, outcome.counts.forwarded) == (0, {("web", "intake.stock"): 3})
    saver.away.clear()
    saver.begin([owned], 0, NOBODY)
    saver.carry_on(1)
    saver._thread.run()
    assert saver.carry_on(1).streams == 1
    assert owned.ledger.memory.saved_offset == 2


def test_a_partition_that_is_disturbed_meanwhile_is_left_out(saver: Any) -> None:
    owned, other = sent(with_skus("A")), sent(with_skus("B"))
    saver.begin([owned, other], 0, NOBODY)
    other.acked, other.next_offset = other.sent, other.sent
    owned.disturbed = "somebody else wrote to the partition"
    saver.carry_on(1)
    saver._thread.run()
    assert saver.carry_on(1).streams == 1
    assert {stream_id for _, stream_id in saver.database.streams["ledger.stock", 0]} == {"", "B"}


def test_a_snapshot_that_somebody_else_has_replaced_ends_in_a_takeover(saver: Any) -> None:
    intake = with_skus("A")
    owned = sent(intake)
    owned.acked, owned.next_offset = owned.sent, owned.sent
    intake.ledger.memory.saved_offset = 1  # it knows one, and the tables have none
    saver.begin([owned], 0, NOBODY)
    saver.carry_on(1)
    saver._thread.run()
    assert saver.carry_on(1).streams == 0
    assert owned.disturbed == "the snapshot reaches (-1, -1), not 1"


def test_a_ledger_with_too_much_unsaved_waits_until_postgres_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL is away at the first two attempts."""
    attempts: list[int] = []

    def connect(services: Any, *_: Any, **__: Any) -> Any:
        attempts.append(1)
        if len(attempts) < 3:
            raise psycopg.OperationalError("away")
        return services.database

    codec = RememberingCodec()
    with shell_in_memory(), patch.object(saving, "connect", connect):
        use_codec(codec)
        monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
        monkeypatch.setattr(writer, "UNSAVED_FACTS_MAX", 1)
        monkeypatch.setattr(writer, "UNSAVED_FACTS_WAIT", 1)
        broker = Broker(1, Clock())
        process = WriterProcess(Services(broker, Database(), codec), "ledger", broker.places(INTAKE_TOPICS))
        broker.append("intake.stock", 0, b"MUG", record(b.receive(5)))
        process.step(1)
        process.producer.flush()
        process.writer._hold_back()
        memory = process.writer._owned["intake.stock", 0].ledger.memory
        assert (len(attempts), memory.saved_offset, memory.changed) == (3, 2, set())
