"""New live tables: built beside the old ones, compared, and shown to all readers at one moment."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import psycopg
import pytest

from events.catalogue import DEAD_LETTERS
from processors.projector import generations
from processors.projector.checks import projector_checks
from processors.replay import swap as swapping
from processors.replay.swap import Swapped, back, drop_standby, keep_up, swap
from processors.topics import ensure_topics
from projections.catalogue import PROJECTIONS
from projections.model import Column, FactBatch, Projection
from projections.order_status.projection import PROJECTION as ORDER_STATUS
from runtime.errors import Fault
from runtime.kafka import end_offsets
from runtime.postgres import connect
from tests.processors.test_projector import asked, orders_log, running, send
from tests.support.chain import ChainLog
from tests.support.facts import order_placed
from tests.support.waiting import wait_until

ALL = tuple(PROJECTIONS.values())
TABLES = sorted(table.name for projection in ALL for table in projection.tables)


def changed(name: str, **changes: Any) -> tuple[Projection, ...]:
    """The folds of another build: one projection is not what it was."""
    return tuple(dataclasses.replace(one, **changes) if one.name == name else one for one in ALL)


#: The same rows by another fold, as far as anybody can tell.
NEXT = changed("order_status", version=2)


def does(services: Any, *statements: str) -> None:
    with connect(services, "test") as connection:
        for statement in statements:
            connection.execute(statement.encode())


def orders(services: Any, schema: str = "public") -> int:
    try:
        return int(asked(services, f"SELECT count(*) FROM {schema}.order_status")[0][0])
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return -1


def states(services: Any) -> dict[int, str]:
    return dict(asked(services, "SELECT number, state FROM generations ORDER BY number"))


class More:
    """Orders that come one after the other; `send` adds some to the log, and returns how many there are."""

    def __init__(self, services: Any) -> None:
        self._services = services
        self._log = ChainLog("ledger.orders", 0)
        self._sent = self.count = 0

    def send(self, count: int) -> int:
        for _ in range(count):
            self._log.decide(f"o-{self.count}", order_placed(f"o-{self.count}"))
            self.count += 1
        send(self._services, [one for one in self._log.records if one.position >= self._sent])
        self._sent = len(self._log.records)
        return self.count


@pytest.fixture
def ledger(ledger_env: Any) -> Any:
    ensure_topics(ledger_env.services, ledger_env.settings)
    return ledger_env


def test_the_first_projector_makes_the_first_generation_and_views_of_it(ledger: Any) -> None:
    services = ledger.services
    more = More(services)
    more.send(3)
    with running(ledger):
        wait_until(lambda: orders(services) == 3, 60)
    assert states(services) == {1: "live"}
    kinds = dict(asked(services, "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace"))
    assert {kinds[name] for name in TABLES} == {"v"}
    assert orders(services, "tables_1") == 3
    assert asked(services, "SELECT count(*) FROM v_order_status") == [(3,)]
    assert asked(services, "SELECT DISTINCT follower FROM projector_positions") == [("projector",)]
    comment = "SELECT obj_description('v_order_status'::regclass), col_description('v_order_status'::regclass, 1)"
    assert all(asked(services, comment)[0])


def test_after_a_switch_both_are_kept_up_and_the_way_back_is_there_at_once(ledger: Any) -> None:
    services = ledger.services
    more = More(services)
    more.send(50)
    with running(ledger):
        wait_until(lambda: orders(services) == 50, 60)
        done = swap(services)
        keep_up(services)
        assert (done.before, done.now, done.differed) == ("tables_1", "tables_2", ())
        assert (done.facts, done.tables) == (50, len(TABLES))
        assert states(services) == {1: "standby", 2: "live"}
        count = more.send(20)
        wait_until(lambda: orders(services, "tables_1") == orders(services, "tables_2") == count, 60)
        assert orders(services) == count
        said = [check.what for check in projector_checks(services, ledger.settings)]
        assert said == ["The tables tables_1 stand by, 0 facts behind the log", "The tables are 0 facts behind the log"]

        again = back(services)
        assert (again.before, again.now) == ("tables_2", "tables_1")
        assert states(services) == {1: "live", 2: "standby"}
        count = more.send(20)
        wait_until(lambda: orders(services, "tables_1") == orders(services, "tables_2") == count, 60)

        assert drop_standby(services) == "tables_2"
        count = more.send(5)
        wait_until(lambda: orders(services) == count, 60)
        assert states(services) == {1: "live"}
        with pytest.raises(Fault, match="no tables stand by"):
            back(services)
        # A second switch gets a number of its own.
        assert swap(services).now == "tables_2"


def test_a_build_with_other_folds_takes_over_while_the_old_one_stands_by(ledger: Any) -> None:
    services = ledger.services
    more = More(services)
    more.send(30)
    with running(ledger):
        wait_until(lambda: orders(services) == 30, 60)
        with pytest.raises(Fault, match="another build"), running(ledger, projections=NEXT) as early:
            early.join(60)
        done = swap(services, projections=NEXT)
        assert done.differed == ()
        # Nobody of the new build runs: the switch itself keeps the tables up until somebody comes.
        missing: list[bool] = []
        keeping = threading.Thread(
            target=lambda: keep_up(services, projections=NEXT, waiting=lambda: missing.append(True))
        )
        keeping.start()
        count = more.send(10)
        wait_until(lambda: orders(services) == orders(services, "tables_1") == count, 60)
        wait_until(lambda: bool(missing), 60)
        assert keeping.is_alive()
        with running(ledger, projections=NEXT):
            keeping.join(60)
            assert not keeping.is_alive()
            count = more.send(10)
            wait_until(lambda: orders(services) == orders(services, "tables_1") == count, 60)
            # Back to the old build, by the new one, which cannot fold the old tables itself.
            assert back(services, projections=NEXT).now == "tables_1"
            count = more.send(10)
            wait_until(lambda: orders(services, "tables_2") == orders(services, "tables_1") == count, 60)
            assert states(services) == {1: "live", 2: "standby"}


def test_a_standby_that_nobody_keeps_up_is_no_way_back(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    services = ledger.services
    monkeypatch.setattr(swapping, "STANDBY_SECONDS", 0.2)
    more = More(services)
    more.send(5)
    with running(ledger):
        wait_until(lambda: orders(services) == 5, 60)
    swap(services, projections=NEXT)
    count = more.send(5)
    with running(ledger, projections=NEXT):
        wait_until(lambda: orders(services) == count, 60)
        with pytest.raises(Fault, match="5 facts behind"):
            back(services, projections=NEXT)
    assert states(services) == {1: "standby", 2: "live"}


def test_a_fold_that_is_wrong_is_not_shown(ledger: Any) -> None:
    services = ledger.services
    more = More(services)
    more.send(10)

    def forgetful(batch: FactBatch) -> Any:
        return ORDER_STATUS.fold(FactBatch({name: frame.head(3) for name, frame in batch.frames.items()}))

    with running(ledger):
        wait_until(lambda: orders(services) == 10, 60)
        with pytest.raises(Fault, match="new tables are wrong"):
            swap(services, projections=changed("order_status", version=2, fold=forgetful))
        assert states(services) == {1: "live", 2: "filling"}
        (unfinished, _) = projector_checks(services, ledger.settings)
        assert (unfinished.verdict, "tables_2" in unfinished.what) == ("warn", True)
        assert orders(services) == more.send(1) - 1 or orders(services) == more.count
        wait_until(lambda: orders(services) == more.count, 60)
        # The next build does not go on with what this one has begun.
        assert swap(services, projections=NEXT).now == "tables_2"


def test_live_tables_that_somebody_damaged_are_replaced(ledger: Any) -> None:
    services = ledger.services
    more = More(services)
    more.send(10)
    with running(ledger):
        wait_until(lambda: orders(services) == 10, 60)
        asked_for = "UPDATE tables_1.order_status SET customer_id = 'nobody' WHERE order_id = 'o-3' RETURNING 1"
        assert asked(services, asked_for) == [(1,)]
        done = swap(services)
        assert done.differed == ("order_status",)
        assert asked(services, "SELECT count(*) FROM order_status WHERE customer_id = 'nobody'") == [(0,)]


def test_views_keep_their_grants_and_other_peoples_views_are_not_dropped(ledger: Any) -> None:
    services = ledger.services
    tables = {table.name: table for table in PROJECTIONS["locations"].tables}
    table = dataclasses.replace(
        tables["locations"],
        columns=tuple(
            Column("latitude", "text", "replace", "degrees") if column.name == "latitude" else column
            for column in tables["locations"].columns
        ),
    )
    retyped = changed("locations", tables=tuple(table if one.name == "locations" else one for one in tables.values()))
    role = f"reader_{services.topic_prefix.strip('.-').replace('-', '_').replace('.', '_')}"
    with running(ledger):
        wait_until(lambda: orders(services) == 0, 60)
        does(services, f"CREATE ROLE {role}", f"GRANT SELECT ON v_locations TO {role}")
        does(services, "CREATE VIEW mine AS SELECT latitude FROM v_locations")
        with pytest.raises(Fault, match="v_locations changes its columns") as refused:
            swap(services, projections=retyped)
        assert "mine" in str(refused.value)
        assert states(services) == {1: "live", 2: "filling"}
        does(services, "DROP VIEW mine")
        swap(services, projections=retyped)
    kind = (
        "SELECT data_type FROM information_schema.columns WHERE table_name = 'v_locations' AND column_name = 'latitude'"
    )
    assert ("text",) in asked(services, kind + " AND table_schema = 'public'")
    assert asked(services, f"SELECT has_table_privilege('{role}', 'v_locations', 'SELECT')") == [(True,)]
    does(services, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_switch_waits_for_whoever_reads_a_view_and_names_who_never_lets_go(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = ledger.services
    more = More(services)
    more.send(5)
    with running(ledger):
        wait_until(lambda: orders(services) == 5, 60)
        with connect(services, "report") as report:
            report.execute("SELECT count(*) FROM v_order_status")
            monkeypatch.setattr(swapping, "ATTEMPTS_MAX", 2)
            with pytest.raises(Fault, match="somebody reads them") as refused:
                swap(services)
            assert "order-ledger report" in str(refused.value)
            # The projector and other readers went on meanwhile, and the report still sees what it saw.
            count = more.send(5)
            wait_until(lambda: orders(services) == count, 60)
            assert states(services)[1] == "live"
            monkeypatch.undo()
            done: list[Swapped] = []
            switching = threading.Thread(target=lambda: done.append(swap(services)))
            switching.start()
            time.sleep(1.5)
            assert not done
            report.rollback()
            switching.join(60)
        assert [one.now for one in done] == ["tables_2"]


def test_a_record_that_is_no_fact_is_dead_lettered_once_by_the_live_tables(ledger: Any) -> None:
    services = ledger.services
    more = More(services)
    more.send(3)

    def dead() -> int:
        return sum(end_offsets(services, [services.topic(DEAD_LETTERS)]).values())

    with running(ledger):
        wait_until(lambda: orders(services) == 3, 60)
        swap(services)
        keep_up(services)
        junk = ChainLog("ledger.orders", 1)
        junk.append([b"no fact"])
        send(services, junk.records)
        skipped = "SELECT sum(count) FROM {}.skipped_facts WHERE reason = 'no_frame'"
        for schema in ("tables_1", "tables_2"):
            wait_until(lambda schema=schema: asked(services, skipped.format(schema)) == [(1,)], 60)
    assert dead() == 1


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("swap.filled", marks=pytest.mark.long),
        pytest.param("swap.before_commit", marks=pytest.mark.long),
        "swap.after_commit",
    ],
)
def test_a_switch_that_is_killed_leaves_the_old_tables_or_the_new_ones_and_can_be_called_again(
    ledger: Any, place: str
) -> None:
    services = ledger.services
    more = More(services)
    more.send(20)
    with running(ledger):
        wait_until(lambda: orders(services) == 20, 60)
        killed = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "replay", "--swap"],
            env=ledger.env | {"ORDER_LEDGER_FAILPOINTS": f"{place}=kill"},
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert orders(services) == 20
        new = place == "swap.after_commit"
        assert states(services) == ({1: "standby", 2: "live"} if new else {1: "live", 2: "filling"})
        count = more.send(10)
        wait_until(lambda: orders(services) == count, 60)
        done = swap(services)
        assert done.now == ("tables_3" if new else "tables_2")
        assert done.facts == (30 if new else 10)
        assert orders(services) == count
    with connect(services, "test") as connection:
        assert {one.state for one in generations.every(connection)} == {"live", "standby"}


def test_tables_of_before_generations_are_named(ledger: Any) -> None:
    services = ledger.services
    does(services, "CREATE TABLE order_status (order_id text)")
    with pytest.raises(Fault, match="older build filled") as refused, running(ledger) as projector:
        projector.join(60)
    assert "order_status" in str(refused.value)
    does(services, "DROP TABLE order_status")
    log = orders_log(orders=2)
    send(services, log.records)
    with running(ledger):
        wait_until(lambda: orders(services) == 2, 60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--swap", "--as-of", "2026-11-27"], "--swap goes with no other option"),
        (["--back", "order_status"], "--back goes with no other option"),
        (["--swap", "--back"], "--swap goes with no other option"),
    ],
)
def test_a_switch_takes_no_other_option(arguments: list[str], said: str) -> None:
    from typer.testing import CliRunner

    from gateway.cli import app

    result = CliRunner().invoke(app, ["replay", *arguments])
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)
