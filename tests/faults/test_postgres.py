"""Fault 6: PostgreSQL dies, cuts connections, comes back as an older backup. The tables are right again by themselves.

PostgreSQL holds nothing that the log does not say: tables and offsets stand in one transaction, positions of reactions
may be behind, snapshots only save time. So whatever happens to it, workers wait, read again, and nobody edits a row.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg
import pytest
from confluent_kafka import KafkaException
from fastapi.testclient import TestClient
from psycopg import sql

from gateway.api.app import create_app
from gateway.operating.doctor import examine
from gateway.operating.settling import Gauge
from gateway.sending.publishing import send_all
from processors.projector.generations import live_schema
from runtime.embedded.cluster import Embedded
from runtime.errors import Fault
from runtime.postgres import connect, wait_for_postgres
from runtime.services import Services
from runtime.settings import default_cache
from tests.conftest import LedgerEnv, open_world
from tests.faults.conftest import NODES
from tests.faults.ground import FIRST_SEED, Ground, Sending, load, open_ground
from tests.support.shop import PATIENCE_SECONDS, receive

pytestmark = [pytest.mark.faults]

WORKERS = ("ledger", "reactions", "projector")

#: What is restored: the whole database, or so much of it. A table of the projector without its offsets cannot be told
#: from a right one by a worker: `verify` finds it, and that is not tried here.
_POSITIONS = "follower_positions"
SCOPES = ("database", "projector", "reactions", "ledger", "ledger_positions", "ledger_streams", "ledger_answers")


@pytest.fixture(scope="module")
def own_postgres(request: Any, services: Services) -> Iterator[tuple[Embedded, Services]]:
    """A PostgreSQL that may be killed: with fsync, as the product starts it, beside the Kafka of `fault_env`."""
    kafka = request.getfixturevalue("three_nodes")[1] if NODES == 3 else services
    folder = Path(tempfile.mkdtemp(prefix="order-ledger-postgres-"))
    folder.chmod(0o711)
    server = Embedded(folder / "home", Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache()))
    server.stop_with_me()
    try:
        found = server.up(kafka=False)
        assert found.postgres is not None
        yield server, replace(kafka, postgres=found.postgres, postgres_origin="configured")
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_env(own_postgres: tuple[Embedded, Services], tmp_path: Path) -> Iterator[LedgerEnv]:
    with open_world(own_postgres[1], tmp_path, replication=NODES) as env:
        yield env


def send_without_postgres(ground: Ground, commands: Sequence[dict[str, Any]], pieces: int = 10) -> Sending:
    """As a channel that speaks to Kafka alone: in the background, piece by piece."""

    def work() -> None:
        size = max(1, len(commands) // pieces)
        for start in range(0, len(commands), size):
            piece = commands[start : start + size]
            _send_until_taken(ground, piece)
            ground.acknowledged |= {(c["channel"], c["id"]) for c in piece}

    return Sending(work)


def _send_until_taken(ground: Ground, commands: Sequence[dict[str, Any]]) -> None:
    """As a channel does while Kafka is away for long: the same again, which counts once."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            send_all(ground.shop.env.settings, ground.shop.env.services, commands, lambda _: None)
        except (Fault, KafkaException):
            if time.monotonic() > deadline:
                raise
            ground.notes["sent_again"] = ground.notes.get("sent_again", 0) + 1
        else:
            return


def reconnect(ground: Ground) -> None:
    """The test's own connection does not come back by itself."""
    shop = ground.shop
    shop.connection.close()
    wait_for_postgres(shop.env.services)
    shop.connection = connect(shop.env.services, "test", autocommit=True)
    shop.gauge = Gauge(shop.env.services, shop.connection)


def wait_until(condition: Callable[[], bool], what: str, ground: Ground) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"seed {ground.seed}: {what}\n{ground.shop.tail()}"
        time.sleep(0.05)


def nobody_died(ground: Ground) -> None:
    assert ground.shop.workers.ended() == [], ground.shop.tail()


# Killed


