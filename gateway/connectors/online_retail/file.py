"""Reading Online Retail II: any of its usual files becomes one table with fixed columns and types.

`read_file` is the only function of the connector that reads the disk; `canonical` is pure. An unreadable cell becomes
null, and its row is refused later with the reason. An unreadable file raises `UnreadableSource`; so does a column that
can be read in two ways (decimal mark, day and month): nothing is guessed.

    canonical(read_file(Path("online_retail_II.xlsx")))    # columns: see CANONICAL_COLUMNS
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl

from gateway.connectors.csv_rows import CsvRow, read_rows, separator_of, split_lines
from gateway.connectors.decimal_marks import DecimalMark, decimal_mark, number
from gateway.connectors.unreadable import UnreadableSource
from gateway.sending.sources import kind_of, read_source
from runtime.errors import Fault

HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "invoice": ("Invoice", "InvoiceNo", "Invoice No", "InvoiceNumber"),
    "sku": ("StockCode", "Stock Code"),
    "description": ("Description",),
    "quantity": ("Quantity",),
    "local_at": ("InvoiceDate", "Invoice Date"),
    "price": ("Price", "UnitPrice", "Unit Price"),
    "customer": ("Customer ID", "CustomerID", "Customer Id"),
    "country": ("Country",),
}
"""Our column -> its headers in the published files and their copies; only letters are compared."""

SHEET: Final = "sheet"
"""Optional column of a raw frame: number of the worksheet. The published workbook's second repeats nine days."""

LINE: Final = "line"
LINES: Final = "lines"
BROKEN: Final = "broken"
"""Optional columns of a raw frame, from a csv: the first line of a row, from 1; its number of lines; its text if it
does not have the columns of the header."""

AS_NUMBER: Final = " as a number"
"""Optional columns of a raw frame, from a workbook: `Price as a number` has the cells that are numbers, `Price` those
that are text. Only texts have a decimal mark that may be unclear."""

CANONICAL_COLUMNS: Final = (
    "row", "sheet", "line", "lines", "broken", "invoice", "sku", "description", "quantity", "local_at",
    "unit_price_minor", "pence_left_out", "price_text", "customer", "country",
)  # fmt: skip
"""row: number in the file from 0; local_at: naive wall clock; unit_price_minor: pence; pence_left_out: the rounding
difference as text, null if the price is whole pence."""

UNIT_PRICE_MAX_MINOR: Final = 1_000_000_000
"""10 million pounds. Lower would refuse real invoices; higher, times the largest quantity, would overflow 64 bits."""

