"""UCI Online Retail II as commands: real orders, returns and write-offs of a UK gift retailer, 2009 to 2011.

    mapping = map_rows(read_file(path), from_=date(2010, 11, 22), to=date(2010, 11, 28))
    print(mapping.render_account())
    for command in mapping.commands(): ...          # dicts in the JSON form of commands, in time order

Every row of the file gets exactly one kind (`rows.py` has the rules), and the account checks that. Nothing here reads a
clock or draws random numbers: the same file gives the same commands with the same ids, so importing it twice changes
nothing.

The mapping:
- A sales invoice is `PlaceOrder`, order_id `uci-<invoice>`. One line per row; line_id is the row's number in the
  invoice, because a code may repeat. Codes are kept as written (`85123a` and `85123A`), without surrounding blanks.
- Its service rows are `charges` of the order: {code, amount_minor, description}, negative for a credit. An invoice of
  charges only is an order with `lines: []`.
- A row without customer belongs to a guest: customer_id `guest-<invoice>`.
- Money is GBP pence. A unit price that is not whole pence is rounded half to even, once, before any multiplication.
- Times in the file are Europe/London wall clock; commands have UTC.
- Goods of a 'C' invoice that match a sale (`returns.py` has the rule) become RequestReturn, ReceiveReturn and
  IssueRefund, one return per order; return_id `uci-<C invoice>-<k>`. Unmatched goods become AdjustStock.
- Service rows of a 'C' invoice are IssueRefund against the customer's most recent earlier order, counted under charges.
- Write-offs and found stock are AdjustStock. The file has no locations: everything happens at `MAIN_LOCATION`, which
  is simulated (`stock.py`).

A slice takes whole invoices by their first local date. The search for sales always runs over the whole file, so ids and
bodies do not depend on the slice, with one exception: goods whose sale is outside the slice become AdjustStock. So
import slices that do not overlap, or the whole file once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from heapq import merge
from typing import Any, Final, TypeAlias

import polars as pl

from gateway.connectors.decimal_marks import DecimalMark
from gateway.connectors.online_retail.account import PLACES, Account
from gateway.connectors.online_retail.codes import COUNTRIES, TIME_ZONES, UNKNOWN_COUNTRY, USUAL_STOCK_CODE_PATTERN
from gateway.connectors.online_retail.file import canonical, read_file
from gateway.connectors.online_retail.returns import Piece, match_cancellations
from gateway.connectors.online_retail.rows import REFUSALS, classify
from gateway.connectors.unreadable import UnreadableSource

__all__ = ["CHANNEL", "MAIN_LOCATION", "ORDER_PREFIX", "Command", "Mapping", "map_rows", "peak_slice", "read_file"]

Command: TypeAlias = dict[str, Any]
"""A command in JSON form: command, id, channel, actor, occurred_at, data."""

CHANNEL: Final = "online-retail"
ACTOR: Final = "import"
CURRENCY: Final = "GBP"
ORDER_PREFIX: Final = "uci-"
"""Prefix of the ids of all orders of the file; the invoice's number follows."""
MAIN_LOCATION: Final = "SIM-WH-NORTH"
"""The location of the file's stock movements. Simulated: the file has no locations."""

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_ORDERS_PER_CHUNK: Final = 1_000
"""Orders turned into Python objects at a time: more costs memory (about 20 KB each), fewer costs calls."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """The result for a file or a slice of it. Big parts stay tables; commands are made on demand.

    `order_rows`: order, invoice, at, customer, country. `line_rows`: order, number, sku, quantity, unit_price_minor,
    at. `charge_rows`: order, sku, amount_minor, description. `refused`: row, line, invoice, sku, description,
    quantity, price, broken, why. `first_date`, `last_date`: local dates of the first and last row read, if there are
    any.
    """

    order_rows: pl.DataFrame
    line_rows: pl.DataFrame
    charge_rows: pl.DataFrame
    return_commands: tuple[Command, ...]
    refund_commands: tuple[Command, ...]
    adjustment_commands: tuple[Command, ...]
    refused: pl.DataFrame
    account: Account
    first_date: date | None
    last_date: date | None

    def orders(self) -> Iterator[Command]:
        """PlaceOrder, one per sales invoice, by time and then by row."""
        for start in range(0, self.order_rows.height, _ORDERS_PER_CHUNK):
            chunk = self.order_rows.slice(start, _ORDERS_PER_CHUNK)
            lines = _per_order(self.line_rows, chunk, ("number", "sku", "quantity", "unit_price_minor"))
            charges = _per_order(self.charge_rows, chunk, ("sku", "amount_minor", "description"))
            names = ("order", "invoice", "at", "customer", "country")
            for order, invoice, at, customer, country in chunk.select(names).iter_rows():
                yield _place_order(invoice, at, customer, country, lines.get(order, []), charges.get(order, []))

    def returns(self) -> Iterator[Command]:
        """RequestReturn, ReceiveReturn and IssueRefund of matched goods, and AdjustStock of goods without a sale; by
        time."""
        return iter(self.return_commands)

    def refunds(self) -> Iterator[Command]:
        """IssueRefund for service rows of 'C' invoices, which the account counts as charges; by time."""
        return iter(self.refund_commands)

    def adjustments(self) -> Iterator[Command]:
        """AdjustStock for write-offs (negative) and found stock (positive); by time."""
        return iter(self.adjustment_commands)

    def commands(self) -> Iterator[Command]:
        """All commands by occurred_at; at the same second orders before returns before refunds before adjustments."""
        parts = (self.orders(), self.returns(), self.refunds(), self.adjustments())
        ranked = [_ranked(part, rank) for rank, part in enumerate(parts)]
        return (command for _, _, _, command in merge(*ranked, key=lambda item: item[:3]))

    def refused_rows(self) -> Iterator[dict[str, Any]]:
        """The refused rows with `row` (from 0), `line` (of a csv, from 1), their cells, `why` (a key of REFUSALS) and
        `reason` (a sentence)."""
        for row in self.refused.iter_rows(named=True):
            yield {**row, "reason": REFUSALS[row["why"]]}

    def as_dict(self) -> dict[str, Any]:
        """The account as JSON, with the dates it covers."""
        dates = {"from": self.first_date, "to": self.last_date}
        return {**{name: day and day.isoformat() for name, day in dates.items()}, **self.account.as_dict()}

    def render_account(self) -> str:
        """The account as a table for people."""
        return self.account.render()


def map_rows(
    frame: pl.DataFrame, *, from_: date | None = None, to: date | None = None, decimal: DecimalMark | None = None
) -> Mapping:
    """The mapping of a raw frame from `read_file`, for invoices of the local dates `from_` to `to` (both inclusive).

    `decimal` is the decimal mark, if the file does not show it. Raises `UnreadableSource` for a missing column, a date
    column that fits no known format and ambiguous numbers; a bad cell only refuses its row.
    """
    rows = classify(canonical(frame, decimal))
    orders = _orders_of(rows)
    rows = rows.join(
        orders.select("invoice", "sheet", "order"), on=["invoice", "sheet"], how="left", maintain_order="left"
    )
    pieces = _match(rows, orders)
    numbers = _return_numbers(rows, pieces)
    inside = pl.col("local_date").is_null()
    inside |= pl.col("local_date").is_between(pl.lit(from_ or date.min), pl.lit(to or date.max))
    orders_inside = orders.filter(inside)
    rows_inside = rows.filter(inside)
    rows_inside, pieces = _settle_cancellations(rows_inside, pieces, set(orders_inside.get_column("order")))
    dates = rows_inside.get_column("local_date").drop_nulls().sort()
    invoices = dict(orders_inside.select("order", "invoice").iter_rows())
    return Mapping(
        order_rows=orders_inside.select("order", "invoice", "at", "customer", "country"),
        line_rows=_sorted_part(rows_inside, "line", ("order", "number", "sku", "quantity", "unit_price_minor", "at")),
        charge_rows=_sorted_part(rows_inside, "on_orders", ("order", "sku", "amount_minor", "description")),
        return_commands=tuple(_by_time(_return_commands(rows_inside, pieces, invoices, numbers))),
        refund_commands=tuple(_by_time(_refund_commands(rows_inside, pieces, invoices))),
        adjustment_commands=tuple(_by_time(_adjust_stock(rows_inside.filter(place="adjustments")))),
        refused=rows_inside.filter(place="refused").select(
            "row",
            "line",
            "invoice",
            "sku",
            "description",
            "quantity",
            pl.col("price_text").alias("price"),
            "broken",
            "why",
        ),
        account=_account(rows_inside, orders_inside, rows.height - rows_inside.height),
        first_date=dates[0] if dates.len() else None,
        last_date=dates[-1] if dates.len() else None,
    )


def peak_slice(frame: pl.DataFrame, *, decimal: DecimalMark | None = None) -> tuple[date, date]:
    """First and last of the 7 consecutive local days with most sales invoices; the earliest days if several are equal.

    Raises `UnreadableSource` like `map_rows`, and if the file has no order.
    """
    orders = _orders_of(classify(canonical(frame, decimal)))
    if not orders.height:
        raise UnreadableSource(
            "the file has no order",
            f"none of its {frame.height:,} rows is a line or a charge of a sale",
            "`order-ledger import online-retail FILE` shows why each row was refused",
        )
    per_day: dict[date, int] = dict(orders.group_by("local_date").len().iter_rows())
    week = [timedelta(days=day) for day in range(7)]
    # The best week can always start on a day with orders, because a day without orders adds nothing.
    start = max(sorted(per_day), key=lambda first: sum(per_day.get(first + day, 0) for day in week))
    return start, start + week[-1]


def _orders_of(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per invoice with a line or a charge, numbered by time and then by row."""
    return (
        rows.filter(pl.col("why").is_in(["line", "on_orders"]))
        .group_by("invoice", "sheet", maintain_order=True)
        .agg(
            pl.col("row", "at", "local_date", "customer", "country").first(),
            pl.col("amount_minor").sum().alias("value_minor"),
            (pl.col("why") == "line").any().alias("with_lines"),
        )
        .sort("at", "row")
        .with_row_index("order")
    )


