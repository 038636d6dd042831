"""Workers that share, die and write against each other: the tables stay what the log says."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
import structlog
from structlog.testing import LogCapture

from events.catalogue import DEAD_LETTERS
from processors.ledger import writer
from processors.ledger.writer import LedgerWriter
from runtime.kafka import admin
from runtime.postgres import connect
from tests.support.raw import read_topics, write
from tests.support.shop import PATIENCE_SECONDS, Shop, open_shop, place, receive
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.journey, pytest.mark.faults]

SKUS = 20
SEED = 20_261_127


def _season(prefix: str, orders: int) -> Iterator[dict[str, Any]]:
    """Orders with enough stock for each, so that what comes out does not depend on who is served first."""
    draw = Random(SEED)
    for number in range(SKUS):
        yield receive(f"{prefix}-s{number}", "WH1", 3 * orders)
    for number in range(orders):
        lines = draw.sample(range(SKUS), draw.randint(1, 3))
        yield place(f"{prefix}-{number}", *((f"{prefix}-s{line}", draw.randint(1, 3)) for line in lines))


def _expected(prefix: str, orders: int) -> dict[tuple[str, str], int]:
    return {
        (c["data"]["order_id"], line["line_id"]): line["quantity"]
        for c in _season(prefix, orders)
        if c["command"] == "PlaceOrder"
        for line in c["data"]["lines"]
    }


def _allocated(shop: Shop) -> dict[tuple[str, str], int]:
    rows = shop.connection.execute("SELECT order_id, line_id, allocated FROM order_lines").fetchall()
    return {(order_id, line_id): units for order_id, line_id, units in rows}


@contextmanager
def _beside(env: Any, **options: Any) -> Iterator[LedgerWriter]:
    """A ledger in this process."""
    stop = threading.Event()
    ledger = LedgerWriter(env.settings, env.services, stop, **options)
    beside = threading.Thread(target=ledger.run)
    beside.start()
    try:
        yield ledger
    finally:
        stop.set()
        beside.join()


@pytest.mark.long
def test_two_of_each_share_the_work_and_give_the_tables_that_one_would(ledger_env: Any, tmp_path: Path) -> None:
    twice = [name + suffix for suffix in ("", "-2") for name in ("ledger", "reactions", "projector")]
    with open_shop(ledger_env, *twice, logs=tmp_path / "logs") as shop:
        # On a busy machine one of them may be minutes late, and the other would do all the work alone.
        for name in ("ledger", "ledger-2"):
            shop.wait_for_line(name, "ledger_took_over")
        shop.publish(*_season("two", 200))
        shop.settle()
        assert _allocated(shop) == _expected("two", 200)
        held = shop.connection.execute("SELECT sum(reserved), sum(on_hand) FROM inventory").fetchone()
        assert held == (sum(_expected("two", 200).values()), SKUS * 600)
        assert shop.verify().equal


def test_workers_that_are_killed_in_the_middle_leave_no_trace(ledger_env: Any, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    draw = Random(SEED)
    with open_shop(ledger_env, "ledger", "reactions", "projector", logs=tmp_path / "logs") as shop:
        names = ["ledger", "reactions", "projector"]
        for round_number in range(2):
            prefix = f"kill{round_number}"
            sending = threading.Thread(target=shop.publish, args=list(_season(prefix, 300)), kwargs={"wait": False})
            sending.start()
            for name in draw.sample(names, 3):
                time.sleep(draw.uniform(0.1, 0.8))
                shop.workers.kill(name)
                shop.start(name)
            sending.join()
            shop.settle()
        expected = _expected("kill0", 300) | _expected("kill1", 300)
        assert _allocated(shop) == expected
        report = shop.verify()
        assert report.equal, report.first_difference


def test_two_ledgers_on_the_same_partitions_are_one_history(ledger_env: Any, tmp_path: Path) -> None:
    with open_shop(ledger_env, "ledger", "reactions", "projector", logs=tmp_path / "logs") as shop:
        # The rival belongs to a group of its own, so it is given every partition that the ledger has, too.
        with _beside(ledger_env, group="rival"):
            time.sleep(2)
            shop.publish(*_season("rival", 200))
            shop.settle()
        shop.settle()
        assert _allocated(shop) == _expected("rival", 200)
        report = shop.verify()
        assert report.equal, report.first_difference
        skipped = shop.connection.execute("SELECT coalesce(sum(count), 0) FROM skipped_facts").fetchone()
        assert skipped is not None
        assert skipped[0] > 0, "both wrote, so readers had something to skip"
        assert report.skipped
        looked = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "doctor", "--json"],
            env=ledger_env.env,
            capture_output=True,
            check=False,
        )
        said = [check["what"] for check in json.loads(looked.stdout)["checks"] if check["name"] == "skipped"]
        assert said
        assert "No reader" not in said[0]


def test_workers_have_an_allocator_that_gives_back(ledger_env: Any, tmp_path: Path) -> None:
    with open_shop(ledger_env, "reactions", "ledger", "projector", logs=tmp_path) as shop:
        started = [psutil.Process(pid) for pid in shop.workers.alive().values()]
        wait_until(lambda: all(worker.environ() for worker in started))  # empty for a moment after exec
        of = [worker.environ() for worker in started]
    for variables in of:
        assert variables["MALLOC_ARENA_MAX"] == "1"


def test_a_worker_by_itself_has_the_environment_of_the_others(ledger_env: Any) -> None:
    alone = subprocess.Popen([sys.executable, "-m", "gateway.cli", "run", "--only", "ledger"], env=ledger_env.env)
    try:
        wait_until(lambda: psutil.Process(alone.pid).environ().get("MALLOC_ARENA_MAX") == "1")
        assert psutil.Process(alone.pid).cmdline()[1:] == ["-m", "gateway.cli", "run", "--only", "ledger"]
    finally:
        alone.kill()
        alone.wait()


def test_run_says_when_it_is_ready_and_where_the_api_listens_and_who_looks_sees_who_is_gone(
    ledger_env: Any, tmp_path: Path
) -> None:
    """Seen: `run` never said that it was ready; with port 0 the API could not be found; its log was not one thing."""
    env, log = ledger_env.env | {"ORDER_LEDGER_API_PORT": "0"}, tmp_path / "run.log"

    def said(event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, log.read_text().splitlines()) if line["event"] == event]

    def look(command: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "gateway.cli", command, "--json"]
        return subprocess.run(program, env=ledger_env.env, capture_output=True, text=True, check=False)

    with log.open("w") as output:
        running = subprocess.Popen([sys.executable, "-m", "gateway.cli", "run"], env=env, stdout=output, stderr=output)
        try:
            wait_until(lambda: said("ready"), seconds=PATIENCE_SECONDS)
            (ready,) = said("ready")
            assert ready["workers"] == ["ledger", "reactions", "projector", "api"]
            with urllib.request.urlopen(f"{ready['api']}/healthz", timeout=30) as answer:
                assert answer.status == 200
            status = json.loads(look("status").stdout)
            assert {crew["name"]: crew["processes"] for crew in status["workers"]} == dict.fromkeys(ready["workers"], 1)
            assert status["workers"][3]["here"][0]["address"] == ready["api"]
            assert look("doctor").returncode == 0
        finally:
            running.kill()  # its workers end with it
            running.wait()
    wait_until(lambda: json.loads(look("status").stdout)["missing_workers"] == ["ledger", "reactions", "projector"])
    doctor = look("doctor")
    assert doctor.returncode == 1
    assert "No worker runs: ledger" in doctor.stdout
    assert [line for line in log.read_text().splitlines() if not line.startswith("{")] == []


def test_a_flood_is_saved_before_it_fills_the_memory(
    ledger_env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SNAPSHOT_SECONDS", 3_600.0)
    monkeypatch.setattr(writer, "QUIET_SECONDS", 3_600.0)
    monkeypatch.setattr(writer, "UNSAVED_FACTS_MAX", 100)
    monkeypatch.setattr(writer, "BATCH_RECORDS_MAX", 75)
    with open_shop(ledger_env, logs=tmp_path / "logs") as shop, _beside(ledger_env) as ledger:
        shop.registers = False
        shop.publish(*(receive(f"flood-{number}", "WH1", 1) for number in range(120)), wait=False)
        wait_until(lambda: ledger._decided == 120)
        streams = "SELECT count(*) FROM ledger_streams WHERE stream_id LIKE 'flood-%'"
        # Two facts of each SKU; after the last batch fewer than the bound may be left. Seen to fail where 100 SKUs were
        # waited for and the batches were of 75 and 45: 90 facts are no flood.
        wait_until(lambda: 2 * (120 - shop.connection.execute(streams).fetchall()[0][0]) < writer.UNSAVED_FACTS_MAX)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a ledger logs. Not by `capture_logs`: it hears nothing of a logger that another test has used before."""
    heard = LogCapture()
    monkeypatch.setattr(writer, "log", structlog.wrap_logger(None, processors=[heard]))
    return heard.entries


