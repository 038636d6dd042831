"""Fault 1: kill -9 at every place between two effects. Nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

import processors
from tests.faults.ground import FIRST_SEED, Ground, Sending, load, open_ground
from tests.support.shop import PATIENCE_SECONDS

pytestmark = [pytest.mark.faults]

#: Where each worker dies; the number of the visit is drawn from the seed, up to so many.
PLACES = {
    "ledger.torn_decision": 20,  # between two facts of one decision, the first of which are on the log
    "ledger.before_fact": 300,
    "ledger.takeover": 1,
    "ledger.before_commit": 4,
    "ledger.after_commit": 4,
    "ledger.before_flush": 1,
    "ledger.before_snapshot": 1,
    "ledger.after_snapshot": 1,
    "projector.before_commit": 4,
    "projector.before_offsets": 4,
    "projector.before_rows": 30,
    "projector.before_copy": 3,
    "projector.after_copy": 3,
    "projector.after_commit": 4,
    "projector.before_hint": 4,
    "reactions.before_flush": 4,
    "reactions.before_command": 100,
    "reactions.before_position": 4,
    "reactions.after_position": 4,
}
WORKERS = ("ledger", "reactions", "projector")
#: Snapshots are taken now and then, and when a worker leaves: these places are reached by asking it to stop.
REACHED_AT_THE_END = ("ledger.before_flush", "ledger.before_snapshot", "ledger.after_snapshot")


def _place(draw: Random, name: str, turn: int) -> str:
    """A failpoint of this worker: the seeds go through all of them in turn."""
    places = [place for place in PLACES if place.startswith(name)]
    place = places[turn % len(places)]
    return f"{place}:{draw.randint(1, PLACES[place])}"


def test_a_worker_killed_between_any_two_effects_leaves_no_trace(fault_env: Any, tmp_path: Path) -> None:
    """Criterion: tables, commands and units as the oracle has them from the bytes, after each death.

    Seen to fail: with the projector's offsets written in a transaction of their own behind the rows, a death between
    both counted units twice ("inventory …: the facts say …, the table …"). With reactions that saved their positions
    before they sent, a death between both left "3 open units at rest". With a ledger whose takeover folded every fact
    instead of following the chain, a cut decision counted, and what it wrote then was skipped by all: it never settled.
    (A takeover that did not read the tail at all was harmless: it writes the same bytes again, which readers skip.)
    """
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        for draw in ground.rounds():
            armed = {name: _place(draw, name, ground.seed - FIRST_SEED) for name in WORKERS}
            for name in WORKERS:
                ground.shop.workers.kill(name)
                ground.shop.start(name, failpoints=f"{armed[name]}=kill")
            sending = ground.send(load(draw, ground.prefix, orders=40))
            died = _restart_the_dead(ground, sending)
            sending.join()
            for name in WORKERS:
                if name not in died and armed[name].startswith(REACHED_AT_THE_END):
                    assert ground.shop.workers.end(name) == -signal.SIGKILL, armed[name]
                    died.append(name)
                elif name not in died:
                    ground.shop.workers.kill(name)  # its place was not reached: it dies where it stands
                    ground.notes.setdefault("not_reached", []).append(armed[name])
                ground.shop.start(name) if name not in ground.shop.workers.alive() else None
            assert died, f"seed {ground.seed}: none of {armed} was reached"
            ground.notes["killed_at"] = [armed[name] for name in died]


def _restart_the_dead(ground: Ground, sending: Sending) -> list[str]:
    """Start again, unarmed, whoever has died, until all have or the load is worked off; who died."""
    died: list[str] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and len(died) < len(WORKERS):
        for ended in ground.shop.workers.ended():
            assert ended.status == -signal.SIGKILL, (ended, ground.shop.tail())
            died.append(ended.name)
            ground.shop.start(ended.name)
        if not sending.alive and ground.shop.gauge.look().in_flight == 0:
            break
        time.sleep(0.05)
    return died


def test_every_place_is_in_the_product() -> None:
    """A failpoint that has another name by now would never be reached."""
    sources = "".join(path.read_text() for path in Path(processors.__file__).parent.rglob("*.py"))
    # The loop that the projector has in common with other followers puts the follower's name before the place.
    shared = {f"projector.{place}" for place in re.findall(r'reach\(f"\{self\._name\}\.([^"]+)"', sources)}
    assert shared, "the loop has places"
    assert PLACES.keys() <= set(re.findall(r'reach\("([^"]+)"', sources)) | shared


#: What is asked of the API all the time, of one order.
ASKED = ("orders/{order}", "orders/{order}/history", "inventory?sku={sku}", "queue")


def test_an_api_killed_in_the_middle_of_requests_answers_as_before(fault_env: Any, tmp_path: Path) -> None:
    """Given readers that ask all the time, when the API is killed with a request of each in its hands and started again
    on the same port, then what was in its hands is cut off, and every answer before and after is the same, whole.

    It keeps nothing, so no protection can be taken away. Seen to fail: with an API that counted an order's readers in
    memory and said how many there were.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        for draw in ground.rounds():
            ground.send(load(draw, ground.prefix, orders=10)).join()
            ground.shop.settle()
            base = f"http://127.0.0.1:{port}/v1/"
            urls = [base + asked.format(order=f"{ground.prefix}-o1", sku=f"{ground.prefix}-s1") for asked in ASKED]
            ground.shop.start("api", ORDER_LEDGER_API_PORT=str(port))
            _wait_for(urls[0])
            before = {url: httpx.get(url, timeout=5).json() for url in urls}
            done = threading.Event()
            with ThreadPoolExecutor(len(urls)) as readers:
                reading = [readers.submit(_read_all_the_time, url, done) for url in urls]
                try:
                    time.sleep(draw.uniform(0.1, 0.6))  # a moment of chance
                    os.kill(ground.shop.workers.alive()["api"], signal.SIGSTOP)
                    time.sleep(0.3)  # every reader has asked by now, and nobody answers
                    ground.shop.workers.kill("api")
                    ground.shop.start("api", ORDER_LEDGER_API_PORT=str(port))
                    _wait_for(urls[0])
                    time.sleep(0.3)  # so that all read once more
                finally:
                    done.set()
                seen = {url: future.result() for url, future in zip(urls, reading, strict=True)}
            for url, reader in seen.items():
                assert reader.answers == [before[url]], (ground.seed, url)
                assert reader.after_the_cut, (ground.seed, url)
            ground.notes |= {
                "answers": sum(reader.count for reader in seen.values()),
                "cut": sum(reader.cut for reader in seen.values()),
            }
            assert ground.notes["cut"] == len(urls), (ground.seed, ground.notes)
            ground.shop.workers.end("api")


@dataclass
class Reader:
    """What one reader got: all answers that differ, how many there were, and how many requests were cut off."""

    answers: list[Any] = field(default_factory=list)
    count: int = 0
    cut: int = 0
    after_the_cut: int = 0


def _read_all_the_time(url: str, done: threading.Event) -> Reader:
    reader = Reader()
    while not done.is_set():
        try:
            answer = httpx.get(url, timeout=PATIENCE_SECONDS)
        except httpx.ConnectError:
            time.sleep(0.02)  # nobody there
            continue
        except httpx.TransportError:
            reader.cut += 1
            continue
        assert answer.status_code == 200, answer.text
        reader.count += 1
        reader.after_the_cut += bool(reader.cut)
        if answer.json() not in reader.answers:
            reader.answers.append(answer.json())
    return reader


def _wait_for(url: str) -> None:
    """Until the API answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = httpx.get(url, timeout=5)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the API does not answer"
            time.sleep(0.1)
            continue
        assert answer.status_code == 200, answer.text
        return