def _match(rows: pl.DataFrame, orders: pl.DataFrame) -> list[Piece]:
    cancellations = rows.filter(pl.col("why").is_in(["matched", "credits"])).with_columns(-pl.col("quantity"))
    sales = rows.filter(why="line").rename({"number": "line_id"})
    values = {order: max(value, 0) for order, value in orders.select("order", "value_minor").iter_rows()}
    return match_cancellations(sales, cancellations, values)


def _settle_cancellations(
    rows: pl.DataFrame, pieces: list[Piece], orders_inside: set[int]
) -> tuple[pl.DataFrame, list[Piece]]:
    """The rows with the outcome of the search in `place` and `why`, and the pieces whose orders are inside."""
    parts: dict[int, int] = {}
    outside: set[int] = set()
    for piece in pieces:
        parts[piece.row] = parts.get(piece.row, 0) + 1
        if piece.order not in orders_inside:
            outside.add(piece.row)
    found = pl.DataFrame(
        [(row, count, row in outside) for row, count in parts.items()],
        schema={"row": pl.UInt32, "parts": pl.UInt32, "outside": pl.Boolean},
        orient="row",
    )
    why, lost = pl.col("why"), pl.col("parts").is_null()
    alone = lost & pl.col("customer").is_null()
    goods, money = why == "matched", why == "credits"
    settled = rows.join(found, on="row", how="left", maintain_order="left").with_columns(
        pl.when(goods & alone)
        .then(pl.lit("fallback_no_customer"))
        .when(goods & lost)
        .then(pl.lit("fallback_no_sale"))
        .when(goods & pl.col("outside"))
        .then(pl.lit("fallback_sale_outside_slice"))
        .when(goods & (pl.col("parts") > 1))
        .then(pl.lit("split_over_lines"))
        .when(money & alone)
        .then(pl.lit("credit_without_customer"))
        .when(money & lost)
        .then(pl.lit("credit_without_order"))
        .when(money & pl.col("outside"))
        .then(pl.lit("credit_order_outside_slice"))
        .otherwise(why)
        .alias("why")
    )
    refused_credit = pl.col("why").str.starts_with("credit_")
    settled = settled.with_columns(pl.when(refused_credit).then(pl.lit("refused")).otherwise("place").alias("place"))
    kept = set(settled.filter(pl.col("why").is_in(["matched", "split_over_lines", "credits"])).get_column("row"))
    return settled.drop("parts", "outside"), [piece for piece in pieces if piece.row in kept]


