"""Fault 1: kill -9 at every place between two effects. Nothing is lost, nothing is there twice."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults.ground import FIRST_SEED, Ground, load, open_ground

pytestmark = [pytest.mark.faults]

#: Where each worker dies; the number of the visit is drawn from the seed, up to so many.
PLACES = {
    "ledger.before_fact": 300,  # between two facts of one decision, too: most decisions have several
    "ledger.before_commit": 5,
    "ledger.after_commit": 5,
    "ledger.takeover": 1,
    "projector.before_offsets": 5,
    "projector.before_rows": 30,
    "projector.before_copy": 5,
    "projector.after_copy": 5,
    "projector.before_commit": 5,
    "projector.after_commit": 5,
    "projector.before_hint": 5,
    "reactions.before_command": 100,
    "reactions.before_flush": 5,
    "reactions.before_position": 5,
    "reactions.after_position": 5,
}
WORKERS = ("ledger", "reactions", "projector")


def _armed(draw: Random, name: str, turn: int) -> str:
    """A failpoint of this worker: the seeds go through all of them in turn."""
    places = [place for place in PLACES if place.startswith(name)]
    place = places[turn % len(places)]
    return f"{place}:{draw.randint(1, PLACES[place])}=kill"


def test_a_worker_killed_between_any_two_effects_leaves_no_trace(fault_env: Any, tmp_path: Path) -> None:
    with open_ground(fault_env, tmp_path, *WORKERS) as ground:
        for draw in ground.rounds():
            turn = ground.seed - FIRST_SEED
            armed = {name: _armed(draw, name, turn) for name in WORKERS}
            for name in WORKERS:
                ground.shop.workers.kill(name)
                ground.shop.start(name, failpoints=armed[name])
            sending = ground.send(load(draw, ground.prefix, orders=60))
            ground.notes["killed"] = _restart_the_dead(ground, armed)
            sending.join()


def _restart_the_dead(ground: Ground, armed: dict[str, str]) -> list[str]:
    """Start again, unharmed, whoever dies, until all have died once or the load is worked off; where they died."""
    ...
