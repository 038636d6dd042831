"""`demo`: start services and workers, send orders, and show the results."""

from __future__ import annotations

import signal
import time
from collections.abc import Collection
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from gateway.cli.context import days
from gateway.cli.imports import Decimal
from gateway.cli.interrupt import by_interrupt
from gateway.cli.season import Orders, Seed
from gateway.cli.terminal import print_json, say
from gateway.cli.verification import shown_by
from gateway.connectors.connector import Request
from gateway.connectors.decimal_marks import DecimalMark
from gateway.connectors.table import connector_of
from gateway.operating.workers import refuse_what_no_worker_takes, wanted
from runtime.instance import living
from runtime.logging import hush_clients
from runtime.postgres import connect
from runtime.process import Workers
from runtime.progress import progress
from runtime.services import Services, down, status, up
from runtime.settings import Settings

#: The season of a demo without data: large enough for all six figures, and done in under two minutes on two cores.
DEMO_ORDERS = 2_000
DEMO_SEED = 7
#: The workers are ready after seconds; on a very busy machine after a minute (seen). With a shorter time the demo
#: reports them as missing too soon; a longer one hides that they cannot start.
WORKERS_START_SECONDS = 60.0
#: Rows of low stock to show.
LOW_STOCK_SHOWN = 8


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo", epilog="Example: order-ledger demo --orders 500 --json")(demo_command)


