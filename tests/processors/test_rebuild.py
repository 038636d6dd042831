"""Bare tables and several processes: the rows are those of the live fold, whatever is killed meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from events.catalogue import LEDGER_TOPICS
from processors.following.patience import StoppedWaitingError
from processors.projector import bare, span
from processors.projector.span import end_offsets_of, fold_span
from processors.replay import Wish, diff, replay
from processors.replay.rebuild import _shares
from processors.replay.wish import chosen
from processors.verify import verify
from runtime.errors import Fault
from runtime.kafka import TopicSpec, create_topics, producer
from runtime.postgres import connect
from schemas.codec import Codec
from tests.processors.test_verify import Facts, random_logs
from tests.support.chain import BEGINNING, ChainLog

ALL = Wish(chosen(()))
MIDDLE = BEGINNING + timedelta(seconds=200)
PARTITIONS = 2


@pytest.fixture
def log(ledger_env: Any, request: pytest.FixtureRequest) -> Any:
    """A history of every kind of fact."""
    return written(ledger_env.services, random_logs(seed=getattr(request, "param", 4), decisions=400))


def written(services: Any, logs: Sequence[ChainLog]) -> Any:
    create_topics(services, [TopicSpec(services.topic(topic), PARTITIONS) for topic in LEDGER_TOPICS])
    sender = producer(services)
    for one in logs:
        for record in one.records:
            topic = services.topic(one.topic)
            sender.produce(topic, partition=one.partition, key=record.key_bytes, value=record.value_bytes)
    assert sender.flush(60) == 0
    return services


def asked(services: Any, query: str) -> list[tuple[Any, ...]]:
    with connect(services, "test") as connection:
        return connection.execute(query.encode()).fetchall()


def equal(services: Any, one: str, other: str) -> bool:
    """All rows of all tables, and where they are in the log."""
    with connect(services, "test") as connection:
        found = diff(connection, one, other, limit=3)
    assert found.equal, {name: table for name, table in found.tables.items() if not table.equal}
    assert found.offsets[one] == found.offsets[other]
    facts = "SELECT * FROM {}.skipped_facts ORDER BY 1, 2, 3, 4"
    assert asked(services, facts.format(one)) == asked(services, facts.format(other))
    return True


def indexes(services: Any, schema: str) -> list[tuple[Any, ...]]:
    query = f"SELECT tablename, replace(indexdef, '{schema}.', '') FROM pg_indexes WHERE schemaname = '{schema}'"
    rows = asked(services, f"{query} AND tablename <> 'replay' ORDER BY 1, 2")
    nullable = "SELECT table_name, column_name, is_nullable FROM information_schema.columns WHERE table_schema ="
    return rows + asked(services, f"{nullable} '{schema}' AND table_name <> 'replay' ORDER BY 1, 2")


@pytest.mark.parametrize(
    ("log", "batch", "run_bytes"),
    [(4, 60, 0), pytest.param(5, 60, 100_000, marks=pytest.mark.long), pytest.param(6, 700, 0, marks=pytest.mark.long)],
    indirect=["log"],
)
def test_many_runs_are_the_rows_keys_and_indexes_of_the_live_fold(
    log: Any, batch: int, run_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span, "BATCH_RECORDS_MAX", batch)
    monkeypatch.setattr(bare, "RUN_BYTES_MAX", run_bytes)
    fold_span(log, "lived", end_offsets_of(log))
    done = replay(log, ALL, "rebuilt", processes=1)
    assert done.facts > 700
    assert equal(log, "lived", "rebuilt")
    assert indexes(log, "lived") == indexes(log, "rebuilt")
    assert verify(log, Codec(), schema="rebuilt").first_difference is None


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_what_comes_before_a_row_begins_is_no_part_of_it(
    ledger_env: Any, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that never waited, and one of the same name that does: in one run, but not in one row."""
    facts, log = Facts(1), ChainLog("ledger.stock")
    for number in range(3):
        count = {"sku": f"s{number}", "location_id": "WH1", "count_id": "C"}
        for name in ("StockCounted", "CountApprovalRequested", "CountRejected")[: number + 1]:
            log.decide(f"s{number}", (name, facts.data(name, **count)))
    services = written(ledger_env.services, [log])
    monkeypatch.setattr(span, "BATCH_RECORDS_MAX", 1)
    fold_span(services, "lived", end_offsets_of(services))
    monkeypatch.setattr(span, "BATCH_RECORDS_MAX", batch)
    replay(services, ALL, "rebuilt", processes=1)
    assert equal(services, "lived", "rebuilt")
    found = asked(services, "SELECT sku, decided_at IS NULL FROM rebuilt.stock_counts ORDER BY 1")
    assert found == [("s1", True), ("s2", False)]