def test_postgres_killed_and_started_again_is_caught_up_with(
    own_postgres: tuple[Embedded, Services], own_env: LedgerEnv, tmp_path: Path
) -> None:
    """Given load, when every process of PostgreSQL is killed at once and started again, then commands that came
    meanwhile are decided like all others, no worker ends, and the tables are the oracle's. (Whether they are decided
    before it is back depends on whether a snapshot has to be asked for their streams; the report line says.)

    Every second round is quiet: it is killed as soon as all stands in the tables, and nothing is sent after. What the
    server had not yet on its disk (the projector does not wait for that) is missed, although nothing new comes.

    Seen to fail: without the projector's look back (`_look_back` never called) 36 facts of a quiet round stayed out of
    the tables: "(0, 0, 36)" in flight at the end of all patience.
    """
    server = own_postgres[0]
    with open_ground(own_env, tmp_path, *WORKERS) as ground:
        ground.shop.accepted(receive("first", "WH1", 1))
        for draw in ground.rounds(partial(nobody_died, ground)):
            quiet = (ground.seed - FIRST_SEED) % 2 == 1
            ground.notes["quiet"], projected = quiet, 0
            sending = send_without_postgres(ground, load(draw, ground.prefix, orders=30))
            if quiet:
                sending.join()
                wait_until(partial(_all_done, ground), "not all in the tables", ground)
                projected = sum(ground.shop.gauge.projected().values())
                _kill_all(server)
            else:
                time.sleep(draw.uniform(0.0, 1.5))  # a moment of chance; nothing is waited for
                _kill_all(server)
                sending.join()
                while_away = [receive(f"{ground.prefix}-away", "WH1", 1) for _ in range(3)]
                send_without_postgres(ground, while_away).join()
                ground.notes["decided_while_away"] = answered(ground, while_away)
            _start(server, ground)
            if quiet:
                ground.notes["facts_lost_by_the_tables"] = projected - sum(ground.shop.gauge.projected().values())


def _all_done(ground: Ground) -> bool:
    return ground.shop.gauge.look().in_flight == 0


def _kill_all(server: Embedded) -> None:
    pid = server.postgres.pid()
    assert pid is not None
    postmaster = psutil.Process(pid)
    everyone = [postmaster, *postmaster.children(recursive=True)]
    postmaster.suspend()  # else it sees its children die and says goodbye in order
    for process in reversed(everyone):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(everyone, timeout=PATIENCE_SECONDS)


def _start(server: Embedded, ground: Ground) -> None:
    """As `order-ledger up` does."""
    server.up(kafka=False)
    reconnect(ground)


def answered(ground: Ground, commands: Sequence[dict[str, Any]]) -> bool:
    ground.oracle.read()
    return all((c["channel"], c["id"]) in ground.oracle.answers for c in commands)


def test_readiness_and_doctor_say_that_postgres_is_away(
    own_postgres: tuple[Embedded, Services], own_env: LedgerEnv
) -> None:
    """Given PostgreSQL stopped, then /readyz is 503 and names it, `doctor` fails with a hint; both are well after."""
    server = own_postgres[0]
    with TestClient(create_app(own_env.settings, own_env.services)) as api:
        assert api.get("/readyz").json() == {"kafka": "ok", "postgres": "ok"}
        _kill_all(server)
        away = api.get("/readyz")
        assert (away.status_code, away.json()["kafka"]) == (503, "ok")
        assert away.json()["postgres"] != "ok"
        (found,) = [row for row in examine(own_env.settings) if row.name == "postgres"]
        assert (found.verdict, bool(found.detail), bool(found.hint)) == ("fail", True, True), found
        server.up(kafka=False)
        wait_for_postgres(own_env.services)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while api.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, api.get("/readyz").json()
            time.sleep(0.2)
        (found,) = [row for row in examine(own_env.settings) if row.name == "postgres"]
        assert found.verdict == "ok", found


# Cut off

_OF_WORKERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'order-ledger %%'"
    " AND application_name NOT LIKE 'order-ledger test%%'"
)


