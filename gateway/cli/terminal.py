"""Text and tables for people: columns that line up, and nothing that a channel wrote can steer the terminal.

>>> visible("MUG\\x1b[2J")
'MUG\\\\x1b[2J'
"""

import json
import re
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

#: Columns of a table that goes to a file or a pipe: fewer would break ids in two, which no `grep` finds again.
PIPE_WIDTH_COLUMNS = 160

# The control characters of ASCII and Latin-1, and those that turn the direction of the line. Line ends stay.
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with each character that would steer a terminal written out: `\\x1b` for the one that begins colours,
    cursor moves and titles. Ids, reasons and notes come from outside, and may hold any character."""
    return _STEERS.sub(lambda found: repr(found[0])[1:-1], text)


def say(text: str, *, err: bool = False) -> None:
    """Print it on stdout, or stderr, for people to read."""
    typer.echo(visible(text), err=err)


def print_json(document: Any) -> None:
    """One JSON document and a newline, on stdout; a string that would steer the terminal is escaped."""
    text = json.dumps(document, ensure_ascii=False)
    typer.echo(_STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


class Grid(Table):
    """A table whose cells are text."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """One more row; what would steer the terminal is written out."""
        super().add_row(*(visible(cell).replace("\n", "\\n") for cell in cells), **options)


def grid(*columns: str, right: tuple[str, ...] = ()) -> Grid:
    """An empty table with these headings; numbers stand to the right."""
    table = Grid(box=None, pad_edge=False)
    for column in columns:
        table.add_column(visible(column), justify="right" if column in right else "left", overflow="fold")
    return table


def print_grid(table: Grid) -> None:
    """Print it as wide as the terminal, or as a pipe may be."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=PIPE_WIDTH_COLUMNS)
    console.print(table)