_DATE_FORMATS: Final = (
    ("%Y-%m-%d %H:%M:%S",),
    ("%Y-%m-%dT%H:%M:%S",),
    ("%Y-%m-%d %H:%M",),
    ("%d.%m.%Y %H:%M",),
    ("%d.%m.%Y %H:%M:%S",),
    # Two-digit years come before four-digit ones: the parser of the latter would read `10` as the year 10.
    ("%m/%d/%y %H:%M", "%d/%m/%y %H:%M"),
    ("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
    ("%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"),
)
"""The line that reads most cells is used; days above 12 decide between the formats of one line."""

_SERIAL: Final = re.compile(r"[1-9]\d{4}(\.\d+)?")
_SERIAL_EPOCH: Final = date(1899, 12, 30)
"""Excel stores a date as days since then, and shows that number if the cell has no date format."""

_CSV_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_ROWS_PER_CHUNK: Final = 50_000
"""Rows of a csv converted at a time: more costs memory (about 1 KB each), fewer costs calls."""


def read_file(path: Path) -> pl.DataFrame:
    """The raw rows of a parquet, csv or xlsx file, headers as found; all sheets of a workbook, numbered in `sheet`."""
    if not path.exists():
        raise UnreadableSource("no such file", str(path), "give the path of the downloaded Online Retail file")
    try:
        raw = read_source(path)
    except Fault as fault:
        raise UnreadableSource(fault.what, fault.detail, fault.hint) from fault
    kind = kind_of(path) if path.is_file() else _kind_by_its_bytes(raw)
    if kind not in {".parquet", ".csv", ".xlsx"}:
        raise UnreadableSource(
            "unknown kind of file",
            f"{path.name} ends in {kind or 'nothing'}",
            "use .parquet, .csv or .xlsx, if packed with .gz or .zst",
        )
    try:
        match kind:
            case ".parquet":
                return pl.read_parquet(raw)
            case ".csv":
                return csv_frame(raw)
            case _:
                return _read_xlsx(raw)
    except UnreadableSource:
        raise
    # The readers raise errors of four libraries, but they all mean that this file cannot be read. A panic in Rust is
    # not an Exception.
    except (Exception, pl.exceptions.PanicException) as error:
        raise UnreadableSource(
            "the file cannot be read",
            f"{path.name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            f"check that it really is {kind} and that the download is complete",
        ) from error


def canonical(frame: pl.DataFrame, decimal: DecimalMark | None = None) -> pl.DataFrame:
    """The rows with `CANONICAL_COLUMNS`, in file order. `decimal`: the decimal mark, if the file does not show it.

    Raises `UnreadableSource` for a missing column, for dates in no known format and for ambiguous numbers.
    """
    columns = _find_columns(frame)

    def optional(name: str, dtype: type[pl.DataType]) -> pl.Expr:
        return (pl.col(name).cast(dtype, strict=False) if name in frame.columns else pl.lit(None, dtype)).alias(name)

    try:
        table = frame.select(
            optional(SHEET, pl.Int32).fill_null(0),
            optional(LINE, pl.UInt32),
            optional(LINES, pl.UInt32).fill_null(1),
            optional(BROKEN, pl.String),
            _code(columns["invoice"]).str.to_uppercase().alias("invoice"),
            _code(columns["sku"]).alias("sku"),
            _text(columns["description"]).alias("description"),
            _number_cells(frame, columns["quantity"]).alias("quantity_cell"),
            _wall_clock(frame.get_column(columns["local_at"])).alias("local_at"),
            _number_cells(frame, columns["price"]).alias("price_cell"),
            _code(columns["customer"]).alias("customer"),
            _text(columns["country"]).alias("country"),
        ).with_row_index("row")
    except pl.exceptions.PolarsError as error:
        raise UnreadableSource(
            "a column cannot be read",
            str(error).splitlines()[0],
            "use a file of UCI Online Retail (II), with texts, numbers and dates in its cells",
        ) from error
    quantities = _quantities(table.get_column("quantity_cell"), columns["quantity"], decimal)
    prices = _pence(table.get_column("price_cell"), columns["price"], decimal)
    return (
        table.join(quantities, on="quantity_cell", how="left", maintain_order="left")
        .join(prices, on="price_cell", how="left", maintain_order="left")
        .with_columns(pl.col("price_cell").str.strip_suffix(_IS_NUMBER).alias("price_text"))
        .select(CANONICAL_COLUMNS)
    )


def round_pence(pence: Decimal) -> int:
    """Whole pence, half to even: the only rounding of the import, applied once, to the unit price."""
    return int(pence.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _kind_by_its_bytes(raw: bytes) -> str:
    """The kind of a file from a pipe, which has no suffix."""
    return ".parquet" if raw.startswith(b"PAR1") else ".xlsx" if raw.startswith(b"PK\x03\x04") else ".csv"


def csv_frame(raw: bytes) -> pl.DataFrame:
    """The rows of a csv with all cells as text (types are not guessed from the first rows), and `LINE`, `LINES` and
    `BROKEN`. Raises `UnreadableSource`."""
    lines = split_lines(_decoded(raw))
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise UnreadableSource(
            "the file is empty", "it has no header and no rows", "check that the download is complete"
        )
    rows = read_rows(lines, separator_of(first))
    header = next(rows).cells
    assert header is not None, "a header always has its own columns"
    names = _unique(header)
    chunks = [_chunk((), names)]
    while chunk := list(islice(rows, _ROWS_PER_CHUNK)):
        chunks.append(_chunk(chunk, names))
    return pl.concat(chunks)


def _chunk(rows: Sequence[CsvRow], names: Sequence[str]) -> pl.DataFrame:
    nothing = [None] * len(names)
    cells = zip(*(row.cells or nothing for row in rows), strict=True) if rows else ([] for _ in names)
    data: dict[str, Iterable[Any]] = dict(zip(names, cells, strict=True))
    data[LINE] = [row.line for row in rows]
    data[LINES] = [row.lines for row in rows]
    data[BROKEN] = [row.text if row.cells is None else None for row in rows]
    types = {LINE: pl.UInt32, LINES: pl.UInt32}
    return pl.DataFrame(
        {name: pl.Series(name, list(column), dtype=types.get(name, pl.String)) for name, column in data.items()}
    )


def _unique(header: Sequence[str]) -> list[str]:
    """The header's names; a repeated name, or one of ours, gets a number, as in a workbook."""
    names: list[str] = []
    taken = {LINE, LINES, BROKEN}
    for name in header:
        unique, number_ = name, 0
        while unique in taken:
            number_ += 1
            unique = f"{name}_{number_}"
        taken.add(unique)
        names.append(unique)
    return names


def _decoded(raw: bytes) -> str:
    """The text of a csv. Raises `UnreadableSource` if it is not text."""
    try:
        if raw.startswith(_BOM_UTF_16):
            return raw.decode("utf-16")
        if b"\0" in _CSV_LINE_END.split(raw, maxsplit=1)[0]:
            raise UnreadableSource(
                "the file is not a csv",
                "its first line contains NUL bytes",
                "check the kind of the file; save it as CSV UTF-8",
            )
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # The widely copied csv of the first file is Windows-1252; its pound signs are not UTF-8. Decoded by line: a
        # file joined from two may have both.
        return "\n".join(_decoded_lines(raw))


def _decoded_lines(raw: bytes) -> Iterator[str]:
    for line, text in enumerate(_CSV_LINE_END.split(raw), start=1):
        try:
            yield text.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError:
            try:
                yield text.decode("cp1252")
            except UnicodeDecodeError as error:
                raise UnreadableSource(
                    "the letters of the file cannot be read",
                    f"line {line} has the byte 0x{text[error.start]:02x}, which is neither UTF-8 nor Windows-1252",
                    "save the file as CSV UTF-8",
                ) from error


def _read_xlsx(raw: bytes) -> pl.DataFrame:
    """All cells as text, sheet after sheet; quantities and prices that are numbers in separate columns."""
    import fastexcel  # imported here: 10 MB that a parquet or csv file does not need

    book = fastexcel.read_excel(raw)
    sheets = []
    for position, name in enumerate(book.sheet_names):
        headers = [column.name for column in book.load_sheet(name, n_rows=0).available_columns()]
        numeric = [header for header in headers if _plain(header) in _NUMERIC_HEADERS]
        texts: dict[str | int, Any] = {header: "string" for header in headers if header not in numeric}
        sheet = pl.DataFrame(book.load_sheet(name, dtypes=texts or None, schema_sample_rows=None))
        mixed = [header for header in numeric if sheet.schema[header] == pl.String]
        if mixed and sheet.height:
            # Read as booleans, numbers become true or false and texts become null: this shows which cells are numbers.
            kinds = pl.DataFrame(book.load_sheet(name, dtypes="boolean", use_columns=mixed))
            sheet = sheet.with_columns(
                column
                for header in mixed
                for column in (
                    pl.when(kinds[header].is_not_null())
                    .then(header)
                    .cast(pl.Float64, strict=False)
                    .alias(header + AS_NUMBER),
                    pl.when(kinds[header].is_null()).then(header).alias(header),
                )
            )
        sheets.append(sheet.with_columns(pl.lit(position, pl.Int32).alias(SHEET)))
    if not sheets:
        raise UnreadableSource("the workbook is empty", "no sheet of it has a cell", "save the rows on a worksheet")
    filled = [sheet for sheet in sheets if sheet.height]
    return pl.concat(filled, how="diagonal") if filled else sheets[0]


def _plain(header: str) -> str:
    return "".join(letter for letter in header.lower() if letter.isalnum())


_NUMERIC_HEADERS: Final = {_plain(header) for ours in ("quantity", "price") for header in HEADERS[ours]}


def _find_columns(frame: pl.DataFrame) -> dict[str, str]:
    present: dict[str, list[str]] = {}
    for header in frame.columns:
        # The reader adds a number to the second of two equal headers.
        present.setdefault(_plain(re.sub(r"_(duplicated_)?\d+$", "", header)), []).append(header)
    found = {
        ours: [header for theirs in {_plain(name) for name in variants} for header in present.get(theirs, [])]
        for ours, variants in HEADERS.items()
    }
    missing = [variants for ours, variants in HEADERS.items() if not found[ours]]
    if missing:
        names = ", ".join(" or ".join(variants[:2]) for variants in missing)
        raise UnreadableSource(
            "a column is missing",
            f"no {names} among: {_shortened(', '.join(frame.columns)) or '(none)'}",
            "use a file of UCI Online Retail (II) with its header line",
        )
    for headers in found.values():
        if len(headers) > 1:
            raise UnreadableSource("a column is given twice", " and ".join(sorted(headers)), "remove one of them")
    return {ours: header for ours, (header,) in found.items()}


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]} …"


