"""Progress on stderr: a bar with rate and time left on a terminal, a plain line now and then elsewhere.

with progress("importing orders", total=24_221, unit="orders") as bar:
    bar.advance(500)
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_INTERVAL_SECONDS = 5.0  # in a log file or CI: less makes noise, more looks as if nothing happened


class Bar:
    """What is done so far; `advance` by what was added, `reach` for a position, `say` for a sentence."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self.title = title
        self.total = total
        self.unit = unit
        self.done = 0
        self.started_at = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self.reach(self.done + amount)

    def reach(self, done: int, total: int | None = None) -> None:
        self.done = done
        if total is not None:
            self.total = total
        self._show()

    def say(self, title: str) -> None:
        self.title = title
        self._show()

    def rate(self) -> float:
        """Units per second since the start."""
        return self.done / max(1e-9, time.monotonic() - self.started_at)

    def _show(self) -> None: ...


class _Lines(Bar):
    """Plain lines, at most one per interval, and one at the end."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        super().__init__(title, total, unit)
        self.shown_at = self.started_at
        self.shown_step = ""

    def say(self, title: str) -> None:
        super().say(title)
        if self._step() != self.shown_step and not self.total:
            self.line()

    def _step(self) -> str:
        """What the title is about: "fetching: 3 of 46" and "fetching: 4 of 46" are one step, and one line."""
        return self.title.partition(":")[0]

    def _show(self) -> None:
        if time.monotonic() - self.shown_at >= LINE_INTERVAL_SECONDS:
            self.line()

    def line(self) -> None:
        self.shown_at = time.monotonic()
        self.shown_step = self._step()
        text = self.title
        if self.total:
            left = (self.total - self.done) / max(1e-9, self.rate())
            text += f": {self.done:,} of {self.total:,} {self.unit}, {self.rate():,.0f}/s, {left:,.0f} s left"
        elif self.done:
            text += f": {self.done:,} {self.unit}, {self.rate():,.0f}/s"
        print(text, file=sys.stderr, flush=True)


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if not task.speed else f"{task.speed:,.0f}/s", style="progress.data.speed")


class _RichBar(Bar):
    def __init__(self, title: str, total: int | None, unit: str, shown: Progress) -> None:
        super().__init__(title, total, unit)
        self._shown = shown
        self._task = shown.add_task(title, total=total)

    def _show(self) -> None:
        self._shown.update(self._task, completed=self.done, total=self.total, description=self.title)


@contextlib.contextmanager
def progress(title: str, total: int | None = None, *, unit: str = "") -> Iterator[Bar]:
    """A bar for one piece of work; `total=None` when nobody knows how much there is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        lines = _Lines(title, total, unit)
        yield lines
        if lines.done:
            lines.line()
        return
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn(bar_width=30)]
    columns += [MofNCompleteColumn(), TextColumn(unit), _RateColumn(), TimeRemainingColumn()] if total or unit else []
    with Progress(*columns, console=console, transient=False) as shown:
        yield _RichBar(title, total, unit, shown)
