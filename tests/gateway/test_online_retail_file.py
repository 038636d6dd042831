"""What files are read, and what is said of those that cannot be."""

from __future__ import annotations

import csv
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from gateway.connectors.connector import Request
from gateway.connectors.decimal_marks import DecimalMark
from gateway.connectors.online_retail.file import csv_frame
from gateway.connectors.online_retail.importing import bring_in
from gateway.connectors.online_retail.mapping import Mapping, map_rows, read_file
from gateway.connectors.unreadable import UnreadableSource
from runtime.errors import Fault
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
        ("empty.csv", b"", "the file is empty"),
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
    with pytest.raises(UnreadableSource, match="dates cannot be read"):
        mapped(row("500001"), row("500002", at="yesterday"), row("500003", at="tomorrow"))


def test_a_broken_date_costs_its_row_in_any_format() -> None:
    mapping = mapped(row("500001", at="13.02.2010 08:26"), row("500002", at="01.02.2010 08:26"), row(at="InvoiceDate"))
    assert [command["occurred_at"][:10] for command in mapping.orders()] == ["2010-02-01", "2010-02-13"]
    assert reasons(mapping) == ["unreadable_cell"]


def test_dates_in_two_orders_are_not_guessed() -> None:
    with pytest.raises(UnreadableSource, match="month first, and some the day"):
        mapped(row(at="13/02/2010 08:26"), row(at="02/14/2010 08:26"))


@pytest.mark.parametrize("at", ["1009-12-01 07:45:00", "9999-12-31 23:59:59", "0001-01-01 00:00:00"])
def test_a_date_of_another_age_costs_its_row(at: str) -> None:
    mapping = mapped(row("500001"), row("500002", at=at))
    assert reasons(mapping) == ["unreadable_cell"]
    assert mapping.first_date == mapping.last_date == date(2009, 12, 1)


@pytest.mark.parametrize(
    ("content", "days", "detail"),
    [
        (",".join(HEADERS), {}, "a header and no rows"),
        (",".join(HEADERS), {"peak": True}, "none of its 0 rows"),
        ("\n".join([",".join(HEADERS), "x,,,,,,,"]), {"peak": True}, "none of its 1 rows"),
        (
            "\n".join([",".join(HEADERS), "1,2,x,1,2010-01-01 10:00:00,1,1,UK"]),
            {"from_": date(2030, 1, 1)},
            "none of the 1 rows of f.csv is between 2030-01-01 and its last",
        ),
    ],
)
def test_a_file_that_gives_nothing_to_import_says_so(
    tmp_path: Path, content: str, days: dict[str, Any], detail: str
) -> None:
    (tmp_path / "f.csv").write_text(content)
    run: Any = None  # nothing is sent
    with pytest.raises(Fault) as caught:
        bring_in(run, Request(tmp_path / "f.csv", **days))
    assert detail in caught.value.detail
    assert caught.value.hint


# Every line of a csv

HEADER = ",".join(HEADERS)


def csv_mapping(*lines: str, header: str = HEADER, encoding: str = "utf-8", **options: Any) -> Mapping:
    return map_rows(csv_frame("\n".join([header, *lines]).encode(encoding)), **options)


def line(invoice: int, text: str = "BOWL", price: str = "2.55", quantity: str = "6") -> str:
    return f"{invoice},85048,{text},{quantity},2010-12-13 08:26:00,{price},17850,United Kingdom"


def prices(mapping: Mapping) -> list[int]:
    return [line["unit_price_minor"] for command in mapping.orders() for line in command["data"]["lines"]]


def test_inch_marks_cost_no_row() -> None:
    mapping = csv_mapping(line(536365, '7" BOWL'), line(536366, '"BOWL'), line(536367), line(536368, 'BOWL 9""'))
    assert [command["id"] for command in mapping.orders()] == [f"uci-{number}" for number in range(536365, 536369)]


