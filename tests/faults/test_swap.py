"""New live tables under load, with readers who look all the time: nobody sees a missing, a partial or an older row."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from processors.replay.diff import diff
from processors.subjects import codec_for
from processors.verify.check import verify
from projections.order_status.reader import read_order
from runtime.postgres import connect
from tests.faults.ground import Ground, open_ground
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.faults]

WORKERS = ("ledger", "reactions", "projector")

#: Orders a second, and for how long at most. Then the backlog is worked off, while the tables are still switched.
RATE = 500
SECONDS_MAX = 20

#: Orders whose rows are looked at in each turn.
WATCHED = 200

#: An order and its lines are written in one transaction, so one statement must find them equal.
PARTIAL = """
SELECT o.order_id FROM v_order_status AS o
JOIN (
    SELECT order_id, sum(ordered) AS ordered, sum(open) AS open FROM v_order_lines
    WHERE order_id = ANY(%(known)s) GROUP BY order_id
) AS l USING (order_id)
WHERE o.order_id = ANY(%(known)s) AND (o.ordered, o.open) IS DISTINCT FROM (l.ordered, l.open) LIMIT 3"""


class Reader(threading.Thread):
    """Polls the views, and as the API does. `wrong`: what nobody may ever see; `looks`: how often it looked."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(daemon=True)
        self._connection = connect(ground.shop.env.services, "reader", autocommit=True)
        self._versions: dict[str, int] = {}
        self._orders = 0
        self.wrong: list[str] = []
        self.looks = 0
        self.done = threading.Event()

    def run(self) -> None:
        try:
            while not self.done.is_set():
                self._look()
                self.looks += 1
        except Exception as error:  # noqa: BLE001 - no reader may ever get an error: told by the test
            self.wrong.append(repr(error))
        finally:
            self._connection.close()

    def _look(self) -> None:
        row = self._connection.execute("SELECT count(*) FROM v_order_status").fetchone()
        count = int(row[0]) if row else 0
        if count < self._orders:
            self.wrong.append(f"{count} orders after {self._orders}")
        self._orders = count
        newest = "SELECT order_id, version FROM v_order_status ORDER BY updated_at DESC NULLS LAST LIMIT %s"
        for order_id, version in self._connection.execute(newest, [WATCHED // 2]).fetchall():
            self._saw(order_id, version)
        known = list(self._versions)[-WATCHED:]
        chosen = "SELECT order_id, version FROM order_status WHERE order_id = ANY(%s)"
        found = dict(self._connection.execute(chosen, [known]).fetchall())
        for order_id in known:
            self._saw(order_id, found.get(order_id, -1))
        if known:
            order = read_order(self._connection, known[-1])
            self._saw(known[-1], -1 if order is None else int(order["version"]))
        partial = self._connection.execute(PARTIAL, {"known": known}).fetchall()
        if partial:
            self.wrong.append(f"order and lines differ: {partial}")

    def _saw(self, order_id: str, version: int) -> None:
        if version < self._versions.get(order_id, 0):
            self.wrong.append(f"{order_id} has version {version} after {self._versions[order_id]}")
        self._versions[order_id] = max(version, self._versions.get(order_id, 0))


@contextlib.contextmanager
def orders_all_the_time(ground: Ground) -> Iterator[subprocess.Popen[str]]:
    """RATE orders a second, and what happens to them, until the end of the block."""
    sending = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.steady", ground.prefix, str(ground.seed), str(RATE), str(SECONDS_MAX)],
        env=ground.shop.env.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sending.stdin is not None
    assert sending.stdout is not None
    try:
        assert sending.stdout.readline() == "ready\n"
        sending.stdin.write("begin\n")
        sending.stdin.flush()
        yield sending
    finally:
        out, _ = sending.communicate()
    assert sending.returncode == 0
    told = json.loads(out.splitlines()[-1])
    ground.acknowledged |= {(channel, command_id) for channel, command_id in told["acknowledged"]}
    ground.notes |= {"orders": told["orders"], "orders_a_second": round(told["orders"] / told["seconds"])}


def switch(ground: Ground, way: str) -> dict[str, Any]:
    """`order-ledger replay --swap` or `--back`, as a person calls it."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "replay", way, "--json"],
        env=ground.shop.env.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_tables_are_switched_under_load_and_no_reader_notices(fault_env: Any, tmp_path: Path) -> None:
    """Given 500 orders a second and readers who poll, when the tables are switched, and switched back, then no reader
    sees a row missing, partial or older than before, both sets of tables are equal at the end, and `verify` agrees.
    """
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        services = fault_env.services
        for draw in ground.rounds():
            readers = [Reader(ground) for _ in range(2)]
            with orders_all_the_time(ground) as sending:
                wait_until(partial(_has_begun, ground, sending), 120)
                for reader in readers:
                    reader.start()
                time.sleep(draw.uniform(0.5, 2.0))
                done = switch(ground, "--swap")
                time.sleep(draw.uniform(0.5, 2.0))
                again = switch(ground, "--back")
                time.sleep(draw.uniform(0.5, 2.0))
                for reader in readers:
                    reader.done.set()
            for reader in readers:
                reader.join(60)
                assert reader.wrong == [], (ground.seed, reader.wrong[:5], ground.shop.tail())
                assert reader.looks > 10
            assert done["differed"] == [], done
            ground.shop.settle()
            with connect(services, "test") as connection:
                wait_until(partial(_equal, ground, done["now"]), 60)
                found = diff(connection, done["before"], done["now"], limit=3)
            assert found.equal, found
            for schema in (done["before"], done["now"]):
                report = verify(services, codec_for(services.schema_registry, services.topic_prefix), schema=schema)
                assert report.equal, (schema, report.first_difference)
            ground.notes |= {
                "facts_filled": done["facts"],
                "swap_seconds": round(done["seconds"], 1),
                "projector_waited_ms": [round(one["waited_seconds"] * 1000) for one in (done, again)],
                "looks": sum(reader.looks for reader in readers),
            }


def _has_begun(ground: Ground, sending: subprocess.Popen[str]) -> bool:
    assert sending.poll() is None, "the sender has ended"
    return _orders(ground) > 500


def _orders(ground: Ground) -> int:
    try:
        row = ground.shop.connection.execute("SELECT count(*) FROM v_order_status").fetchone()
    except psycopg.errors.UndefinedTable:  # the projector has not made its tables yet
        return 0
    return int(row[0]) if row else 0


def _equal(ground: Ground, standby: str) -> bool:
    """Whether the standby has come as far as the live tables, which are settled."""
    query = f"SELECT sum(next_offset) FROM {standby}.follower_positions"
    live = "SELECT sum(next_offset) FROM projector_positions"
    ours, theirs = (ground.shop.connection.execute(text.encode()).fetchone() for text in (query, live))
    return ours == theirs
