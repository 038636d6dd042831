"""Fault 10: no room on the disk, of the broker, of PostgreSQL, of the workers' logs. Loud, nothing lost, resumes.

The disk is a small one of its own (a tmpfs), so it is really full: the services meet ENOSPC where they would in life.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from gateway.operating.doctor import examine
from runtime.embedded.cluster import Embedded
from runtime.errors import Fault
from runtime.kafka import producer
from runtime.services import Services, status
from runtime.settings import Settings, default_cache
from tests.conftest import open_world
from tests.faults.ground import FIRST_SEED, Ground, load, open_ground
from tests.faults.small_disk import MEGABYTE, SmallDisk, small_disk
from tests.faults.test_postgres import answered, nobody_died, reconnect, send_without_postgres, wait_until
from tests.support.shop import PATIENCE_SECONDS, receive

pytestmark = [pytest.mark.faults]

WORKERS = ("ledger", "reactions", "projector")
CACHE = Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache())


@contextmanager
def services_on(disk: SmallDisk) -> Iterator[Embedded]:
    """Embedded services whose home is on the small disk."""
    servers = Embedded(disk.folder / "home", CACHE)
    servers.stop_with_me()
    try:
        yield servers
    finally:
        disk.empty()
        servers.destroy()


def doctor_fails(home: Path, name: str) -> str:
    """What `doctor` says of this home's disk or service, which must be a failure with a hint."""
    found = [check for check in examine(Settings(home=home, cache=CACHE)) if check.name == name]
    assert found, name
    assert all(check.verdict == "fail" and check.hint for check in found), found
    return f"{found[0].what}: {found[0].detail} ({found[0].hint})"


# The broker's


def test_a_broker_whose_disk_is_full_loses_nothing_acknowledged_and_goes_on_when_there_is_room(
    services: Services, tmp_path: Path
) -> None:
    """Given load, when the broker's disk is full (from the seed: when, and how much room is left at first) until the
    broker has stopped, then `doctor` and `up` say so; and when there is room and `up` was run again, no worker was
    touched and the tables are the oracle's, with every command that was acknowledged.

    Seen to fail: with senders that do not wait for the broker (`acks=0`) "('wms', 't-65') was acknowledged and is not
    on the intake", and 15 more.
    """
    with small_disk(megabytes=128) as disk, services_on(disk) as servers:
        found = servers.up(postgres=False)
        assert found.kafka is not None
        on_disk = replace(services, kafka_config={"bootstrap.servers": found.kafka}, kafka_origin="configured")
        with (
            open_world(on_disk, tmp_path) as env,
            open_ground(env, tmp_path, *WORKERS) as ground,
        ):
            ground.shop.accepted(receive("first", "WH1", 1))
            for draw in ground.rounds(partial(nobody_died, ground)):
                sending = send_without_postgres(ground, load(draw, ground.prefix, orders=30))
                time.sleep(draw.uniform(0.0, 1.0))  # a moment of chance; nothing is waited for
                left = draw.choice((0, draw.randint(0, 64 * 1024), draw.randint(0, MEGABYTE)))
                disk.fill(left)
                _write_until_the_broker_stops(servers, env.services, ground, disk)
                ground.notes |= {"left_bytes": left, "doctor": doctor_fails(servers.home, "kafka")}
                assert "ended without being stopped" in ground.notes["doctor"]
                assert "GB free" in doctor_fails(servers.home, "disk")
                if draw.random() < 0.3:
                    with pytest.raises(Fault) as fault:
                        servers.up(postgres=False)
                    ground.notes["up"] = fault.value.what
                    assert fault.value.detail
                    assert fault.value.hint
                disk.grow(draw.randint(16, 48))
                servers.up(postgres=False)
                sending.join()
                ground.judge()
                disk.empty()


def _write_until_the_broker_stops(servers: Embedded, services: Services, ground: Ground, disk: SmallDisk) -> None:
    """Bytes for the dead letters, which nobody reads: each may be the one that finds no room."""
    sender = producer(services)

    def stopped() -> bool:
        disk.fill()
        if len(sender) < 100:
            sender.produce(services.topic("dead-letters"), b"x" * 8192, b"ballast")
        sender.poll(0)
        return not servers.kafka.pids()

    wait_until(stopped, "the broker goes on without room", ground)
    sender.purge()


# PostgreSQL's


def test_a_database_whose_disk_is_full_stops_the_tables_and_nothing_else(services: Services, tmp_path: Path) -> None:
    """Given load, when PostgreSQL's disk is full (by turns: for rows, where it goes on without taking them; for its
    log, which ends it), then commands go on being taken, `doctor` says what is wrong, and when there is room
    (and it was started again where it had ended) the tables are the oracle's; no worker was touched.

    Seen to fail: with a projector that does not try again what PostgreSQL refused it ended ("could not extend file …
    No space left on device"), and nothing reached the tables any more.
    """
    with small_disk(megabytes=176) as disk, services_on(disk) as servers:
        found = servers.up(kafka=False)
        assert found.postgres is not None
        on_disk = replace(services, postgres=found.postgres, postgres_origin="configured")
        with (
            open_world(on_disk, tmp_path) as env,
            open_ground(env, tmp_path, *WORKERS) as ground,
        ):
            ground.shop.accepted(receive("first", "WH1", 1))
            for draw in ground.rounds(partial(nobody_died, ground)):
                for_log = (ground.seed - FIRST_SEED) % 2 == 1
                sending = send_without_postgres(ground, load(draw, ground.prefix, orders=40))
                time.sleep(draw.uniform(0.0, 1.0))  # a moment of chance; nothing is waited for
                left = draw.choice((0, draw.randint(0, 64 * 1024)))
                disk.fill(left)
                ground.notes |= {"full_for": "log" if for_log else "rows", "left_bytes": left}
                _write_until_refused(servers, ground, disk, for_log=for_log)
                sending.join()
                away = [receive(f"{ground.prefix}-away", "WH1", 1)]
                send_without_postgres(ground, away).join()
                ground.notes["decided_while_full"] = answered(ground, away)
                assert "GB free" in doctor_fails(servers.home, "disk")
                if servers.postgres.pid() is None:
                    ground.notes["doctor"] = doctor_fails(servers.home, "postgres")
                disk.grow(draw.randint(24, 64))
                wait_until(partial(_up_and_well, servers), "PostgreSQL does not come back", ground)
                reconnect(ground)
                ground.judge()
                ground.shop.connection.execute("DROP TABLE IF EXISTS ballast")
                ground.shop.connection.execute("CHECKPOINT")
                disk.empty()


