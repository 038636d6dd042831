"""A failpoint does what it says at the visit that it names, and nothing where none is set."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.failpoints import VARIABLE, Failpoint, parse, reach


def run(failpoints: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from runtime.failpoints import reach\nfor n in 1, 2, 3: print(n, reach('here'), flush=True)",
        ],
        env=os.environ | {VARIABLE: failpoints},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_place_without_a_failpoint_does_nothing() -> None:
    assert reach("anywhere") is False


def test_names_visits_and_actions_are_read() -> None:
    assert parse("a.b:3=kill, c=raise") == {"a.b": Failpoint(3, "kill"), "c": Failpoint(1, "raise")}


@pytest.mark.parametrize("text", ["a.b", "a=explode", "=kill", "a:x=kill"])
def test_what_is_no_failpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a|kill"):
        parse(text)


def test_kill_ends_the_process_at_the_visit_it_names() -> None:
    ended = run("here:2=kill")
    assert (ended.stdout, ended.returncode) == ("1 False\n", -signal.SIGKILL)


def test_raise_raises_once() -> None:
    ended = run("here:3=raise")
    assert ended.stdout == "1 False\n2 False\n"
    assert "FailpointError: here, visit 3" in ended.stderr


def test_skip_answers_true_from_then_on() -> None:
    assert run("here:2=skip").stdout == "1 False\n2 True\n3 True\n"


def test_a_file_of_failpoints_is_acted_on_by_one_process_only(tmp_path: Path) -> None:
    file = tmp_path / "failpoints"
    file.write_text("here:2=skip")
    assert run(f"@{file}").stdout == "1 False\n2 True\n3 True\n"
    assert not file.exists()
    assert run(f"@{file}").stdout == "1 False\n2 False\n3 False\n"
