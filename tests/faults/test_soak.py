"""What the soak calls a leak: its measure on series that are made up."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.soak import SAMPLE_SECONDS, SLOPE_MAX, slope

MOMENTS = [number * SAMPLE_SECONDS for number in range(360)]  # half an hour


def _memory(seed: int, percent_an_hour: float) -> list[float]:
    """174 MB that grow by so much, and what batches borrow for a moment: mostly little, sometimes 20 MB."""
    draw = Random(seed)
    return [
        174 * (1 + percent_an_hour / 100 * at / 3600) + draw.choice((0.1, 0.5, 1, 2, 4, 20)) * draw.random()
        for at in MOMENTS
    ]


@pytest.mark.parametrize("seed", range(20))
def test_what_batches_borrow_is_no_leak(seed: int) -> None:
    growth, level = slope(MOMENTS, _memory(seed, 0))
    assert abs(growth) < SLOPE_MAX
    assert level == pytest.approx(174, abs=1)


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_of_three_percent_an_hour_is_seen_behind_what_batches_borrow(seed: int) -> None:
    growth, _ = slope(MOMENTS, _memory(seed, 3))
    assert growth > SLOPE_MAX
