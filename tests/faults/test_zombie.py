"""Fault 3: a worker that was taken for dead with a batch in hand comes back when its successor has done it all."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from tests.faults.ground import FIRST_SEED, Ground, Sending, load, open_ground
from tests.support.shop import PATIENCE_SECONDS

pytestmark = [pytest.mark.faults]

WORKERS = ("ledger", "reactions", "projector")

#: Where a worker freezes; the visit is drawn from the seed, up to so many. The first of each is for `make test`.
PLACES = {
    "ledger": {"ledger.before_fact": 120, "ledger.before_commit": 3},
    "projector": {
        "projector.before_commit": 3,  # in an open transaction, with the rows that its successor wants
        "projector.before_offsets": 3,
        "projector.after_commit": 3,
        "projector.before_hint": 3,
    },
    "reactions": {
        "reactions.before_command": 40,
        "reactions.before_flush": 3,
        "reactions.before_position": 3,
        "reactions.after_position": 3,
    },
}

#: What it says when it notices (any of them), at the places where there is something left to notice.
NOTICES = {
    "ledger.before_fact": ("ledger_disturbed", "partitions_lost"),
    "projector.before_commit": ("projector_overtaken",),
    "projector.before_offsets": ("projector_overtaken",),
    # Where its batch was the last of its partitions, its successor saved the very position that it wants to save: then
    # it was not overtaken, and says only that it reads on from what is stored.
    "reactions.before_command": ("reactions_overtaken", "reactions_read_again"),
    "reactions.before_flush": ("reactions_overtaken", "reactions_read_again"),
    "reactions.before_position": ("reactions_overtaken", "reactions_read_again"),
}

#: The successor begins when the broker has given the frozen one up: the shorter, the shorter a round.
SESSION = {"ORDER_LEDGER_KAFKA_SESSION_TIMEOUT_SECONDS": "3"}


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_that_comes_back_from_the_dead_changes_nothing(fault_env: Any, tmp_path: Path, kind: str) -> None:
    """It freezes with a batch in hand; its successor waits for the session to run out and finishes everything; then it
    thaws and goes on with its batch.

    Passes when it says that it was overtaken (or ends, and is started again), what it writes late is passed over by
    all, and it works on with its successor.

    Seen to fail. Projector: without the compare-and-set of its offsets the rows of a batch counted twice ("the facts
    say reserved 10, the table 20"); without `let_go_when_still` the successor waited for the frozen one's row locks for
    ever ("in flight (0, 31, 39659)"). Ledger: with a chain rule that accepts what does not follow, repeats counted, and
    asked for ever more ("in flight (7, 8, 23026)"). Reactions: with ids that tell processes apart, what was sent late
    was no repeat ("must have sent it late").
    """
    with open_ground(fault_env, tmp_path, *(name for name in WORKERS if name != kind)) as ground:
        for draw in ground.rounds():
            place, visit = _place(draw, kind, ground.seed - FIRST_SEED)
            frozen, successor = f"{kind}-frozen-{ground.seed}", f"{kind}-successor-{ground.seed}"
            ground.shop.start(frozen, failpoints=f"{place}:{visit}=stop", **SESSION)
            sending = ground.send(load(draw, ground.prefix, orders=40))
            process = psutil.Process(ground.shop.workers.alive()[frozen])
            _wait_until_frozen(ground, process, frozen, sending)
            ground.shop.start(successor, **SESSION)
            ground.shop.settle()
            ignored, repeats = _late(ground)
            os.kill(process.pid, signal.SIGCONT)
            said = _wait_for_notice(ground, frozen, NOTICES[place]) if place in NOTICES else None
            ended = [end.status for end in ground.shop.workers.ended() if end.name == frozen]
            if ended:  # as its supervisor would
                ground.shop.start(frozen, **SESSION)
            ground.send(load(draw, f"{ground.prefix}-after", orders=10)).join()
            ground.shop.settle()
            now_ignored, now_repeats = _late(ground)
            ground.notes |= {"place": f"{place}:{visit}", "said": said, "ended": ended}
            ground.notes |= {"late_facts": now_ignored - ignored, "repeated_commands": now_repeats - repeats}
            if place == "ledger.before_fact":
                assert now_ignored > ignored, "it was frozen before a fact, and must have written it late"
            if place.startswith("reactions.before_command"):
                assert now_repeats > repeats, "it was frozen before a command, and must have sent it late"
            for name in (frozen, successor):
                assert name in ground.shop.workers.alive(), ground.shop.tail()
                ground.shop.workers.kill(name)


def _place(draw: Random, kind: str, turn: int) -> tuple[str, int]:
    places = list(PLACES[kind])
    place = places[turn % len(places)]
    return place, draw.randint(1, PLACES[kind][place])


def _late(ground: Ground) -> tuple[int, int]:
    """Facts that count for nothing, and commands that stand on the intake again, up to now."""
    ground.oracle.read()
    return ground.oracle.ignored, sum(ground.oracle.intake.values()) - len(ground.oracle.intake)


def _wait_until_frozen(ground: Ground, process: psutil.Process, name: str, sending: Sending) -> None:
    """Send until then: a projector that joins its group late may take all that was sent in fewer batches than it was
    to have had.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    more = 0
    while process.status() != psutil.STATUS_STOPPED:
        assert process.is_running(), f"{name} ended\n{ground.shop.tail()}"
        assert time.monotonic() < deadline, f"{name} never came to its place\n{ground.shop.tail()}"
        if name.startswith("projector") and not sending.alive:
            sending.join()
            more += 1
            sending = ground.send(load(Random(more), f"{ground.prefix}-more{more}", orders=2), pieces=1)
        time.sleep(0.02)
    sending.join()


def _wait_for_notice(ground: Ground, name: str, words: tuple[str, ...]) -> str:
    """The word that it said, or that it ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    log = ground.shop.logs / f"{name}.log"
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        for word in words:
            if word in text:
                return word
        if any(end.name == name for end in ground.shop.workers.ended()):
            return "ended"
        time.sleep(0.05)
    raise AssertionError(f"{name} never noticed\n{ground.shop.tail()}")
