"""The kind of each row of Online Retail II, in the columns `place` and `why`. The first matching rule applies.

    invoice      row                                                place         why
    any          a csv line without the columns of the header       refused       broken_row
    any          a cell missing or not a number, price too large    refused       unreadable_cell
    any          already on an earlier sheet of the workbook        refused       invoice_on_earlier_sheet
    A…           bad debt: an accounting entry, not an order        refused       bad_debt
    other        neither 123456 nor C123456 nor A123456             refused       unknown_invoice
    any          quantity 0                                         refused       no_quantity
    123456       service code, and the invoice has a line or money  charges       on_orders
    123456       service code, and the invoice is worth nothing     refused       charge_without_amount
    123456       goods, quantity below 0                            adjustments   write_offs
    123456       goods, free, no customer, a note for a description adjustments   found
    123456       goods, price below 0                               refused       negative_price
    123456       goods                                              lines         line
    C123456      quantity above 0                                   refused       positive_cancellation
    C123456      price below 0                                      refused       negative_price
    C123456      service code worth nothing                         refused       charge_without_amount
    C123456      service code                                       charges       credits (if an order is found)
    C123456      goods                                              returns       matched, split_over_lines, fallback_…

'found': 1,117 rows of the year 2009/10 are alone on their invoice, cost nothing, have no customer, and have no
description or a note (`found`, `?`, `temp`) instead of a product's name, which the file writes in capitals. They are
the counterpart of write-offs: stock that was found. Free rows with a product's name are free goods in an order and stay
lines, at price 0.

An invoice has one time (that of its first row; 41 invoices span two minutes), one customer and one country (the first).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from gateway.connectors.online_retail.codes import SELLER_TIME_ZONE, SERVICE_CODE_PATTERN

QUANTITY_MAX: Final = 1_000_000_000
"""Units in one row. Times the largest unit price this still fits 64 bits; the largest in the real file is 19,152."""

AMOUNT_MAX_MINOR: Final = 10**12
"""Pence in one row, the limit of the ledger's numbers; the largest in the real file is 5.4 million."""

CODE_LETTERS_MAX: Final = 100
"""Letters of an invoice, a code, a customer: they become part of ids, which have at most 200 letters."""

TEXT_LETTERS_MAX: Final = 1_000
"""Letters of a description, which becomes part of a reason; the ledger accepts texts of at most 4,000 letters."""

YEARS: Final = (1970, 2100)
"""A date outside is an error, or of another calendar. The simulated warehouse also needs weeks before and after."""

REFUSALS: Final[dict[str, str]] = {
    "broken_row": "the line does not have the columns of the header; perhaps it has a stray quote mark or separator",
    "unreadable_cell": "invoice, code, quantity, date or price is missing, unreadable, or out of bounds",
    "invoice_on_earlier_sheet": "the same invoice is on an earlier sheet of the workbook",
    "bad_debt": "an 'A' invoice writes off bad debt: an accounting entry, not an order",
    "unknown_invoice": "the invoice number is neither a sale, nor a cancellation (C), nor an adjustment (A)",
    "no_quantity": "the quantity is 0: nothing moved",
    "charge_without_amount": "a service code with the amount 0",
    "negative_price": "the unit price is below 0",
    "positive_cancellation": "a cancellation row with a quantity above 0",
    "credit_without_customer": "a credit for a service without a customer: no order can be found for it",
    "credit_without_order": "a credit for a service, but no earlier order of the customer is worth as much",
    "credit_order_outside_slice": "a credit for a service whose order is outside the imported dates",
}
"""All reasons for refusing a row, with their text."""