def test_a_broken_line_is_refused_with_its_number_and_its_text() -> None:
    mapping = csv_mapping(line(536365), "536366,85048,BOWL", line(536367, price="2,55"), line(536368))
    assert [(row["line"], row["why"], row["broken"]) for row in mapping.refused_rows()] == [
        (3, "broken_row", "536366,85048,BOWL"),
        (4, "broken_row", line(536367, price="2,55")),
    ]
    assert mapping.account.rows_read == 4


def test_a_text_over_two_lines_is_one_row_and_said() -> None:
    mapping = csv_mapping(line(536365, '"BOWL\nRED"'), line(536366))
    assert (mapping.account.rows_read, mapping.account.rows_over_several_lines) == (2, 1)
    assert "several lines" in mapping.render_account()


def test_a_header_that_comes_again_costs_one_row() -> None:
    mapping = csv_mapping(line(536365), HEADER, line(536366))
    assert [(row["line"], row["why"]) for row in mapping.refused_rows()] == [(3, "unreadable_cell")]
    assert mapping.account.orders == 2


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_seen_in_the_header(separator: str) -> None:
    mapping = csv_mapping(line(536365).replace(",", separator), header=HEADER.replace(",", separator))
    assert mapping.account.orders == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_letters_of_the_usual_encodings_are_read(encoding: str) -> None:
    mapping = csv_mapping(line(536365, "VOUCHER £5").replace("85048", "M"), encoding=encoding)
    (command,) = mapping.orders()
    assert command["data"]["charges"][0]["description"] == "VOUCHER £5"


def test_a_file_of_two_encodings_is_read_line_by_line() -> None:
    first, second = (line(number, "£5").replace("85048", "M") for number in (1, 2))
    lines = [HEADER.encode(), first.encode(), second.encode("cp1252")]
    mapping = map_rows(csv_frame(b"\r\n".join(lines)))
    assert [command["data"]["charges"][0]["description"] for command in mapping.orders()] == ["£5", "£5"]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"\x00\x01\x02", "the file is not a csv"),
        (HEADER.encode() + b"\n\x81", "the letters of the file cannot be read"),
        (HEADER.encode("utf-16-le"), "the file is not a csv"),
    ],
)
def test_what_is_no_csv_says_so(raw: bytes, what: str) -> None:
    with pytest.raises(UnreadableSource) as caught:
        csv_frame(raw)
    assert caught.value.what == what
    assert caught.value.hint


@pytest.mark.parametrize("second", ["Price", "UnitPrice"])
def test_a_column_that_is_there_twice_is_not_guessed(second: str) -> None:
    with pytest.raises(UnreadableSource, match="given twice"):
        csv_mapping(f"{line(536365)},1.00", header=f"{HEADER},{second}")


def test_a_column_with_the_name_of_one_of_ours_is_just_a_column() -> None:
    mapping = csv_mapping(f"{line(536365)},1,2,3", "x", header=f"{HEADER},line,lines,broken")
    assert (mapping.account.orders, reasons(mapping)) == (1, ["broken_row"])


# Decimal marks


def test_a_price_that_can_be_read_in_two_ways_is_refused_until_a_person_says() -> None:
    cell = line(536365, price='"1,800"')
    with pytest.raises(UnreadableSource, match="two ways"):
        csv_mapping(cell)
    assert prices(csv_mapping(cell, decimal=DecimalMark.POINT)) == [180_000]
    assert prices(csv_mapping(cell, decimal=DecimalMark.COMMA)) == [180]


def test_another_row_of_the_column_tells_the_mark() -> None:
    assert prices(csv_mapping(line(1, price='"1,800"'), line(2, price='"1,234.56"'))) == [180_000, 123_456]
    assert prices(csv_mapping(line(1, price='"1,800"'), line(2, price='"£ 2,55"'))) == [180, 255]
    with pytest.raises(UnreadableSource, match="decimal point and numbers with a decimal comma"):
        csv_mapping(line(1, price="2.55"), line(2, price='"1,80"'))
    mixed = csv_mapping(line(1, price="2.55"), line(2, price='"1,80"'), decimal=DecimalMark.POINT)
    assert (prices(mixed), reasons(mixed)) == ([255], ["unreadable_cell"])


