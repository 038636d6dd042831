"""`order-ledger kpi`: the six figures, beside them those of parcels and the perfect order, and the rows behind each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.cli.context import LIMIT_MAX, days, fail, open_database
from gateway.cli.terminal import grid, print_grid, print_json, say
from projections.kpi.definitions import LEFT_OTHERWISE, OPENABLE, PERFECT_ORDER_INDEX, PERFECT_ORDER_RATE
from projections.kpi.opening import behind
from projections.kpi.reader import kpis


class By(StrEnum):
    """What the figures can be grouped by."""

    channel = "channel"
    region = "region"
    location = "location"
    carrier = "carrier"
    day = "day"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("kpi", epilog="Example: order-ledger kpi --from 2026-11-27 --to 2026-11-30 --by channel")(kpi_command)


def kpi_command(
    *,
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")] = None,
    to: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC), included.")] = None,
    by: Annotated[By | None, typer.Option(help="Also for each channel, region, location, carrier or day.")] = None,
    orders: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show what a figure counted, what spoils it first, and what it left out."),
    ] = None,
    group: Annotated[str | None, typer.Option(help="With --orders and --by: only this channel, region, day …")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=LIMIT_MAX, help="With --orders: so many of each list.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Show the figures with what they were counted from, and whether they are as good as they should be at peak.

    By carrier or location the case is a parcel: on_time_parcel_rate, left_otherwise_than_planned.
    """
    first, last = days(from_, to)
    if orders is None and (group is not None or limit is not None):
        option = "--group" if group is not None else "--limit"
        fail(f"{option} needs --orders", "it chooses among the rows behind a figure", "name the figure: --orders NAME")
    if orders is not None:
        _show_behind(orders, first, last, by=by, group=group, limit=limit, as_json=as_json)
        return
    with open_database() as connection:
        figures = kpis(connection, from_=first, to=last, by=by.value if by else None)
    if as_json:
        print_json(figures)
    else:
        show_figures(figures)


def show_figures(figures: dict[str, Any]) -> None:
    """Print the figures as a table, each with what it was counted from and its ideal range; then the perfect order."""
    group_column = ("group",) if "groups" in figures else ()
    table = grid(*group_column, "figure", "value", "counted", "ideal", "", right=("value", "counted"))
    perfect, otherwise = figures["perfect_order"], figures[LEFT_OTHERWISE.name]
    apart = otherwise.get("groups", {})
    groups = figures.get("groups", {})
    for group in sorted({**groups, **apart}):
        for name, figure in groups.get(group, {}).items():
            table.add_row(group, name, *_figure_cells(figure))
        if group in apart:
            table.add_row(group, LEFT_OTHERWISE.name, *_figure_cells(apart[group]))
        if group in perfect.get("groups", {}):
            for cells in _perfect_rows(perfect["groups"][group]):
                table.add_row(group, *cells)
    every = ["all"] if "groups" in figures else []
    for name, figure in figures["kpis"].items():
        table.add_row(*every, name, *_figure_cells(figure))
    table.add_row(*every, LEFT_OTHERWISE.name, *_figure_cells(otherwise))
    for cells in _perfect_rows(perfect):
        table.add_row(*every, *cells)
    print_grid(table)
    say(f"as of {figures['as_of'] or 'nothing yet'}", err=True)


def _figure_cells(figure: dict[str, Any]) -> tuple[str, ...]:
    if figure["ideal"] is None:
        return *_share(figure), "-", "" if figure["denominator"] else "nothing counted"
    low, high = figure["ideal"]
    if figure["unit"] == "ratio":
        value, counted = _share(figure)
        ideal = f"{low * 100:g}-{high * 100:g} %" if low else f"< {high * 100:g} %"
    else:
        value = "-" if figure["value"] is None else f"{figure['value']:.2f} h"
        if figure.get("p90") is not None:
            value += f" (p50 {figure['p50']:.2f}, p90 {figure['p90']:.2f})"
        counted = f"{figure['numerator']:,.1f} h / {figure['denominator']:,}"
        ideal = f"< {high:g} h"
    mark = {None: "nothing counted", True: "ok", False: "MISSED"}[figure["ideal_met"]]
    return value, counted, ideal, mark


def _perfect_rows(perfect: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The two figures beside the six; they have no ideal of their own."""
    rate, index = perfect[PERFECT_ORDER_RATE.name], perfect[PERFECT_ORDER_INDEX.name]
    yield PERFECT_ORDER_RATE.name, *_share(rate), "-", "all four of:"
    for name, component in perfect["components"].items():
        yield f"  {name}", *_share(component), "", ""
    yield PERFECT_ORDER_INDEX.name, _share(index)[0], "", "-", "their product"


def _share(figure: dict[str, Any]) -> tuple[str, str]:
    value = "-" if figure["value"] is None else f"{figure['value'] * 100:.1f} %"
    return value, f"{figure['numerator']:,} / {figure['denominator']:,}" if "denominator" in figure else ""


def _show_behind(
    name: str,
    first: date | None,
    last: date | None,
    *,
    by: By | None,
    group: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    if name not in OPENABLE:
        fail(f"no figure {name}", f"there are {', '.join(OPENABLE)}", "choose one of them")
    with open_database() as connection:
        try:
            document = behind(
                connection, name, from_=first, to=last, by=by.value if by else None, group=group, limit=limit
            )
        except ValueError as error:
            fail("these rows cannot be shown", str(error), "see docs/kpis.md for what each figure is counted by")
    if as_json:
        print_json(document)
        return
    columns = ["id", "at", "counts", "why"]
    if by is not None:
        columns.insert(0, by.value)
    table = grid(*columns, right=("counts",))
    for row in document["rows"]:
        table.add_row(*([row["group"]] if by else []), row["id"], row["at"], _counts(row), row["why"])
    for row in document["left_out"]:
        table.add_row(*([row["group"]] if by else []), row["id"], row["at"], "left out", row["why"])
    print_grid(table)
    counted, left_out = len(document["rows"]), len(document["left_out"])
    say(f"{document['kpi']}: {counted:,} rows counted, {left_out:,} left out", err=True)


def _counts(row: dict[str, Any]) -> str:
    if "hours" in row:
        return f"{row['hours']:.2f} h"
    return "yes" if row["good"] else "no"
