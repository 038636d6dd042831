"""`order-ledger cases`: open service cases."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.context import open_database
from gateway.cli.listing import Csv, Json, Limit, form_of, print_listing
from gateway.cli.terminal import grid, print_grid
from gateway.cli.words import noun
from gateway.reading.listing import nothing
from projections.cases.reader import read_open_cases
from projections.page import Page


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    cases = noun(app, "cases", "Open service cases.")
    cases.command("list", epilog="Example: order-ledger cases list --topic dispatch_crossed_cancellation --json")(
        cases_command
    )


def cases_command(
    *,
    topic: Annotated[str | None, typer.Option(help="Only this topic.")] = None,
    limit: Limit = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List open service cases, oldest first; ResolveCase ends one."""
    form = form_of(limit, as_json=as_json, as_csv=as_csv)
    with open_database() as connection:
        page = read_open_cases(connection, topic, limit=form.limit)
    print_listing(form, page, nothing("open cases", topic=topic), _show_cases)


def _show_cases(page: Page) -> None:
    table = grid("opened at", "case", "order", "topic", "urgency", "opened by")
    for row in page:
        cells = (row["opened_at"], row["case_id"], row["order_id"] or "", row["topic"] or "", row["urgency"] or "")
        table.add_row(*cells, row["channel"] or "")
    print_grid(table)
