"""`order-ledger queue`: orders that wait for a person's decision."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.context import open_database
from gateway.cli.listing import Csv, Json, Limit, form_of, print_listing
from gateway.cli.terminal import grid, print_grid
from gateway.cli.words import noun
from gateway.reading.listing import nothing
from projections.page import Page
from projections.work_queue.reader import read_queue


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    queue = noun(app, "queue", "Orders that wait for a person's decision.")
    queue.command("list", epilog="Example: order-ledger queue list --queue rejections --json")(list_command)


def list_command(
    *,
    queue: Annotated[str | None, typer.Option(help="Only this queue.")] = None,
    limit: Limit = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List orders that wait for a person, oldest first; ResolveQueued (retry, cancel, leave) removes one."""
    form = form_of(limit, as_json=as_json, as_csv=as_csv)
    with open_database() as connection:
        page = read_queue(connection, queue, limit=form.limit)
    print_listing(form, page, nothing("orders that wait for a person", queue=queue), _show_queue)


def _show_queue(page: Page) -> None:
    table = grid(
        "since", "queue", "order", "open units", "due by", "reason", "why", right=("open units",), text=("why",)
    )
    for row in page:
        units = "" if row["open"] is None else f"{row['open']:,}"
        cells = (row["since"], row["queue"], row["order_id"], units, row["due_by"] or "")
        table.add_row(*cells, row["reason"] or "", row["detail"] or "")
    print_grid(table)
