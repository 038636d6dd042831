"""A listing as CSV, and the sentence for an empty one: the same at a terminal and over HTTP.

>>> list(csv_lines(("sku", "low"), [{"sku": "MUG, RED", "low": True}, {"sku": None, "low": False}]))
['sku,low\\n', '"MUG, RED",true\\n', ',false\\n']
>>> nothing("stock", sku="NOPE", location=None)
'no stock of SKU NOPE'
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

#: The words for each filter.
_PHRASES: Mapping[str, str] = {
    "sku": "of SKU {}",
    "location": "at location {}",
    "channel": "on channel {}",
    "queue": "in queue {}",
    "topic": "about topic {}",
    "at": "at {}",
    "known_at": "as known at {}",
}


def nothing(things: str, **asked: str | None) -> str:
    """The sentence for an empty listing: `no open cases about topic late`."""
    parts = [_PHRASES[name].format(value) for name, value in asked.items() if value is not None]
    return " ".join(["no", things, *parts])


def csv_lines(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A header and a line for each row. None is an empty cell; the items of a list are separated by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for cells in ([*fields], *([_cell(row[field]) for field in fields] for row in rows)):
        writer.writerow(cells)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
