"""What a written number is, and when a column does not tell."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.connectors.decimal_marks import DecimalMark, decimal_mark, number
from gateway.connectors.unreadable import UnreadableSource

POINT, COMMA = DecimalMark.POINT, DecimalMark.COMMA


@pytest.mark.parametrize(
    ("text", "with_point", "with_comma"),
    [
        ("1,800", "1800", "1.8"),
        ("1.800", "1.8", "1800"),
        ("1,234.56", "1234.56", None),
        ("1.234,56", None, "1234.56"),
        ("1,234,567", "1234567", None),
        ("1 234,56", None, "1234.56"),
        ("1\u202f234.5", "1234.5", None),
        ("1'234.50", "1234.5", None),
        ("0,800", None, "0.8"),
        ("1234,567", None, "1234.567"),
        ("2.55", "2.55", None),
        (".5", "0.5", None),
        ("5.", "5", None),
        (" £1,80 ", None, "1.8"),
        ("-£2.55", "-2.55", None),
        ("£-2.55", "-2.55", None),
        ("2.55 GBP", "2.55", None),
        ("−3", "-3", "-3"),
        ("6", "6", "6"),
        ("1e-05", "0.00001", "0.00001"),
        ("1.5E3", "1500", "1500"),
    ],
)
def test_a_number_depends_on_the_decimal_mark(text: str, with_point: str | None, with_comma: str | None) -> None:
    for mark, value in ((POINT, with_point), (COMMA, with_comma)):
        assert number(text, mark) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    "text",
    ["", " ", ".", ",", "£", "--1", "1-", "€2.55", "$2.55", "2.55 USD", "1.2.3", "1,23,456", "1,2345.6", "1_000", "NaN",
     "Infinity", "٣", "0x10", "1,234 567", "1..5", "2.55\x00", "Price"],
)  # fmt: skip
def test_what_is_no_number_is_none_with_any_mark(text: str) -> None:
    assert number(text, POINT) is number(text, COMMA) is None


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["1,800", "2,55"], COMMA),
        (["1,800", "2.55"], POINT),
        (["1,800", "1,234.56"], POINT),
        (["1.800", "1.234,56"], COMMA),
        (["1,800", "0,500"], COMMA),
        (["12", "7"], POINT),
        (["1,800", "junk", "2,5"], COMMA),
        ([], POINT),
    ],
)
def test_a_column_has_the_mark_that_its_cells_tell(cells: list[str], mark: DecimalMark) -> None:
    assert decimal_mark(cells, "Price", None) is mark


@pytest.mark.parametrize("cells", [["1,800"], ["1.800", "12"], ["1,800", "2.500", "junk"]])
def test_a_column_that_does_not_tell_is_refused_until_a_person_says(cells: list[str]) -> None:
    with pytest.raises(UnreadableSource) as caught:
        decimal_mark(cells, "Price", None)
    assert "two ways" in caught.value.what
    assert "--decimal" in caught.value.hint
    assert decimal_mark(cells, "Price", COMMA) is COMMA


def test_a_column_that_contradicts_itself_is_refused_with_both_sides() -> None:
    with pytest.raises(UnreadableSource) as caught:
        decimal_mark(["2.55", "1,80"], "Price", None)
    assert "2.55" in caught.value.detail
    assert "1,80" in caught.value.detail


@given(cents=st.integers(-(10**9), 10**9), mark=st.sampled_from(DecimalMark), group=st.sampled_from(["", "other", " "]))
def test_what_is_written_with_two_decimals_tells_its_mark_and_is_read_back(
    cents: int, mark: DecimalMark, group: str
) -> None:
    by = {"other": "," if mark is POINT else "."}.get(group, group)
    text = f"{Decimal(cents) / 100:,.2f}".replace(",", "g").replace(".", mark).replace("g", by)
    assert decimal_mark([text, "1,800", "1.800"], "Price", None) is mark
    assert number(text, mark) == Decimal(cents) / 100
