"""`order-ledger doctor`: health checks."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer

from gateway.cli.asking import fail_with
from gateway.cli.listing import Json
from gateway.cli.terminal import fail, print_json, say
from gateway.operating.doctor import acknowledge, examine, healthy
from runtime.errors import Fault
from runtime.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor", epilog="Example: order-ledger doctor")(doctor_command)


def doctor_command(
    *,
    seen: Annotated[
        bool,
        typer.Option("--acknowledge", help="Mark past warnings as seen: they stay silent until more happen."),
    ] = False,
    why: Annotated[str, typer.Option(help="With --acknowledge: what was done about them.")] = "",
    as_json: Json = False,
) -> None:
    """Check services, topics, workers, skipped facts and dead letters; exit status 1 if a check fails."""
    if why and not seen:
        fail("--why needs --acknowledge", "it is stored with the acknowledged warnings", "add --acknowledge")
    settings = Settings()
    checks = examine(settings)
    if seen:
        try:
            noted = acknowledge(settings, checks, why)
        except (Fault, psycopg.Error) as error:
            fail_with(error)
        say(f"{len(noted)} warnings acknowledged", err=True)
        checks = examine(settings) if noted else checks
    if as_json:
        print_json({"healthy": healthy(checks), "checks": [check.as_json() for check in checks]})
    else:
        for check in checks:
            say(f"{check.verdict:4}  {check.what}" + (f"  ({check.detail})" if check.detail else ""))
            if check.hint:
                say(f"      → {check.hint}")
    if not healthy(checks):
        raise typer.Exit(1)
