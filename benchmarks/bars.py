"""Horizontal bars of parts as SVG, for reports: nothing but text, so that a diff of a report can be read.

bars("CPU µs an order", [Bar("order-ledger", {"own": 1_600, "Kafka": 300}, 1_900)], most=4_000)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from tests.faults.chart import COLOURS

WIDTH, LEFT, RIGHT, BAR, GAP = 900, 190, 120, 30, 14


class Bar(NamedTuple):
    """A named bar of parts, from left to right, and the sum that is written behind it."""

    name: str
    parts: Mapping[str, float]
    total: float


def bars(title: str, rows: Sequence[Bar], most: float) -> str:
    """All bars to one scale; one that is longer than `most` is cut there, and says so. The same parts in each bar."""
    names = list(dict.fromkeys(name for row in rows for name in row.parts))
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    legend = "".join(f'<tspan fill="{colours[name]}" dx="12">{escape(name)}</tspan>' for name in names)
    height = 40 + len(rows) * (BAR + GAP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="22">{escape(title)}{legend}</text>',
    ]
    for number, row in enumerate(rows):
        top, begin = 36 + number * (BAR + GAP), 0.0
        out.append(f'<text x="{LEFT - 8}" y="{top + 20}" text-anchor="end">{escape(row.name)}</text>')
        for name, value in row.parts.items():
            end = min(most, begin + value)
            x, width = (one / most * (WIDTH - LEFT - RIGHT) for one in (begin, end - begin))
            out.append(
                f'<rect x="{LEFT + x:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colours[name]}"/>'
            )
            begin = end
        behind = LEFT + begin / most * (WIDTH - LEFT - RIGHT) + 6
        cut = " (cut)" if begin < sum(row.parts.values()) else ""
        out.append(f'<text x="{behind:.1f}" y="{top + 20}">{row.total:,.0f}{cut}</text>')
    return "\n".join([*out, "</svg>"])
