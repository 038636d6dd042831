"""Text and tables for people: columns that line up, and nothing that a channel wrote can steer the terminal.

>>> visible("MUG\\x1b[2J")
'MUG\\\\x1b[2J'
"""

import json
import re
from typing import Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from runtime.errors import Fault

#: Columns of a table that goes to a file or a pipe: fewer would break ids in two, which no `grep` finds again.
PIPE_WIDTH_COLUMNS = 160

#: Wider than any table: what is measured is the table, not the terminal.
_UNBOUNDED = 100_000

# The control characters of ASCII and Latin-1 but the tab, and those that turn the direction of the line.
_STEERS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text as one line, with each character that would steer a terminal written out: `\\x1b` for the one that
    begins colours, cursor moves and titles, `\\n` for a line end, behind which a channel could make up lines. Ids,
    reasons and notes come from outside, and may hold any character."""
    return _STEERS.sub(lambda found: repr(found[0])[1:-1], text)


def say(*lines: str, err: bool = False) -> None:
    """Print the lines on stdout, or stderr, for people to read."""
    for line in lines:
        typer.echo(visible(line), err=err)


def say_fault(fault: Fault) -> None:
    """Print on stderr what happened, the detail and what to do. The detail may be several lines of a library."""
    say(*str(fault).splitlines(), err=True)


def say_missing(news: Fault | str) -> None:
    """Print on stderr which workers a command waits for, or that they run now."""
    say(*str(news).splitlines(), err=True)


def print_json(document: Any) -> None:
    """One JSON document and a newline, on stdout; a string that would steer the terminal is escaped."""
    text = json.dumps(document, ensure_ascii=False)
    typer.echo(_STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


class Grid(Table):
    """A table whose cells are text."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """One more row; what would steer the terminal is written out."""
        super().add_row(*map(visible, cells), **options)


def grid(*columns: str, right: tuple[str, ...] = (), text: tuple[str, ...] = ()) -> Grid:
    """An empty table with these headings; numbers stand to the right. `text` columns wrap between words where the
    terminal is narrow; all others stay on one line, so that an id can be copied and found again."""
    table = Grid(box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            visible(column),
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in text,
        )
    return table


def print_grid(table: Grid) -> None:
    """Print it as wide as the terminal, or as a pipe may be; wider where ids would be cut."""
    console = Console(highlight=False, markup=False)
    wanted = console.width if console.is_terminal else PIPE_WIDTH_COLUMNS
    least = Measurement.get(console, console.options.update(width=_UNBOUNDED), table).minimum
    # `crop`: rich cuts what is wider than it takes the terminal to be.
    Console(highlight=False, markup=False, width=max(wanted, least)).print(table, crop=False)
