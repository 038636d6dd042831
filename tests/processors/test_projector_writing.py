"""How a batch is written: new rows and others, folding and writing at the same time. The rows are always the same."""

from __future__ import annotations

import dataclasses
import threading

import polars as pl
import pytest

from events.catalogue import LEDGER_TOPICS
from processors.projector import projector as projector_module
from processors.projector import write
from processors.projector.ahead import ahead
from processors.projector.projector import Projector
from processors.projector.write import Store, ensure_tables
from projections.catalogue import PROJECTIONS
from projections.tables import fold
from runtime.postgres import connect
from tests.processors.test_verify import random_logs
from tests.support.chain import CODEC
from tests.support.folding import batch_of
from tests.support.raw import rows_of

ALL = tuple(PROJECTIONS.values())
OF_STREAMS = [table for projection in ALL for table in projection.tables if table.stream]


def test_things_made_ahead_come_in_order_and_what_making_them_raises_comes_out() -> None:
    def things():
        yield from "abc"
        raise ValueError("no d")

    used = []
    with pytest.raises(ValueError, match="no d"), ahead(things()) as coming:
        used.extend(coming)
    assert used == ["a", "b", "c"]


def test_the_thread_that_makes_things_ahead_has_ended_when_their_use_is_cut_off() -> None:
    before = threading.active_count()
    with ahead(iter(range(1_000))) as coming:
        assert next(coming) == 0
    assert threading.active_count() == before


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stream_that_begins_in_a_batch_has_no_row_before(seed: int) -> None:
    logs = random_logs(seed, 300)
    records = [one for log in logs for one in log.records]
    states, seen, new = {}, {table.name: set() for table in OF_STREAMS}, 0
    for number in range(10):
        step = [one for one in records if one.position * 10 // 400 == number or (number == 9 and one.position >= 400)]
        batch = batch_of(step, states)
        for projection in ALL:
            for name, frame in fold(projection, batch).items():
                table = next(one for one in projection.tables if one.name == name)
                if table.stream is None:
                    continue
                ids = set(frame[table.key[0]])
                begun = set(batch.begun(table.stream)) & ids
                assert not begun & seen[name]
                seen[name] |= ids
                new += len(begun)
    assert new > 10


@pytest.mark.parametrize("seed", [1, 2])
def test_no_fact_of_another_stream_makes_a_row_of_a_stream(seed: int) -> None:
    logs = random_logs(seed, 300)
    for topic in LEDGER_TOPICS:
        batch = batch_of([one for log in logs if log.topic == topic for one in log.records])
        streams = set(pl.concat([frame["stream_id"] for frame in batch.frames.values()]))
        for projection in ALL:
            for table in projection.tables:
                frame = fold(projection, batch).get(table.name)
                if table.stream is not None and frame is not None:
                    assert table.stream == topic
                    assert set(frame[table.key[0]]) <= streams


@pytest.fixture
def schemas(ledger_env):
    stores = {}
    for schema in ("one_way", "another"):
        with connect(ledger_env.services, "test") as connection:
            ensure_tables(connection, ALL, schema)
        stores[schema] = Store(lambda: connect(ledger_env.services, "test"), schema)
    yield stores
    for store in stores.values():
        store.close()


def take(store: Store, logs, cuts) -> None:
    projector = Projector(store, CODEC, ALL, lambda _: None)
    projector.place({(log.topic, log.partition): "id" for log in logs})
    records = [one for log in logs for one in log.records]
    for start, end in zip((0, *cuts), (*cuts, len(records)), strict=True):
        projector.take(records[start:end])


def test_rows_are_the_same_however_they_are_written(schemas, ledger_env, monkeypatch) -> None:
    logs = random_logs(5, 200)
    take(schemas["one_way"], logs, range(40, sum(len(log.records) for log in logs), 40))
    copied = []
    real = Store._copy
    monkeypatch.setattr(
        Store, "_copy", lambda _, connection, table, *rest: (copied.append(table.name), real(connection, table, *rest))
    )
    monkeypatch.setattr(write, "COPY_ROWS_MIN", 1)
    monkeypatch.setattr(projector_module, "AHEAD_FACTS_MIN", 1)
    take(schemas["another"], logs, [25, 300])
    assert {"order_status", "order_lines", "kpi_orders"} <= set(copied)
    names = [table.name for projection in ALL for table in projection.tables]
    with connect(ledger_env.services, "test") as connection:
        assert rows_of(connection, "one_way", names) == rows_of(connection, "another", names)


def test_a_fold_that_raises_while_others_are_written_leaves_nothing(schemas, ledger_env, monkeypatch) -> None:
    monkeypatch.setattr(projector_module, "AHEAD_FACTS_MIN", 1)

    def broken(batch):
        if batch.frames:
            raise ZeroDivisionError
        return {}

    logs = random_logs(6, 50)
    bad = dataclasses.replace(PROJECTIONS["locations"], fold=broken)
    projector = Projector(schemas["one_way"], CODEC, [PROJECTIONS["order_status"], bad], lambda _: None)
    projector.place({(log.topic, log.partition): "id" for log in logs})
    with pytest.raises(ZeroDivisionError):
        projector.take([one for log in logs for one in log.records])
    with connect(ledger_env.services, "test") as connection:
        assert connection.execute("SELECT count(*) FROM one_way.order_status").fetchone() == (0,)
        assert connection.execute("SELECT max(next_offset) FROM one_way.follower_positions").fetchone() == (0,)
