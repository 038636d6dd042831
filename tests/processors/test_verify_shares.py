"""Several processes find what one process finds: the same report of equal tables, and the same first difference."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from events.catalogue import LEDGER_TOPICS
from processors.projector.generations import live_schema
from processors.projector.span import end_offsets_of
from processors.verify import Report, check, share, verify
from processors.verify.books import Books
from processors.verify.check import RECORDS_MIN, _shares, _Sum
from processors.verify.share import COMPARING, EVERYTHING, HALVES, READING
from projections.catalogue import PROJECTIONS
from runtime.errors import Fault
from runtime.kafka import TopicSpec, create_topics
from runtime.postgres import connect
from runtime.services import Services
from schemas.codec import Codec
from tests.processors.test_verify import PARTITIONS, change, random_logs, write
from tests.processors.test_verify_laws import books_of
from tests.support.chain import ChainLog
from tests.support.projecting import project

SEED, DECISIONS = 11, 400
#: In the order in which they are compared.
TABLES = [table for projection in PROJECTIONS.values() for table in projection.tables]


@pytest.fixture
def tables(ledger_env: Any) -> Services:
    """A history of every kind of fact, with a repeat, and its tables."""
    services: Services = ledger_env.services
    create_topics(services, [TopicSpec(services.topic(topic), PARTITIONS) for topic in LEDGER_TOPICS])
    logs = random_logs(SEED, DECISIONS)
    for log in logs:
        log.append([log.records[0].value_bytes or b"", b"no frame"])
    write(services, logs)
    project(services)
    return services


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares are checked one after the other, and the log is read once: quicker, for many checks."""
    read = share.read
    kept: list[tuple[str, int, int, bytes | None]] = []

    def remembered(services: Services, ends: Any) -> Iterator[tuple[str, int, int, bytes | None]]:
        if not kept:
            kept.extend(read(services, end_offsets_of(services)))
        return (record for record in kept if record[:2] in ends)

    def in_turn(work: Callable[..., Any], tasks: Sequence[Any], heard: Callable[..., None], _dead: Any) -> list[Any]:
        return [work(*pickle.loads(pickle.dumps(task)), lambda _: None) for task in tasks]

    monkeypatch.setattr(share, "read", remembered)
    monkeypatch.setattr(check, "in_processes", in_turn)
    monkeypatch.setattr(check, "refuse_old_log", lambda *_: None)


def by(services: Services, processes: int) -> Report:
    return verify(services, Codec(), processes=processes)


def test_two_processes_report_what_one_reports(tables: Services) -> None:
    one, said = by(tables, 1), list[tuple[str, int, int, str]]()
    two = verify(tables, Codec(), processes=2, progress=lambda *words: said.append(words))
    assert one.first_difference is None
    assert one.as_json() == two.as_json()
    assert list(one.tables) == list(two.tables) == [table.name for table in TABLES]
    assert set(one.skipped["ledger.stock"]) == {"repeat", "no_frame"}

    # Progress is of both: all records of the log, then all rows of all tables.
    assert [what for what, *_ in said] == sorted((what for what, *_ in said), reverse=True)
    records, rows = sum(one.offsets.values()), sum(one.tables.values())
    assert (READING, records, records, "records") in said
    assert said[-1] == (COMPARING, rows, rows, "rows")

    change(tables, "UPDATE inventory SET on_hand = on_hand + 1")
    assert by(tables, 2).first_difference == by(tables, 1).first_difference is not None