def demo_command(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="File of real orders in the layout of UCI Online Retail: parquet, csv or xlsx.",
        ),
    ] = None,
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First day of --data. Default: the peak week."),
    ] = None,
    to: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day of --data, included.")
    ] = None,
    decimal: Decimal = None,
    orders: Orders = DEMO_ORDERS,
    seed: Seed = DEMO_SEED,
    serve: Annotated[bool, typer.Option("--serve", help="Keep running with the API until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Start everything, process real orders (--data) or a simulated season, show the results, and verify them."""
    first, last = days(from_, to)
    settings = Settings()
    # SIGTERM and SIGHUP (the end of the terminal) act like Ctrl-C, so that `finally` stops workers and services.
    by_interrupt(signal.SIGTERM, signal.SIGHUP)
    ran_before = all(service.up for service in status(settings))
    started = time.monotonic()
    try:
        with progress("starting services") as bar:
            services = up(settings, bar.say)
            refuse_what_no_worker_takes(services, settings)
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with Workers() as workers:
            # One child supervises the workers and restarts them, as in production. With --serve, the API too.
            names = [row.name for row in wanted(settings) if row.needed or serve]
            workers.start("workers", ["run", "--only", ",".join(names)], log=logs / "workers.log")
            ready, began = time.monotonic(), datetime.now(UTC).replace(microsecond=0)
            done = _go(settings, services, data, first, last, orders=orders, seed=seed, decimal=decimal)
            if not serve:
                workers.stop()  # everything is settled, and the rest only reads
            shown = _look(services, done, seconds=time.monotonic() - ready)
            shown["seconds"] = {
                "services": round(ready - started, 1),
                "run": round(time.monotonic() - ready, 1),
            }
            if as_json:
                print_json(shown)
            else:
                _tell(shown)
            if serve:
                _serve(workers, settings, services, began)
    finally:
        if not ran_before:
            hush_clients()
            down(settings)
    if not shown["verify"]["equal"]:
        raise typer.Exit(1)


def _serve(workers: Workers, settings: Settings, services: Services, began: datetime) -> None:
    """Say where the API listens, once it does, and wait for Ctrl-C."""
    said = False

    def look() -> None:
        nonlocal said
        apis = [one for one in living(settings.home) if one.worker == "api" and one.ledger == services.topic_prefix]
        ours = [one for one in apis if one.ready_at and datetime.fromisoformat(one.ready_at) >= began]
        if ours and not said:
            say(f"serving on {ours[0].address} until Ctrl-C", err=True)
            said = True

    workers.wait(meanwhile=look)


def _go(
    settings: Settings,
    services: Services,
    data: Path | None,
    from_: date | None,
    to: date | None,
    *,
    orders: int,
    seed: int,
    decimal: DecimalMark | None,
) -> dict[str, Any]:
    from gateway.cli.imports import run_import
    from gateway.cli.season import run_simulation

    if data is None:
        return {
            "source": "simulated season",
            **run_simulation(
                settings, services, orders=orders, seed=seed, surge=10.0, patience_seconds=WORKERS_START_SECONDS
            ),
        }
    request = Request(data, from_, to, seed, peak=True, decimal=decimal)
    done = run_import(settings, services, connector_of(data), request, patience_seconds=WORKERS_START_SECONDS)
    return {"source": f"{data.name} (real orders)", **done}


def _look(services: Services, done: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    from processors.subjects import codec_for
    from processors.verify.check import verify
    from projections.inventory.reader import read_inventory
    from projections.kpi.reader import kpis
    from projections.order_history.reader import read_telling_order

    with connect(services, "demo", autocommit=True) as connection:
        scope = done.pop("scope")
        order_id = read_telling_order(connection, scope.orders)
        out = _counts(connection, scope.orders)
        figures = kpis(connection, scope=scope)
        low = read_inventory(connection, low=True)
        story = _story(connection, order_id) if order_id else "no order has shipped"
    with progress("verifying: folding the log again, one fact at a time") as bar:
        codec = codec_for(services.schema_registry, services.topic_prefix)
        report = verify(services, codec, progress=shown_by(bar))
    commands = sum(phase["commands"] for phase in done["phases"])
    facts = sum(phase["facts"] for phase in done["phases"])
    return {
        "in": done,
        "out": out,
        "order_id": order_id,
        "story": story,
        "kpi": figures,
        "low_stock": low,
        "rates": {
            "commands_sent": commands,
            "facts": facts,
            "seconds": round(seconds, 1),
            "facts_per_second": round(facts / max(seconds, 1e-9)),
        },
        "verify": report.as_json(),
    }


def _story(connection: psycopg.Connection[Any], order_id: str) -> str:
    from gateway.story import as_text, tell
    from projections.cases.reader import read_cases_of
    from projections.order_history.reader import read_history

    return as_text(tell(read_history(connection, order_id), read_cases_of(connection, order_id)))


def _counts(connection: psycopg.Connection[Any], orders: Collection[str]) -> dict[str, Any]:
    """The results for these orders, the number of other orders, and the stock, which is that of all orders."""
    from projections.answers.reader import count_refused
    from projections.inventory.reader import read_stock_totals
    from projections.order_status.reader import count_by_status, count_others

    by_status = count_by_status(connection, orders)
    stock = read_stock_totals(connection)
    return {
        "orders": sum(by_status.values()),
        "orders_by_status": by_status,
        "other_orders": count_others(connection, orders),
        "inventory_rows": stock.places,
        "skus": stock.skus,
        "units_on_hand": stock.on_hand,
        "units_reserved": stock.reserved,
        "refused_commands": count_refused(connection, orders),
    }


def _tell(shown: dict[str, Any]) -> None:
    from gateway.cli.kpis import show_figures

    done, out = shown["in"], shown["out"]
    _title(f"What went in: {done['source']}")
    say(*done["text"].splitlines())
    for phase in done["phases"]:
        say(
            f"  {phase['name']:<52} {phase['commands']:>9,} commands {phase['facts']:>10,} facts"
            f"{phase['seconds']:>7.1f} s"
        )
    _title("What came out")
    statuses = ", ".join(f"{count:,} {status}" for status, count in out["orders_by_status"].items())
    say(f"  {out['orders']:,} orders: {statuses}")
    say(f"  {out['refused_commands']:,} commands about them were refused")
    say(
        f"  {out['skus']:,} SKUs in {out['inventory_rows']:,} places: {out['units_on_hand']:,} units on hand, "
        f"{out['units_reserved']:,} reserved"
    )
    if out["other_orders"]:
        say(
            f"  there are also {out['other_orders']:,} orders of earlier runs: stock is that of all orders, everything"
            " below is of this run only"
        )
    _title(f"The story of order {shown['order_id']}")
    say(*shown["story"].splitlines())
    _title("The six KPIs")
    show_figures(shown["kpi"])
    _title(f"Low stock, of all runs: {len(shown['low_stock'])} places at or below their reorder point")
    for row in shown["low_stock"][:LOW_STOCK_SHOWN]:
        say(
            f"  {row['sku']:<20} {row['location_id']:<16} available {row['available']:>6,}  reorder point "
            f"{row['reorder_point']:>6,}"
        )
    rates, seconds = shown["rates"], shown["seconds"]
    _title("Rates")
    say(
        f"  {rates['commands_sent']:,} commands became {rates['facts']:,} facts in {rates['seconds']:.1f} s, "
        "all projected: "
        f"{rates['facts_per_second']:,} facts/s (services up in {seconds['services']:.1f} s)"
    )
    report = shown["verify"]
    say("", "next: order-ledger up; order-ledger story ORDER_ID; order-ledger kpi --by channel", "")
    say(f"verify: {'equal' if report['equal'] else 'NOT EQUAL ' + str(report['first_difference'])}")


def _title(text: str) -> None:
    say("", text, "-" * len(text))
