"""Text and tables for people. Control characters in a channel's text are escaped, so it cannot control the terminal.

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

# The control characters of ASCII and Latin-1 except the tab, and those that change the direction of the line.
_STEERS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text as one line, with control characters escaped: `\\x1b` begins colours, cursor moves and titles, and after
    `\\n` a channel could fake lines. Ids, reasons and notes come from outside and may contain any character."""
    return _STEERS.sub(lambda found: repr(found[0])[1:-1], text)


def say(*lines: str, err: bool = False) -> None:
    """Print the lines on stdout, or stderr, for people to read."""
    for line in lines:
        typer.echo(visible(line), err=err)


def say_fault(fault: Fault) -> None:
    """Print on stderr what happened, the detail and what to do. The detail may have several lines."""
    say(*str(fault).splitlines(), err=True)


def fail(what: str, detail: str = "", hint: str = "") -> NoReturn:
    """Say on stderr what happened, the detail and what to do; exit status 1."""
    say_fault(Fault(what, detail, hint))
    raise typer.Exit(1)


def say_missing(news: Fault | str) -> None:
    """Print on stderr which workers are missing, or that they run now."""
    say(*str(news).splitlines(), err=True)


def print_json(document: Any) -> None:
    """Print one JSON document and a newline on stdout; terminal control characters are escaped."""
    text = json.dumps(document, ensure_ascii=False)
    typer.echo(_STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def grid(*columns: str, right: tuple[str, ...] = (), text: tuple[str, ...] = ()) -> Grid:
    """An empty table with these headings; the columns in `right` are right-aligned. `text` columns wrap between words
    if the terminal is narrow; others stay on one line, so that an id can be copied and searched for."""
    from gateway.cli.grid import empty_grid  # imported here: rich takes 0.1 s, and most commands print no table

    return empty_grid(columns, right, text)


def print_grid(table: Grid) -> None:
    """Print it as wide as the terminal or the limit for a pipe, and wider if ids would be cut."""
    from gateway.cli.grid import draw

    draw(table)
