"""`order-ledger order | story`: an order and its history."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.context import open_database
from gateway.cli.listing import Json
from gateway.cli.terminal import fail, grid, print_grid, print_json, say
from gateway.reading.orders import Missing, order_document, why_missing
from gateway.reading.past import order_of_then, past_moment
from projections.cases.reader import read_cases_of
from projections.order_history.reader import read_history

OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's id.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("order", epilog="Example: order-ledger order A-1001 --as-of 2026-11-27T18:00:00Z --json")(order_command)
    app.command("story", epilog="Example: order-ledger story A-1001")(story_command)


def order_command(
    order_id: OrderId,
    *,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="As it was known at this time, or at the end of a day."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show an order as it is now, or was known at an earlier time: status, lines with locations, shipments, returns."""
    with open_database() as connection:
        if as_of is None:
            order = order_document(connection, order_id)
        else:
            then = order_of_then(connection, order_id, past_moment("--as-of", as_of))
            if isinstance(then, Missing):
                fail(*then)
            order = then
        if order is None:
            fail(*why_missing(order_id, read_history(connection, order_id)))
    if as_json:
        print_json(order)
    else:
        _show_order(order)


def story_command(order_id: OrderId, *, as_json: Json = False) -> None:
    """Tell what happened to an order, including refused commands and service cases."""
    from gateway.story import as_lines, tell  # imported here: `order` does not need it

    with open_database() as connection:
        history = read_history(connection, order_id)
        cases = read_cases_of(connection, order_id)
    if not history:
        fail(*why_missing(order_id, history))
    chapters = tell(history, cases)
    if as_json:
        days = [chapter.as_json() for chapter in chapters]
        print_json({"order_id": order_id, "days": days, "facts": history})
    else:
        say(f"Order {order_id}", "", *as_lines(chapters))


def _show_order(order: dict[str, Any]) -> None:
    holds = f", on hold: {', '.join(order['holds'])}" if order["holds"] else ""
    then = f" as known at {order['as_of']}" if "as_of" in order else ""
    say(f"Order {order['order_id']}{then}: {order['status']} (version {order['version']}{holds})")
    say(f"  placed    {order['placed_at']} on {order['channel']} by {order['customer_id']}")
    if order["promised_by"]:
        say(f"  promised  {order['promised_by']}{' (dispatch)' if order['promise'] == 'dispatch' else ''}")
    counters = ("ordered", "open", "backordered", "allocated", "shipped", "delivered", "cancelled", "returned")
    waiting = any(line["expected_at"] for line in order["lines"])
    table = grid(
        "line", "sku", *counters, "locations", *(["expected"] if waiting else []), right=counters, text=("locations",)
    )
    for line in order["lines"]:
        places = ", ".join(f"{place} {quantity}" for place, quantity in sorted(line["locations"].items()))
        expected = [line["expected_at"] or ""] if waiting else []
        table.add_row(line["line_id"], line["sku"], *(f"{line[name]:,}" for name in counters), places, *expected)
    print_grid(table)
    for sku, by_place in order.get("kept_from_channel", {}).items():
        kept = ", ".join(f"{units:,} at {place}" for place, units in by_place.items())
        say(f"  {sku} waits although it is there: buffers and exclusions keep {kept} from {order['channel']}")
    for one in order["amendments"]:
        say(f"  amendment {one['amendment_id']}: {one['status']} ({_changes(one['lines'])})")
    for parcel in order["shipments"]:
        came_from = f"from {parcel['location_id']} with {parcel['carrier']}"
        contents = _contents(parcel["lines"], "quantity")
        say(f"  parcel {parcel['shipment_id']} {came_from}: {parcel['status']} ({contents}){_when(parcel)}")
        again = [{**line, "quantity": line["replaced"]} for line in parcel["lines"] if line["replaced"]]
        if again:
            say(f"    replaced: {_contents(again, 'quantity')}")
    for scan in order["deferred_tracking"]:
        what = f"scan of parcel {scan['waits_for']} ({scan['status']}, {scan['scanned_at']})"
        if scan["state"] == "waiting":
            say(f"  {what} waits for the parcel's dispatch until {scan['ends_at']}")
        else:
            say(f"  {what} expired at {scan['ended_at']}: the parcel's dispatch did not come")
    for one in order["returns"]:
        contents = _contents(one["lines"], "received")
        cause = f", cause: {one['cause']}" if one["cause"] else ""
        say(f"  return {one['return_id']} ({one['rma']}): {one['status']} ({contents} came{cause})")
    for line in order["lines"]:
        if line["held_for_return"]:
            say(f"  line {line['line_id']} may leave when return {line['held_for_return']} has arrived")
    for one in order["queues"]:
        if one["state"] == "open":
            say(f"  in queue {one['queue']} since {one['since']}, for a person to decide: {one['detail']}")
    for case in order.get("cases", ()):
        say(f"  case {case['case_id']} ({case['topic']}, {case['urgency']}): {case['state']}")


def _changes(lines: list[dict[str, Any]]) -> str:
    """`line 1 from 3 to 5 units, at most 4 are possible`."""
    return "; ".join(
        f"line {line['line_id']} from {line['ordered_before']} to {line['ordered']} units"
        + ("" if line["available"] is None else f", at most {line['available']} are possible")
        for line in lines
    )


def _when(parcel: dict[str, Any]) -> str:
    """When it left or arrived, and whether it was on time."""
    if parcel["delivered_at"] is None:
        return f", left {parcel['dispatched_at']}"
    kept = {True: ", in time", False: ", LATE", None: ""}[parcel["on_time"]]
    return f", {parcel['delivered_at']}{kept}"


def _contents(lines: list[dict[str, Any]], quantity: str) -> str:
    return ", ".join(f"{line[quantity]:,} × {line['sku']}" for line in lines)
