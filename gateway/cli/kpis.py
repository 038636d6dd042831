"""`order-ledger kpi`: the six figures, the parcel figures, the perfect order, and the cases behind each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

import psycopg
import typer

from events.spelling import meant
from gateway.cli.context import LIMIT_MAX, days, open_database
from gateway.cli.listing import ROWS_SHOWN, Csv, Form, Json, form_of, print_csv, say_more
from gateway.cli.terminal import fail, grid, print_grid, print_json, say
from gateway.reading.past import past_moment, use_figures_of_then
from projections.kpi.definitions import LEFT_OTHERWISE, OPENABLE, PERFECT_ORDER_INDEX, PERFECT_ORDER_RATE
from projections.kpi.opening import behind
from projections.kpi.reader import kpis
from projections.page import Page

#: Groups shown as text with all figures, ten rows each: enough for all channels or carriers.
GROUPS_SHOWN = 20
#: The same for days.
DAYS_SHOWN = 5


class By(StrEnum):
    """The groupings of figures."""

    channel = "channel"
    region = "region"
    location = "location"
    carrier = "carrier"
    day = "day"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        "kpi", epilog="Example: order-ledger kpi --from 2026-11-01 --to 2026-11-30 --by day --figure return_rate"
    )(kpi_command)


def kpi_command(
    *,
    from_: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")] = None,
    to: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC), included.")] = None,
    by: Annotated[By | None, typer.Option(help="Group by channel, region, location, carrier or day.")] = None,
    figure: Annotated[str | None, typer.Option(metavar="NAME", help="Only this figure.")] = None,
    orders: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show the cases that a figure counted (failures first) and left out."),
    ] = None,
    group: Annotated[str | None, typer.Option(help="With --orders and --by: only this channel, region, day …")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LIMIT_MAX,
            help="With --by: maximum number of groups (the last days). With --orders: maximum number of cases counted, "
            "and of cases left out. Default: a screen or two; with --json or --csv, all.",
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="TIME", help="As known at this time, from a replay of kpi and cases as of then."
        ),
    ] = None,
    effective: Annotated[
        bool, typer.Option("--effective", help="With --as-of: what had occurred by then, as known now.")
    ] = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Show the KPIs with numerator, denominator and ideal range.

    By carrier or location, only the parcel figures apply: on_time_parcel_rate, left_otherwise_than_planned.
    """
    first, last = days(from_, to)
    if figure is not None and orders is not None:
        fail("--figure and --orders exclude each other", "each names the figure to show", "leave one out")
    if orders is None and group is not None:
        fail("--group needs --orders", "it chooses among the rows behind a figure", "name the figure: --orders NAME")
    if orders is None and by is None and limit is not None:
        fail("--limit needs --orders or --by", "without them each figure is one row", "leave --limit out")
    name = orders or figure
    if name is not None and name not in OPENABLE:
        near = meant(name, OPENABLE)
        hint = f"did you mean {near}?" if near else "docs/kpis.md says what each of them counts"
        fail(f"no figure {name}", f"the figures are {', '.join(OPENABLE)}", hint)
    if effective and as_of is None:
        fail("--effective needs --as-of", "it shows what had occurred by a time", "add --as-of 2026-11-27T18:00:00Z")
    moment = None if as_of is None else past_moment("--as-of", as_of)
    then = {"effective" if effective else "as_of": moment}
    if orders is not None:
        form = form_of(limit, as_json=as_json, as_csv=as_csv)
        _show_behind(form, orders, first, last, by=by, group=group, then=then)
        return
    shown = ROWS_SHOWN if figure else DAYS_SHOWN if by is By.day else GROUPS_SHOWN
    form = form_of(limit, as_json=as_json, as_csv=as_csv, shown=shown)
    with _figures(then) as connection:
        figures = kpis(connection, from_=first, to=last, by=by.value if by else None, figure=figure, limit=form.limit)
    if as_json:
        print_json(figures)
        return
    if as_csv:
        print_csv(_rows(figures))
    else:
        show_figures(figures)
    if by is not None:
        say_more(_groups(figures), figures["total"], "days" if by is By.day else f"{by}s")


def _groups(figures: dict[str, Any]) -> int:
    return len({*figures["groups"], *figures.get(LEFT_OTHERWISE.name, {}).get("groups", {})})


