"""Progress goes to stderr, as a few plain lines where no terminal is."""

from __future__ import annotations

import runtime.progress
from runtime.progress import progress


def test_plain_lines_name_count_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(runtime.progress, "LINE_INTERVAL_SECONDS", 0.0)
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