def _sorted_part(rows: pl.DataFrame, why: str, columns: tuple[str, ...]) -> pl.DataFrame:
    return rows.filter(pl.col("why") == why).sort("order", "row").select(columns)


def _per_order(part: pl.DataFrame, orders: pl.DataFrame, columns: tuple[str, ...]) -> dict[int, list[tuple[Any, ...]]]:
    first, last = orders.item(0, "order"), orders.item(-1, "order")
    numbers = part.get_column("order")
    start, end = numbers.search_sorted(first, side="left"), numbers.search_sorted(last, side="right")
    grouped: dict[int, list[tuple[Any, ...]]] = {}
    for order, *cells in part.slice(start, end - start).select("order", *columns).iter_rows():
        grouped.setdefault(order, []).append(tuple(cells))
    return grouped


def _command(name: str, command_id: str, occurred_at: str, data: dict[str, Any]) -> Command:
    return {
        "command": name, "id": command_id, "channel": CHANNEL, "actor": ACTOR, "occurred_at": occurred_at, "data": data,
    }  # fmt: skip


def _place_order(  # noqa: PLR0917 - the cells of one row, then its lines and charges
    invoice: str,
    at: Any,
    customer: str | None,
    country: str,
    lines: list[tuple[Any, ...]],
    charges: list[tuple[Any, ...]],
) -> Command:
    code = COUNTRIES.get(country, UNKNOWN_COUNTRY)
    data: dict[str, Any] = {
        "order_id": f"{ORDER_PREFIX}{invoice}",
        "customer_id": customer or f"guest-{invoice}",
        "currency": CURRENCY,
        "lines": [
            {"line_id": str(number), "sku": sku, "quantity": quantity, "unit_price_minor": price}
            for number, sku, quantity, price in lines
        ],
        "ship_to": {"country": code, **({"time_zone": TIME_ZONES[code]} if code in TIME_ZONES else {})},
    }
    if charges:
        data["charges"] = [
            {"code": sku, "amount_minor": amount, "description": text or sku} for sku, amount, text in charges
        ]
    return _command("PlaceOrder", f"{ORDER_PREFIX}{invoice}", at.strftime(_TIME), data)