def _up_and_well(servers: Embedded) -> bool:
    """`up` until it answers: a server that is just about to end looks as if it ran."""
    address = servers.up(kafka=False).postgres
    assert address is not None
    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _write_until_refused(servers: Embedded, ground: Ground, disk: SmallDisk, *, for_log: bool) -> None:
    """Rows of our own until PostgreSQL says that there is no room, or until it has ended over its own log."""
    connection = ground.shop.connection

    def refused() -> bool:
        disk.fill()
        try:
            if for_log:
                connection.execute("SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 1000000))")
            else:
                connection.execute("CREATE TABLE IF NOT EXISTS ballast (text text)")
                connection.execute("INSERT INTO ballast SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
        except psycopg.errors.DiskFull as error:
            ground.notes["postgres"] = str(error).splitlines()[0]
            return not for_log
        except psycopg.OperationalError as error:
            ground.notes["postgres"] = str(error).splitlines()[0]
            return True
        return False

    wait_until(refused, "PostgreSQL goes on without room", ground)


# The workers'


def test_workers_whose_log_cannot_be_written_go_on(fault_env: Any, tmp_path: Path) -> None:
    """Given the disk of the workers' logs and of their home full, when commands come (and bytes that are none, of
    which the ledger tells in its log), then all is decided, no worker ends, also one that is started on the full disk;
    when there is room again, the log says how many lines are missing.

    Seen to fail: with a log handler that passes on what its stream raises, "(127, 0, 0)" in flight at the end of all
    patience: no command of the round was decided.
    """
    with small_disk(megabytes=2) as disk:
        env = replace(fault_env, env={**fault_env.env, "ORDER_LEDGER_HOME": str(disk.folder / "home")})
        with open_ground(env, disk.folder, *WORKERS) as ground:
            ground.shop.accepted(receive("first", "WH1", 1))
            for draw in ground.rounds(partial(nobody_died, ground)):
                disk.fill()
                if draw.random() < 0.5:
                    name = draw.choice(WORKERS)
                    ground.notes["killed"] = name
                    ground.shop.workers.kill(name)
                    ground.shop.start(name)
                sending = send_without_postgres(ground, load(draw, ground.prefix, orders=30))
                _unreadable(env.services, draw)
                sending.join()
                ground.judge()
                disk.empty()
                _unreadable(env.services, draw)
                ground.shop.wait_for_line("ledger", "log_lines_missing")
                for path in ground.shop.logs.glob("*.log"):
                    os.truncate(path, 0)


def _unreadable(services: Services, draw: Random) -> None:
    """Bytes on the intake that are no commands: each is worth a line of the ledger's log, together several pages."""
    sender = producer(services)
    for _ in range(60):
        sender.produce(services.topic("intake.stock"), draw.randbytes(20), b"garbage")
    assert sender.flush(PATIENCE_SECONDS) == 0


def test_a_line_that_cannot_be_written_is_counted_and_told_of() -> None:
    """Given a log on /dev/full, then writing raises nothing; written elsewhere, the log says what is missing.

    Seen to fail: with logging's own StreamHandler "--- Logging error ---" stood there, and not that two are missing.
    In a process of its own: handlers and streams are the process's, and other tests' threads have them, too.
    """
    text = """
import io, logging, sys
from runtime.logging import log, setup_logging
setup_logging()
(handler,) = logging.getLogger().handlers
assert isinstance(handler, logging.StreamHandler)
# As the workers' stderr is: without a buffer of its own.
with io.TextIOWrapper(open("/dev/full", "wb", buffering=0), write_through=True) as full:
    handler.setStream(full)
    log.info("first")
    log.info("second")
handler.stream = sys.stderr
log.info("third")
"""
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    third, missing = [json.loads(line) for line in ended.stderr.splitlines() if line]
    assert third["event"] == "third"
    assert (missing["event"], missing["lines"]) == ("log_lines_missing", 2)


def test_up_on_a_full_disk_says_what_to_do() -> None:
    """Given a home on a disk without room, then `up` is a Fault of what, detail and hint, and with room it works.

    Seen to fail: without the handler in `Embedded.up` it was a bare OSError.
    """
    with small_disk(megabytes=64) as disk, services_on(disk) as servers:
        disk.fill()
        with pytest.raises(Fault) as fault:
            servers.up(kafka=False)
        assert "No space left" in fault.value.detail, fault.value
        assert fault.value.hint
        assert servers.running().postgres is None
        disk.grow(128)
        assert servers.up(kafka=False).postgres is not None
        assert [row.up for row in status(Settings(home=servers.home, cache=CACHE)) if row.name == "postgres"] == [True]
