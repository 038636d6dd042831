"""Fault 1: kill -9 at every place between two effects. Nothing is lost, nothing is there twice."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

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


def test_an_api_killed_in_the_middle_of_requests_answers_as_before(ledger_env: Any, tmp_path: Path) -> None:
    """Criterion: after kill -9 a new process on the same port gives the same answers; the API keeps nothing itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open_ground(ledger_env, tmp_path, *WORKERS) as ground:
        for draw in ground.rounds():
            ground.send(load(draw, ground.prefix, orders=10)).join()
            ground.shop.settle()
            url = f"http://127.0.0.1:{port}/v1/orders/{ground.prefix}-o1"
            ground.shop.start("api", ORDER_LEDGER_API_PORT=str(port))
            before = _answer(url)
            ground.shop.workers.kill("api")
            with pytest.raises(httpx.TransportError):
                httpx.get(url, timeout=5)
            ground.shop.start("api", ORDER_LEDGER_API_PORT=str(port))
            assert _answer(url) == before
            ground.shop.workers.end("api")


def _answer(url: str) -> Any:
    """What the API says, as soon as it is up."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = httpx.get(url, timeout=5)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the API does not answer"
            time.sleep(0.1)
            continue
        assert answer.status_code == 200, answer.text
        return answer.json()
