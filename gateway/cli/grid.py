"""Tables for people: columns that line up, drawn by rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from gateway.cli.terminal import visible

#: Columns of a table in a file or a pipe: fewer would break ids in two, and `grep` would not find them.
PIPE_WIDTH_COLUMNS = 160

#: Wider than any table, to measure the table and not the terminal.
_UNBOUNDED = 100_000


class Grid(Table):
    """A table whose cells are text."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; terminal control characters are escaped."""
        super().add_row(*map(visible, cells), **options)


def empty_grid(columns: Sequence[str], right: Sequence[str], text: Sequence[str]) -> Grid:
    """A table with these headings; see `terminal.grid`."""
    table = Grid(box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            visible(column),
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in text,
        )
    return table


def draw(table: Grid) -> None:
    """Print the table; see `terminal.print_grid`."""
    console = Console(highlight=False, markup=False)
    wanted = console.width if console.is_terminal else PIPE_WIDTH_COLUMNS
    least = Measurement.get(console, console.options.update(width=_UNBOUNDED), table).minimum
    # Without `crop=False` rich cuts a table that is wider than the terminal.
    Console(highlight=False, markup=False, width=max(wanted, least)).print(table, crop=False)
