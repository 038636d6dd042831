"""Who waits is told soon after the last thing is done: on a clock of its own, with a broker that answers at once."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.operating import settling
from gateway.operating.settling import Flight, Gauge, settle, wait_decided

PLACE = ("intake.orders", 0)
#: How long a look takes where services are busy.
LOOK_COSTS_SECONDS = 0.05


class World:
    """Records that are done at a known rate."""

    def __init__(self, records: int, per_second: int) -> None:
        self.now = 0.0
        self.records, self.per_second = records, per_second

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now

    @property
    def done_at(self) -> float:
        return self.records / self.per_second

    def look(self) -> Flight:
        self.now += LOOK_COSTS_SECONDS
        left = max(0, self.records - int(self.now * self.per_second))
        return Flight(undecided=0, unanswered=0, unprojected=left, ends={PLACE: self.records})

    def decided(self) -> dict[tuple[str, int], int]:
        return {}


@pytest.mark.parametrize("records", [1, 1_000, 50_000, 300_000])
def test_settle_returns_soon_after_the_last_record(records: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(records, per_second=30_000)
    monkeypatch.setattr(settling, "time", world)
    flight = settle(cast(Gauge, world), 60.0)
    assert flight.in_flight == 0
    assert world.now - world.done_at <= 0.3


def test_an_answer_in_the_tables_ends_the_wait_before_the_ledger_has_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(1, per_second=1)
    monkeypatch.setattr(settling, "time", world)
    answers = iter([False, False, True])
    assert wait_decided(cast(Any, world), {PLACE: 1}, 10.0, answered=lambda: next(answers))
    assert not wait_decided(cast(Any, world), {PLACE: 1}, 1.0)