def test_connections_cut_in_the_middle_of_a_copy_or_at_any_moment_change_nothing(
    fault_env: Any, tmp_path: Path
) -> None:
    """Given load, when connections are terminated (by turns: while the projector stands in the middle of a COPY, and
    again and again for all workers), then no worker ends and the tables are the oracle's.

    Seen to fail: with the offsets in a transaction of their own before the rows, a cut in the middle of a COPY left
    order lines with -1 open units where the facts say 0.
    """
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        ground.shop.accepted(receive("first", "WH1", 1))
        for draw in ground.rounds(partial(nobody_died, ground)):
            if (ground.seed - FIRST_SEED) % 2 == 0:
                place = draw.choice(("projector.before_copy", "projector.after_copy"))
                armed = f"{place}:{draw.randint(1, 3)}=stop"
                ground.shop.workers.kill("projector")
                ground.shop.start("projector", failpoints=armed)
                sending = send_without_postgres(ground, load(draw, ground.prefix, orders=40))
                process = psutil.Process(ground.shop.workers.alive()["projector"])
                wait_until(partial(_stands_still, process), "the projector never copied", ground)
                assert _terminate(ground, "projector") >= 1
                process.resume()
                sending.join()
                ground.notes["cut"] = armed
            else:
                sending = send_without_postgres(ground, load(draw, ground.prefix, orders=40))
                cut = 0
                for _ in range(draw.randint(5, 20)):
                    time.sleep(draw.uniform(0.0, 0.2))
                    cut += _terminate(ground)
                sending.join()
                ground.notes["cut"] = cut


