"""Reading Online Retail II: any of its usual files becomes one table with fixed columns and types.

`read_file` is the only function of the connector that touches the disk; `canonical` is pure. A cell that makes no sense
becomes null (its row is refused later, with the reason); a file that makes no sense raises `UnreadableSource`.

    canonical(read_file(Path("online_retail_II.xlsx")))    # columns: see CANONICAL_COLUMNS
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import polars as pl

from gateway.connectors.unreadable import UnreadableSource
from gateway.sources import kind_of, read_source
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
"""Our column -> the headers it goes by in the published files and their copies; compared by their letters."""

SHEET: Final = "sheet"
"""Optional column of a raw frame: number of the worksheet. The published workbook repeats nine days on its second."""

CANONICAL_COLUMNS: Final = (
    "row", "sheet", "invoice", "sku", "description", "quantity", "local_at", "unit_price_minor", "price_rounded",
    "price_text", "customer", "country",
)  # fmt: skip
"""row: number in the file from 0; local_at: naive wall clock; unit_price_minor: pence; price_rounded: was not whole."""

UNIT_PRICE_MAX_MINOR: Final = 1_000_000_000
"""10 million pounds. Lower would refuse real invoices; higher, times the largest quantity, would overflow 64 bits."""

_DATE_FORMATS: Final = (
    ("%Y-%m-%d %H:%M:%S",),
    ("%Y-%m-%dT%H:%M:%S",),
    ("%Y-%m-%d %H:%M",),
    # Two digits of a year before four: the parser takes `10` for the year 10 where it may.
    ("%m/%d/%y %H:%M", "%d/%m/%y %H:%M"),
    ("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
    ("%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"),
)
"""Formats tried in turn; those on one line are told apart by the days above 12 in the file."""


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
            "use .parquet, .csv or .xlsx, packed as .gz or .zst or not",
        )
    try:
        match kind:
            case ".parquet":
                return pl.read_parquet(raw)
            case ".csv":
                return _read_csv(raw)
            case _:
                return _read_xlsx(raw)
    except UnreadableSource:
        raise
    # The readers raise errors of four libraries; whichever it is, the person has one problem: this file.
    except Exception as error:
        raise UnreadableSource(
            "the file cannot be read",
            f"{path.name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            f"check that it really is {kind} and that the download is complete",
        ) from error


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with `CANONICAL_COLUMNS`, in file order.

    Raises `UnreadableSource` for a missing column and for dates in no known format.
    """
    columns = _find_columns(frame)
    sheet = pl.col(SHEET).cast(pl.Int32, strict=False).fill_null(0) if SHEET in frame.columns else pl.lit(0, pl.Int32)
    prices = frame.get_column(columns["price"])
    table = frame.select(
        sheet.alias("sheet"),
        _code(columns["invoice"]).str.to_uppercase().alias("invoice"),
        _code(columns["sku"]).alias("sku"),
        _text(columns["description"]).alias("description"),
        _integer(columns["quantity"]).alias("quantity"),
        _wall_clock(frame.get_column(columns["local_at"])).alias("local_at"),
        prices.cast(pl.String).str.strip_chars().alias("price_text"),
        _code(columns["customer"]).alias("customer"),
        _text(columns["country"]).alias("country"),
    ).with_row_index("row")
    return table.join(
        _pence(table.get_column("price_text")), on="price_text", how="left", maintain_order="left"
    ).select(CANONICAL_COLUMNS)


def exact_pence(price_text: str) -> Decimal | None:
    """The price in pence exactly as the file states it, or None for what is no price (`2.55` -> 255, `0.001` ->
    0.1)."""
    text = price_text.strip()
    if "," in text and "." not in text:  # a copy saved with a decimal comma
        text = text.replace(",", ".")
    try:
        pence = Decimal(text) * 100
    except InvalidOperation:
        return None
    return pence if pence.is_finite() and abs(pence) <= UNIT_PRICE_MAX_MINOR else None


