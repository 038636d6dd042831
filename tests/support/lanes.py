"""How long each file of tests takes, and in which order they are run.

make test ARGS=--write-durations       # measures, and writes tests/durations.csv anew
"""

from __future__ import annotations

import csv
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
TABLE = FOLDER / "durations.csv"


@cache
def durations() -> dict[str, float]:
    """Seconds by file, as `tests/durations.csv` has them."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["file"]: float(row["seconds"]) for row in csv.DictReader(file)}


def sort(items: list[pytest.Item]) -> None:
    """The longest file first. Files that are not measured yet begin; a file's own tests stay in their order."""
    known = durations()
    place = {str(path): index for index, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (-known.get(name_of(item.nodeid), float("inf")), place[str(item.path)]))


def name_of(nodeid: str) -> str:
    """The file of a test, from the repository's root."""
    return nodeid.partition("::")[0]


class Durations:
    """Adds up what each file took."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[name_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.config.getoption("write_durations"):
            rows = sorted({**durations(), **self._seconds}.items(), key=lambda row: (-row[1], row[0]))
            rows = [(name, seconds) for name, seconds in rows if (FOLDER.parent / name).exists()]
            with TABLE.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(("file", "seconds"))
                writer.writerows((name, f"{seconds:.1f}") for name, seconds in rows)
