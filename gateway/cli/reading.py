"""`order-ledger order | story | inventory | kpi | rejections list`: what the tables say. Data goes to stdout."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

import typer

from gateway.cli.context import LIMIT_MAX, fail, open_database
from gateway.cli.figures import register as add_kpi
from gateway.cli.stock import say_no_stock, show_as_of
from gateway.cli.terminal import grid, print_grid, print_json, say
from gateway.orders import order_document
from gateway.story import as_lines, tell
from projections.answers.reader import read_rejections
from projections.inventory.reader import read_expected, read_inventory
from projections.kpi.order_cases import read_cases_of
from projections.order_history.reader import read_history

#: Rows that are shown unless more are asked for: what fits a few screens.
REJECTIONS_SHOWN = 50

OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's id, as its channel gave it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("order", epilog="Example: order-ledger order order-1 --json")(order_command)
    app.command("story", epilog="Example: order-ledger story order-1")(story_command)
    app.command("inventory", epilog="Example: order-ledger inventory --sku MUG-1 --location WH1")(inventory_command)
    add_kpi(app)
    rejections = typer.Typer(help="Commands that were understood and refused.", no_args_is_help=True)
    rejections.command("list", epilog="Example: order-ledger rejections list --limit 10 --json")(rejections_command)
    # With a callback a single command keeps its name: `rejections list`, not `rejections`.
    rejections.callback()(_rejections)
    app.add_typer(rejections, name="rejections")


def order_command(order_id: OrderId, *, as_json: Json = False) -> None:
    """Show an order as it is now: status, lines, where they are, shipments, returns."""
    with open_database() as connection:
        order = order_document(connection, order_id)
    if order is None:
        _no_such_order(order_id)
    if as_json:
        print_json(order)
    else:
        _show_order(order)


def story_command(order_id: OrderId, *, as_json: Json = False) -> None:
    """Tell what happened to an order, as it happened, refused commands and service cases included."""
    with open_database() as connection:
        history = read_history(connection, order_id)
        cases = read_cases_of(connection, order_id)
    if not history:
        _no_such_order(order_id)
    chapters = tell(history, cases)
    if as_json:
        days = [chapter.as_json() for chapter in chapters]
        print_json({"order_id": order_id, "days": days, "facts": history})
    else:
        say(f"Order {order_id}", "", *as_lines(chapters))


def inventory_command(
    *,
    sku: Annotated[str | None, typer.Option(help="Only this SKU.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    incoming: Annotated[bool, typer.Option("--incoming", help="Show what is on its way, and when it is expected.")] = (
        False
    ),
    at: Annotated[str | None, typer.Option(help="As it was at this time, by the clocks of those who told.")] = None,
    known_at: Annotated[
        str | None, typer.Option(help="As it was known at this time; now where it is not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show stock: on_hand = available + reserved + safety + damaged + quality_hold, for each SKU and location.

    What is on its way (incoming) stands outside: nothing of it is available. With --at or --known-at: what was on hand,
    reserved, damaged and in quality hold at another time. What was told late is where it happened, unless it was not
    known yet.
    """
    if at is not None or known_at is not None:
        show_as_of(sku, location, at=at, known_at=known_at, as_json=as_json)
        return
    if incoming:
        _show_incoming(sku, location, as_json=as_json)
        return
    with open_database() as connection:
        rows = read_inventory(connection, sku, location)
    if as_json:
        print_json({"rows": rows})
        return
    if not rows:
        say_no_stock(sku, location)
        return
    numbers = (
        "on_hand", "available", "reserved", "safety", "damaged", "quality_hold", "incoming", "sellable",
    )  # fmt: skip
    table = grid("sku", "location", *numbers, right=numbers)
    for row in rows:
        table.add_row(row["sku"], row["location_id"], *(f"{row[name]:,}" for name in numbers))
    print_grid(table)


def _show_incoming(sku: str | None, location: str | None, *, as_json: bool) -> None:
    with open_database() as connection:
        rows = read_expected(connection, sku, location)
    if as_json:
        print_json({"rows": rows})
        return
    table = grid("sku", "location", "source", "reference", "quantity", "expected_at", "", right=("quantity",))
    for row in rows:
        cells = (row["sku"], row["location_id"], row["source"].replace("_", " "), row["reference"])
        table.add_row(*cells, f"{row['quantity']:,}", row["expected_at"] or "-", "OVERDUE" if row["overdue"] else "")
    print_grid(table)


