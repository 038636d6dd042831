"""Rows of Online Retail II with good defaults, and short ways to look at what they map to."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import polars as pl

from events.locations import commands as location_commands
from events.orders import commands as order_commands
from events.stock import commands as stock_commands
from gateway.connectors.online_retail.mapping import Command, Mapping, map_rows

HEADERS = ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")
SCHEMA: dict[str, Any] = {
    **dict.fromkeys(HEADERS, pl.String),
    "Quantity": pl.Int64,
    "Price": pl.Float64,
    "Customer ID": pl.Float64,
}


def row(  # noqa: PLR0917 - the columns of the file
    invoice: str | None = "489434",
    sku: str | None = "85048",
    quantity: int | None = 1,
    price: float | None = 2.55,
    at: str | None = "2009-12-01 07:45:00",
    customer: float | None = 13085.0,
    country: str = "United Kingdom",
    text: str | None = "CHRISTMAS GLASS BALL",
) -> tuple[Any, ...]:
    """One row of the file; by default one unit sold."""
    return (invoice, sku, text, quantity, at, price, customer, country)


def frame(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """A file of these rows."""
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


def mapped(*rows: tuple[Any, ...], **dates: date) -> Mapping:
    """The mapping of a file of these rows."""
    return map_rows(frame(*rows), **dates)


def only_order(mapping: Mapping) -> dict[str, Any]:
    """The data of the one PlaceOrder."""
    (command,) = mapping.orders()
    data: dict[str, Any] = command["data"]
    return data


def named(commands: list[Command], name: str) -> list[dict[str, Any]]:
    """The data of the commands of that name."""
    return [command["data"] for command in commands if command["command"] == name]


def reasons(mapping: Mapping) -> list[str]:
    """Why rows were refused."""
    return [refused["why"] for refused in mapping.refused_rows()]


SALE = row("500001", quantity=10, price=2.0, at="2010-02-01 10:00:00")


def cancellation(quantity: int, at: str = "2010-02-05 10:00:00", **cells: Any) -> tuple[Any, ...]:
    """A row of a 'C' invoice that takes goods back."""
    return row(**{"invoice": "C500099", "quantity": -quantity, "price": 2.0, "at": at, **cells})


def written_off(mapping: Mapping) -> int:
    """Units that the slice writes off."""
    deltas: list[int] = [command["data"]["quantity_delta"] for command in mapping.adjustments()]
    return -sum(delta for delta in deltas if delta < 0)


def check_against_the_ledgers_types(command: Command) -> None:
    """Raise when a command of ours is not one that the deciders know."""
    rooms = (order_commands, stock_commands, location_commands)
    (kind,) = [getattr(room, command["command"]) for room in rooms if hasattr(room, command["command"])]
    msgspec.convert(command["data"], kind)
    assert len(command["id"]) <= 200
