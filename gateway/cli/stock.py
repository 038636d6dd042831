"""`order-ledger movements | counts`, and `inventory --at`: how stock came to be what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.cli.context import LIMIT_MAX, fail, open_database
from gateway.cli.terminal import grid, print_grid, print_json, say
from projections.stock_counts.reader import read_counts
from projections.stock_movements.reader import read_movements, read_stock_as_of

#: Movements that are shown unless more are asked for: what fits a few screens.
MOVEMENTS_SHOWN = 100

_QUANTITIES = ("on_hand", "reserved", "damaged", "quality_hold")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("movements", epilog="Example: order-ledger movements --sku MUG-1 --location WH1")(movements_command)
    app.command("counts", epilog="Example: order-ledger counts --all --json")(counts_command)


def movements_command(
    *,
    sku: Annotated[str, typer.Option(help="Of this SKU.")],
    location: Annotated[str | None, typer.Option(help="Only at this location.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="How many, the newest ones.")] = MOVEMENTS_SHOWN,
    as_json: Json = False,
) -> None:
    """List every change of a quantity of a SKU, as they were decided: how much, why, on which document, by whom."""
    with open_database() as connection:
        rows = read_movements(connection, sku, location, limit=limit)
    if as_json:
        print_json({"rows": rows})
        return
    if not rows:
        say_no_stock(sku, location)
        return
    table = grid("occurred at", "location", "what", *_QUANTITIES, "for", "reason", "document", "by", right=_QUANTITIES)
    for row in rows:
        table.add_row(
            row["occurred_at"],
            row["location_id"],
            row["kind"],
            *(f"{row[name]:+,}" if row[name] else "" for name in _QUANTITIES),
            row["return_id"] or row["shipment_id"] or row["order_id"] or "",
            row["reason"] or "",
            row["document"] or "",
            f"{row['channel']}/{row['actor']}" if row["actor"] else row["channel"],
        )
    print_grid(table)


def counts_command(
    *,
    with_decided: Annotated[bool, typer.Option("--all", help="Also those that were decided.")] = False,
    as_json: Json = False,
) -> None:
    """List counts that wait: for a second count (recount), or for another person to approve them (waiting)."""
    with open_database() as connection:
        rows = read_counts(connection, waiting_only=not with_decided)
    if as_json:
        print_json({"rows": rows})
        return
    numbers = ("expected", "counted", "variance")
    table = grid("sku", "location", "count", "status", *numbers, "counted by", "counted at", right=numbers)
    for row in rows:
        cells = (row["sku"], row["location_id"], row["count_id"], row["status"])
        units = (f"{row['expected']:,}", f"{row['counted']:,}", f"{row['variance']:+,}")
        table.add_row(*cells, *units, row["counted_by"], row["counted_at"])
    print_grid(table)


def say_no_stock(sku: str | None, location: str | None) -> None:
    """Say on stderr that nothing is known of such stock: an empty table looks like an answer."""
    what = " ".join(part for part in (f"of {sku}" if sku else "", f"at {location}" if location else "") if part)
    say(
        f"no stock {what or 'anywhere'} is known: nothing was ever received, counted or planned there",
        "  hint: ids are case-sensitive; after publishing, `order-ledger settle` waits until the tables have caught up",
        err=True,
    )


def show_as_of(sku: str | None, location: str | None, *, at: str | None, known_at: str | None, as_json: bool) -> None:
    """Print stock as it was at a business time, as known at a log time."""
    known = _time("--known-at", known_at)
    moment = _time("--at", at) or known or datetime.now(UTC)
    with open_database() as connection:
        rows = read_stock_as_of(connection, sku, location, at=moment, known_at=known)
    if as_json:
        answer: dict[str, Any] = {"at": moment.isoformat(), "known_at": known.isoformat() if known else None}
        print_json({**answer, "rows": rows})
        return
    table = grid("sku", "location", *_QUANTITIES, right=_QUANTITIES)
    for row in rows:
        table.add_row(row["sku"], row["location_id"], *(f"{row[name]:,}" for name in _QUANTITIES))
    print_grid(table)


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        fail(f"{option} is no time", str(error), "write it as 2026-11-27T18:00:00Z")
    if moment.tzinfo is None:
        hint = f"write {moment.isoformat()}Z for UTC"
        fail(f"{option} has no offset", f"{text} is a different moment in each time zone", hint)
    return moment
