"""The rows of a CSV file; no line gets lost.

A CSV reader joins all lines between two quote marks. In a shop's texts a quote mark often means inches (`7" RECORD`),
and two of them would swallow the rows between. The rule here: **a line that has all columns is one row.** Lines are
joined only if each of them has fewer columns, and if the result is a row by the standard (RFC 4180). Otherwise the line
is returned as broken, with its text.

    header, *rows = read_rows(lines, ",")
    rows[0].cells        # None: the line does not have the columns of the header
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

SEPARATORS: Final = (",", ";", "\t", "|")

LINES_JOINED_MAX: Final = 50
"""More lines between two quote marks mean that a quote was never closed. More costs time on each stray mark."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class CsvRow(NamedTuple):
    """A row of the file. `line` is the number of its first line, from 1; `lines` how many it takes up."""

    line: int
    lines: int
    text: str
    cells: list[str] | None


def split_lines(text: str) -> list[str]:
    """The lines of a text, without their ends. (`str.splitlines` also splits at characters that texts contain.)"""
    lines = _LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


def separator_of(header: str) -> str:
    """The separator that splits the header into most columns; the comma if several are equal."""
    return max(SEPARATORS, key=lambda separator: len(_strict(header, separator) or header.split(separator)))


def read_rows(lines: Sequence[str], separator: str) -> Iterator[CsvRow]:
    """The header and then each row, in the order of the file; empty lines are left out."""
    columns = 0
    split = partial(_cells, separator=separator)
    position = 0
    while position < len(lines):
        text, first = lines[position], position
        position += 1
        if not text.strip():
            continue
        if not columns:
            header = _strict(text, separator) or _plain(text, separator)
            while len(header) > 1 and not header[-1].strip():
                header.pop()
            columns = len(header)
            yield CsvRow(first + 1, 1, text, header)
            continue
        cells = split(text, columns, (_strict,))
        if cells is None and '"' in text:
            joined = _join(lines, first, columns, separator)
            if joined is not None:
                position = first + joined.lines
                yield joined
                continue
            cells = split(text, columns, (_lenient, _plain))
        yield CsvRow(first + 1, 1, text, cells)


def _join(lines: Sequence[str], first: int, columns: int, separator: str) -> CsvRow | None:
    """The row that begins on this line and continues on the next ones, or None."""
    taken: list[str] = []
    for line in lines[first : first + LINES_JOINED_MAX]:
        if line.count(separator) + 1 >= columns:
            return None
        taken.append(line)
        if len(taken) > 1 and '"' in line:
            text = "\n".join(taken)
            cells = _cells(text, columns, (_strict,), separator=separator)
            if cells is not None:
                return CsvRow(first + 1, len(taken), text, cells)
    return None


def _cells(
    text: str, columns: int, readings: Sequence[Callable[[str, str], list[str] | None]], *, separator: str
) -> list[str] | None:
    """The cells by the first reading that finds enough columns; extra empty cells are dropped."""
    for reading in readings:
        cells = reading(text, separator)
        if cells is not None and len(cells) >= columns and not any(cells[columns:]):
            return cells[:columns]
    return None


def _strict(text: str, separator: str) -> list[str] | None:
    """By the standard, or None if the text violates it."""
    if '"' not in text:
        return text.split(separator)
    try:
        (cells,) = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    except (csv.Error, ValueError):  # ValueError: more than one record
        return None
    return cells


def _lenient(text: str, separator: str) -> list[str]:
    """A quote mark ends a text only before a separator: `"7" RECORD"` is 7" RECORD."""
    ahead = rf"(?={re.escape(separator)}|$)"
    field = re.compile(rf'"((?:[^"]|"(?!{re.escape(separator)}|$))*)"{ahead}|([^{re.escape(separator)}]*)')
    cells, position = [], 0
    while True:
        found = field.match(text, position)
        assert found is not None, "the second alternative matches anything"
        cells.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        position = found.end() + 1
        if position > len(text):
            return cells


def _plain(text: str, separator: str) -> list[str]:
    """Split at each separator; a quote mark is a normal character, unless a cell begins and ends with one."""
    cells = text.split(separator)
    return [cell[1:-1].replace('""', '"') if re.fullmatch('".*"', cell) else cell for cell in cells]
