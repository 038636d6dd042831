"""What the soak calls a leak: its measure on series that are made up."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.soak import SLOPE_MAX, WARM_UP_SHARE, slope

SECONDS = 30 * 60
WARM_UP = SECONDS * WARM_UP_SHARE
RESTS = range(120, SECONDS + 120, 120)


def _kept(seed: int, percent_an_hour: float) -> list[tuple[float, float]]:
    """A rest every other minute: 174 MB that grow by so much, give or take 0.3; before the warm-up ends, anything."""
    draw = Random(seed)
    kept = [174 * (1 + percent_an_hour / 100 * at / 3600) + draw.uniform(-0.3, 0.3) for at in RESTS]
    return [(at, mb if at >= WARM_UP else mb - 40 * draw.random()) for at, mb in zip(RESTS, kept, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_what_a_process_has_more_or_less_by_chance_is_no_leak(seed: int) -> None:
    growth, level = slope(_kept(seed, 0), WARM_UP)
    assert abs(growth) < SLOPE_MAX
    assert level == pytest.approx(174, abs=0.5)


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_of_three_percent_an_hour_is_seen(seed: int) -> None:
    growth, _ = slope(_kept(seed, 3), WARM_UP)
    assert growth > SLOPE_MAX
