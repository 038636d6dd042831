"""`order-ledger queue list | cases`: orders that a person is to decide about, and cases that are open."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.context import open_database
from gateway.cli.terminal import grid, print_grid, print_json, say
from projections.kpi.order_cases import read_open_cases
from projections.work_queue.reader import read_queue

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    queue = typer.Typer(help="Orders that a person is to decide about.", no_args_is_help=True)
    queue.command("list", epilog="Example: order-ledger queue list --queue rejections --json")(list_command)
    # With a callback a single command keeps its name: `queue list`, not `queue`.
    queue.callback()(_queue)
    app.add_typer(queue, name="queue")
    app.command("cases", epilog="Example: order-ledger cases --topic dispatch_crossed_cancellation --json")(
        cases_command
    )


def list_command(
    *, queue: Annotated[str | None, typer.Option(help="Only this queue.")] = None, as_json: Json = False
) -> None:
    """List open entries, oldest first; ResolveQueued (retry, cancel, leave) takes one off."""
    with open_database() as connection:
        rows = read_queue(connection, queue)
    if as_json:
        print_json({"rows": rows})
        return
    if not rows:
        say("nothing waits for a person", err=True)
        return
    table = grid("since", "queue", "order", "open units", "due by", "reason", "why", right=("open units",))
    for row in rows:
        units = "" if row["open"] is None else f"{row['open']:,}"
        cells = (row["since"], row["queue"], row["order_id"], units, row["due_by"] or "")
        table.add_row(*cells, row["reason"] or "", row["detail"] or "")
    print_grid(table)


def cases_command(
    *, topic: Annotated[str | None, typer.Option(help="Only about this.")] = None, as_json: Json = False
) -> None:
    """List service cases that are open, oldest first; ResolveCase ends one."""
    with open_database() as connection:
        rows = read_open_cases(connection, topic)
    if as_json:
        print_json({"rows": rows})
        return
    if not rows:
        say("no case is open", err=True)
        return
    table = grid("opened at", "case", "order", "topic", "urgency", "opened by")
    for row in rows:
        cells = (row["opened_at"], row["case_id"], row["order_id"] or "", row["topic"] or "", row["urgency"] or "")
        table.add_row(*cells, row["channel"] or "")
    print_grid(table)


def _queue() -> None:
    """Orders that a person is to decide about."""
