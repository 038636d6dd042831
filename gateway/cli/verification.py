"""`order-ledger verify`: compare the tables with the log."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer
from confluent_kafka import KafkaException

from gateway.cli.asking import codec, fail_with, running_services
from gateway.cli.listing import Json
from gateway.cli.terminal import print_json, say
from processors.verify import PROCESSES_MAX, Progress, Report, verify
from runtime.errors import Fault
from runtime.progress import Bar, progress


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("verify", epilog="Example: order-ledger verify --json")(verify_command)


def verify_command(
    *,
    schema: Annotated[str, typer.Option(help="Schema of the tables.")] = "public",
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=PROCESSES_MAX,
            metavar="N",
            help="Processes that share the work. Default: 2, and 1 for a short log.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute all tables again from the log with separate code and compare every row; exit status 1 if they differ."""
    services = running_services()
    with progress("reading the log", unit="records") as bar:
        try:
            report = verify(services, codec(), schema=schema, processes=processes, progress=shown_by(bar))
        except (Fault, KafkaException, psycopg.Error) as error:
            fail_with(error)
    if as_json:
        print_json(report.as_json())
    else:
        _tell(report)
    if not report.equal:
        raise typer.Exit(1)


def shown_by(bar: Bar) -> Progress:
    """Show the progress of `verify` on this bar; each table is a separate piece of work."""

    def show(what: str, done: int, total: int, unit: str) -> None:
        if what != bar.title:
            bar.begin(what, total, unit)
        bar.reach(done, total)

    return show


def _tell(report: Report) -> None:
    for name, rows in report.tables.items():
        say(f"{name:24} {rows:>12,} rows")
    for topic, reasons in report.skipped.items():
        for reason, entry in reasons.items():
            say(f"{topic}: {entry['count']:,} facts skipped, {reason}; first at {', '.join(entry['places'])}")
    difference = report.first_difference
    if difference is None:
        say(f"equal: the tables are what {report.facts:,} facts say")
    else:
        say(f"NOT EQUAL: {difference.table} {difference.key} column {difference.column}")
        say(f"  expected: {difference.expected!r}")
        say(f"  found:    {difference.found!r}")
