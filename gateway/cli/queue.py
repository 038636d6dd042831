"""`order-ledger queue list`: orders that a person is to decide about."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.context import open_database, print_json
from projections.work_queue.reader import read_queue

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    queue = typer.Typer(help="Orders that a person is to decide about.", no_args_is_help=True)
    queue.command("list", epilog="Example: order-ledger queue list --queue rejections --json")(list_command)
    # With a callback a single command keeps its name: `queue list`, not `queue`.
    queue.callback()(_queue)
    app.add_typer(queue, name="queue")


def list_command(
    *, queue: Annotated[str | None, typer.Option(help="Only this queue.")] = None, as_json: Json = False
) -> None:
    """List open entries, oldest first; ResolveQueued (retry, cancel, leave) takes one off."""
    with open_database() as connection:
        rows = read_queue(connection, queue)
    if as_json:
        print_json({"rows": rows})
        return
    for row in rows:
        typer.echo(f"{row['since']}  {row['queue']}  {row['order_id']}  {row['reason']}\n  {row['detail']}")
    if not rows:
        typer.echo("nothing waits for a person", err=True)


def _queue() -> None:
    """Orders that a person is to decide about."""