@pytest.mark.long
def test_several_processes_come_to_the_same_tables_at_each_kind_of_end(log: Any) -> None:
    fold_span(log, "lived", end_offsets_of(log))
    done = replay(log, ALL, "rebuilt", processes=3)
    assert done.facts == replay(log, ALL, "alone", processes=1, anew=True).facts
    assert equal(log, "lived", "rebuilt")
    assert equal(log, "alone", "rebuilt")

    for wish in (
        Wish(ALL.projections, until=MIDDLE),
        Wish(ALL.projections, offsets={one: at // 2 for one, at in end_offsets_of(log).items()}),
        Wish(chosen((), effective=True), until=MIDDLE, effective=True),
    ):
        one = replay(log, wish, "one", processes=1, anew=True)
        two = replay(log, wish, "two", processes=2, anew=True)
        assert 0 < two.facts == one.facts
        assert two.offsets == one.offsets
        assert equal(log, "one", "two")


def test_progress_comes_from_all_processes_and_ends_at_the_facts_there_are(log: Any) -> None:
    said: dict[str, list[tuple[int, int]]] = {}
    replay(
        log,
        ALL,
        "rebuilt",
        processes=2,
        say=lambda what, *now: said.setdefault(f"{what}: {now[2]}", []).append(now[:2]),
    )
    facts, tables = said["replaying into rebuilt: facts"], said["keys and indexes of rebuilt: tables"]
    total = sum(end_offsets_of(log).values())
    assert len(facts) >= 2
    assert [done for done, _ in facts] == sorted(done for done, _ in facts)
    assert 0.9 * total < facts[-1][0] == facts[-1][1] <= total
    assert [done for done, _ in tables] == list(range(len(tables)))
    assert tables[-1] == (len(tables) - 1, len(tables) - 1)


def test_when_one_of_the_processes_is_killed_the_call_says_so_and_the_next_one_goes_on(
    log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "once"
    killed.write_text("projector.before_commit=kill")
    monkeypatch.setenv("ORDER_LEDGER_FAILPOINTS", f"@{killed}")
    with pytest.raises(Fault, match=r"process \d of 2 of the replay has ended") as fault:
        replay(log, ALL, "rebuilt", processes=2)
    assert not killed.exists()
    assert "killed by signal 9" in fault.value.detail
    assert asked(log, "SELECT ended_at FROM rebuilt.replay") == [(None,)]
    # Nothing of the other one is left running, which would hold the schema.
    rest = replay(log, ALL, "rebuilt", processes=3)
    assert rest.resumed
    fold_span(log, "lived", end_offsets_of(log))
    assert equal(log, "lived", "rebuilt")


def test_a_process_that_fails_hands_its_fault_to_the_caller(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_LEDGER_FAILPOINTS", "projector.fold=raise")
    with pytest.raises(Fault, match="of 2 of the replay has ended") as fault:
        replay(log, ALL, "rebuilt", processes=2)
    assert "exit status 1" in fault.value.detail
    monkeypatch.delenv("ORDER_LEDGER_FAILPOINTS")
    assert replay(log, ALL, "rebuilt", processes=2).resumed


@pytest.mark.parametrize(
    "place", [pytest.param(one, marks=pytest.mark.long) for one in ("projector.before_key:9", "projector.after_key:9")]
)
def test_killed_while_the_tables_get_their_keys(log: Any, ledger_env: Any, place: str) -> None:
    words = [sys.executable, "-m", "gateway.cli", "replay", "--into", "rebuilt", "--processes", "2"]
    env = {**ledger_env.env, "ORDER_LEDGER_FAILPOINTS": f"{place}=kill"}
    killed = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = asked(log, "SELECT count(DISTINCT table_name) FROM rebuilt.lacking")[0][0]
    assert 0 < left < len(ALL.folded) * 6
    again = replay(log, ALL, "rebuilt", processes=2)
    assert (again.resumed, again.facts) == (True, 0)
    fold_span(log, "lived", end_offsets_of(log))
    assert equal(log, "lived", "rebuilt")
    assert indexes(log, "lived") == indexes(log, "rebuilt")


def test_a_call_that_is_stopped_leaves_nothing_running(log: Any) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedWaitingError):
        replay(log, ALL, "rebuilt", processes=2, stop=stop)
    assert replay(log, ALL, "rebuilt", processes=1).resumed


def test_shares_have_about_as_many_facts() -> None:
    facts = {("a", 0): 90, ("a", 1): 10, ("b", 0): 50, ("b", 1): 40}
    assert _shares(facts, 2) == [[("a", 0), ("a", 1)], [("b", 0), ("b", 1)]]
    assert _shares(facts, 9) == [[("a", 0)], [("b", 0)], [("b", 1)], [("a", 1)]]
    assert _shares({}, 3) == [[]]