def test_a_quantity_has_a_decimal_mark_too() -> None:
    with pytest.raises(UnreadableSource, match="Quantity can be read in two ways"):
        csv_mapping(line(1, quantity="1.000"))
    assert csv_mapping(line(1, price="2", quantity="1.000"), decimal=DecimalMark.COMMA).account.units["lines"] == 1_000
    assert csv_mapping(line(1, quantity="1.000"), line(2, quantity="2.0")).account.units["lines"] == 3
    assert reasons(csv_mapping(line(1, quantity="1.5"))) == ["unreadable_cell"]


@pytest.mark.parametrize("customer", ["1.000", "13.085"])
def test_a_code_that_looks_like_a_number_keeps_its_digits(customer: str) -> None:
    (command,) = csv_mapping(line(1).replace("17850", customer)).orders()
    assert command["data"]["customer_id"] == customer


# Workbooks


def workbook(path: Path, *rows: tuple[Any, ...]) -> Path:
    book = openpyxl.Workbook()
    book.active.append(HEADERS)
    for cells in rows:
        book.active.append(cells)
    book.save(path)
    return path


def sold(price: Any, at: Any = datetime(2010, 12, 1, 8, 26), quantity: Any = 6) -> tuple[Any, ...]:
    return ("536365", "85048", "BOWL", quantity, at, price, 17850, "United Kingdom")


def test_numbers_of_a_workbook_are_numbers_and_say_nothing_of_its_texts(tmp_path: Path) -> None:
    assert prices(map_rows(read_file(workbook(tmp_path / "a.xlsx", sold(1.234), sold(1800))))) == [123, 180_000]
    mixed = read_file(workbook(tmp_path / "b.xlsx", sold(2.55), sold("1,800"), sold("n/a"), sold(1.234)))
    with pytest.raises(UnreadableSource, match=r"1,800 is 1800 .* 1.800"):
        map_rows(mixed)
    mapping = map_rows(mixed, decimal=DecimalMark.COMMA)
    assert (prices(mapping), reasons(mapping)) == ([255, 180, 123], ["unreadable_cell"])


def test_a_date_cell_without_a_date_format_says_which_day_it_is(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource) as caught:
        map_rows(read_file(workbook(tmp_path / "a.xlsx", sold(2.55, at=40513.35), sold(2.55, at=40514))))
    assert "InvoiceDate has numbers" in caught.value.what
    assert "40513.35" in caught.value.detail
    assert "2010-12-01" in caught.value.detail
    assert "date format" in caught.value.hint


def test_a_workbook_without_rows_maps_to_nothing(tmp_path: Path) -> None:
    assert map_rows(read_file(workbook(tmp_path / "a.xlsx"))).account.rows_read == 0
    empty = openpyxl.Workbook()
    empty.save(tmp_path / "b.xlsx")
    with pytest.raises(UnreadableSource, match="column is missing"):
        map_rows(read_file(tmp_path / "b.xlsx"))


@pytest.mark.parametrize("column", ["Price", "Quantity", "InvoiceDate", "StockCode"])
@pytest.mark.parametrize("value", [[1.0], {"a": 1}, b"\xff\x00", timedelta(1), True, Decimal("2.55"), time(8, 26)])
def test_a_column_of_an_odd_kind_ends_in_words_or_in_refused_rows(column: str, value: Any) -> None:
    odd = frame(row()).with_columns(pl.Series(column, [value]))
    with suppress(UnreadableSource):
        account = map_rows(odd).account
        assert account.rows_read == sum(account.rows.values()) == 1
    assert reasons(map_rows(odd.with_columns(pl.lit(None, odd.schema[column]).alias(column)))) == ["unreadable_cell"]
