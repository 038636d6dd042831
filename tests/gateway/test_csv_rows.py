"""No line of a csv gets lost, whatever quote marks stand in it."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from gateway.connectors.csv_rows import CsvRow, read_rows, separator_of, split_lines

HEADER = "id,text,units"


def rows(*lines: str) -> list[CsvRow]:
    header, *found = read_rows([HEADER, *lines], ",")
    assert header.cells == HEADER.split(",")
    return found


def cells(*lines: str) -> list[list[str] | None]:
    return [row.cells for row in rows(*lines)]


def test_an_inch_mark_in_a_text_is_a_letter() -> None:
    assert cells('1,7" BOWL,6', '2,"7" BOWL",6', '3,"BOWL 7"",6', '4,"BOWL,6') == [
        ["1", '7" BOWL', "6"],
        ["2", '7" BOWL', "6"],
        ["3", 'BOWL 7"', "6"],
        ["4", '"BOWL', "6"],
    ]


def test_two_inch_marks_swallow_no_row_between_them() -> None:
    assert cells('1,"BOWL,6', "2,PLATE,7", '3,BOWL 7",8') == [
        ["1", '"BOWL', "6"],
        ["2", "PLATE", "7"],
        ["3", 'BOWL 7"', "8"],
    ]


def test_a_text_over_several_lines_is_one_row_and_counted_as_such() -> None:
    (first, second) = rows('1,"a bowl', "", 'and ""a"" plate",6', "2,x,7")
    assert first == CsvRow(2, 3, '1,"a bowl\n\nand ""a"" plate",6', ["1", 'a bowl\n\nand "a" plate', "6"])
    assert (second.line, second.cells) == (5, ["2", "x", "7"])


def test_a_line_without_all_columns_is_broken_and_takes_no_other_with_it() -> None:
    found = rows('1,"BOWL', "2,PLATE,7", "3,PLATE", '4,2,55,1"')
    assert [(row.line, row.text, row.cells) for row in found] == [
        (2, '1,"BOWL', None),
        (3, "2,PLATE,7", ["2", "PLATE", "7"]),
        (4, "3,PLATE", None),
        (5, '4,2,55,1"', None),
    ]


def test_quoted_separators_and_empty_cells_behind_the_last_column_are_no_fault() -> None:
    assert cells('1,"a, b",6', "2,x,7,,") == [["1", "a, b", "6"], ["2", "x", "7"]]


def test_lines_end_as_on_any_system_and_empty_ones_are_no_rows() -> None:
    assert split_lines("a\r\nb\rc\n\nd\x0be\u2028f\n") == ["a", "b", "c", "", "d\x0be\u2028f"]
    assert cells("1,x,6", "", "  ", "2,y,7") == [["1", "x", "6"], ["2", "y", "7"]]


def test_the_separator_is_the_one_that_splits_the_header() -> None:
    assert [separator_of(text) for text in ("a,b;c,d", "a;b;c,d", "a\tb", "a|b|c", "a")] == [",", ";", "\t", "|", ","]


CELL = st.text(st.sampled_from('ab7", \n'), max_size=8)


@given(table=st.lists(st.tuples(CELL, CELL, CELL), max_size=6))
def test_what_a_program_writes_with_quotes_is_read_back_or_seen_to_be_broken(table: list[tuple[str, ...]]) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    lines = split_lines(file.getvalue())
    found = rows(*lines)
    accounted = sum(row.lines for row in found) + sum(not line.strip() for line in lines)
    assert accounted >= len(lines)  # an empty line inside a text is counted with its row too
    assert {row.line + offset - 2 for row in found for offset in range(row.lines)} >= {
        number for number, line in enumerate(lines) if line.strip()
    }
    if all("\n" not in cell for row in table for cell in row):
        assert [row.cells for row in found] == [list(row) for row in table]


@given(lines=st.lists(st.text(st.sampled_from('ab7",'), max_size=14), max_size=8))
def test_every_line_that_has_all_columns_is_a_row_of_its_own(lines: list[str]) -> None:
    found = {row.line - 2: row for row in rows(*lines)}
    taken = [number + offset for number, row in found.items() for offset in range(row.lines)]
    assert len(taken) == len(set(taken))
    assert {number for number, line in enumerate(lines) if line} <= set(taken)
    for number, line in enumerate(lines):
        if line.count(",") >= 2:
            assert found[number].lines == 1
