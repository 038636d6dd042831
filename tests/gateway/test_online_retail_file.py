"""What files are read, and what is said of those that cannot be."""

from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from gateway.connectors.online_retail import map_rows, read_file
from gateway.connectors.unreadable import UnreadableSource
from tests.gateway.online_retail_builders import (
    HEADERS,
    SALE,
    cancellation,
    frame,
    mapped,
    only_order,
    reasons,
    row,
)


def test_the_headers_of_the_first_file_are_understood() -> None:
    first = frame(row()).rename({"Invoice": "InvoiceNo", "Price": "UnitPrice", "Customer ID": "CustomerID"})
    assert list(map_rows(first).orders()) == list(mapped(row()).orders())


def test_a_missing_column_is_named() -> None:
    with pytest.raises(UnreadableSource) as caught:
        map_rows(frame(row()).drop("Price"))
    assert caught.value.what == "a column is missing"
    assert "Price or UnitPrice" in caught.value.detail
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("absent.csv", None, "no such file"),
        ("notes.txt", b"hello", "unknown kind of file"),
        ("broken.parquet", b"hello", "the file cannot be read"),
        ("broken.xlsx", b"hello", "the file cannot be read"),
        ("empty.csv", b"", "the file cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, name: str, content: bytes | None, what: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableSource) as caught:
        read_file(tmp_path / name)
    assert caught.value.what == what


def test_parquet_csv_and_xlsx_of_the_same_rows_map_alike(tmp_path: Path) -> None:
    rows = (SALE, row(sku="22041", text='7" RECORD, "RETRO"', customer=None), cancellation(4))
    frame(*rows).write_parquet(tmp_path / "rows.parquet")
    frame(*rows).write_csv(tmp_path / "rows.csv")
    book = openpyxl.Workbook()
    book.active.append(HEADERS)
    for invoice, sku, text, quantity, at, price, customer, country in rows:
        code = int(invoice) if invoice.isdigit() else invoice
        book.active.append([code, int(sku), text, quantity, datetime.fromisoformat(at), price, customer, country])
    book.save(tmp_path / "rows.xlsx")
    maps = [map_rows(read_file(tmp_path / f"rows.{kind}")) for kind in ("parquet", "csv", "xlsx")]
    assert list(maps[0].commands()) == list(maps[1].commands()) == list(maps[2].commands())


def test_an_invoice_that_a_second_sheet_repeats_counts_once(tmp_path: Path) -> None:
    sheets = pl.concat([frame(row()).with_columns(sheet=pl.lit(0)), frame(row()).with_columns(sheet=pl.lit(1))])
    mapping = map_rows(sheets)
    assert len(only_order(mapping)["lines"]) == 1
    assert reasons(mapping) == ["invoice_on_earlier_sheet"]


def test_a_csv_in_windows_letters_with_month_first_dates_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    with path.open("w", encoding="cp1252", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADERS)
        writer.writerow([536365, "85048", "VOUCHER £5", 6, "12/13/2010 8:26", "2.55", "17850", "United Kingdom"])
    (command,) = map_rows(read_file(path)).orders()
    assert command["occurred_at"] == "2010-12-13T08:26:00Z"


def test_dates_that_can_be_read_in_two_ways_are_not_guessed() -> None:
    with pytest.raises(UnreadableSource, match="two ways"):
        mapped(row(at="01/02/2010 08:26"))
    assert mapped(row(at="13/02/2010 08:26")).first_date == date(2010, 2, 13)
    assert mapped(row(at="2/13/10 8:26")).first_date == date(2010, 2, 13)


def test_a_broken_date_costs_its_row_not_the_file() -> None:
    mapping = mapped(row("500001"), row("500002"), row("500003", at="yesterday"))
    assert reasons(mapping) == ["unreadable_cell"]
    with pytest.raises(UnreadableSource, match="dates cannot be read"):
        mapped(row(at="yesterday"))
