"""Fault 2: workers come, go and freeze all the time while orders flow. Nothing is lost, nothing is there twice."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from runtime.kafka import admin
from tests.faults.ground import Ground, Sending, load, open_ground

pytestmark = [pytest.mark.faults]

WORKERS = ("ledger", "reactions", "projector")

#: How long one storm lasts, how far apart its blows are, and how long a frozen worker stays so: some longer than a
#: session, most not.
STORM_SECONDS = 10.0
BETWEEN_SECONDS = (0.5, 1.5)
FROZEN_SECONDS = (0.3, 5.0)
ORDERS_BETWEEN = 12

#: Whoever was killed or frozen is given up after this: short, so that more happens in a storm and its end is near.
SESSION_SECONDS = 3
#: The broker allows no less (group.consumer.min.session.timeout.ms of the embedded one).
SESSION_SECONDS_KIP_848 = 5


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_storm_of_rebalances_loses_and_repeats_nothing(fault_env: Any, tmp_path: Path, protocol: str) -> None:
    """Second and third copies start; any copy is asked to stop, is killed, or is frozen and thawed.

    Passes when everything settles after the storm and each table is what the oracle counts. `protocol` is how ledger
    and projector share partitions; reactions (Faust) always do it the classic way.

    Seen to fail, in the first storm under both protocols: with a takeover that goes on from Kafka's committed offset
    instead of after the last decision that counts on the log ("245 things are wrong, the first: ('wms', 't-171') was
    never answered"). Without the projector's compare-and-set alone two storms came out right: the chain heals what is
    read twice. What that fence is for shows in test_zombie.py.
    """
    with open_ground(fault_env, tmp_path) as ground:
        if protocol == "consumer":
            _shorten_sessions(fault_env)
        for draw in ground.rounds():
            storm = _Storm(ground, draw, protocol)
            storm.rage()
            storm.calm()
            ground.notes |= {"protocol": protocol, **storm.blows}
            ground.notes["takeovers"] = storm.count("ledger_took_over")
            ground.judge()
            storm.end()


class _Storm:
    """Copies of each worker, and what is done to them. `blows` counts it."""

    def __init__(self, ground: Ground, draw: Random, protocol: str) -> None:
        self.ground = ground
        self.blows: Counter[str] = Counter()
        self._draw = draw
        self._frozen: dict[str, float] = {}
        self._leaving: set[str] = set()
        self._started = 0
        self._variables = {
            "ORDER_LEDGER_KAFKA_GROUP_PROTOCOL": protocol,
            "ORDER_LEDGER_KAFKA_SESSION_TIMEOUT_SECONDS": str(SESSION_SECONDS),
        }
        for kind in WORKERS:
            self._start(kind)

    def rage(self) -> None:
        """Blow after blow, orders after each, until the time is up."""
        for name in self._copies("ledger"):
            self.ground.shop.wait_for_line(name, "ledger_took_over")
        calm_at = time.monotonic() + STORM_SECONDS
        sendings: list[Sending] = []
        while time.monotonic() < calm_at:
            self._blow(self._draw.choice(WORKERS))
            prefix = f"{self.ground.prefix}-{len(sendings)}"
            sendings.append(self.ground.send(load(self._draw, prefix, orders=ORDERS_BETWEEN)))
            time.sleep(self._draw.uniform(*BETWEEN_SECONDS))
            self._thaw(time.monotonic())
        for sending in sendings:
            sending.join()

    def calm(self) -> None:
        """Thaw all. One copy of each kind goes on; the others are asked to leave, as far as they still live."""
        self._thaw(float("inf"))
        for kind in WORKERS:
            copies = self._copies(kind)
            if not copies:
                self._start(kind)
            for name in copies[1:]:
                self._signal(name, signal.SIGTERM)

    def end(self) -> None:
        """Nobody is left for the next storm."""
        for name in list(self.ground.shop.workers.alive()):
            self.ground.shop.workers.kill(name)

    def count(self, word: str) -> int:
        """How often it stands in the logs of this storm's workers."""
        logs = self.ground.shop.logs.glob(f"*-{self.ground.seed}-*.log")
        return sum(log.read_text(errors="replace").count(f'"{word}"') for log in logs)

    def _blow(self, kind: str) -> None:
        copies = self._copies(kind)
        blow = "join"
        if len(copies) > 1 or (copies and self._draw.random() < 0.5):
            blow = self._draw.choice(("leave", "kill", "freeze", "freeze"))
        if blow == "join":
            self._start(kind)
            self.blows["join"] += 1
            return
        name = self._draw.choice(copies)
        if name in self._frozen:
            return
        self.blows[blow] += 1
        if blow == "freeze":
            self._frozen[name] = time.monotonic() + self._draw.uniform(*FROZEN_SECONDS)
            self._signal(name, signal.SIGSTOP)
        elif blow == "kill":
            self.ground.shop.workers.kill(name)
        else:
            self._signal(name, signal.SIGTERM)

    def _start(self, kind: str) -> None:
        self._started += 1
        self.ground.shop.start(f"{kind}-{self.ground.seed}-{self._started}", **self._variables)

    def _copies(self, kind: str) -> list[str]:
        alive = [name for name in self.ground.shop.workers.alive() if name not in self._leaving]
        return [name for name in alive if name.partition("-")[0] == kind]

    def _thaw(self, now: float) -> None:
        for name in [name for name, until in self._frozen.items() if until <= now]:
            del self._frozen[name]
            self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self.ground.shop.workers.alive().get(name)
        if number == signal.SIGTERM:
            self._leaving.add(name)  # it still lives for a while, but is nobody to count on
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)


def _shorten_sessions(env: Any) -> None:
    """Under KIP-848 the broker says how long a session is: by group, where it is told."""
    client = admin(env.services)
    for kind in ("ledger", "projector"):
        resource = ConfigResource(
            ResourceType.GROUP,
            env.services.group(kind),
            incremental_configs=[
                ConfigEntry(
                    "consumer.session.timeout.ms",
                    str(SESSION_SECONDS_KIP_848 * 1000),
                    incremental_operation=AlterConfigOpType.SET,
                ),
                ConfigEntry("consumer.heartbeat.interval.ms", "1000", incremental_operation=AlterConfigOpType.SET),
            ],
        )
        for answer in client.incremental_alter_configs([resource]).values():
            answer.result()
