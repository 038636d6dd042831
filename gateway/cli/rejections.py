"""`order-ledger rejections`: refused commands."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.context import open_database
from gateway.cli.listing import Csv, Json, Limit, form_of, print_listing
from gateway.cli.terminal import say
from gateway.cli.words import noun
from gateway.reading.listing import nothing
from projections.answers.reader import read_rejections
from projections.page import Page


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    rejections = noun(app, "rejections", "Refused commands.")
    rejections.command("list", epilog="Example: order-ledger rejections list --limit 10 --json")(rejections_command)


def rejections_command(
    *,
    channel: Annotated[str | None, typer.Option(help="Only commands of this channel.")] = None,
    limit: Limit = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List refused commands, newest first: what, why, and what to do."""
    form = form_of(limit, as_json=as_json, as_csv=as_csv)
    with open_database() as connection:
        page = read_rejections(connection, channel=channel, limit=form.limit)
    print_listing(form, page, nothing("refused commands", channel=channel), _show_rejections)


def _show_rejections(page: Page) -> None:
    for row in page:
        say(f"{row['recorded_at']}  {row['channel']}/{row['id']}  {row['command']} of {row['stream_id']}")
        say(f"  {row['what']}", f"    detail: {row['detail']}", f"    hint: {row['hint']}")