def rejections_command(
    *,
    channel: Annotated[str | None, typer.Option(help="Only commands of this channel.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="How many, newest first.")] = REJECTIONS_SHOWN,
    as_json: Json = False,
) -> None:
    """List refused commands, newest first: what, why, and what to do about it."""
    with open_database() as connection:
        rows = read_rejections(connection, channel=channel, limit=limit)
    if as_json:
        print_json({"rejections": rows})
        return
    for row in rows:
        say(f"{row['recorded_at']}  {row['channel']}/{row['id']}  {row['command']} of {row['stream_id']}")
        say(f"  {row['what']}", f"    detail: {row['detail']}", f"    hint: {row['hint']}")
    if not rows:
        say("nothing was refused", err=True)


def _rejections() -> None:
    """Commands that were understood and refused."""


def _no_such_order(order_id: str) -> NoReturn:
    fail(
        f"no order {order_id}",
        "no fact of such an order has reached the tables",
        "ids are case-sensitive; after publishing, `order-ledger settle` waits until the tables have caught up",
    )


def _show_order(order: dict[str, Any]) -> None:
    holds = f", on hold: {', '.join(order['holds'])}" if order["holds"] else ""
    say(f"Order {order['order_id']}: {order['status']} (version {order['version']}{holds})")
    say(f"  placed    {order['placed_at']} on {order['channel']} by {order['customer_id']}")
    if order["promised_by"]:
        say(f"  promised  {order['promised_by']}{' (dispatch)' if order['promise'] == 'dispatch' else ''}")
    counters = ("ordered", "open", "backordered", "allocated", "shipped", "delivered", "cancelled", "returned")
    waiting = any(line["expected_at"] for line in order["lines"])
    table = grid("line", "sku", *counters, "locations", *(["expected"] if waiting else []), right=counters)
    for line in order["lines"]:
        places = ", ".join(f"{place} {quantity}" for place, quantity in sorted(line["locations"].items()))
        expected = [line["expected_at"] or ""] if waiting else []
        table.add_row(line["line_id"], line["sku"], *(f"{line[name]:,}" for name in counters), places, *expected)
    print_grid(table)
    for sku, by_place in order["kept_from_channel"].items():
        kept = ", ".join(f"{units:,} at {place}" for place, units in by_place.items())
        say(f"  {sku} waits although it is there: buffers and exclusions keep {kept} from {order['channel']}")
    for one in order["amendments"]:
        say(f"  amendment {one['amendment_id']}: {one['status']} ({_changes(one['lines'])})")
    for parcel in order["shipments"]:
        came_from = f"from {parcel['location_id']} with {parcel['carrier']}"
        contents = _contents(parcel["lines"], "quantity")
        say(f"  parcel {parcel['shipment_id']} {came_from}: {parcel['status']} ({contents}){_when(parcel)}")
    for one in order["returns"]:
        contents = _contents(one["lines"], "received")
        say(f"  return {one['return_id']} ({one['rma']}): {one['status']} ({contents} came)")
    for line in order["lines"]:
        if line["held_until"]:
            say(f"  line {line['line_id']} may leave when {line['held_until']} has come")
    for one in order["queues"]:
        if one["state"] == "open":
            say(f"  in queue {one['queue']} since {one['since']}, for a person to decide: {one['detail']}")
    for case in order["cases"]:
        say(f"  case {case['case_id']} ({case['topic']}, {case['urgency']}): {case['state']}")


def _changes(lines: list[dict[str, Any]]) -> str:
    """`line 1 from 3 to 5 units, where at most 4 are possible`."""
    return "; ".join(
        f"line {line['line_id']} from {line['ordered_before']} to {line['ordered']} units"
        + ("" if line["available"] is None else f", where at most {line['available']} are possible")
        for line in lines
    )


def _when(parcel: dict[str, Any]) -> str:
    """When it left, or arrived, and whether in time."""
    if parcel["delivered_at"] is None:
        return f", left {parcel['dispatched_at']}"
    kept = {True: ", in time", False: ", LATE", None: ""}[parcel["on_time"]]
    return f", {parcel['delivered_at']}{kept}"


def _contents(lines: list[dict[str, Any]], quantity: str) -> str:
    return ", ".join(f"{line[quantity]:,} × {line['sku']}" for line in lines)
