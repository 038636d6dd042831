"""Fault 6, seen from near: the ledger's snapshots go back to an older backup, together or table by table.

A state that is older than the log says would make wrong decisions for ever. So a writer must notice, at the next look
into the tables or at the next save, and a new writer must use nothing of tables that do not fit each other.
"""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import sql

from events.streams import StreamKey
from gateway.sending.commands import check
from processors.ledger import snapshots
from processors.ledger.partition import Decided, PartitionLedger
from processors.subjects import codec_for
from runtime.postgres import connect
from tests.support.shop import receive

pytestmark = [pytest.mark.faults]

TOPIC = "ledger.stock"
TABLES = ("ledger_positions", "ledger_streams", "ledger_answers")

#: A SKU's first receipt states the goods, and that the SKU is new at the location.
FIRST_FACTS = 2


class Snapshots:
    """Writers of one stock partition in turn, and the tables that they leave to each other."""

    def __init__(self, env: Any) -> None:
        self.codec = codec_for(None, "")
        self.connection = connect(env.services, "test", autocommit=True)
        snapshots.ensure_tables(self.connection)
        self.offset = 0
        self.facts = 0

    def writer(self) -> tuple[PartitionLedger, bool]:
        """A writer that knows what there is, and whether there was anything."""
        ledger = PartitionLedger("intake.stock", 0, partitions=1, codec=self.codec)
        return ledger, snapshots.load(self.connection, TOPIC, ledger) is not None

    def receive(self, ledger: PartitionLedger, sku: str) -> None:
        """One more unit: fetched, where it must be, and decided."""
        value = check(receive(sku, "WH1", 1)).encode(self.codec)
        need = ledger.needs(ledger.parse(value))
        if need is not None:
            self.fetch(ledger, need.stream, need.command)
        outcome = ledger.decide(self.offset, 1_795_000_000_000, None, value)
        assert isinstance(outcome, Decided), outcome
        self.offset += 1
        self.facts += len(outcome.facts)

    def fetch(self, ledger: PartitionLedger, stream: StreamKey | None, command: int | None = None) -> None:
        streams = [] if stream is None else [stream]
        commands = [] if command is None else [command]
        snapshots.fetch(self.connection, [snapshots.Wanted(TOPIC, ledger, streams, commands)])

    def save(self, ledger: PartitionLedger) -> None:
        stored = snapshots.save(self.connection, snapshots.Snapshot.of(ledger, TOPIC, self.facts))
        ledger.memory.saved(stored.sizes)

    def saved_twice(self) -> PartitionLedger:
        """A writer that has saved twice; the first of the two is kept as a backup."""
        first, _ = self.writer()
        self.receive(first, "mug")
        self.save(first)
        self.keep()
        self.receive(first, "mug")
        self.receive(first, "hat")
        self.save(first)
        return first

    def keep(self) -> None:
        for table in TABLES:
            self.connection.execute(_named("CREATE TABLE {} AS TABLE {}", f"{table}_kept", table))

    def restore(self, *tables: str) -> None:
        for table in tables:
            self.connection.execute(_named("TRUNCATE {}", table))
            self.connection.execute(_named("INSERT INTO {} TABLE {}", table, f"{table}_kept"))


def _named(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))


def test_a_writer_notices_that_its_snapshot_went_back(ledger_env: Any) -> None:
    """Given a writer that has saved twice, when the first of the two is restored, then it can neither look into it nor
    add to it: it has to take over anew. (Saving what changed since would leave an old stream under a new position.)

    Seen to fail: without the look at what streams and answers reach in `fetch`, and without that in `save`, each by
    itself: "DID NOT RAISE SnapshotMovedError".
    """
    world = Snapshots(ledger_env)
    first = world.saved_twice()
    world.restore(*TABLES)

    with pytest.raises(snapshots.SnapshotMovedError):
        world.receive(first, "cap")
    with pytest.raises(snapshots.SnapshotMovedError):
        world.save(first)

    second, found = world.writer()
    assert found
    world.fetch(second, StreamKey("stock", "mug"))
    assert second.memory.streams[StreamKey("stock", "mug")].version == FIRST_FACTS, (
        "as it was in the backup: the log behind its position tells the rest"
    )


def test_a_snapshot_from_before_streams_had_a_kind_is_not_misread(ledger_env: Any) -> None:
    """Given the table of states as it was when a stream was known by its id alone, then a new writer makes it anew,
    takes nothing from it, and saves a whole snapshot.

    Seen to fail: without the look at the column, `load` raised UndefinedColumn.
    """
    world = Snapshots(ledger_env)
    world.saved_twice()
    world.connection.execute("ALTER TABLE ledger_streams DROP COLUMN kind")

    snapshots.ensure_tables(world.connection)
    second, found = world.writer()

    assert not found
    world.receive(second, "mug")
    world.save(second)
    snapshots.ensure_tables(world.connection)
    assert world.writer()[1], "a table that has the column stays"


@pytest.mark.parametrize("table", TABLES)
def test_a_snapshot_whose_tables_do_not_fit_is_not_used(ledger_env: Any, table: str) -> None:
    """Given one of the tables restored by itself, then a new writer takes nothing from them (it reads the log), and
    what a writer saves that has read all of the log is a whole snapshot again.

    Seen to fail, for each of the three tables: without the comparison in `load` the snapshot was used.
    """
    world = Snapshots(ledger_env)
    world.saved_twice()
    world.restore(table)

    second, found = world.writer()

    assert not found
    assert second.memory.streams == {}
    for sku in ("mug", "mug", "hat"):  # stands for the log, read from its beginning
        world.receive(second, sku)
    world.save(second)
    third, found = world.writer()
    assert found
    for sku, version in (("mug", FIRST_FACTS + 1), ("hat", FIRST_FACTS)):
        key = StreamKey("stock", sku)
        world.fetch(third, key)
        assert third.memory.streams[key].version == version