def _return_numbers(rows: pl.DataFrame, pieces: list[Piece]) -> dict[tuple[str, int], int]:
    """(C invoice, order) -> k of the return: the orders of the invoice are numbered by their first row in the file."""
    stood = _cells_of(rows, pieces)
    numbers: dict[tuple[str, int], int] = {}
    count: dict[str, int] = {}
    for piece in sorted((piece for piece in pieces if piece.line_id is not None), key=lambda piece: piece.row):
        invoice = stood[piece.row][0]
        if (invoice, piece.order) not in numbers:
            numbers[invoice, piece.order] = count[invoice] = count.get(invoice, 0) + 1
    return numbers


def _return_commands(
    rows: pl.DataFrame, pieces: list[Piece], invoices: dict[int, str], numbers: dict[tuple[str, int], int]
) -> Iterator[Command]:
    """One return per 'C' invoice and order, then the goods without a sale."""
    stood = _cells_of(rows, pieces)
    grouped: dict[tuple[str, int], list[Piece]] = {}
    for piece in sorted((piece for piece in pieces if piece.line_id is not None), key=lambda piece: piece.row):
        grouped.setdefault((stood[piece.row][0], piece.order), []).append(piece)
    for (invoice, order), group in grouped.items():
        return_id = f"{ORDER_PREFIX}{invoice}-{numbers[invoice, order]}"
        yield from _one_return(return_id, invoice, invoices[order], stood[group[0].row][1], group)
    yield from _adjust_stock(rows.filter(pl.col("why").str.starts_with("fallback_")))


def _one_return(return_id: str, invoice: str, sale: str, at: str, group: list[Piece]) -> Iterator[Command]:
    quantities: dict[str, int] = {}
    for piece in group:
        quantities[str(piece.line_id)] = quantities.get(str(piece.line_id), 0) + piece.quantity
    base = {"order_id": f"{ORDER_PREFIX}{sale}", "return_id": return_id}
    reason = f"cancellation {invoice}"
    asked = [{"line_id": line, "quantity": quantity, "reason": reason} for line, quantity in quantities.items()]
    got = [{"line_id": line, "quantity": quantity, "disposition": "restock"} for line, quantity in quantities.items()]
    yield _command("RequestReturn", f"{return_id}-request", at, {**base, "lines": asked, "resolution": "refund"})
    yield _command("ReceiveReturn", f"{return_id}-receive", at, {**base, "location_id": MAIN_LOCATION, "lines": got})
    amount = sum(piece.refund_minor for piece in group)
    if amount:
        yield _command("IssueRefund", f"{return_id}-refund", at, {**base, "amount_minor": amount, "reason": reason})


