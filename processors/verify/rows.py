"""Expected rows: plain objects with one attribute for each column, and the tables that hold them by key.

    lines = Table("order_lines", ("order_id", "line_id"), OrderLine)
    lines.row("order-1", "1").open += 3

Slots make half a million rows fit into memory. A generated column is a property.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

Key = tuple[Any, ...]


class Difference(NamedTuple):
    """The first difference between database and log. `column` is "*" for a missing or an extra row."""

    table: str
    key: tuple[Any, ...]
    column: str
    expected: Any
    found: Any


class Expected(Protocol):
    """A table as it must be by the log, compared row by row with the database."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]

    def compare(self, found: tuple[Any, ...]) -> Difference | None:
        """The difference in a row of the database (values in the order of `columns`). Each row is compared once."""
        ...

    def missing(self) -> Iterator[Key]:
        """Keys of the rows that are not in the database."""
        ...


@dataclass(slots=True)
class Row:
    """A new row: units are 0, other columns are null. Public properties are generated columns."""


R = TypeVar("R", bound=Row)


class Table(Generic[R]):
    """Expected rows by key. Its other columns are the fields and public properties of `make`."""

    def __init__(self, name: str, key: tuple[str, ...], make: type[R]) -> None:
        self.name = name
        self.key = key
        self.rows: dict[Key, R] = {}
        self._make = make
        self._width = len(key)
        generated = [name for name, value in vars(make).items() if isinstance(value, property) and name[0] != "_"]
        values = [*(field.name for field in fields(make)), *generated]
        self.columns = (*key, *values)
        read = attrgetter(*values)
        self._values: Callable[[R], tuple[Any, ...]] = read if len(values) > 1 else lambda row: (read(row),)

    def row(self, *key: Any) -> R:
        """The row of a key; a new one if it is missing."""
        found = self.rows.get(key)
        if found is None:
            # Each record brings its ids as new objects. Sharing equal texts takes a third of the memory.
            key = tuple(sys.intern(part) if type(part) is str else part for part in key)
            found = self.rows[key] = self._make()
        return found

    def get(self, *key: Any) -> R | None:
        """The row of a key, or None."""
        return self.rows.get(key)

    def compare(self, found: tuple[Any, ...]) -> Difference | None:
        key = found[: self._width]
        row = self.rows.pop(key, None)
        if row is None:
            return Difference(self.name, key, "*", None, dict(zip(self.columns, found, strict=True)))
        expected = self._values(row)
        if expected == found[self._width :]:
            return None
        for name, wanted, value in zip(self.columns[self._width :], expected, found[self._width :], strict=True):
            if wanted != value:
                return Difference(self.name, key, name, wanted, value)
        raise AssertionError("rows that differ have a column that differs")

    def missing(self) -> Iterator[Key]:
        return iter(self.rows)