def classify(table: pl.DataFrame) -> pl.DataFrame:
    """The canonical rows with `place` and `why`; returns are `matched` until the search for sales.

    Adds number (within the invoice, from 1), at (UTC) and local_date of the invoice, service (bool), amount_minor
    (quantity x unit price, signed as in the file), place, why; customer and country become those of the invoice.
    """
    one_invoice = ["invoice", "sheet"]
    dated = pl.when(pl.col("local_at").dt.year().is_between(*YEARS)).then("local_at").alias("local_at")
    rows = (
        table.with_columns(dated)
        .with_columns(
            pl.int_range(1, pl.len() + 1).over(one_invoice).alias("number"),
            pl.col("local_at").min().over(one_invoice).alias("local_at"),
            pl.col("customer").drop_nulls().first().over(one_invoice).alias("customer"),
            pl.col("country").drop_nulls().first().over(one_invoice).fill_null("Unspecified").alias("country"),
            pl.col("sku").str.contains(SERVICE_CODE_PATTERN).fill_null(value=False).alias("service"),
            (pl.col("sheet") > pl.col("sheet").min().over("invoice")).alias("repeated"),
            _readable().alias("readable"),
        )
        .with_columns(
            _utc(pl.col("local_at")).alias("at"),
            pl.col("local_at").dt.date().alias("local_date"),
            pl.when("readable")
            .then(pl.col("quantity") * pl.col("unit_price_minor"))
            .otherwise(0)
            .alias("amount_minor"),
            pl.col("invoice").str.contains(r"^\d+$").fill_null(value=False).alias("sale"),
            pl.col("invoice").str.contains(r"^C\d+$").fill_null(value=False).alias("cancellation"),
        )
    )
    price, quantity = pl.col("unit_price_minor"), pl.col("quantity")
    goods_line = ~pl.col("service") & (quantity > 0) & (price >= 0) & ~_found()
    something = (goods_line | (pl.col("service") & (pl.col("amount_minor") != 0))) & pl.col("readable")
    return (
        rows.with_columns(something.any().over(one_invoice).alias("something"))
        .with_columns(
            pl.when(pl.col("broken").is_not_null())
            .then(pl.lit("refused/broken_row"))
            .when(~pl.col("readable"))
            .then(pl.lit("refused/unreadable_cell"))
            .when("repeated")
            .then(pl.lit("refused/invoice_on_earlier_sheet"))
            .when(pl.col("invoice").str.contains(r"^A\d+$"))
            .then(pl.lit("refused/bad_debt"))
            .when(~pl.col("sale") & ~pl.col("cancellation"))
            .then(pl.lit("refused/unknown_invoice"))
            .when(quantity == 0)
            .then(pl.lit("refused/no_quantity"))
            .when(pl.col("sale") & pl.col("service") & pl.col("something"))
            .then(pl.lit("charges/on_orders"))
            .when(pl.col("sale") & pl.col("service"))
            .then(pl.lit("refused/charge_without_amount"))
            .when(pl.col("sale") & (quantity < 0))
            .then(pl.lit("adjustments/write_offs"))
            .when(pl.col("sale") & _found())
            .then(pl.lit("adjustments/found"))
            .when(pl.col("sale") & (price < 0))
            .then(pl.lit("refused/negative_price"))
            .when("sale")
            .then(pl.lit("lines/line"))
            .when(quantity > 0)
            .then(pl.lit("refused/positive_cancellation"))
            .when(price < 0)
            .then(pl.lit("refused/negative_price"))
            .when(pl.col("service") & (pl.col("amount_minor") == 0))
            .then(pl.lit("refused/charge_without_amount"))
            .when("service")
            .then(pl.lit("charges/credits"))
            .otherwise(pl.lit("returns/matched"))
            .str.split_exact("/", 1)
            .struct.rename_fields(["place", "why"])
            .alias("verdict")
        )
        .unnest("verdict")
        .drop("repeated", "readable", "sale", "cancellation", "something")
    )


def _readable() -> pl.Expr:
    cells = ("invoice", "sku", "quantity", "local_at", "unit_price_minor")
    present = pl.all_horizontal(pl.col(cell).is_not_null() for cell in cells)
    short = pl.all_horizontal(
        pl.col(code).fill_null("").str.len_chars() <= letters
        for code, letters in (
            *((code, CODE_LETTERS_MAX) for code in ("invoice", "sku", "customer")),
            ("description", TEXT_LETTERS_MAX),
        )
    )
    texts = ("invoice", "sku", "customer", "description", "country")
    # PostgreSQL cannot store NUL, so the ledger accepts none.
    storable = ~pl.any_horizontal(pl.col(text).fill_null("").str.contains("\0", literal=True) for text in texts)
    quantity = pl.col("quantity").is_between(-QUANTITY_MAX, QUANTITY_MAX).fill_null(value=False)
    # Multiplied only if the quantity is in bounds, because 64 bits overflow silently.
    amount = pl.when(quantity).then(pl.col("quantity") * pl.col("unit_price_minor")).fill_null(0)
    return present & short & storable & quantity & amount.is_between(-AMOUNT_MAX_MINOR, AMOUNT_MAX_MINOR)


def _found() -> pl.Expr:
    """A free row without customer and without a product's name (these are written in capitals)."""
    text = pl.col("description")
    note = text.is_null() | (text != text.str.to_uppercase()) | ~text.str.contains("[A-Z]")
    invoice_is_free = (pl.col("unit_price_minor").fill_null(0) == 0).all().over("invoice", "sheet")
    return invoice_is_free & pl.col("customer").is_null() & note & (pl.col("quantity") > 0)


def _utc(local: pl.Expr) -> pl.Expr:
    """The seller's wall clock as UTC. A time in October's repeated hour counts as the first one. A time in March's
    skipped hour comes from a clock that was not put forward, so it is GMT."""
    london = local.dt.replace_time_zone(SELLER_TIME_ZONE, ambiguous="earliest", non_existent="null")
    return pl.coalesce(london.dt.convert_time_zone("UTC"), local.dt.replace_time_zone("UTC"))
