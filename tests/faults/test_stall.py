"""Fault 12: Faust falls silent, without an error. The watchdog notices, the supervisor starts the reactions anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.failpoints import VARIABLE
from tests.faults.ground import FIRST_SEED, Ground, load, open_ground

pytestmark = [pytest.mark.faults]

ACTIONS = ("skip", "hang")
FETCHES_BEFORE_MAX = 15


def test_reactions_that_fall_silent_are_started_again_and_catch_up(fault_env: Any, tmp_path: Path) -> None:
    """`skip`: Faust is handed nothing any more, for ever, and no error. `hang`: its event loop does not come back. One
    seed has the one, the next the other.

    Passes when the watchdog ends the process, `order-ledger run` starts another, and that one answers everything.

    Seen to fail: without the watchdog's thread nobody noticed ("never said reactions_stalled" after 90 s); when work in
    hand alone was reason to wait, a loop that hung in mid-step was ended by the rule of standing still, a minute later.
    """
    with open_ground(fault_env, tmp_path) as ground:
        for draw in ground.rounds():
            action = ACTIONS[(ground.seed - FIRST_SEED) % len(ACTIONS)]
            armed = tmp_path / f"failpoints-{ground.seed}"
            armed.write_text(f"reactions.fetch:{draw.randint(1, FETCHES_BEFORE_MAX)}={action}")
            name = f"run-{ground.seed}"
            _supervised(ground, name, armed)
            ground.send(load(draw, ground.prefix, orders=40)).join()
            silent = ground.shop.wait_for_line(name, "reactions_stalled")
            ground.shop.wait_for_line(name, "worker_ended", "reactions")
            assert not armed.exists(), "the failpoint was acted on, and the second life has none"
            ground.notes |= {"action": action, "silent_seconds": round(json.loads(silent)["silent_seconds"], 1)}
            ground.judge()
            ground.shop.workers.kill(name)


def _supervised(ground: Ground, name: str, armed: Path) -> None:
    """The product's own supervisor over one of each kind; the failpoints are in a file, so they harm one life only."""
    ground.shop.workers.start(
        name,
        ["run", "--only", "ledger,reactions,projector"],
        env={**ground.shop.env.env, VARIABLE: f"@{armed}"},
        log=ground.shop.logs / f"{name}.log",
    )