def test_tables_and_offsets_are_of_one_moment_for_all_processes(
    tables: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The projector goes on, and rows change, before the processes read the tables."""
    start = check.in_processes

    def late(*arguments: Any) -> list[Any]:
        assert change(tables, "UPDATE order_status SET open = open + 1") > 0
        assert change(tables, "DELETE FROM follower_positions WHERE follower = 'projector'") > 0
        return start(*arguments)

    monkeypatch.setattr(check, "in_processes", late)
    assert by(tables, 2).equal


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.long
def test_a_planted_difference_in_any_table_is_found_by_both(tables: Services) -> None:
    """From the last table that is compared to the first: what was spoilt last is what is found."""
    assert by(tables, 2).equal
    for table in reversed(TABLES):
        where = f"WHERE ctid = (SELECT ctid FROM {table.name} LIMIT 1)"
        first, strange = table.key[0], {"text": "'zz'", "bigint": "77", "integer": "77"}
        kind = column_type(tables, table.name, first)
        # A row is missing, and another one is too many; of `answers`, one of a topic that does not exist.
        assert change(tables, f"UPDATE {table.name} SET {first} = {strange[kind]} {where}") == 1
        one, two = by(tables, 1), by(tables, 2)
        assert one.first_difference is not None
        assert (one.first_difference.table, one.first_difference.column) == (table.name, "*")
        assert one.as_json() == two.as_json()
    for column in ("intake_offset", "last_decision"):
        change(tables, f"UPDATE follower_positions SET {column} = 1 WHERE partition = 1 AND follower = 'projector'")
        found = by(tables, 2).first_difference
        assert found is not None
        assert found == by(tables, 1).first_difference
        assert (found.table, found.key) == ("follower_positions", ("ledger.orders", 1))


@pytest.mark.usefixtures("in_this_process")
def test_a_column_that_is_lost_or_unknown_is_found_by_both(tables: Services) -> None:
    for statement, table in (
        ("ALTER TABLE kpi_watermarks ADD COLUMN colour text", "kpi_watermarks"),
        ("ALTER TABLE answers DROP COLUMN topic CASCADE", "answers"),
        ("ALTER TABLE order_lines DROP COLUMN sku CASCADE", "order_lines"),
    ):
        change(tables, statement)
        one, two = by(tables, 1), by(tables, 2)
        assert one.first_difference is not None
        assert one.first_difference.table == table
        assert one.as_json() == two.as_json()


@pytest.mark.usefixtures("in_this_process")
def test_a_table_with_rows_from_both_shares_is_refused_not_misjudged(
    tables: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "HALVES", (share.Share(but=("ledger.service",)), share.Share(only=("ledger.service",))))
    assert by(tables, 1).equal
    with pytest.raises(Fault, match="kpi_complaints come from facts that two processes have read") as fault:
        by(tables, 2)
    assert "--processes 1" in fault.value.hint


def test_a_process_that_is_killed_ends_the_call_with_a_fault(
    tables: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "once"
    killed.write_text("verify.folded=kill")
    monkeypatch.setenv("ORDER_LEDGER_FAILPOINTS", f"@{killed}")
    with pytest.raises(Fault, match=r"process \d of 2 of verify has ended") as fault:
        by(tables, 2)
    assert "killed by signal 9" in fault.value.detail
    assert "--processes 1" in fault.value.hint


def test_what_a_process_cannot_read_is_the_fault_of_the_call(tables: Services) -> None:
    with connect(tables, "test") as connection:
        connection.execute(f"DROP TABLE {live_schema(connection)}.order_lines CASCADE".encode())
    with pytest.raises(Fault, match="PostgreSQL could not answer") as fault:
        by(tables, 2)
    assert "order_lines" in fault.value.detail


def test_two_processes_only_for_a_long_log(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {("ledger.orders", 0): {"next_offset": RECORDS_MIN - 1}}
    long = {**short, ("ledger.stock", 0): {"next_offset": 1}}
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert _shares(short, None) == (EVERYTHING,)
    assert _shares(long, None) == HALVES
    assert _shares(long, 1) == (EVERYTHING,)
    assert _shares(short, 2) == HALVES
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert _shares(long, None) == (EVERYTHING,)


def test_each_topic_is_in_one_share_also_one_that_is_not_known() -> None:
    for topic in (*LEDGER_TOPICS, "ledger.strange"):
        assert EVERYTHING.has(topic)
        assert sum(one.has(topic) for one in HALVES) == 1


def test_the_progress_of_shares_is_that_of_the_slowest() -> None:
    said: list[tuple[str, int, int, str]] = []
    stored = {("ledger.orders", 0): {"next_offset": 100}, ("ledger.stock", 0): {"next_offset": 60}}
    together = _Sum(stored, HALVES, lambda *words: said.append(words))
    for number, words in (
        (1, (READING, 60, 60, "records")),
        (1, (COMPARING, 5, 30, "rows")),
        (0, (READING, 100, 100, "records")),
        (0, (COMPARING, 7, 40, "rows")),
        (1, (COMPARING, 30, 30, "rows")),
    ):
        together.heard(number, words)
    assert said == [
        (READING, 60, 160, "records"),
        (READING, 160, 160, "records"),
        (COMPARING, 12, 70, "rows"),
        (COMPARING, 37, 70, "rows"),
    ]


@pytest.mark.parametrize("seed", [7, 12])
def test_no_table_but_those_by_topic_has_rows_from_both_shares(seed: int) -> None:
    """If this fails for a new table, it takes facts of orders and of stock: one share must then have both."""
    logs = random_logs(seed, DECISIONS)
    tables = [rows_by(one, logs) for one in HALVES]
    for name, expected in Books().tables.items():
        if expected.key[0] != "topic":
            assert sum(name in found for found in tables) <= 1, name


def rows_by(one: share.Share, logs: Sequence[ChainLog]) -> set[str]:
    """The tables in which a share expects rows."""
    books = books_of([log for log in logs if one.has(log.topic)])
    return {table.name for table in books.tables.values() if next(table.missing(), None) is not None}


def column_type(services: Services, table: str, column: str) -> str:
    with connect(services, "test") as connection:
        row = connection.execute(
            "SELECT data_type FROM information_schema.columns"
            " WHERE table_schema = %s AND table_name = %s AND column_name = %s",
            [live_schema(connection), table, column],
        ).fetchone()
    assert row is not None
    return str(row[0])
