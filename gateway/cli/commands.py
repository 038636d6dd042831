"""`publish`, `import` and `simulate`: what goes in."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.context import SEED_MAX, StartServices, days, finite, services_for
from gateway.cli.terminal import print_json, say, say_missing
from gateway.connectors.decimal_marks import DecimalMark
from gateway.sources import open_source
from gateway.workers import Lookout, undecided
from runtime.postgres import connect
from runtime.progress import progress
from runtime.services import Services
from runtime.settings import Settings

#: Orders of a season. Each is some twenty records: beyond this a slip of the keyboard fills the disk.
ORDERS_MAX = 10_000_000

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Seed = Annotated[int, typer.Option(min=-SEED_MAX, max=SEED_MAX, help="The same seed gives the same commands.")]
Orders = Annotated[int, typer.Option(min=1, max=ORDERS_MAX, help="Orders of the simulated season.")]

Decimal = Annotated[
    DecimalMark | None,
    typer.Option(help="The file's decimal mark, where its numbers can be read in two ways (1,800)."),
]

#: Rejections shown in words; `--json` has all.
SHOWN_MAX = 20
#: Of what a run answers: the text is for people, the scope for whoever reads its figures.
NOT_SHOWN = ("text", "scope")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("publish", epilog="Example: order-ledger publish orders.ndjson --json")(publish_command)
    importing = typer.Typer(name="import", help="Import a retailer's history.", no_args_is_help=True)
    importing.command(
        "online-retail", epilog="Example: order-ledger import online-retail FILE --from 2010-11-01 --to 2010-11-30"
    )(import_command)
    importing.callback()(_group)
    app.add_typer(importing)
    app.command("simulate", epilog="Example: order-ledger simulate --orders 2000 --seed 7 --surge 10")(simulate_command)


def _group() -> None:
    """Import a retailer's history: real orders, with the warehouse around them simulated and labelled so."""


def publish_command(
    file: Annotated[
        str, typer.Argument(help="NDJSON, one command per line: a file (.gz and .zst too), a pipe, or - for stdin.")
    ],
    *,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return when Kafka has the commands, decided or not.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, callback=finite, help="Seconds to wait for the decisions.")] = 120.0,
    start: StartServices = False,
    as_json: Json = False,
) -> None:
    """Publish commands and tell what became of each: accepted, duplicate, rejected (and why) or dead."""
    from gateway.ndjson import lines
    from gateway.publishing import NotTaken, Undecided, publish_lines

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
            say(f"line {row.line} ({row.id or 'no id'}) {row.outcome}: {row.what}")
            say(f"  detail: {row.detail}", f"  hint: {row.hint}")
        if len(report.outcomes) > SHOWN_MAX:
            say(f"… and {len(report.outcomes) - SHOWN_MAX} more; --json lists all")
        say(*report.notes, err=True)
    if report.broken is not None:
        raise report.broken


def import_command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="parquet, csv or xlsx")],
    *,
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, included.")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")] = None,
    seed: Seed = 1,
    decimal: Decimal = None,
    start: StartServices = False,
    as_json: Json = False,
) -> None:
    """Import a file in the layout of UCI Online Retail (I or II); every row is accounted for once."""
    first, last = days(from_, to)
    settings = Settings()
    services = services_for(settings, start=start)
    account = run_import(settings, services, file, first, last, seed=seed, decimal=decimal)
    if as_json:
        print_json({key: value for key, value in account.items() if key not in NOT_SHOWN})
    else:
        say(*account["text"].splitlines())


def run_import(
    settings: Settings,
    services: Services,
    file: Path,
    from_: date | None,
    to: date | None,
    *,
    seed: int,
    peak: bool = False,
    decimal: DecimalMark | None = None,
    patience_seconds: float = 0.0,
) -> dict[str, Any]:
    """The import with running workers; used by `demo` too. The account, with the phases of the run and its scope."""
    from gateway.scenarios import Run, import_online_retail

    lookout = Lookout(services, settings, say_missing, patience_seconds=patience_seconds)
    with connect(services, "import") as connection:
        run = Run(settings, services, connection, lookout)
        account = import_online_retail(run, file, from_=from_, to=to, seed=seed, peak=peak, decimal=decimal)
    return {**account, "phases": [phase._asdict() for phase in run.phases], "scope": run.scope()}


def simulate_command(
    *,
    orders: Orders = 2_000,
    seed: Seed = 7,
    surge: Annotated[
        float, typer.Option(min=1, max=1000, callback=finite, help="Black Friday's orders over a normal day's.")
    ] = 10.0,
    start: StartServices = False,
    as_json: Json = False,
) -> None:
    """Run a labelled, seeded peak season through the ledger: orders, picks, carriers, returns, counts, cases."""
    settings = Settings()
    done = run_simulation(settings, services_for(settings, start=start), orders=orders, seed=seed, surge=surge)
    if as_json:
        print_json({key: value for key, value in done.items() if key not in NOT_SHOWN})
    else:
        say(*done["text"].splitlines())


def run_simulation(
    settings: Settings, services: Services, *, orders: int, seed: int, surge: float, patience_seconds: float = 0.0
) -> dict[str, Any]:
    """The season with running workers; used by `demo` too. What it was, with the phases of the run and its scope."""
    from gateway.scenarios import Run, simulate

    lookout = Lookout(services, settings, say_missing, patience_seconds=patience_seconds)
    with connect(services, "simulate") as connection:
        run = Run(settings, services, connection, lookout)
        done = simulate(run, orders=orders, seed=seed, surge=surge)
    return {**done, "phases": [phase._asdict() for phase in run.phases], "scope": run.scope()}
