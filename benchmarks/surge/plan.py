"""How many orders come when: a steady load, a multiple of it for a while, and the steady load again.

Plan(steady=80, times=10, before_seconds=60, peak_seconds=240).due(61)   →  5,600
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Rates are orders a second. The steady load after the peak goes on until somebody stops it."""

    steady: float
    times: float
    before_seconds: float
    peak_seconds: float

    @property
    def peak(self) -> float:
        return self.steady * self.times

    @property
    def peak_ends(self) -> float:
        return self.before_seconds + self.peak_seconds

    def due(self, seconds: float) -> int:
        """Orders that have come so many seconds after the beginning."""
        in_peak = min(max(0.0, seconds - self.before_seconds), self.peak_seconds)
        return int(self.steady * (seconds - in_peak) + self.peak * in_peak)
