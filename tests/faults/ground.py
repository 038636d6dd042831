"""The ground on which faults are tried: a shop on real services, a seeded load, and an oracle that judges each round.

    with open_ground(fault_env, tmp_path, "ledger", "reactions", "projector") as ground:
        for draw in ground.rounds():                   # a seed each; settles and is judged at the end of each
            sending = ground.send(load(draw, ground.prefix, orders=50))
            ground.shop.workers.kill(draw.choice(ground.names))
            …
            sending.join()

`make faults SEEDS=20 SEED=1` runs each fault with the seeds 1 to 20; `make test` with one.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.support.oracle import Oracle
from tests.support.shop import Shop, command, dispatch, open_places, open_shop, place, receive

SEEDS = int(os.environ.get("ORDER_LEDGER_TEST_SEEDS", "1"))
FIRST_SEED = int(os.environ.get("ORDER_LEDGER_TEST_SEED", "20261127"))
#: Where `make faults` collects one line of JSON per round.
REPORT = os.environ.get("ORDER_LEDGER_TEST_REPORT")

LOCATIONS = ("WH1", "WH2")


def load(draw: Random, prefix: str, orders: int, skus: int = 8) -> list[dict[str, Any]]:
    """Receipts, orders and what happens to them. Names begin with `prefix`; stock is scarce for some of the SKUs.

    Commands of one order follow each other, but not at once: they may overtake its allocation.
    """
    units = 3 * orders // skus + 1
    commands = [
        receive(f"{prefix}-s{number}", location, units if number % 3 else max(1, units // 3))
        for number in range(skus)
        for location in LOCATIONS
    ]
    later: list[dict[str, Any]] = []
    for number in range(orders):
        order_id = f"{prefix}-o{number}"
        lines = [(f"{prefix}-s{sku}", draw.randint(1, 3)) for sku in draw.sample(range(skus), draw.randint(1, 3))]
        allocation = draw.choice(("ship_available", "ship_available", "all_or_nothing"))
        commands.append(place(order_id, *lines, allocation=allocation))
        fate = draw.random()
        if fate < 0.15:
            later.append(command("CancelOrder", order_id=order_id, reason="changed mind"))
        elif fate < 0.3:
            later.append(command("AmendOrder", order_id=order_id, lines=[{"line_id": "1", "quantity": 1}]))
        elif fate < 0.6:
            quantity = lines[0][1]
            parcel = f"{order_id}-p"
            later.append(dispatch(order_id, parcel, draw.choice(LOCATIONS), ("1", quantity)))
            later.append(command("RecordTracking", order_id=order_id, shipment_id=parcel, status="delivered"))
            if fate < 0.45:
                back = [{"line_id": "1", "quantity": 1, "disposition": draw.choice(("restock", "damaged", "inspect"))}]
                later.append(
                    command(
                        "ReceiveReturn", order_id=order_id, return_id=f"{order_id}-r", location_id="WH1", lines=back
                    )
                )
        if len(later) > 10:
            commands.append(later.pop(0))
    again = [receive(f"{prefix}-s{sku}", draw.choice(LOCATIONS), units // 2 + 1) for sku in range(0, skus, 3)]
    return commands + later + again


class Sending:
    """Commands on their way in a thread of their own; `join` raises what went wrong there."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # told in `join`
            self._error = error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error


class Ground:
    """A shop, its oracle and the round at hand."""

    def __init__(self, shop: Shop, oracle: Oracle, names: Sequence[str]) -> None:
        self.shop = shop
        self.oracle = oracle
        self.names = list(names)
        self.seed = 0
        self.acknowledged: set[tuple[str, str]] = set()
        self.notes: dict[str, Any] = {}

    @property
    def prefix(self) -> str:
        """Begins the names of this round's orders and SKUs."""
        return f"r{self.seed}"

    def send(self, commands: Sequence[dict[str, Any]], *, pieces: int = 10) -> Sending:
        """Publish in the background, in several pieces, so that a fault meets a stream and not a lump."""

        def work() -> None:
            size = max(1, len(commands) // pieces)
            for start in range(0, len(commands), size):
                piece = commands[start : start + size]
                self.shop.publish(*piece, wait=False)
                self.acknowledged |= {(c["channel"], c["id"]) for c in piece}

        return Sending(work)

    def rounds(self, judge: Callable[[], None] | None = None) -> Iterator[Random]:
        """A seeded source of chance per round. After each: settled, and equal to the oracle (and `judge`)."""
        for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
            self.seed = seed
            self.notes = {}
            print(f"seed {seed}", flush=True)
            started = time.monotonic()
            facts, ignored = self.oracle.facts, self.oracle.ignored
            yield Random(seed)
            self.judge()
            if judge is not None:
                judge()
            self._report(
                {
                    "seed": seed,
                    "seconds": round(time.monotonic() - started, 1),
                    "facts": self.oracle.facts - facts,
                    "ignored": self.oracle.ignored - ignored,
                    **self.notes,
                }
            )

    def judge(self) -> None:
        """Settle, then hold the tables against the oracle. AssertionError names the seed."""
        try:
            self.shop.settle()
            self.oracle.check(self.shop.connection, self.acknowledged)
        except AssertionError as error:
            raise AssertionError(f"seed {self.seed}: {error}\n{self.shop.tail()}") from error

    def verified(self) -> None:
        """The product's own independent fold agrees with every row of every table."""
        report = self.shop.verify()
        assert report.equal, report.first_difference

    @staticmethod
    def _report(line: dict[str, Any]) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
        text = json.dumps({"test": test, **line})
        print(text, flush=True)
        if REPORT:
            with open(REPORT, "a") as file:
                file.write(text + "\n")


@contextmanager
def open_ground(env: Any, tmp_path: Path, *names: str) -> Iterator[Ground]:
    """Workers started, locations registered, oracle ready; at the end everything is verified once more, row by row.

    The locations are registered once, not with each load: a command told again would be on the intake twice.
    """
    with open_shop(env, *names, logs=tmp_path / "logs") as shop:
        shop.publish(*open_places(*LOCATIONS), wait=False)
        oracle = Oracle(env)
        ground = Ground(shop, oracle, names)
        try:
            yield ground
            ground.verified()
        finally:
            oracle.close()
