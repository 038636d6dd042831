"""Text and tables for people: columns that line up, and nothing that a channel wrote can steer the terminal.

>>> visible("MUG\\x1b[2J")
'MUG\\\\x1b[2J'
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from runtime.errors import Fault

if TYPE_CHECKING:
    from gateway.cli.grid import Grid

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


def fail(what: str, detail: str = "", hint: str = "") -> NoReturn:
    """Say on stderr what happened, the detail and what to do; exit status 1."""
    say_fault(Fault(what, detail, hint))
    raise typer.Exit(1)


def say_missing(news: Fault | str) -> None:
    """Print on stderr which workers a command waits for, or that they run now."""
    say(*str(news).splitlines(), err=True)


def print_json(document: Any) -> None:
    """One JSON document and a newline, on stdout; a string that would steer the terminal is escaped."""
    text = json.dumps(document, ensure_ascii=False)
    typer.echo(_STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def grid(*columns: str, right: tuple[str, ...] = (), text: tuple[str, ...] = ()) -> Grid:
    """An empty table with these headings; numbers stand to the right. `text` columns wrap between words where the
    terminal is narrow; all others stay on one line, so that an id can be copied and found again."""
    from gateway.cli.grid import empty_grid  # here: what draws tables takes 0.1 s to import, and most output is none

    return empty_grid(columns, right, text)


def print_grid(table: Grid) -> None:
    """Print it as wide as the terminal, or as a pipe may be; wider where ids would be cut."""
    from gateway.cli.grid import draw

    draw(table)
