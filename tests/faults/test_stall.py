"""Fault 12: a worker falls silent, without an error. Its watchdog notices, the supervisor starts another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runtime.failpoints import VARIABLE
from tests.faults.ground import FIRST_SEED, Ground, load, open_ground

pytestmark = [pytest.mark.faults]

#: What each worker falls silent by, one seed the one, the next the other. `skip`: it is handed nothing any more, for
#: ever, and no error; the reactions after a few fetches. `hang`: the reactions' event loop does not come back, and of
#: the others the callback by which the group gives a member its partitions.
SILENCES = {
    "ledger": ("ledger.assigned=hang", "ledger.assigned=hang"),
    "projector": ("projector.assigned=hang", "projector.fetched=skip"),
    "reactions": ("reactions.fetch:{}=skip", "reactions.fetch:{}=hang"),
}
FETCHES_BEFORE_MAX = 15
STALL_SECONDS = 10.0


def test_workers_that_fall_silent_are_started_again_and_catch_up(fault_env: Any, tmp_path: Path) -> None:
    """Passes when the watchdog of each ends its process, `order-ledger run` starts another, and those catch up.

    Seen to fail: without the watchdog's thread nobody noticed ("never said reactions_stalled" after 90 s, and the same
    of the ledger and of the projector when they had none); when work in hand alone was reason to wait, a loop that hung
    in mid-step was ended by the rule of standing still, a minute later.
    """
    with open_ground(fault_env, tmp_path) as ground:
        for draw in ground.rounds():
            silences = {
                worker: kinds[(ground.seed - FIRST_SEED) % len(kinds)].format(draw.randint(1, FETCHES_BEFORE_MAX))
                for worker, kinds in SILENCES.items()
            }
            _supervised(ground, silences, tmp_path)
            ground.send(load(draw, ground.prefix, orders=40)).join()
            name = f"run-{ground.seed}"
            for worker, silence in silences.items():
                said = json.loads(ground.shop.wait_for_line(name, f"{worker}_stalled"))
                ground.shop.wait_for_line(name, "worker_ended", worker)
                seconds = max(said["silent_seconds"], said["stood_seconds"], said["unplaced_seconds"])
                ground.notes |= {worker: silence, f"{worker}_seconds": round(seconds, 1)}
            assert any("MainThread" in thread for thread in said["threads"]), "where threads stood"
            assert not list(tmp_path.glob("failpoints-*")), "each was acted on, and no second life has one"
            ground.judge()
            ground.shop.workers.kill(name)


def _supervised(ground: Ground, silences: Mapping[str, str], folder: Path) -> None:
    """The product's own supervisor over one of each; the failpoints are in files, so they harm one life each."""
    files = {folder / f"failpoints-{ground.seed}-{worker}": silence for worker, silence in silences.items()}
    for file, silence in files.items():
        file.write_text(silence)
    armed = ",".join(f"@{file}" for file in files)
    name = f"run-{ground.seed}"
    ground.shop.workers.start(
        name,
        ["run", "--only", ",".join(silences)],
        env={**ground.shop.env.env, VARIABLE: armed, "ORDER_LEDGER_STALL_SECONDS": str(STALL_SECONDS)},
        log=ground.shop.logs / f"{name}.log",
    )
