"""`order-ledger order | story | inventory | kpi | rejections list`: what the tables say. Data goes to stdout."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.context import fail, open_database, print_json
from gateway.story import as_text, tell
from projections.answers.reader import read_rejections
from projections.inventory.reader import read_expected, read_inventory
from projections.kpi.definitions import DEFINITIONS
from projections.kpi.reader import kpi_orders_behind, kpis
from projections.order_history.reader import read_history
from projections.order_status.reader import read_order

#: Columns of a table that goes to a file or a pipe: fewer would break ids in two, which no `grep` finds again.
PIPE_WIDTH_COLUMNS = 160

#: Rows that are shown unless more are asked for: what fits a few screens.
REJECTIONS_SHOWN = 50

OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's id, as its channel gave it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


class By(StrEnum):
    """What the figures can be grouped by."""

    channel = "channel"
    region = "region"
    location = "location"
    carrier = "carrier"
    day = "day"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("order", epilog="Example: order-ledger order order-1 --json")(order_command)
    app.command("story", epilog="Example: order-ledger story order-1")(story_command)
    app.command("inventory", epilog="Example: order-ledger inventory --sku MUG-1 --location WH1")(inventory_command)
    app.command("kpi", epilog="Example: order-ledger kpi --from 2026-11-27 --to 2026-11-30 --by channel")(kpi_command)
    rejections = typer.Typer(help="Commands that were understood and refused.", no_args_is_help=True)
    rejections.command("list", epilog="Example: order-ledger rejections list --limit 10 --json")(rejections_command)
    # With a callback a single command keeps its name: `rejections list`, not `rejections`.
    rejections.callback()(_rejections)
    app.add_typer(rejections, name="rejections")


def order_command(order_id: OrderId, *, as_json: Json = False) -> None:
    """Show an order as it is now: status, lines, where they are, shipments, returns."""
    with open_database() as connection:
        order = read_order(connection, order_id)
    if order is None:
        _no_such_order(order_id)
    if as_json:
        print_json(order)
    else:
        _show_order(order)


def story_command(order_id: OrderId, *, as_json: Json = False) -> None:
    """Tell what happened to an order, from its first fact to its last, refused commands included."""
    with open_database() as connection:
        history = read_history(connection, order_id)
    if not history:
        _no_such_order(order_id)
    chapters = tell(history)
    if as_json:
        days = [chapter.as_json() for chapter in chapters]
        print_json({"order_id": order_id, "days": days, "facts": history})
    else:
        typer.echo(f"Order {order_id}\n\n{as_text(chapters)}")


def inventory_command(
    *,
    sku: Annotated[str | None, typer.Option(help="Only this SKU.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    incoming: Annotated[bool, typer.Option("--incoming", help="Show what is on its way, and when it is expected.")] = (
        False
    ),
    as_json: Json = False,
) -> None:
    """Show stock: on_hand = available + reserved + safety + damaged + quality_hold, for each SKU and location.

    What is on its way (incoming) stands outside: nothing of it is available.
    """
    if incoming:
        _show_incoming(sku, location, as_json=as_json)
        return
    with open_database() as connection:
        rows = read_inventory(connection, sku, location)
    if as_json:
        print_json({"rows": rows})
        return
    numbers = (
        "on_hand", "available", "reserved", "safety", "damaged", "quality_hold", "incoming", "sellable",
    )  # fmt: skip
    table = _table("sku", "location", *numbers, right=numbers)
    for row in rows:
        table.add_row(row["sku"], row["location_id"], *(f"{row[name]:,}" for name in numbers))
    _print(table)


def _show_incoming(sku: str | None, location: str | None, *, as_json: bool) -> None:
    with open_database() as connection:
        rows = read_expected(connection, sku, location)
    if as_json:
        print_json({"rows": rows})
        return
    table = _table("sku", "location", "source", "reference", "quantity", "expected_at", "", right=("quantity",))
    for row in rows:
        cells = (row["sku"], row["location_id"], row["source"].replace("_", " "), row["reference"])
        table.add_row(*cells, f"{row['quantity']:,}", row["expected_at"] or "-", "OVERDUE" if row["overdue"] else "")
    _print(table)


def kpi_command(
    *,
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")] = None,
    to: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC), included.")] = None,
    by: Annotated[By | None, typer.Option(help="Also for each channel, region, location, carrier or day.")] = None,
    orders: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show what a figure counted, what spoils it first.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the six figures with what they were counted from, and whether they are as good as they should be at peak."""
    first, last = _day(from_), _day(to)
    if first and last and last < first:
        fail("the days are the wrong way round", f"--from {first} is after --to {last}", "exchange them")
    if orders is not None:
        _show_behind(orders, first, last, as_json=as_json)
        return
    with open_database() as connection:
        figures = kpis(connection, from_=first, to=last, by=by.value if by else None)
    if as_json:
        print_json(figures)
    else:
        show_figures(figures)


