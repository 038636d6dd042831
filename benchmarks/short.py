"""Two minutes: what an order costs the ledger, compared with what it cost when it last landed.

    python -m benchmarks.short            # status 1 if it has become more than a tenth dearer
    python -m benchmarks.short --land     # keep this figure as the one to compare with

CPU time of the same code differs by 40 % between two runs on a shared machine. So rounds of the ledger and of a fixed
piece of work take turns, and the figure is how many of the latter's orders one of the ledger's costs. One that is too
dear is measured again, up to three times in all, and their mean counts: a neighbour on the machine goes away, a loss
does not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.flow import Bench
from benchmarks.machine import calibration_seconds
from benchmarks.ours import Ours
from benchmarks.place import place
from benchmarks.reference import Reference

LANDED = Path(__file__).with_name("landed.json")
#: A loss of more than this fails.
LOSS_MAX = 0.10
ORDERS, WARM_UPS, ROUNDS = 2_000, 2, 5
#: Attempts before a loss is believed, and those whose median is kept.
ATTEMPTS, LAND_ATTEMPTS = 3, 5


def ratio_of(ours: Sequence[float], reference: Sequence[float]) -> float:
    """What an order costs, in orders of the reference. Means: of the ways tried, they lay closest together."""
    return statistics.mean(ours) / statistics.mean(reference)


def judged(landed: float, attempt: Callable[[], float]) -> tuple[float, bool]:
    """The mean ratio of the attempts that were needed, and whether it is a loss."""
    ratios = [attempt()]
    while (ratio := statistics.mean(ratios)) > landed * (1 + LOSS_MAX) and len(ratios) < ATTEMPTS:
        ratios.append(attempt())
    return ratio, ratio > landed * (1 + LOSS_MAX)


class Short:
    """The ledger and the reference on one Kafka and one PostgreSQL; `kept` is all that was measured."""

    def __init__(self, ours: Ours, bench: Bench) -> None:
        self._bench = bench
        self._reference = Reference(ours)
        self.kept: list[dict[str, Any]] = []
        for _ in range(WARM_UPS):
            bench.round(ORDERS, warm_up=True)
        self._reference.round(ORDERS)

    def attempt(self) -> float:
        calibration = calibration_seconds()
        reference, ours = [self._reference_us()], []
        for _ in range(ROUNDS):
            ours.append(self._bench.round(ORDERS, warm_up=False)["cpu_us_an_order"]["all"])
            reference.append(self._reference_us())
        ratio = ratio_of(ours, reference)
        self.kept.append(
            {
                "ratio": round(ratio, 3),
                "cpu_us_an_order": ours,
                "reference_us_an_order": reference,
                "cpu_us_an_order_a_calibration_second": round(statistics.median(ours) / calibration),
            }
        )
        own, fixed = statistics.median(ours), statistics.median(reference)
        print(
            f"an order costs {own:,.0f} µs of CPU, one of the reference {fixed:,.0f}: {ratio:.3f}; "
            f"{own / calibration:,.0f} µs a second of calibration"
        )
        return ratio

    def _reference_us(self) -> int:
        return round(self._reference.round(ORDERS) / ORDERS * 1e6)

    def close(self) -> None:
        self._reference.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--land", action="store_true", help=f"write {LANDED.name}")
    options = parser.parse_args()
    with place() as where:
        ours = Ours(where)
        try:
            ours.start()
            bench = Bench(where, ours)
            short = Short(ours, bench)
            landed = None if options.land else float(json.loads(LANDED.read_text())["ratio"])
            if landed is None:
                ratio, lost = statistics.median(short.attempt() for _ in range(LAND_ATTEMPTS)), False
            else:
                ratio, lost = judged(landed, short.attempt)
            short.close()
            bench.check()
        finally:
            ours.stop()
    if bench.results["wrong"]:
        sys.exit("the totals are wrong: " + "; ".join(bench.results["wrong"]))
    if landed is None:
        kept = {"commit": commit(), "ratio": round(ratio, 3), "attempts": short.kept}
        LANDED.write_text(json.dumps(kept, indent=1) + "\n")
        print(f"landed: {ratio:.3f}")
        return
    print(f"an order costs {ratio:.3f} of the reference; when it last landed {landed:.3f}: {ratio / landed - 1:+.1%}")
    if lost:
        sys.exit(f"an order costs more than {LOSS_MAX:.0%} more than when it last landed (--land accepts it)")


def commit() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=False, cwd=LANDED.parent).stdout.strip()


if __name__ == "__main__":
    main()
