"""`order-ledger publish`: send commands and show the outcome of each."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.context import StartServices, finite, services_for
from gateway.cli.terminal import print_json, say, say_missing
from gateway.operating.workers import Lookout, undecided
from gateway.sending.sources import open_source
from runtime.postgres import connect
from runtime.progress import progress
from runtime.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

#: Outcomes shown as text; `--json` has all.
SHOWN_MAX = 20


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("publish", epilog="Example: order-ledger publish orders.ndjson --json")(publish_command)


def publish_command(
    file: Annotated[
        str, typer.Argument(help="NDJSON, one command per line: a file (.gz and .zst too), a pipe, or - for stdin.")
    ],
    *,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return when Kafka has the commands, before they are decided.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, callback=finite, help="Seconds to wait for the decisions.")] = 120.0,
    start: StartServices = False,
    as_json: Json = False,
) -> None:
    """Publish commands and show the result of each: accepted, duplicate, rejected (and why) or dead."""
    from gateway.sending.ndjson import lines
    from gateway.sending.publishing import NotTaken, Undecided, publish_lines

    with open_source(file) as source:
        settings = Settings()
        services = services_for(settings, start=start)
        lookout = Lookout(services, settings, say_missing)
        try:
            with connect(services, "publish") as connection, progress("publishing", None, unit="lines") as bar:
                lookout.look()
                report = publish_lines(
                    settings,
                    services,
                    connection,
                    lines(source),
                    wait=not no_wait,
                    timeout_seconds=timeout,
                    on_line=bar.advance,
                    on_sent=lambda: bar.begin(
                        "Kafka has all of them" + ("" if no_wait else "; waiting for the decisions")
                    ),
                    on_look=lookout.look,
                )
        except Undecided as fault:
            raise undecided(fault, lookout.missing) from fault
        except NotTaken as fault:
            if as_json:
                print_json({"not_taken": fault.ids})
            raise
    document = report.as_dict()
    if as_json:
        print_json(document)
    else:
        say("  ".join(f"{kind} {document[kind]}" for kind in report.kinds))
        for row in report.outcomes[:SHOWN_MAX]:
            again = " again" if row.repeated and row.outcome == "rejected" else ""
            say(f"line {row.line} ({row.id or 'no id'}) {row.outcome}{again}: {row.what}")
            say(f"  detail: {row.detail}", f"  hint: {row.hint}")
        if len(report.outcomes) > SHOWN_MAX:
            say(f"… and {len(report.outcomes) - SHOWN_MAX} more; --json lists all")
        say(*report.notes, err=True)
    if report.broken is not None:
        raise report.broken
