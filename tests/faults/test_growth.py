"""What the soak calls a leak: its measure on series that are made up."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.growth import WARM_UP_MINUTES, growth

SECONDS = 30 * 60
#: Half an hour tells a growth from none by so much an hour.
TOLD_APART = 0.01
WARM_UP = WARM_UP_MINUTES * 60
RESTS = range(120, SECONDS + 120, 120)


def _kept(seed: int, percent_an_hour: float) -> list[tuple[float, float]]:
    """A rest every other minute: 174 MB that grow by so much, give or take 0.3; before the warm-up ends, anything."""
    draw = Random(seed)
    kept = [174 * (1 + percent_an_hour / 100 * at / 3600) + draw.uniform(-0.3, 0.3) for at in RESTS]
    return [(at, mb if at >= WARM_UP else mb - 40 * draw.random()) for at, mb in zip(RESTS, kept, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_what_a_process_has_more_or_less_by_chance_is_no_leak(seed: int) -> None:
    found = growth(_kept(seed, 0), WARM_UP)
    assert abs(found.per_hour) < TOLD_APART
    assert found.level == pytest.approx(174, abs=0.5)


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_of_three_percent_an_hour_is_seen(seed: int) -> None:
    assert growth(_kept(seed, 3), WARM_UP).per_hour > TOLD_APART


@pytest.mark.parametrize("percent", [-12, 12])
def test_what_an_outage_changes_for_minutes_is_no_leak(percent: float) -> None:
    kept = [(60.0 * minute, 174.0 * (1 + percent / 100 * (minute % 12 in (5, 6)))) for minute in range(2, 62, 2)]
    assert growth(kept, WARM_UP).per_hour == 0


def test_the_interval_holds_the_truth_nearly_always() -> None:
    found = [growth(_kept(seed, 2), WARM_UP) for seed in range(200)]
    right = sum(one.least <= 0.02 <= one.most for one in found)
    assert right > 180
    assert all(one.least <= one.per_hour <= one.most for one in found)


def test_a_longer_run_tells_more() -> None:
    def width(minutes: int) -> float:
        draw = Random(minutes)
        found = growth([(60.0 * at, 174 + draw.uniform(-1, 1)) for at in range(2, minutes, 2)], WARM_UP)
        return found.most - found.least

    assert width(30) > 2 * width(60) > 4 * width(120)
