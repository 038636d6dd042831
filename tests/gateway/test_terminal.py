"""What a channel wrote cannot steer the terminal of whoever reads it."""

from __future__ import annotations

import io
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.cli.terminal import grid, print_grid, print_json, say, say_fault, visible
from runtime.errors import Fault


def steers(text: str) -> set[str]:
    """The characters that do: controls, and those that turn a line round."""
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    found = {one for one in text if unicodedata.category(one) == "Cc" or unicodedata.bidirectional(one) in turns}
    return found - {"\t"}


@given(st.text())
def test_nothing_that_steers_is_left_and_all_else_is_as_it_was(text: str) -> None:
    assert not steers(visible(text))
    assert visible(visible(text)) == visible(text)
    if not steers(text):
        assert visible(text) == text


@given(st.text())
def test_a_json_document_says_the_same_and_does_not_steer(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out := io.StringIO())
        print_json({"id": text})
    assert not steers(out.getvalue().removesuffix("\n"))
    assert json.loads(out.getvalue()) == {"id": text}


def test_a_channel_cannot_make_up_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say("Order A-1\n  parcel P1: delivered", "  returned")
    assert capsys.readouterr().out.splitlines() == [r"Order A-1\n  parcel P1: delivered", "  returned"]


def test_a_fault_is_as_many_lines_as_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    say_fault(Fault("PostgreSQL does not answer", "refused\n\tis it there?\x1b[2J", "look"))
    assert capsys.readouterr().err.splitlines() == [
        "PostgreSQL does not answer",
        "  detail: refused",
        r"	is it there?\x1b[2J",
        "  hint: look",
    ]


def test_a_cell_stays_one_row() -> None:
    table = grid("sku", "units", right=("units",))
    table.add_row("MUG\n\x1b[2JCUP", "1")
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    assert out.getvalue().splitlines()[1].split() == [r"MUG\n\x1b[2JCUP", "1"]


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_an_id_is_never_broken_in_two_and_words_wrap(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as at a terminal
    table = grid("order", "units", "why", right=("units",), text=("why",))
    order, why = "sim-7-2000x10-000358-S2-" + "x" * 60, "nothing of it is left at any location that may send it"
    table.add_row(order, "1,200", why)
    print_grid(table)
    lines = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert lines[1].split()[:2] == [order, "1,200"]
    assert " ".join(" ".join(line.removeprefix(f"{order}  1,200").split()) for line in lines[1:]) == why
