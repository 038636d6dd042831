"""`order-ledger inventory | movements | counts`: stock, its movements, and its counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import psycopg
import typer

from events.times import rfc3339
from gateway.cli.context import open_database
from gateway.cli.listing import IDS_HINT, Csv, Json, Limit, form_of, print_listing
from gateway.cli.terminal import fail, grid, print_grid
from gateway.cli.words import noun
from gateway.reading.listing import nothing
from gateway.reading.past import past_moment, stock_of_then
from projections.inventory.reader import read_expected, read_inventory
from projections.page import Page
from projections.stock_counts.reader import read_counts
from projections.stock_movements.reader import known_since, read_movements, read_stock_as_of

_IDENTITY = ("on_hand", "available", "reserved", "safety", "damaged", "quality_hold", "incoming", "sellable")
_MOVED = ("on_hand", "reserved", "damaged", "quality_hold")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    inventory = noun(app, "inventory", "Stock of each SKU at each location.")
    inventory.command("list", epilog="Example: order-ledger inventory list --low --location WH1")(inventory_command)
    movements = noun(app, "movements", "Every stock movement.")
    movements.command("list", epilog="Example: order-ledger movements list --sku MUG-RED --location WH1")(
        movements_command
    )
    counts = noun(app, "counts", "Counts that wait for a person.")
    counts.command("list", epilog="Example: order-ledger counts list --all --json")(counts_command)


def inventory_command(
    *,
    sku: Annotated[str | None, typer.Option(help="Only this SKU.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    low: Annotated[
        bool, typer.Option("--low", help="Only stock at or below its reorder point, the largest shortage first.")
    ] = False,
    incoming: Annotated[
        bool, typer.Option("--incoming", help="Show incoming deliveries, and when they are expected.")
    ] = (False),
    at: Annotated[str | None, typer.Option(help="Stock at this time, by the channels' clocks.")] = None,
    known_at: Annotated[str | None, typer.Option(help="As known at this time. Default: now.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="TIME",
            help="What was recorded by this time: of a SKU, or of all if a replay of inventory is as of then.",
        ),
    ] = None,
    limit: Limit = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Show stock: on_hand = available + reserved + safety + damaged + quality_hold, for each SKU and location.

    Incoming units are not part of on_hand. --at shows on_hand, reserved, damaged and quality_hold at an earlier time,
    including movements that were reported later; --known-at leaves out movements that were not known at that time.
    """
    form = form_of(limit, as_json=as_json, as_csv=as_csv)
    times = {"--at": at, "--known-at": known_at, "--as-of": as_of}
    views = [("--low", low), ("--incoming", incoming), *((option, text is not None) for option, text in times.items())]
    asked = [option for option, given in views if given]
    if len(asked) > 1 and asked not in (["--at", "--known-at"], ["--low", "--as-of"]):
        fail(f"{' and '.join(asked)} exclude each other", "each shows other figures of stock", "use one of them")
    moment, known = _time("--at", at), _time("--known-at", known_at)
    with open_database() as connection:
        if at is not None or known_at is not None:
            business = moment or known or datetime.now(UTC)
            page = read_stock_as_of(connection, sku, location, at=business, known_at=known, limit=form.limit)
            none = _none(connection, "stock", sku, location, at=at, known_at=known_at)
            beside = {"at": business.isoformat(), "known_at": known.isoformat() if known else None}
            print_listing(form, page, none, _show_as_of, **beside)
        elif as_of is not None:
            then = past_moment("--as-of", as_of)
            with connection.transaction():
                page = stock_of_then(connection, sku, location, as_of=then, effective=None, low=low, limit=form.limit)
            none = _none(connection, "stock", sku, location, known_at=as_of)
            show = _show_stock(low=low) if "available" in page.fields else _show_as_of
            print_listing(form, page, none, show, as_of=rfc3339(then))
        elif incoming:
            page = read_expected(connection, sku, location, limit=form.limit)
            none = _none(connection, "stock on its way", sku, location)
            print_listing(form, page, none, _show_incoming)
        else:
            page = read_inventory(connection, sku, location, low=low, limit=form.limit)
            things = "stock at or below its reorder point" if low else "stock"
            print_listing(form, page, _none(connection, things, sku, location), _show_stock(low=low))