@contextmanager
def _figures(then: dict[str, datetime | None]) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the tables of the figures, as they are or were."""
    with open_database() as connection, connection.transaction(), _sayable():
        use_figures_of_then(connection, as_of=then.get("as_of"), effective=then.get("effective"))
        yield connection


@contextmanager
def _sayable() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        fail("these figures cannot be shown", str(error), "docs/kpis.md lists the groupings of each figure")


def show_figures(figures: dict[str, Any]) -> None:
    """Print the figures as a table, each with numerator, denominator and ideal range; then the perfect order."""
    group_column = ("group",) if "groups" in figures else ()
    table = grid(*group_column, "figure", "value", "counted", "ideal", "", right=("value", "counted"), text=("value",))
    perfect, otherwise = figures.get("perfect_order", {}), figures.get(LEFT_OTHERWISE.name)
    apart = (otherwise or {}).get("groups", {})
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
    if otherwise is not None:
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
    """The two figures of the perfect order; they have no ideal."""
    if rate := perfect.get(PERFECT_ORDER_RATE.name):
        yield PERFECT_ORDER_RATE.name, *_share(rate), "-", "all four of:"
    for name, component in perfect.get("components", {}).items():
        yield f"  {name}", *_share(component), "", ""
    if index := perfect.get(PERFECT_ORDER_INDEX.name):
        yield PERFECT_ORDER_INDEX.name, _share(index)[0], "", "-", "their product"


_FIELDS = ("figure", "value", "numerator", "denominator", "unit", "ideal_low", "ideal_high", "ideal_met", "definition")


def _rows(figures: dict[str, Any]) -> Page:
    """The figures as rows: first for each group, then for all (`group` is empty)."""
    fields = (figures["by"], *_FIELDS) if "by" in figures else _FIELDS
    perfect, otherwise = figures.get("perfect_order", {}), figures.get(LEFT_OTHERWISE.name, {})
    apart, groups = otherwise.get("groups", {}), figures.get("groups", {})
    rows = [
        _row(name, one) | {figures["by"]: group}
        for group in sorted({**groups, **apart})
        for name, one in _named(groups.get(group, {}), apart.get(group, {}), perfect.get("groups", {}).get(group, {}))
    ]
    rows += [{**dict.fromkeys(fields), **_row(name, one)} for name, one in _named(figures["kpis"], otherwise, perfect)]
    return Page(rows, len(rows), fields)


def _named(
    figures: dict[str, Any], otherwise: dict[str, Any], perfect: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from figures.items()
    if otherwise:
        yield LEFT_OTHERWISE.name, otherwise
    yield from (
        (name, perfect[name]) for name in (PERFECT_ORDER_RATE.name, PERFECT_ORDER_INDEX.name) if name in perfect
    )
    yield from ((f"perfect_order.{name}", one) for name, one in perfect.get("components", {}).items())


def _row(name: str, figure: dict[str, Any]) -> dict[str, Any]:
    low, high = figure.get("ideal") or (None, None)
    return {**dict.fromkeys(_FIELDS), **figure, "figure": name, "ideal_low": low, "ideal_high": high}


def _share(figure: dict[str, Any]) -> tuple[str, str]:
    value = "-" if figure["value"] is None else f"{figure['value'] * 100:.1f} %"
    return value, f"{figure['numerator']:,} / {figure['denominator']:,}" if "denominator" in figure else ""


def _show_behind(
    form: Form,
    name: str,
    first: date | None,
    last: date | None,
    *,
    by: By | None,
    group: str | None,
    then: dict[str, datetime | None],
) -> None:
    with _figures(then) as connection:
        document = behind(
            connection, name, from_=first, to=last, by=by.value if by else None, group=group, limit=form.limit
        )
    total = document["total"]
    if form.as_json:
        print_json(document)
        return
    if form.as_csv:
        print_csv(_as_rows(document))
    elif document["rows"] or document["left_out"]:
        _print_behind(document, by)
    say(f"{document['kpi']}: {total['rows']:,} rows counted, {total['left_out']:,} left out", err=True)
    counted, left_out = len(document["rows"]), len(document["left_out"])
    if 0 in total.values():
        say_more(counted + left_out, sum(total.values()), "rows")
    elif (counted, left_out) != (total["rows"], total["left_out"]):
        say(
            f"… {counted:,} of {total['rows']:,} rows counted and {left_out:,} of {total['left_out']:,} left out: "
            f"--limit applies to each list; to show all: --limit {max(total.values())}, --csv or --json",
            err=True,
        )


def _as_rows(document: dict[str, Any]) -> Page:
    """The cases counted and left out, as one table."""
    rows = [{"counted": True, **row} for row in document["rows"]]
    rows += [{"counted": False, **row} for row in document["left_out"]]
    fields = tuple(dict.fromkeys(["counted", "id", "order_id", "at", "why", *(key for row in rows for key in row)]))
    return Page(({**dict.fromkeys(fields), **row} for row in rows), len(rows), fields)


def _print_behind(document: dict[str, Any], by: By | None) -> None:
    columns = ["id", "at", "counts", "why"]
    if by is not None:
        columns.insert(0, by.value)
    table = grid(*columns, right=("counts",), text=("why",))
    for row in document["rows"]:
        table.add_row(*([row["group"]] if by else []), row["id"], row["at"], _counts(row), row["why"])
    for row in document["left_out"]:
        table.add_row(*([row["group"]] if by else []), row["id"], row["at"], "left out", row["why"])
    print_grid(table)


def _counts(row: dict[str, Any]) -> str:
    if "hours" in row:
        return f"{row['hours']:.2f} h"
    return "yes" if row["good"] else "no"
