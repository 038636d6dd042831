"""Progress on stderr: a bar with rate and time left on a terminal, a plain line now and then elsewhere.

with progress("importing orders", total=24_221, unit="orders") as bar:
    bar.advance(500)
    bar.begin("adding them up", 3, "tables")       # another piece of work, with its own count

It shows only what is known: no rate within the first second, and no time left without a rate and a valid total.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

LINE_INTERVAL_SECONDS = 5.0  # in a log file or CI: shorter is noise, longer looks as if nothing happened
#: A rate is an average over at least this long. Over less time one slow or quick step would dominate it.
MEASURED_SECONDS_MIN = 1.0
#: A longer estimate is not shown: the rate is too slow for more than a guess.
LEFT_SECONDS_MAX = 86_400.0


class Bar:
    """Progress of one piece of work: `advance` adds, `reach` sets the position, `say` changes the title."""

    def __init__(self, title: str, total: int | None, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._measure(title, total, unit, 0)

    def _measure(self, title: str, total: int | None, unit: str, done: int) -> None:
        self.title = title
        self.total = total
        self.unit = unit
        self.done = done
        self._measured_from, self._measured_at = done, self._clock()

    def begin(self, title: str, total: int | None = None, unit: str = "") -> None:
        """Start another piece of work, with a new count and rate."""
        self._measure(title, total, unit, 0)
        self._show()

    def advance(self, amount: int = 1) -> None:
        self.reach(self.done + amount)

    def reach(self, done: int, total: int | None = None) -> None:
        if done < self.done:  # a new count began, so the old rate does not apply
            self._measured_from, self._measured_at = done, self._clock()
        self.done = done
        if total is not None:
            self.total = total
        self._show()

    def say(self, title: str) -> None:
        self.title = title
        self._show()

    def rate(self) -> float | None:
        """Units per second; None if it was measured for too short a time, or nothing was done."""
        seconds = self._clock() - self._measured_at
        moved = self.done - self._measured_from
        return moved / seconds if seconds >= MEASURED_SECONDS_MIN and moved > 0 else None

    def known(self) -> str:
        """Done, total, rate and time left in words, as far as they are known."""
        if self.done < 0 or (self.done == 0 and not self.total):
            return ""
        of = f" of {self.total:,}" if self.total is not None and self.total >= self.done else ""
        parts = [f"{self.done:,}{of} {self.unit}".rstrip()]
        rate = self.rate()
        if rate is not None and rate >= 0.05:
            parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
            left = (self.total - self.done) / rate if of and self.total is not None else 0.0
            if 0 < left <= LEFT_SECONDS_MAX:
                parts.append(f"{left:,.0f} s left" if left < 120 else f"{left / 60:,.0f} min left")
        return ", ".join(parts)

    def _show(self) -> None: ...


class _Lines(Bar):
    """Plain lines, at most one per interval, and one at the end."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        super().__init__(title, total, unit)
        self.shown_at = self._clock()
        self.shown_step = ""

    def begin(self, title: str, total: int | None = None, unit: str = "") -> None:
        super().begin(title, total, unit)
        self._say_step()

    def say(self, title: str) -> None:
        super().say(title)
        self._say_step()

    def _say_step(self) -> None:
        if self._step() != self.shown_step and self.total is None:
            self.line()

    def _step(self) -> str:
        """The title up to its colon: "fetching: 3 of 46" and "fetching: 4 of 46" are one step, and one line."""
        return self.title.partition(":")[0]

    def _show(self) -> None:
        if self._clock() - self.shown_at >= LINE_INTERVAL_SECONDS:
            self.line()

    def line(self) -> None:
        self.shown_at = self._clock()
        self.shown_step = self._step()
        known = self.known()
        print(f"{self.title}: {known}" if known else self.title, file=sys.stderr, flush=True)


class _RichBar(Bar):
    def __init__(self, title: str, total: int | None, unit: str, shown: Progress) -> None:
        super().__init__(title, total, unit)
        self._shown = shown
        self._task = shown.add_task(title, total=total, known="")

    def _show(self) -> None:
        # If more is done than the total, the total is wrong: show a bar without end.
        total = self.total if self.total is not None and self.total >= self.done >= 0 else None
        self._shown.tasks[self._task].total = total
        self._shown.update(self._task, completed=max(0, self.done), description=self.title, known=self.known())


def _terminal() -> Console | None:
    """The terminal if stderr is one, or if these variables say so; None otherwise."""
    said = any(os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))
    if sys.stderr is None or not (said or sys.stderr.isatty()):
        return None  # without importing rich, which takes 0.1 s
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_terminal else None


@contextlib.contextmanager
def progress(title: str, total: int | None = None, *, unit: str = "") -> Iterator[Bar]:
    """A bar for one piece of work; `total=None` if the total is unknown."""
    console = _terminal()
    if console is None:
        lines = _Lines(title, total, unit)
        yield lines
        if lines.done:
            lines.line()
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[known]}", style="progress.data.speed", markup=False),
    )
    with Progress(*columns, console=console, transient=False) as shown:
        yield _RichBar(title, total, unit, shown)