def test_what_is_saved_leaves_a_memory_that_is_full_and_comes_back_as_it_was(
    ledger_env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[Any]
) -> None:
    monkeypatch.setattr(writer, "SNAPSHOT_SECONDS", 0.2)
    monkeypatch.setattr(writer, "QUIET_SECONDS", 3_600.0)
    with open_shop(ledger_env, logs=tmp_path / "logs") as shop, _beside(ledger_env) as ledger:
        shop.registers = False
        ledger._budget = 0
        for version in (2, 3):  # the first receipt has two facts: the goods, and that WH1 is new to the SKU
            shop.publish(*(receive(f"bowl-{number}", "WH1", 1) for number in range(20)), wait=False)
            wait_until(lambda version=version: ledger._decided == 20 * (version - 1))
            wait_until(lambda: _in_memory(ledger) == 0)
            saved = shop.connection.execute("SELECT version FROM ledger_streams WHERE stream_id LIKE 'bowl-%'")
            assert saved.fetchall() == [(version,)] * 20
        before = list(said)
        assert "ledger_snapshot" in {line["event"] for line in before}
        time.sleep(5 * writer.SNAPSHOT_SECONDS)
        assert said == before, "seen: a snapshot of 0 facts every 30 s, for ever"


def test_a_ledger_at_rest_leaves_nothing_to_read_and_keeps_what_fits_its_memory(
    ledger_env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[Any]
) -> None:
    monkeypatch.setattr(writer, "SNAPSHOT_SECONDS", 3_600.0)
    monkeypatch.setattr(writer, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(writer, "SNAPSHOT_SHARE", 1_000_000)  # the last one may have taken long
    cups = [receive(f"cup-{number}", "WH1", 1) for number in range(20)]
    with open_shop(ledger_env, logs=tmp_path / "logs") as shop, _beside(ledger_env) as ledger:
        shop.registers = False
        positions = "SELECT sum(next_offset) FROM ledger_positions"
        for time_sent in (1, 2):  # what is repeated is known from the list of answered commands, and changes nothing
            shop.publish(*cups, wait=False)
            wait_until(lambda time_sent=time_sent: _answered(ledger) == 20 * time_sent)
            wait_until(lambda: shop.connection.execute(positions).fetchall() == [(40,)])
            assert _in_memory(ledger) == 20
    snapshots = [line for line in said if line["event"] == "ledger_snapshot"]
    assert sum(line["facts"] for line in snapshots) == 40, "the goods, and that WH1 is new to each SKU"
    assert sum(line["streams"] for line in snapshots) == 20
    assert all(line["facts"] for line in snapshots), "seen: a line of 0 facts when only repeats had come"


def test_a_ledger_that_stops_before_a_dead_letter_is_kept_leaves_it_to_the_next_one(
    ledger_env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: its snapshot went past the record, and nobody looked at it again."""
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.5)
    for name in ("SNAPSHOT_SECONDS", "QUIET_SECONDS"):
        monkeypatch.setattr(writer, name, 3_600.0)
    client, letters = admin(ledger_env.services), ledger_env.services.topic(DEAD_LETTERS)
    spoilt = [("intake.stock", partition, None, b"no command") for partition in range(ledger_env.settings.partitions)]
    with open_shop(ledger_env, logs=tmp_path / "logs") as shop:
        shop.registers = False
        with _beside(ledger_env) as ledger:
            shop.publish(*(receive(f"jug-{number}", "WH1", 1) for number in range(20)), wait=False)
            wait_until(lambda: _answered(ledger) == 20)
            client.delete_topics([letters])[letters].result()  # it takes nothing for a while
            # The controller has deleted it; the broker takes records until it has heard of that.
            wait_until(lambda: letters not in client.list_topics(timeout=10).topics)
            write(ledger_env, spoilt)
            wait_until(lambda: _answered(ledger) == 20 + len(spoilt))
            assert len(ledger._side_pending) == len(spoilt)
        ledger._producer._producer.purge()  # a process that ends takes with it what it still had to send
        ledger._producer.flush(1)
        with _beside(ledger_env) as successor:
            wait_until(lambda: _answered(successor) == 20 + len(spoilt))
            wait_until(lambda: len(read_topics(ledger_env, [DEAD_LETTERS])) == len(spoilt))


def _answered(ledger: LedgerWriter) -> int:
    return sum(owned.ledger.next_intake for owned in list(ledger._owned.values()))


def _in_memory(ledger: LedgerWriter) -> int:
    return sum(len(owned.ledger.memory.streams) for owned in list(ledger._owned.values()))


def test_a_takeover_begins_when_what_it_replaces_has_left_the_memory(
    ledger_env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[bool] = []
    old: list[weakref.ref[Any]] = []

    def watched(*args: Any, **options: Any) -> Any:
        alive.append(old[-1]() is not None)
        return take_over(*args, **options)

    for name in ("SNAPSHOT_SECONDS", "QUIET_SECONDS"):
        monkeypatch.setattr(writer, name, 3_600.0)
    take_over = writer.take_over
    with open_shop(ledger_env, logs=tmp_path / "logs") as shop, _beside(ledger_env) as ledger:
        shop.registers = False
        shop.publish(*(receive(f"mug-{number}", "WH1", 1) for number in range(200)), wait=False)
        wait_until(lambda: ledger._decided == 200)
        place = next(place for place, owned in list(ledger._owned.items()) if owned.ledger.memory.streams)
        monkeypatch.setattr(writer, "take_over", watched)
        for number, why in enumerate(("somebody else wrote to the partition", "delivery failed: as a test"), start=1):
            wait_until(lambda: (owned := ledger._owned.get(place)) is not None and not owned.disturbed)
            old.append(weakref.ref(ledger._owned[place].ledger))
            ledger._owned[place].disturbed = why
            wait_until(lambda number=number: len(alive) == number)
    assert alive == [False, False], "the old state is there beside the new one"
    with connect(ledger_env.services, "test") as connection:
        counted = connection.execute("SELECT worker, path, why, about, count >= 1 FROM slow_paths").fetchall()
    assert counted == [("ledger", "takeover", "no_snapshot", "ledger.stock", True)]
