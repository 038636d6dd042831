"""Common to all listing commands: `--limit`, `--json`, `--csv`, and the messages for no rows and for more rows.

    form = form_of(limit, as_json=as_json, as_csv=as_csv)          # the three options of every listing
    page = read_queue(connection, queue, limit=form.limit)
    print_listing(form, page, nothing("orders in a queue", queue=queue), show)

Text shows a screen or two; `--json` and `--csv` have all rows unless a limit is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

from gateway.cli.context import LIMIT_MAX
from gateway.cli.terminal import fail, print_json, say, visible
from gateway.reading.listing import csv_lines
from projections.page import Page

#: Rows shown as text by default: one or two screens.
ROWS_SHOWN = 50

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV on stdout, with a header.")]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1, max=LIMIT_MAX, help=f"Maximum number of rows. Default: {ROWS_SHOWN}; with --json or --csv, all."
    ),
]

IDS_HINT = (
    "  hint: ids are case-sensitive; after publishing, `order-ledger settle` waits until the tables have caught up"
)


class Form(NamedTuple):
    """The format of a listing; `limit` is None for all rows."""

    as_json: bool
    as_csv: bool
    limit: int | None


def form_of(limit: int | None, *, as_json: bool, as_csv: bool, shown: int = ROWS_SHOWN) -> Form:
    """The format from the options. Ends the command if they contradict each other."""
    if as_json and as_csv:
        fail("--json and --csv exclude each other", "each is a format of the output", "leave one out")
    return Form(as_json, as_csv, limit if limit is not None or as_json or as_csv else shown)


def print_listing(
    form: Form, page: Page, none: str | Callable[[], str], show: Callable[[Page], None], **beside: Any
) -> None:
    """Print the rows in the format: `show` prints them as text, `none` is the message if there are none.

    Messages go to stderr, so that stdout has only rows.
    """
    if form.as_json:
        print_json({"rows": page, "total": page.total, **beside})
        return
    if form.as_csv:
        print_csv(page)
    elif page:
        show(page)
    if not page:
        say(*(none if isinstance(none, str) else none()).splitlines(), err=True)
    say_more(len(page), page.total, "rows")


def print_csv(page: Page) -> None:
    """The rows as CSV; terminal control characters and line ends are escaped."""
    for line in csv_lines(page.fields, page):
        typer.echo(visible(line[:-1]))


def say_more(shown: int, total: int, things: str) -> None:
    """Say on stderr how many rows there are and how to see them; nothing if all are shown."""
    if shown < total:
        say(f"… {shown:,} of {total:,} {things}; to show all: --limit {total}, --csv or --json", err=True)
