"""Sends a retailer's export through the ledger, phase by phase. The export has no warehouse and no carriers. They are
simulated around the real orders, and their channels, actors and locations have the word in their names.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from pathlib import Path
from typing import Any

from gateway.connectors.connector import Command, Request, Sending
from gateway.connectors.online_retail import mapping as retail
from gateway.connectors.online_retail.stock import cycle_counts, late_deliveries, opening_stock
from gateway.season.picking import picking
from projections.inventory.reader import read_inventory
from runtime.errors import Fault
from runtime.progress import progress

#: The export has no promises. A simulated promise of this many days makes on-time figures possible.
PROMISE_DAYS = 5
#: After this time, simulated parcels and returns of the last day have arrived.
COUNTED_AFTER_DAYS = 45
#: Refused rows shown as text; `--json` has all.
REFUSED_SHOWN = 10
#: Letters shown of a refused row: a broken one may be a whole file.
ROW_SHOWN_LETTERS = 120


def bring_in(run: Sending, request: Request) -> dict[str, Any]:
    """Send a retailer's export through the ledger and return the account of its rows. `peak`: by default the week with
    most sales. Raises Fault for a file that cannot be read, or has no row on these days.

    Phases: stock, orders, late stock, picking and carriers (simulated), returns and refunds, counts (simulated).
    """
    path, from_, to, seed, peak, decimal = request
    with progress(f"reading {path.name}", None, unit="rows") as bar:
        frame = retail.read_file(path)
        bar.reach(frame.height)
        if peak and from_ is None and to is None:
            from_, to = retail.peak_slice(frame, decimal=decimal)
        bar.say("mapping rows to commands")
        mapping = retail.map_rows(frame, from_=from_, to=to, decimal=decimal)
    del frame
    if not mapping.account.rows_read:
        raise _nothing_in(path, mapping.account.rows_outside_slice, from_, to)
    run.phase("opening stock (simulated)", opening_stock(mapping, seed=seed))
    run.phase("orders", with_promise(mapping.orders(), PROMISE_DAYS), mapping.order_rows.height)
    run.phase(
        "stock that came late (simulated), corrections",
        merge(late_deliveries(mapping, seed=seed), mapping.adjustments(), key=_occurred_at),
    )
    run.phase("picking and carriers (simulated)", picking(run.connection, retail.ORDER_PREFIX, seed, scans="delivered"))
    run.phase("returns and refunds", merge(mapping.returns(), mapping.refunds(), key=_occurred_at))
    skus = set(mapping.line_rows["sku"])
    rows = [row for row in read_inventory(run.connection) if row["on_hand"] >= 0 and row["sku"] in skus]
    run.connection.rollback()
    # Counts come after the last parcel of the slice, because a count is compared with the record as of its own time.
    # Without a date all rows were refused, so there is nothing to count.
    if mapping.last_date is not None:
        at = datetime.combine(mapping.last_date + timedelta(days=COUNTED_AFTER_DAYS), datetime.min.time(), UTC)
        run.phase("cycle counts (simulated)", cycle_counts(rows, seed=seed, at=at))
    made_up = f"simulated: stock, picking, carriers, counts, and promises ({PROMISE_DAYS} days after each order)"
    refused = list(mapping.refused_rows())
    return {
        **mapping.as_dict(),
        "refused_rows": refused,
        "simulated": made_up,
        "text": "\n".join([mapping.render_account(), *map(_refused_row, refused[:REFUSED_SHOWN]), made_up]),
    }


def _nothing_in(path: Path, rows: int, from_: date | None, to: date | None) -> Fault:
    if not rows:
        return Fault("there is nothing to import", f"{path.name} has a header and no rows", "name a file with rows")
    return Fault(
        "there is nothing to import",
        f"none of the {rows:,} rows of {path.name} is between {from_ or 'its first day'} and {to or 'its last'}",
        "choose other days: --from is the first day, --to the last",
    )


def _refused_row(row: dict[str, Any]) -> str:
    """`line 7: quantity is 0 … (536365 85048 …)`; a row of a workbook is counted from its first one."""
    where = f"row {row['row'] + 1}" if row["line"] is None else f"line {row['line']}"
    cells = (row["invoice"], row["sku"], row["description"], row["quantity"], row["price"])
    shown = row["broken"] or "  ".join(str(cell) for cell in cells if cell is not None)
    return f"{where} refused, {row['reason']}: {shown[:ROW_SHOWN_LETTERS]}"


def with_promise(commands: Iterable[Command], days: int) -> Iterator[Command]:
    """The orders; those without a promise get one of this many days after placing."""
    for command in commands:
        placed = datetime.fromisoformat(command["occurred_at"])
        promise = (placed.date() + timedelta(days=days)).isoformat()
        yield {**command, "data": {"promised_by": promise, **command["data"]}}


def _occurred_at(command: Command) -> str:
    return str(command["occurred_at"])
