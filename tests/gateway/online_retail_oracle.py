"""An independent reading of Online Retail II: units and value of sale lines per SKU and month, with nothing from
`gateway`.

It is written row by row in plain Python on purpose, so that a fault of the vectorised mapping does not repeat here.

    python tests/gateway/online_retail_oracle.py online_retail_II_2009_2010.parquet
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
UTC = ZoneInfo("UTC")

# Sums is keyed by (sku, month in UTC as "2010-11") and holds (units, value in pence).
Sums = dict[tuple[str, str], tuple[int, int]]


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The file's rows as dicts by header, from parquet by pyarrow or from csv."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
        return
    parquet = import_module("pyarrow.parquet")
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=20_000):
        yield from batch.to_pylist()


def is_service(code: str) -> bool:
    """Codes that are money or a service, told by listing them."""
    upper = code.upper()
    named = {"POST", "DOT", "C2", "C3", "M", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK"}
    return upper in named or upper.startswith(("ADJUST", "TEST0", "GIFT"))


def is_note(description: str | None) -> bool:
    """A description that is no product's name: missing, without letters, or not in capitals."""
    text = (description or "").strip()
    return not any(letter.isalpha() for letter in text) or text != text.upper()


def pence(price: object) -> int:
    """The unit price in pence, half to even."""
    return int((Decimal(str(price)) * 100).quantize(Decimal(1), ROUND_HALF_EVEN))


def sale_lines(path: Path, from_: date | None = None, to: date | None = None) -> Sums:
    """Units and value of the sale lines of goods in the local dates `from_` to `to`, per SKU and UTC month of the
    invoice."""
    invoices: dict[str, list[tuple[str, str | None, int, int, datetime, bool]]] = defaultdict(list)
    for row in rows_of(path):
        invoice = str(row["Invoice"]).strip()
        if not invoice.isdigit():
            continue
        at = datetime.fromisoformat(str(row["InvoiceDate"]))
        known = row["Customer ID"] not in (None, "")
        code, quantity = str(row["StockCode"]).strip(), int(row["Quantity"])
        invoices[invoice].append((code, row["Description"], quantity, pence(row["Price"]), at, known))

    units: dict[tuple[str, str], int] = defaultdict(int)
    value: dict[tuple[str, str], int] = defaultdict(int)
    for rows in invoices.values():
        local = min(at for *_, at, _ in rows)
        if not (from_ or date.min) <= local.date() <= (to or date.max):
            continue
        month = local.replace(tzinfo=LONDON).astimezone(UTC).strftime("%Y-%m")
        worthless = all(price == 0 for _, _, _, price, _, _ in rows)
        nobody = not any(known for *_, known in rows)
        for code, description, quantity, price, _, _ in rows:
            if is_service(code) or quantity <= 0 or price < 0:
                continue
            if worthless and nobody and is_note(description):
                continue  # stock that turned up, not a sale
            units[code, month] += quantity
            value[code, month] += quantity * price
    return {key: (units[key], value[key]) for key in units}


def main(argv: list[str]) -> int:
    """Print the sums as csv: sku, month, units, value_minor."""
    for (sku, month), (units, value) in sorted(sale_lines(Path(argv[1])).items()):
        print(sku, month, units, value, sep=",")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
