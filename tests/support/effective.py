"""What had occurred by a moment, as known now, fact by fact in plain Python: the fold of `verify` over these facts.

    books = had_occurred(records, moment)
    differences(books, "kpi_orders", columns, rows)       # [] where rows (tuples of these columns) are right

Nothing of it is the product's: it spells out itself when a fact happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from processors.verify.acceptance import Acceptance
from processors.verify.books import Books
from processors.verify.facts import Fact, FactReader
from processors.verify.rows import Table
from tests.support.chain import CODEC, FactRecord

#: The column without which a row has not begun.
BEGUN = {"kpi_orders": "placed_at", "cases": "opened_at"}


def accepted(records: Iterable[FactRecord]) -> list[Fact]:
    """The facts that count, each partition in its order."""
    reader, found = FactReader(CODEC), []
    partitions: dict[tuple[str, int], Acceptance] = defaultdict(Acceptance)
    for one in records:
        place = (one.topic_name, one.partition_number)
        found += partitions[place].offer(reader.read(*place, one.position, one.value_bytes))
    return found


def happened_at(fact: Fact) -> datetime:
    """When a fact happened: by the clock of its channel, or as it says itself."""
    said, data = fact.record["occurred_at"], fact.record["data"]
    match fact.name:
        case "StockCounted" | "CountRestated":
            return data["counted_at"]
        case "ReservationExpired":
            return data["expires_at"] or said
        case "ShipmentTracked":
            return data["scanned_at"] or said
        case "ShipmentDelivered":
            return data["delivered_at"]
        case "DispatchRetracted":
            return said if sum(line["replaced"] for line in data["lines"]) else data["dispatched_at"]
        case _:
            return said


def had_occurred(records: Iterable[FactRecord], moment: datetime) -> Books:
    """The books of these facts; a fact in them says that it occurred when it happened."""
    books = Books()
    for fact in accepted(records):
        at = happened_at(fact)
        if at <= moment:
            books.take(fact._replace(record={**fact.record, "occurred_at": at}))
    for name, begun in BEGUN.items():
        table = books.tables[name]
        assert isinstance(table, Table)
        table.rows = {key: row for key, row in table.rows.items() if getattr(row, begun) is not None}
    return books


def differences(books: Books, name: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Rows that are not as in the books, and keys that are missing. A key of the books is looked for once."""
    table = books.tables[name]
    assert isinstance(table, Table)
    others = [one for one in columns if one not in table.key]
    expected = {key: {one: getattr(row, one) for one in others} for key, row in table.rows.items()}
    found = {}
    for values in rows:
        row = dict(zip(columns, values, strict=True))
        found[tuple(row.pop(one) for one in table.key)] = row
    if name == "inventory":
        # A row without units says nothing: other facts, too, begin rows of the live table.
        expected, found = ({k: row for k, row in some.items() if any(row.values())} for some in (expected, found))
    keys = sorted(expected.keys() | found.keys(), key=str)
    return [(key, found.get(key), expected.get(key)) for key in keys if found.get(key) != expected.get(key)]
