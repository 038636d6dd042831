"""`order-ledger simulate`: send a simulated season of orders."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.context import SEED_MAX, StartServices, finite, services_for
from gateway.cli.terminal import print_json, say, say_missing
from gateway.operating.workers import Lookout
from runtime.postgres import connect
from runtime.services import Services
from runtime.settings import Settings

#: Orders of a season. Each makes some twenty records: without the limit, a typing error fills the disk.
ORDERS_MAX = 10_000_000

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Seed = Annotated[int, typer.Option(min=-SEED_MAX, max=SEED_MAX, help="The same seed gives the same commands.")]
Orders = Annotated[int, typer.Option(min=1, max=ORDERS_MAX, help="Orders of the simulated season.")]

#: Parts of a result that `--json` leaves out: the text is for people, the scope for the demo's figures.
NOT_SHOWN = ("text", "scope")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("simulate", epilog="Example: order-ledger simulate --orders 2000 --seed 7 --surge 10")(simulate_command)


def simulate_command(
    *,
    orders: Orders = 2_000,
    seed: Seed = 7,
    surge: Annotated[
        float,
        typer.Option(min=1, max=1000, callback=finite, help="Orders on Black Friday, as a multiple of a normal day's."),
    ] = 10.0,
    start: StartServices = False,
    as_json: Json = False,
) -> None:
    """Simulate a peak season from a seed, labelled as such: orders, picks, carriers, returns, counts, cases."""
    settings = Settings()
    done = run_simulation(settings, services_for(settings, start=start), orders=orders, seed=seed, surge=surge)
    if as_json:
        print_json({key: value for key, value in done.items() if key not in NOT_SHOWN})
    else:
        say(*done["text"].splitlines())


def run_simulation(
    settings: Settings, services: Services, *, orders: int, seed: int, surge: float, patience_seconds: float = 0.0
) -> dict[str, Any]:
    """Send the season with running workers (also for `demo`). Returns its description, with phases and scope."""
    from gateway.sending.scenarios import Run, simulate

    lookout = Lookout(services, settings, say_missing, patience_seconds=patience_seconds)
    with connect(services, "simulate") as connection:
        run = Run(settings, services, connection, lookout)
        done = simulate(run, orders=orders, seed=seed, surge=surge)
    return {**done, "phases": [phase._asdict() for phase in run.phases], "scope": run.scope()}