def _text(column: str) -> pl.Expr:
    stripped = pl.col(column).cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _code(column: str) -> pl.Expr:
    """Text of a code that a spreadsheet may have turned into a number (`13085.0`). `1.000` is kept: in many countries
    it means 1000, and no program writes 1 like that."""
    return _text(column).str.replace(r"^(\d+)\.0$", "$1")


_IS_NUMBER: Final = "e0"
"""Suffix of a number that is a number in the file: with it, any decimal mark gives the same value."""


def _number_cells(frame: pl.DataFrame, column: str) -> pl.Expr:
    """The cells as text; numbers of the file in the notation of programs, which has no ambiguous mark."""
    apart = column + AS_NUMBER
    if not frame.schema[column].is_numeric() and apart not in frame.columns:
        return _text(column)
    numbers = pl.col(column if frame.schema[column].is_numeric() else apart).cast(pl.String)
    written = pl.when(numbers.str.contains("e", literal=True)).then(numbers).otherwise(numbers + _IS_NUMBER)
    return written if apart not in frame.columns else pl.coalesce(written, _text(column).cast(pl.String))


def _numbers(cells: pl.Series, column: str, decimal: DecimalMark | None) -> list[tuple[str, Decimal]]:
    """Each distinct cell that is a number. A file has only some 1,600 prices, so exact Decimals are cheap."""
    texts: list[str] = cells.drop_nulls().unique().to_list()
    mark = decimal_mark(texts, column, decimal)
    values = ((text, number(text, mark)) for text in texts)
    return [(text, value) for text, value in values if value is not None]