def _refund_commands(rows: pl.DataFrame, pieces: list[Piece], invoices: dict[int, str]) -> Iterator[Command]:
    stood = _cells_of(rows, pieces)
    for piece in pieces:
        if piece.line_id is None:
            invoice, at, number, sku, text = stood[piece.row]
            reason = f"credit {invoice}: {text or sku}"
            data = {
                "order_id": f"{ORDER_PREFIX}{invoices[piece.order]}",
                "amount_minor": piece.refund_minor,
                "reason": reason,
            }
            yield _command("IssueRefund", f"{ORDER_PREFIX}{invoice}-row-{number}-refund", at, data)


def _cells_of(rows: pl.DataFrame, pieces: list[Piece]) -> dict[int, tuple[str, str, int, str, str | None]]:
    wanted = rows.filter(pl.col("row").is_in(sorted({piece.row for piece in pieces})))
    cells = wanted.select("row", "invoice", pl.col("at").dt.strftime(_TIME), "number", "sku", "description").iter_rows()
    return {row: (invoice, at, number, sku, text) for row, invoice, at, number, sku, text in cells}


def _adjust_stock(rows: pl.DataFrame) -> Iterator[Command]:
    """Stock movements without an order. A return without a sale adds stock, so its sign changes."""
    defaults = {"write_offs": "write-off", "found": "stock found"}
    cells = ("invoice", "number", pl.col("at").dt.strftime(_TIME), "sku", "quantity", "description", "why")
    for invoice, number, at, sku, quantity, text, why in rows.select(cells).iter_rows():
        unmatched = why.startswith("fallback_")
        data = {
            "sku": sku,
            "location_id": MAIN_LOCATION,
            "quantity_delta": -quantity if unmatched else quantity,
            "reason": f"unmatched return {invoice}" if unmatched else text or defaults[why],
        }
        yield _command("AdjustStock", f"{ORDER_PREFIX}{invoice}-row-{number}-adjust", at, data)


def _by_time(commands: Iterator[Command]) -> list[Command]:
    return sorted(commands, key=lambda command: str(command["occurred_at"]))


def _ranked(part: Iterator[Command], rank: int) -> Iterator[tuple[str, int, int, Command]]:
    return ((command["occurred_at"], rank, number, command) for number, command in enumerate(part))


def _account(rows: pl.DataFrame, orders: pl.DataFrame, outside: int) -> Account:
    # A cell out of bounds is left out of units and money: it would overflow their sums.
    readable = ~pl.col("why").is_in(["unreadable_cell", "broken_row"])
    counted = rows.group_by("place", "why").agg(
        pl.len().alias("rows"),
        pl.col("quantity").filter(readable).sum().alias("units"),
        pl.col("amount_minor").filter(readable).sum().alias("value"),
    )
    of_which: dict[str, dict[str, int]] = {place: {} for place in PLACES}
    units, value = dict.fromkeys(PLACES, 0), dict.fromkeys(PLACES, 0)
    for place, why, count, pieces, worth in counted.sort("place", "why").iter_rows():
        of_which[place][why] = count
        units[place] += pieces
        value[place] += worth
    rounded = rows.filter(readable, pl.col("pence_left_out").is_not_null()).select("pence_left_out", "quantity").rows()
    left_out = [Decimal(pence) * pieces for pence, pieces in rounded]
    countries = orders.filter(~pl.col("country").is_in(list(COUNTRIES))).group_by("country").len().sort("country")
    goods = rows.filter(~pl.col("service") & pl.col("place").is_in(["lines", "returns", "adjustments"]))
    unusual = goods.filter(~pl.col("sku").str.contains(USUAL_STOCK_CODE_PATTERN)).get_column("sku")
    return Account(
        rows_read=rows.height,
        rows={place: sum(of_which[place].values()) for place in PLACES},
        units=units,
        value_minor=value,
        charges=of_which["charges"],
        returns=of_which["returns"],
        adjustments=of_which["adjustments"],
        refused=of_which["refused"],
        rows_outside_slice=outside,
        rows_over_several_lines=rows.filter(pl.col("lines") > 1).height,
        orders=orders.height,
        orders_without_lines=orders.height - int(orders.get_column("with_lines").sum()),
        orders_of_guests=orders.get_column("customer").null_count(),
        price_rounded_rows=len(rounded),
        price_rounding_minor=sum(left_out, Decimal(0)),
        unknown_countries=dict(countries.iter_rows()),
        unusual_codes=tuple(unusual.unique().sort()),
    )
