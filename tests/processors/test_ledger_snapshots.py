"""What a snapshot must say of itself, so that a writer uses nothing of one that another build has written."""

from __future__ import annotations

from typing import Any

import pytest

from processors.ledger import snapshots
from processors.ledger.partition import PartitionLedger
from tests.events import builders as b
from tests.simulation.memory import Database
from tests.support.intake import CODEC, Intake, record

TOPIC = "ledger.orders"


def saved() -> Any:
    """Tables that hold the snapshot of a partition with one order."""
    database: Any = Database()
    intake = Intake()
    intake.send(record(b.place()))
    snapshots.save(database, snapshots.Snapshot.of(intake.ledger, TOPIC, 1))
    return database


def found(database: Any) -> bool:
    ledger = PartitionLedger("intake.orders", 0, partitions=1, codec=CODEC)
    position = snapshots.load(database, TOPIC, ledger)
    assert (position is not None) == (ledger.memory.saved_offset >= 0)
    return position is not None


def test_a_snapshot_of_the_same_format_is_gone_on_from() -> None:
    assert found(saved())


@pytest.mark.parametrize("mark", [b"", b"2", snapshots.FORMAT + b"0"])
def test_a_snapshot_that_another_build_saved_last_is_read_anew_from_the_log(mark: bytes) -> None:
    """Builds before the mark wrote nothing where it stands."""
    database = saved()
    place = (TOPIC, 0)
    offset, _ = database.streams[place]["", ""]
    database.streams[place]["", ""] = (offset, mark)
    assert not found(database)
    # The writer that has read the log saves all of it, in its own format.
    anew = Intake()
    anew.send(record(b.place()))
    snapshots.save(database, snapshots.Snapshot.of(anew.ledger, TOPIC, 1))
    assert found(database)
