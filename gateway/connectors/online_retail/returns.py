"""Finding the sale for a cancellation row. The file does not name it, so these rules find it:

Goods. A row of a 'C' invoice belongs to an earlier sale line (same minute allowed) of the same customer and code that
still has enough quantity and whose order still has enough value for the refund. Lines with the same unit price come
first, then the most recent. On the year 2009/10 that matches as many whole rows as oldest-first (7,831 to 7,828) and
finds the same price more often (7,455 to 7,286). If no single line has enough, the row is split over several, in the
same order. If all of them do not cover the whole row, it is not matched.

Money. A row with a service code (discount, postage, manual) is refunded from the most recent earlier order of that
customer with enough value left; it has no goods.

Rows are taken in time order, goods and money together, so that no order refunds more than it was worth. The search
always runs over the whole file, so the same row finds the same sale in every slice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

import polars as pl


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a cancellation row that belongs to one order; `line_id` is None for money without goods."""

    row: int
    order: int
    line_id: int | None
    quantity: int
    refund_minor: int


@dataclass(slots=True)
class _SaleLine:
    at: datetime
    order: int
    line_id: int
    unit_price_minor: int
    quantity_left: int


def match_cancellations(
    sales: pl.DataFrame, cancellations: pl.DataFrame, order_value_minor: dict[int, int]
) -> list[Piece]:
    """The pieces of every matched row, in time order.

    `sales`: order, at, line_id, customer, sku, quantity, unit_price_minor. `cancellations`: row, at, customer, sku,
    quantity (> 0), unit_price_minor, service (bool). `order_value_minor`: every order, in time order -> the sum of its
    lines and charges.
    """
    by_goods = _lines_by_customer_and_sku(sales, cancellations)
    by_customer = _orders_by_customer(sales, cancellations)
    value_left = dict(order_value_minor)
    pieces: list[Piece] = []
    rows = cancellations.filter(pl.col("customer").is_not_null()).sort("at", "row")
    names = ("row", "at", "customer", "sku", "quantity", "unit_price_minor", "service")
    for row, at, customer, sku, quantity, price, service in rows.select(names).iter_rows():
        if service:
            found = _order_to_credit(row, at, quantity * price, by_customer.get(customer, ([], [])), value_left)
        else:
            found = _lines_to_return(row, at, quantity, price, by_goods.get((customer, sku), []), value_left)
        for piece in found:
            value_left[piece.order] -= piece.refund_minor
        pieces.extend(found)
    return pieces


def _lines_to_return(  # noqa: PLR0917 - the cells of one row, then the lines that it may use
    row: int, at: datetime, quantity: int, price: int, lines: list[_SaleLine], value_left: dict[int, int]
) -> list[Piece]:
    candidates = [line for line in reversed(lines) if line.at <= at and line.quantity_left]
    candidates.sort(key=lambda line: line.unit_price_minor != price)  # stable: among equals the most recent stays first
    for line in candidates:
        if line.quantity_left >= quantity and value_left[line.order] >= quantity * price:
            line.quantity_left -= quantity
            return [Piece(row, line.order, line.line_id, quantity, quantity * price)]
    missing, parts, spent = quantity, list[tuple[_SaleLine, int]](), defaultdict[int, int](int)
    for line in candidates:
        affordable = (value_left[line.order] - spent[line.order]) // price if price else line.quantity_left
        part = min(missing, line.quantity_left, max(affordable, 0))
        if part:
            parts.append((line, part))
            spent[line.order] += part * price
            missing -= part
    if missing:
        return []
    for line, part in parts:
        line.quantity_left -= part
    return [Piece(row, line.order, line.line_id, part, part * price) for line, part in parts]


def _order_to_credit(
    row: int, at: datetime, amount_minor: int, orders: tuple[list[datetime], list[int]], value_left: dict[int, int]
) -> list[Piece]:
    times, numbers = orders
    for position in range(bisect_right(times, at) - 1, -1, -1):
        if value_left[numbers[position]] >= amount_minor:
            return [Piece(row, numbers[position], None, 0, amount_minor)]
    return []


def _lines_by_customer_and_sku(
    sales: pl.DataFrame, cancellations: pl.DataFrame
) -> dict[tuple[str, str], list[_SaleLine]]:
    """Only lines that a cancellation may match: a fiftieth of the year's lines become Python objects."""
    wanted = sales.join(cancellations.filter(~pl.col("service")), on=["customer", "sku"], how="semi").sort(
        "at", "order", "line_id"
    )
    lines: dict[tuple[str, str], list[_SaleLine]] = defaultdict(list)
    names = ("customer", "sku", "at", "order", "line_id", "unit_price_minor", "quantity")
    for customer, sku, at, order, line_id, price, quantity in wanted.select(names).iter_rows():
        lines[customer, sku].append(_SaleLine(at, order, line_id, price, quantity))
    return lines


def _orders_by_customer(
    sales: pl.DataFrame, cancellations: pl.DataFrame
) -> dict[str, tuple[list[datetime], list[int]]]:
    orders = sales.join(cancellations.filter("service"), on="customer", how="semi").select("customer", "at", "order")
    found: dict[str, tuple[list[datetime], list[int]]] = defaultdict(lambda: ([], []))
    for customer, at, order in orders.unique().sort("at", "order").iter_rows():
        times, numbers = found[customer]
        times.append(at)
        numbers.append(order)
    return found
