"""Panels of lines as SVG, for reports: nothing but text, so that a diff of a report can be read.

chart("seconds", [Panel("memory, MB", [Line("ledger", [0, 1], [100, 101])])], marks=[Mark(0.5, "killed")])
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, PANEL, MARGIN = 900, 180, 60
COLOURS = ("#1f6feb", "#d29922", "#2da44e", "#cf222e", "#8250df", "#57606a")
GREYS = ("#e9ecef", "#f6f7f9")
#: Lines of the grid along an axis, at most. More hide the lines, fewer make a reader guess.
TICKS_MAX = 8


class Line(NamedTuple):
    """A named line through points; a point whose y is not a number is left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


class Panel(NamedTuple):
    """Lines that share a y axis. `log`: powers of ten are equally far apart; what is not above 0 is left out."""

    title: str
    lines: Sequence[Line]
    log: bool = False


class Mark(NamedTuple):
    """A thin vertical line through all panels; its name stands above the first one."""

    at: float
    name: str = ""


class Band(NamedTuple):
    """A stretch of the x axis with a grey background; its name stands above the first panel."""

    begin: float
    end: float
    name: str


class _Axis(NamedTuple):
    """From values to pixels."""

    least: float
    most: float
    begin: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        least, most = (math.log10(self.least), math.log10(self.most)) if self.log else (self.least, self.most)
        share = ((math.log10(value) if self.log else value) - least) / (most - least)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> Iterator[float]:
        if self.log:
            yield from (10.0**n for n in range(round(math.log10(self.least)), round(math.log10(self.most)) + 1))
            return
        step = _step(self.most - self.least)
        yield from (step * n for n in range(math.ceil(self.least / step), math.floor(self.most / step) + 1))


def chart(x_name: str, panels: Sequence[Panel], marks: Sequence[Mark] = (), bands: Sequence[Band] = ()) -> str:
    """One panel below the other, all with the same x axis."""
    x_max = max((x for panel in panels for line in panel.lines for x in line.x), default=1.0) or 1.0
    across = _Axis(0.0, x_max, MARGIN, WIDTH - MARGIN)
    height = MARGIN + len(panels) * (PANEL + MARGIN)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            f'font-size="12"><rect width="{WIDTH}" height="{height}" fill="white"/>'
        )
    ]
    over = [((band.begin + band.end) / 2, 14, 12, band.name) for band in bands]
    # Names of marks stand in two lines in turn, because marks may be near each other.
    over += [(mark.at, 28 + 12 * (number % 2), 10, mark.name) for number, mark in enumerate(marks)]
    parts += [
        f'<text x="{across.at(x):.0f}" y="{y}" text-anchor="middle" font-size="{size}" fill="#57606a">{escape(name)}'
        "</text>"
        for x, y, size, name in over
        if name
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, marks, bands, across, top=MARGIN + number * (PANEL + MARGIN))
    parts.append(f'<text x="{WIDTH / 2}" y="{height - 20}" text-anchor="middle">{escape(x_name)}</text>')
    return "\n".join([*parts, "</svg>"])


def _panel(panel: Panel, marks: Sequence[Mark], bands: Sequence[Band], across: _Axis, *, top: int) -> list[str]:
    bottom = top + PANEL
    up = _up(panel, top)
    names = "".join(
        f'<tspan fill="{COLOURS[i % len(COLOURS)]}" font-weight="bold" dx="12">{escape(line.name)}</tspan>'
        for i, line in enumerate(panel.lines)
    )
    parts = [
        f'<rect x="{across.at(band.begin):.0f}" y="{top}" width="{across.at(band.end) - across.at(band.begin):.0f}" '
        f'height="{PANEL}" fill="{GREYS[number % len(GREYS)]}"/>'
        for number, band in enumerate(bands)
    ]
    for tick in up.ticks():
        y = up.at(tick)
        parts += [
            f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.0f}" y2="{y:.0f}" stroke="#e5e7eb"/>',
            f'<text x="{MARGIN - 6}" y="{y + 4:.0f}" text-anchor="end">{tick:,g}</text>',
        ]
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(f'<text x="{x:.0f}" y="{bottom + 14}" text-anchor="middle" font-size="10">{tick:,g}</text>')
    parts += [
        f'<line x1="{across.at(mark.at):.0f}" x2="{across.at(mark.at):.0f}" y1="{top}" y2="{bottom}" stroke="#bbb" '
        'stroke-dasharray="2 2"/>'
        for mark in marks
    ]
    parts += [
        f'<text x="{MARGIN}" y="{top - 8}">{escape(panel.title)}{names}</text>',
        f'<rect x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{PANEL}" fill="none" stroke="#bbb"/>',
    ]
    for index, line in enumerate(panel.lines):
        points = " ".join(
            f"{across.at(x):.1f},{up.at(y):.1f}"
            for x, y in zip(line.x, line.y, strict=True)
            if not math.isnan(y) and (y > 0 or not panel.log)
        )
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    return parts


def _up(panel: Panel, top: int) -> _Axis:
    """The y axis: from 0 to the largest value, or between the powers of ten around all values."""
    values = [y for line in panel.lines for y in line.y if not math.isnan(y)]
    most = max(values, default=1.0) or 1.0
    if not panel.log:
        return _Axis(0.0, most * 1.05, top + PANEL, top)
    least = min((y for y in values if y > 0), default=1.0)
    powers = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return _Axis(10.0 ** powers[0], 10.0 ** max(powers[0] + 1, powers[1]), top + PANEL, top, log=True)


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten: so far apart that there are at most TICKS_MAX."""
    power = 10.0 ** math.floor(math.log10(span / TICKS_MAX))
    return next(step * power for step in (1, 2, 5, 10) if span / (step * power) <= TICKS_MAX)
