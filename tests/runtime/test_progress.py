"""Progress goes to stderr, as a few plain lines where no terminal is; and it says nothing that it does not know."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import runtime.progress
from runtime.progress import Bar, progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_name_count_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(runtime.progress, "LINE_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(runtime.progress, "MEASURED_SECONDS_MIN", 0.0)
    with progress("importing", 1000, unit="orders") as bar:
        bar.advance(400)
        bar.reach(500)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0].startswith("importing: 400 of 1,000 orders, ")
    assert err.splitlines()[0].endswith(" s left")


def test_lines_are_few(capsys):
    with progress("importing", 1000, unit="orders") as bar:
        for _ in range(1000):
            bar.advance()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_each_step_of_unknown_length_is_told_once(capsys):
    with progress("looking") as bar:
        for number in range(5):
            bar.say(f"fetching: {number} of 5")
        bar.say("starting")
    assert capsys.readouterr().err.splitlines() == ["fetching: 0 of 5", "starting"]


@pytest.mark.parametrize(
    ("done", "total", "seconds", "known"),
    [
        (0, 2_848, 10.0, "0 of 2,848 facts"),  # seen: "2,848,000,000,000 s left"
        (0, None, 10.0, ""),
        (1, 2_848, 0.001, "1 of 2,848 facts"),  # measured over too short a time
        (10, 110, 5.0, "10 of 110 facts, 2.0/s, 50 s left"),
        (10, 110, 600.0, "10 of 110 facts"),  # a rate of next to nothing
        (1_000, 10**12, 10.0, "1,000 of 1,000,000,000,000 facts, 100/s"),  # three hundred years are no news
        (50, 40, 5.0, "50 facts, 10/s"),  # the total was wrong
        (40, 40, 5.0, "40 of 40 facts, 8.0/s"),
        (600, 100_000, 60.0, "600 of 100,000 facts, 10/s, 166 min left"),
        (-114, 628, 10.0, ""),  # seen: "-114 of 628 records, -11/s"
    ],
)
def test_what_is_not_known_is_not_said(done, total, seconds, known):
    clock = Clock()
    bar = Bar("folding", total, "facts", clock)
    clock.now = seconds
    bar.reach(done)
    assert bar.known() == known


def test_counting_that_begins_again_has_a_rate_of_its_own():
    clock = Clock()
    bar = Bar("reading the log", 1_000, "records", clock)
    clock.now = 10.0
    bar.reach(1_000)
    assert bar.known() == "1,000 of 1,000 records, 100/s"
    bar.reach(100)
    assert bar.known() == "100 of 1,000 records"
    clock.now = 20.0
    bar.reach(110)
    assert bar.known() == "110 of 1,000 records, 1.0/s, 15 min left"


def test_another_piece_of_work_counts_other_things_and_anew():
    clock = Clock()
    bar = Bar("reading the log", 1_000, "records", clock)
    clock.now = 10.0
    bar.reach(1_000)
    bar.begin("comparing order_status", 50, "rows")
    clock.now = 15.0
    bar.reach(25)
    assert bar.known() == "25 of 50 rows, 5.0/s, 5 s left"


def test_a_bar_on_a_terminal_says_the_same(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(runtime.progress, "_terminal", lambda: terminal)
    with progress("settling", 628, unit="records") as bar:
        bar.reach(-114)
        bar.reach(700)
        bar.begin("comparing [rows]", 50, "rows")
        bar.reach(25)
    text = screen.getvalue()
    assert "comparing [rows]" in text
    assert "25 of 50 rows" in text
    assert "-114" not in text
    assert "-:--" not in text
