"""`order-ledger import`: import a retailer's history."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.context import StartServices, days, services_for
from gateway.cli.season import NOT_SHOWN, Json, Seed
from gateway.cli.terminal import print_json, say, say_missing
from gateway.connectors.connector import Connector, Request
from gateway.connectors.decimal_marks import DecimalMark
from gateway.connectors.table import CONNECTORS
from gateway.operating.workers import Lookout
from processors.worker import resolve
from runtime.postgres import connect
from runtime.services import Services
from runtime.settings import Settings

Decimal = Annotated[
    DecimalMark | None,
    typer.Option(help="The file's decimal mark, if its numbers are ambiguous (1,800)."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    importing = typer.Typer(name="import", help="Import a retailer's history.", no_args_is_help=True)
    for row in CONNECTORS.values():
        said = f"{row.help} Files: {row.kinds_in_words}."
        importing.command(row.name, help=said, epilog=f"Example: {row.example}")(import_command)
    importing.callback()(_group)
    app.add_typer(importing)


def _group() -> None:
    """Import a retailer's history: real orders, with the warehouse around them simulated and labelled so."""


def import_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file to import.")],
    *,
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, included.")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")] = None,
    seed: Seed = 1,
    decimal: Decimal = None,
    start: StartServices = False,
    as_json: Json = False,
) -> None:
    """Import a file with the connector that has the command's name."""
    first, last = days(from_, to)
    settings = Settings()
    services = services_for(settings, start=start)
    request = Request(file, first, last, seed, decimal=decimal)
    account = run_import(settings, services, CONNECTORS[str(context.info_name)], request)
    if as_json:
        print_json({key: value for key, value in account.items() if key not in NOT_SHOWN})
    else:
        say(*account["text"].splitlines())


def run_import(
    settings: Settings, services: Services, connector: Connector, request: Request, *, patience_seconds: float = 0.0
) -> dict[str, Any]:
    """Import with running workers (also for `demo`). Returns the account, with phases and scope of the run."""
    from gateway.sending.scenarios import Run

    lookout = Lookout(services, settings, say_missing, patience_seconds=patience_seconds)
    with connect(services, "import") as connection:
        run = Run(settings, services, connection, lookout)
        account = resolve(connector.bring_in)(run, request)
    return {**account, "phases": [phase._asdict() for phase in run.phases], "scope": run.scope()}