def _quantities(cells: pl.Series, column: str, decimal: DecimalMark | None) -> pl.DataFrame:
    whole = [
        (text, int(value))
        for text, value in _numbers(cells, column, decimal)
        if abs(value) < 2**63 and value == value.to_integral_value()
    ]
    return pl.DataFrame(whole, schema={"quantity_cell": pl.String, "quantity": pl.Int64}, orient="row")


def _pence(cells: pl.Series, column: str, decimal: DecimalMark | None) -> pl.DataFrame:
    rows = []
    for text, value in _numbers(cells, column, decimal):
        pence = value * 100
        if abs(pence) <= UNIT_PRICE_MAX_MINOR:
            minor = round_pence(pence)
            rows.append((text, minor, None if pence == minor else str(pence - minor)))
    schema = {"price_cell": pl.String, "unit_price_minor": pl.Int64, "pence_left_out": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _wall_clock(dates: pl.Series) -> pl.Series:
    """Naive times; a text column is read with the format that fits most of its cells."""
    if dates.dtype in (pl.Date, pl.Datetime):
        naive = dates.cast(pl.Datetime("us")) if dates.dtype == pl.Date else dates.dt.replace_time_zone(None)
        return naive.cast(pl.Datetime("us"))
    text = dates.cast(pl.String).str.strip_chars().str.replace(r"(:\d{2})\.\d+$", "$1")
    text = text.set(text == "", None)
    written = text.len() - text.null_count()
    if not written:
        return pl.Series(dates.name, [None] * dates.len(), dtype=pl.Datetime("us"))
    best, best_read = pl.DataFrame(), -1
    for formats in _DATE_FORMATS:
        readings = pl.DataFrame(
            [text.str.to_datetime(form, time_unit="us", strict=False).alias(form) for form in formats]
        )
        read = readings.select(pl.any_horizontal(pl.all().is_not_null()).sum()).item()
        if read > best_read:
            best, best_read = readings, read
        if read == written:
            break
    # A few broken cells only refuse their rows. If more than half are broken, the file is refused.
    if best_read * 2 < written:
        raise _unreadable_dates(dates.name, text.filter(best.to_series().is_null() & text.is_not_null())[0])
    if best.width == 1:
        return best.to_series().alias(dates.name)
    return _told_apart(text, *best.iter_columns()).alias(dates.name)


def _told_apart(text: pl.Series, month_first: pl.Series, day_first: pl.Series) -> pl.Series:
    """The format that fits the days above 12. Raises `UnreadableSource` if there are none, or if they disagree."""
    only_month = text.filter(month_first.is_not_null() & day_first.is_null())
    only_day = text.filter(day_first.is_not_null() & month_first.is_null())
    if only_month.len() and only_day.len():
        raise UnreadableSource(
            "some dates have the month first, and some the day",
            f"{only_month[0]} can only have the month first, {only_day[0]} only the day",
            "write InvoiceDate as 2010-11-27 18:00:00",
        )
    unclear = text.filter((month_first != day_first).fill_null(value=False))
    if unclear.len() and not only_month.len() and not only_day.len():
        raise UnreadableSource(
            "the dates can be read in two ways",
            f"{unclear[0]} may have the day or the month first, and no day is above 12",
            "write InvoiceDate as 2010-11-27 18:00:00",
        )
    return day_first if only_day.len() else month_first


def _unreadable_dates(column: str, example: str) -> UnreadableSource:
    if _SERIAL.fullmatch(example):
        day = _SERIAL_EPOCH + timedelta(days=int(float(example)))
        return UnreadableSource(
            f"{column} has numbers, not dates",
            f"for example {example}. Excel stores dates as such numbers; this one would be {day}",
            f"give the cells of {column} a date format in the spreadsheet (yyyy-mm-dd hh:mm:ss), and save it again",
        )
    return UnreadableSource(
        "the dates cannot be read", f"for example {example}", "write InvoiceDate as 2010-11-27 18:00:00"
    )