def rejections_command(
    *,
    channel: Annotated[str | None, typer.Option(help="Only commands of this channel.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = REJECTIONS_SHOWN,
    as_json: Json = False,
) -> None:
    """List refused commands, newest first: what, why, and what to do about it."""
    with open_database() as connection:
        rows = read_rejections(connection, channel=channel, limit=limit)
    if as_json:
        print_json({"rejections": rows})
        return
    for row in rows:
        typer.echo(f"{row['recorded_at']}  {row['channel']}/{row['id']}  {row['command']} of {row['stream_id']}")
        typer.echo(f"  {row['what']}\n    detail: {row['detail']}\n    hint: {row['hint']}")
    if not rows:
        typer.echo("nothing was refused", err=True)


def _rejections() -> None:
    """Commands that were understood and refused."""


def _no_such_order(order_id: str) -> NoReturn:
    fail(
        f"no order {order_id}",
        "no fact of such an order has reached the tables",
        "ids are case-sensitive; after publishing, `order-ledger settle` waits until the tables have caught up",
    )


def _day(value: datetime | None) -> date | None:
    return value.date() if value else None


def _show_order(order: dict[str, Any]) -> None:
    holds = f", on hold: {', '.join(order['holds'])}" if order["holds"] else ""
    typer.echo(f"Order {order['order_id']}: {order['status']} (version {order['version']}{holds})")
    typer.echo(f"  placed    {order['placed_at']} on {order['channel']} by {order['customer_id']}")
    if order["promised_by"]:
        typer.echo(f"  promised  {order['promised_by']}")
    counters = ("ordered", "open", "backordered", "allocated", "shipped", "delivered", "cancelled", "returned")
    table = _table("line", "sku", *counters, "locations", right=counters)
    for line in order["lines"]:
        places = ", ".join(f"{place} {quantity}" for place, quantity in sorted(line["locations"].items()))
        table.add_row(line["line_id"], line["sku"], *(f"{line[name]:,}" for name in counters), places)
    _print(table)
    for parcel in order["shipments"]:
        came_from = f"from {parcel['location_id']} with {parcel['carrier']}"
        contents = _contents(parcel["lines"], "quantity")
        typer.echo(f"  parcel {parcel['shipment_id']} {came_from}: {parcel['status']} ({contents})")
    for one in order["returns"]:
        contents = _contents(one["lines"], "received")
        typer.echo(f"  return {one['return_id']} ({one['rma']}): {one['status']} ({contents} came)")


def _contents(lines: list[dict[str, Any]], quantity: str) -> str:
    return ", ".join(f"{line[quantity]:,} × {line['sku']}" for line in lines)


def show_figures(figures: dict[str, Any]) -> None:
    """Print the figures as a table, each with what it was counted from and its ideal range."""
    group_column = ("group",) if "groups" in figures else ()
    table = _table(*group_column, "figure", "value", "counted", "ideal", "", right=("value", "counted"))
    for group, several in figures.get("groups", {}).items():
        for name, figure in several.items():
            table.add_row(group, name, *_figure_cells(figure))
    for name, figure in figures["kpis"].items():
        table.add_row(*(["all"] if "groups" in figures else []), name, *_figure_cells(figure))
    _print(table)
    typer.echo(f"as of {figures['as_of'] or 'nothing yet'}", err=True)


def _figure_cells(figure: dict[str, Any]) -> tuple[str, ...]:
    low, high = figure["ideal"]
    if figure["unit"] == "ratio":
        value = "-" if figure["value"] is None else f"{figure['value'] * 100:.1f} %"
        counted = f"{figure['numerator']:,} / {figure['denominator']:,}"
        ideal = f"{low * 100:g}-{high * 100:g} %" if low else f"< {high * 100:g} %"
    else:
        value = "-" if figure["value"] is None else f"{figure['value']:.2f} h"
        if figure.get("p90") is not None:
            value += f" (p50 {figure['p50']:.2f}, p90 {figure['p90']:.2f})"
        counted = f"{figure['numerator']:,.1f} h / {figure['denominator']:,}"
        ideal = f"< {high:g} h"
    mark = {None: "nothing counted", True: "ok", False: "MISSED"}[figure["ideal_met"]]
    return value, counted, ideal, mark


def _show_behind(name: str, first: date | None, last: date | None, *, as_json: bool) -> None:
    if name not in DEFINITIONS:
        fail(f"no figure {name}", f"there are {', '.join(DEFINITIONS)}", "choose one of them")
    with open_database() as connection:
        rows = kpi_orders_behind(connection, name, from_=first, to=last)
    if as_json:
        print_json({"kpi": DEFINITIONS[name].label, "rows": rows})
        return
    table = _table("id", "at", "counts", "why", right=("counts",))
    for row in rows:
        counts = f"{row['hours']:.2f} h" if "hours" in row else ("yes" if row["good"] else "no")
        table.add_row(row["id"], row["at"], counts, row["why"])
    _print(table)


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _print(table: Table) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=PIPE_WIDTH_COLUMNS)
    console.print(table)
