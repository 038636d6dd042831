"""Panels of lines as SVG, for reports: nothing but text, so that a diff of a report can be read.

chart("seconds", [("memory, MB", [Line("ledger", [0, 1], [100, 101])])], marks=[0.5])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, PANEL, MARGIN = 900, 180, 60
COLOURS = ("#1f6feb", "#d29922", "#2da44e", "#cf222e")


class Line(NamedTuple):
    """A named line through points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def chart(x_name: str, panels: Sequence[tuple[str, Sequence[Line]]], marks: Sequence[float] = ()) -> str:
    """One panel below the other, all with the same x axis; `marks` are thin vertical lines (faults)."""
    x_max = max((x for _, lines in panels for line in lines for x in line.x), default=1.0) or 1.0
    height = MARGIN + len(panels) * (PANEL + MARGIN)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            f'font-size="12"><rect width="{WIDTH}" height="{height}" fill="white"/>'
        )
    ]
    for number, (title, lines) in enumerate(panels):
        parts += _panel(title, lines, marks, x_max, top=MARGIN + number * (PANEL + MARGIN))
    parts.append(
        f'<text x="{WIDTH / 2}" y="{height - 20}" text-anchor="middle">{escape(x_name)}, 0 to {x_max:,.0f}</text>'
    )
    return "\n".join([*parts, "</svg>"])


def _panel(title: str, lines: Sequence[Line], marks: Sequence[float], x_max: float, *, top: int) -> list[str]:
    y_max = max((y for line in lines for y in line.y if not math.isnan(y)), default=1.0) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return MARGIN + x / x_max * (WIDTH - 2 * MARGIN), top + PANEL - y / y_max * PANEL

    names = "".join(
        f'<tspan fill="{COLOURS[i % len(COLOURS)]}" dx="12">{escape(line.name)}</tspan>' for i, line in enumerate(lines)
    )
    parts = [
        f'<text x="{MARGIN}" y="{top - 8}">{escape(title)}{names}</text>',
        f'<rect x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{PANEL}" fill="none" stroke="#bbb"/>',
        f'<text x="{MARGIN - 6}" y="{top + 10}" text-anchor="end">{y_max:,.0f}</text>',
        f'<text x="{MARGIN - 6}" y="{top + PANEL}" text-anchor="end">0</text>',
    ]
    for mark in marks:
        x, _ = at(mark, 0)
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{top}" y2="{top + PANEL}" stroke="#eee"/>')
    for index, line in enumerate(lines):
        points = " ".join(
            f"{px:.1f},{py:.1f}"
            for px, py in (at(x, y) for x, y in zip(line.x, line.y, strict=True) if not math.isnan(y))
        )
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    return parts