def _stands_still(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


def _terminate(ground: Ground, worker: str = "") -> int:
    """End all connections of the workers, or of one of them; how many there were."""
    rows = ground.shop.connection.execute(
        f"SELECT pg_terminate_backend(pid) {_OF_WORKERS} AND application_name LIKE %s".encode(),
        [f"order-ledger {worker}%"],
    ).fetchall()
    return len(rows)


# Restored


class Backup:
    """A copy of a world's database as it is now, to go back to: in whole (a copy by PostgreSQL), or table by table."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.name: str = ground.shop.connection.info.dbname
        self._copy = f"{self.name}_{ground.seed}"
        self._tables = ground.shop.connection
        with self._closed() as server:
            server.execute(_named("CREATE DATABASE {} TEMPLATE {}", self._copy, self.name))
        reconnect(ground)
        connection = ground.shop.connection
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._live = live_schema(connection)
            for schema in ("public", self._live):
                connection.execute(_named("DROP SCHEMA IF EXISTS {} CASCADE", f"backup_{schema}"))
                connection.execute(_named("CREATE SCHEMA {}", f"backup_{schema}"))
                for table in self._tables_of(schema):
                    copy, original = sql.Identifier(f"backup_{schema}", table), sql.Identifier(schema, table)
                    connection.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(copy, original))

    def restore(self, scope: str) -> None:
        if scope == "database":
            with self._closed() as server:
                server.execute(_named("DROP DATABASE {} WITH (FORCE)", self.name))
                server.execute(_named("CREATE DATABASE {} TEMPLATE {}", self.name, self._copy))
            reconnect(self._ground)
            return
        snapshot = ["ledger_positions", "ledger_streams", "ledger_answers"]
        schema = self._live if scope == "projector" else "public"
        chosen = {"projector": self._tables_of(schema), "reactions": [], "ledger": snapshot}.get(scope, [scope])
        connection = self._ground.shop.connection
        with connection.transaction():
            if scope == "projector":  # as its own transactions begin: so neither is the victim of the other
                positions = sql.Identifier(schema, _POSITIONS)
                connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(positions))
            if scope == "reactions":  # its positions are all that it wrote
                connection.execute("DELETE FROM follower_positions WHERE follower = %s", [scope])
                connection.execute(
                    "INSERT INTO follower_positions SELECT * FROM backup_public.follower_positions WHERE follower = %s",
                    [scope],
                )
            for table in chosen:
                original, copy = sql.Identifier(schema, table), sql.Identifier(f"backup_{schema}", table)
                columns = self._plain_columns(schema, table)
                connection.execute(sql.SQL("TRUNCATE {}").format(original))
                names = sql.SQL(", ").join(map(sql.Identifier, columns))
                connection.execute(
                    sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(original, names, names, copy)
                )

    def drop(self) -> None:
        with connect(self._ground.shop.env.services, "test", autocommit=True, database="postgres") as server:
            server.execute(_named("DROP DATABASE {} WITH (FORCE)", self._copy))

    def _tables_of(self, schema: str) -> list[str]:
        rows = self._ground.shop.connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", [schema]
        ).fetchall()
        return [name for (name,) in rows]

    def _plain_columns(self, schema: str, table: str) -> list[str]:
        rows = self._ground.shop.connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
            " AND is_generated = 'NEVER' ORDER BY ordinal_position",
            [schema, table],
        ).fetchall()
        return [name for (name,) in rows]

    @contextlib.contextmanager
    def _closed(self) -> Iterator[psycopg.Connection[Any]]:
        """The server, while nobody may be in our database: workers wait meanwhile."""
        self._ground.shop.connection.close()
        with connect(self._ground.shop.env.services, "test", autocommit=True, database="postgres") as server:
            server.execute(_named("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name))
            try:
                deadline = time.monotonic() + PATIENCE_SECONDS
                while server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self.name]
                ).fetchall():
                    assert time.monotonic() < deadline, "somebody does not leave the database"
                    time.sleep(0.02)
                yield server
            finally:
                server.execute(_named("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name))


def _named(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))


def test_a_database_restored_to_an_older_backup_is_right_again_by_itself(fault_env: Any, tmp_path: Path) -> None:
    """Given a backup and much that happened since, when it is restored (by turns: all of it, the projector's tables,
    the reactions' positions, the ledger's snapshots or one of their tables; while workers run, or while none does),
    then the tables are the oracle's, also where no further command comes; and so after a takeover from what it
    found or wrote, and more load.

    Seen to fail: without the reactions' look back, after the whole database went back, 254 facts stayed unanswered:
    "(0, 254, 0)" in flight at the end of all patience.
    """
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        ground.shop.accepted(receive("first", "WH1", 1))
        for draw in ground.rounds(partial(nobody_died, ground)):
            turn = ground.seed - FIRST_SEED
            scope, running = SCOPES[turn % len(SCOPES)], draw.random() < 0.5
            ground.notes |= {"restored": scope, "workers": "running" if running else "stopped"}
            _work(ground, draw, "before")
            _change_the_ledger(ground)  # it leaves a snapshot, which the backup then holds
            backup = Backup(ground)
            _work(ground, draw, "since")
            if not running:
                _end(ground, *reversed(WORKERS))
            backup.restore(scope)
            if not running:
                ground.shop.start(*WORKERS)
            ground.judge()
            _work(ground, draw, "after", same_goods=True)
            _change_the_ledger(ground)
            _work(ground, draw, "at last", same_goods=True)
            backup.drop()


def _work(ground: Ground, draw: Random, when: str, *, same_goods: bool = False) -> None:
    """Some load, settled. `same_goods`: more of the round's first streams, which a wrong state would show in."""
    commands = load(draw, f"{ground.prefix}-{when}", orders=10, skus=4)
    if same_goods:
        commands += [
            receive(f"{ground.prefix}-{word}-s{n}", "WH1", 1) for n in range(4) for word in ("before", "since")
        ]
    send_without_postgres(ground, commands, pieces=2).join()
    ground.shop.settle()


def _end(ground: Ground, *names: str) -> None:
    for name in names:
        assert ground.shop.workers.end(name) == 0, ground.shop.tail()


def _change_the_ledger(ground: Ground) -> None:
    """Another process takes over, from the snapshot that the one before leaves."""
    _end(ground, "ledger")
    ground.shop.start("ledger")
