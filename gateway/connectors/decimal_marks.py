"""Numbers as people and spreadsheets write them, and the decimal mark of a column.

    mark = decimal_mark(["1,800", "2,55"], "Price", None)      # the comma, because of the second cell
    number("1,800", mark)                                       # Decimal("1.800")

`1,800` alone is one thousand eight hundred or one and eight tenths. Nothing here guesses: if the cells of a column do
not show the mark, or contradict each other, `UnreadableSource` is raised, and a person must name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final

from gateway.connectors.unreadable import UnreadableSource


class DecimalMark(StrEnum):
    """The mark before the fraction of a number."""

    POINT = "."
    COMMA = ","


# The file is in pounds. A cell with another currency is not a number here: 2.55 dollars are not 2.55 pounds.
_CELL: Final = re.compile(
    r"(?P<sign>[-+−]?)\s*(?:£|GBP)?\s*(?P<inner>[-−]?)(?P<body>[0-9.,].*?)\s*(?:£|GBP)?", re.DOTALL
)
_SPACES: Final = re.compile("[ \u00a0\u2009\u202f]")
# The notation of programs, whatever the decimal mark of the file is.
_MACHINE: Final = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]{1,3}")


def _grammar(mark: str, other: str) -> re.Pattern[str]:
    # One to three digits, not beginning with 0, then groups of three, all with the same separator.
    grouped = rf"[1-9][0-9]{{0,2}}(?P<by>[{re.escape(other)} '’])[0-9]{{3}}(?:(?P=by)[0-9]{{3}})*"
    return re.compile(rf"(?=.*[0-9])(?P<whole>{grouped}|[0-9]*)(?:{re.escape(mark)}(?P<part>[0-9]*))?")


_GRAMMARS: Final = {
    DecimalMark.POINT: _grammar(".", ","),
    DecimalMark.COMMA: _grammar(",", "."),
}


def number(text: str, mark: DecimalMark) -> Decimal | None:
    """The number in a cell, or None if it is not a number with this decimal mark."""
    text = text.strip()
    if _MACHINE.fullmatch(text):
        return Decimal(text)
    cell = _CELL.fullmatch(text)
    if cell is None or (cell["sign"] and cell["inner"]):
        return None
    found = _GRAMMARS[mark].fullmatch(_SPACES.sub(" ", cell["body"]))
    if found is None:
        return None
    whole = "".join(digit for digit in found["whole"] if digit.isdigit())
    value = Decimal(f"{whole or 0}.{found['part']}" if found["part"] else whole)
    return -value if cell["sign"] in {"-", "−"} or cell["inner"] else value


def decimal_mark(texts: Iterable[str], column: str, told: DecimalMark | None) -> DecimalMark:
    """The decimal mark of a column with these cells. If a person has named one (`told`), it is used.

    A cell shows the mark if it is a number with only one of them: `2.55`, `0,800` and `1,234.56` do, `1,800` does not.
    """
    if told is not None:
        return told
    point, comma, unclear = list[str](), list[str](), list[str]()
    for text in texts:
        with_point, with_comma = number(text, DecimalMark.POINT), number(text, DecimalMark.COMMA)
        if with_point == with_comma:
            continue  # a number without any mark, or not a number
        (point if with_comma is None else comma if with_point is None else unclear).append(text)
    if point and comma:
        raise UnreadableSource(
            f"{column} has numbers with a decimal point and numbers with a decimal comma",
            f"point: {min(point)} and {len(point) - 1} more; comma: {min(comma)} and {len(comma) - 1} more",
            "name the right mark with --decimal . or --decimal , (rows with the other mark are then refused)",
        )
    if unclear and not point and not comma:
        text = min(unclear)
        raise UnreadableSource(
            f"the numbers in {column} can be read in two ways",
            f"{text} is {number(text, DecimalMark.POINT)} with a decimal point and "
            f"{number(text, DecimalMark.COMMA)} with a decimal comma, and no other cell shows which",
            "name the mark with --decimal . or --decimal ,",
        )
    return DecimalMark.COMMA if comma else DecimalMark.POINT