def _show_stock(*, low: bool) -> Callable[[Page], None]:
    numbers = (*_IDENTITY, "reorder_point") if low else _IDENTITY

    def show(page: Page) -> None:
        table = grid("sku", "location", *numbers, "", right=numbers)
        for row in page:
            note = "" if row["registered"] else "NOT REGISTERED"
            table.add_row(row["sku"], row["location_id"], *(f"{row[name]:,}" for name in numbers), note)
        print_grid(table)

    return show


def _show_incoming(page: Page) -> None:
    table = grid("sku", "location", "source", "reference", "quantity", "expected_at", "", right=("quantity",))
    for row in page:
        cells = (row["sku"], row["location_id"], row["source"].replace("_", " "), row["reference"])
        table.add_row(*cells, f"{row['quantity']:,}", row["expected_at"] or "-", "OVERDUE" if row["overdue"] else "")
    print_grid(table)


def _show_as_of(page: Page) -> None:
    table = grid("sku", "location", *_MOVED, right=_MOVED)
    for row in page:
        table.add_row(row["sku"], row["location_id"], *(f"{row[name]:,}" for name in _MOVED))
    print_grid(table)


def movements_command(
    *,
    sku: Annotated[str, typer.Option(help="Only this SKU.")],
    location: Annotated[str | None, typer.Option(help="Only at this location.")] = None,
    limit: Limit = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List the stock movements of a SKU in order of decision: quantity, reason, document, person.

    With a limit, the newest ones.
    """
    form = form_of(limit, as_json=as_json, as_csv=as_csv)
    with open_database() as connection:
        page = read_movements(connection, sku, location, limit=form.limit)
        print_listing(form, page, _none(connection, "movements", sku, location), _show_movements)


def _show_movements(page: Page) -> None:
    table = grid(
        "occurred at", "location", "what", *_MOVED, "for", "reason", "document", "by", right=_MOVED, text=("reason",)
    )
    for row in page:
        table.add_row(
            row["occurred_at"],
            row["location_id"],
            row["kind"],
            *(f"{row[name]:+,}" if row[name] else "" for name in _MOVED),
            row["return_id"] or row["shipment_id"] or row["order_id"] or "",
            row["reason"] or "",
            row["document"] or "",
            f"{row['channel']}/{row['actor']}" if row["actor"] else row["channel"],
        )
    print_grid(table)


def counts_command(
    *,
    with_decided: Annotated[bool, typer.Option("--all", help="Also decided counts.")] = False,
    limit: Limit = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List counts that wait for a second count (recount) or for the approval of another person (waiting)."""
    form = form_of(limit, as_json=as_json, as_csv=as_csv)
    with open_database() as connection:
        page = read_counts(connection, waiting_only=not with_decided, limit=form.limit)
    things = "counts that wait or waited" if with_decided else "counts that wait"
    print_listing(form, page, nothing(things), _show_counts)


def _show_counts(page: Page) -> None:
    numbers = ("expected", "counted", "variance")
    table = grid("sku", "location", "count", "status", *numbers, "counted by", "counted at", right=numbers)
    for row in page:
        cells = (row["sku"], row["location_id"], row["count_id"], row["status"])
        units = (f"{row['expected']:,}", f"{row['counted']:,}", f"{row['variance']:+,}")
        table.add_row(*cells, *units, row["counted_by"] or "", row["counted_at"])
    print_grid(table)


def _none(
    connection: psycopg.Connection[Any], things: str, sku: str | None, location: str | None, **times: str | None
) -> Callable[[], str]:
    """The message for a listing without rows: such stock is unknown, or since when it is known."""

    def words() -> str:
        since = known_since(connection, sku, location)
        if since is None and not read_inventory(connection, sku, location, limit=1):
            unknown = nothing("stock", sku=sku, location=location)
            return f"{unknown} is known\n{IDS_HINT}" if sku or location else unknown
        none = nothing(things, sku=sku, location=location, **times)
        if since is None or not any(times.values()):
            return none
        return f"{none}: the first movement happened at {since[0]} and was recorded at {since[1]}"

    return words


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        fail(f"{option} is not a time", str(error), "write it as 2026-11-27T18:00:00Z")
    if moment.tzinfo is None:
        hint = f"write {moment.isoformat()}Z for UTC"
        fail(f"{option} has no offset", f"{text} is a different moment in each time zone", hint)
    return moment