def round_pence(pence: Decimal) -> int:
    """Whole pence, half to even: the one rounding rule of the import, applied once, to the unit price."""
    return int(pence.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _kind_by_its_bytes(raw: bytes) -> str:
    """What came out of a pipe, whose name says nothing."""
    return ".parquet" if raw.startswith(b"PAR1") else ".xlsx" if raw.startswith(b"PK\x03\x04") else ".csv"


def _read_csv(raw: bytes) -> pl.DataFrame:
    """All cells as text: types are our decision, not a guess from the first rows."""
    head = raw.split(b"\n", 1)[0]
    separator = ";" if head.count(b";") > head.count(b",") else ","
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        # The widely copied csv of the first file is Windows-1252; its pound signs are not UTF-8.
        raw = raw.decode("cp1252", errors="replace").encode()
    return pl.read_csv(raw.removeprefix(b"\xef\xbb\xbf"), infer_schema=False, separator=separator)


def _read_xlsx(raw: bytes) -> pl.DataFrame:
    """All cells as text, sheet after sheet."""
    import fastexcel  # 10 MB of reader that a parquet or csv file does not need

    book = fastexcel.read_excel(raw)
    sheets = [
        pl.DataFrame(book.load_sheet(name, dtypes="string")).with_columns(pl.lit(number, pl.Int32).alias(SHEET))
        for number, name in enumerate(book.sheet_names)
    ]
    filled = [sheet for sheet in sheets if sheet.height]
    return pl.concat(filled, how="diagonal") if filled else sheets[0]


def _find_columns(frame: pl.DataFrame) -> dict[str, str]:
    def plain(header: str) -> str:
        return "".join(letter for letter in header.lower() if letter.isalnum())

    present = {plain(header): header for header in frame.columns}
    found = {
        ours: present[plain(theirs)]
        for ours, variants in HEADERS.items()
        for theirs in variants
        if plain(theirs) in present
    }
    missing = [variants for ours, variants in HEADERS.items() if ours not in found]
    if missing:
        names = ", ".join(" or ".join(variants[:2]) for variants in missing)
        raise UnreadableSource(
            "a column is missing",
            f"no {names} among: {', '.join(frame.columns) or '(none)'}",
            "use a file of UCI Online Retail (II) with its header line",
        )
    return found


def _text(column: str) -> pl.Expr:
    stripped = pl.col(column).cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _code(column: str) -> pl.Expr:
    """Text of a code that a spreadsheet may have turned into a number (`13085.0`)."""
    return _text(column).str.replace(r"^(\d+)\.0+$", "$1")


def _integer(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).str.strip_chars().str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)


def _pence(prices: pl.Series) -> pl.DataFrame:
    """One row per distinct price text (a file has some 1,600): Decimal arithmetic is exact, and then cheap."""
    texts = prices.drop_nulls().unique().to_list()
    exact = [exact_pence(text) for text in texts]
    whole = [None if pence is None else round_pence(pence) for pence in exact]
    return pl.DataFrame(
        {
            "price_text": texts,
            "unit_price_minor": whole,
            "price_rounded": [pence is not None and pence != minor for pence, minor in zip(exact, whole, strict=True)],
        },
        schema={"price_text": pl.String, "unit_price_minor": pl.Int64, "price_rounded": pl.Boolean},
    )


def _wall_clock(dates: pl.Series) -> pl.Series:
    """Naive times; a column that is text is read with the one format that fits all of it."""
    if dates.dtype in (pl.Date, pl.Datetime):
        naive = dates.cast(pl.Datetime("us")) if dates.dtype == pl.Date else dates.dt.replace_time_zone(None)
        return naive.cast(pl.Datetime("us"))
    if dates.dtype == pl.Null or not dates.len():
        return dates.cast(pl.Datetime("us"))
    text = dates.cast(pl.String).str.strip_chars().str.replace(r"\.\d+$", "")
    text = text.set(text == "", None)
    for formats in _DATE_FORMATS:
        readings = [text.str.to_datetime(form, time_unit="us", strict=False) for form in formats]
        whole = [reading for reading in readings if reading.null_count() == text.null_count()]
        if len(whole) > 1 and not whole[0].equals(whole[1]):
            raise UnreadableSource(
                "the dates can be read in two ways",
                f"{text.drop_nulls()[0]} may be day first or month first, and no day above 12 settles it",
                "write InvoiceDate as 2010-11-27 18:00:00",
            )
        if whole:
            return whole[0]
    # A few broken cells must not cost the file: the ISO reading stands if it gets most of them; the rest are refused.
    iso = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    if iso.null_count() - text.null_count() > text.len() // 2:
        raise UnreadableSource(
            "the dates cannot be read",
            f"for example {text.drop_nulls()[0]}",
            "write InvoiceDate as 2010-11-27 18:00:00",
        )
    return iso
