"""What a person types wrongly is answered in three lines, before any service is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from tests.gateway.every_command import every_command


def refused(home: Path, *arguments: str | bytes, **settings: str) -> str:
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    env = {**os.environ, "ORDER_LEDGER_HOME": str(home), **settings}  # where nothing runs
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


def bounded() -> Iterator[tuple[tuple[str, ...], str, float | None, float | None]]:
    """Every option of every command that takes numbers between bounds, with these."""

    for path, one in every_command():
        for option in one.params:
            low, high = getattr(option, "min", None), getattr(option, "max", None)
            if low is not None or high is not None:
                yield path, option.opts[0], low, high


def test_a_number_beyond_its_bounds_is_answered_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_LEDGER_HOME", str(tmp_path))
    options = list(bounded())
    assert {"--limit", "--seed", "--orders", "--timeout", "--surge"} <= {option for _, option, *_ in options}
    for path, option, low, high in options:
        beyond = ([] if low is None else [low - 1]) + ([] if high is None else [high + 1])
        for value in (*beyond, "x"):
            done = CliRunner().invoke(app, [*path, option, str(value)])
            assert done.exit_code == 1, (path, option, done.output)
            what, detail, hint = done.stderr.splitlines()
            assert what == f"{option} cannot be {value}"
            assert detail.startswith("  detail: it takes a ")
            assert all(bound is None or f"{bound:,}" in detail for bound in (low, high)), detail
            assert hint == f"  hint: `order-ledger {' '.join(path)} --help` says more"


@pytest.mark.parametrize(
    ("line", "what", "detail"),
    [
        ("inventory --limit 0", "--limit cannot be 0", "it takes a whole number from 1 to "),
        ("inventory --limit " + "9" * 500, "--limit cannot be 999", "it takes a whole number from 1 to "),
        ("inventory --limit=", "--limit cannot be empty", "it takes a whole number from 1 to "),
        ("settle --timeout inf", "the value of --timeout is not allowed", "inf is not a finite number"),
        ("kpi --by nope", "--by cannot be nope", "'channel'"),
        ("kpi --from 28.11.2025", "--from cannot be 28.11.2025", "'%Y-%m-%d'"),
    ],
)
def test_a_value_that_an_option_does_not_take_is_said_in_three_lines(
    tmp_path: Path, line: str, what: str, detail: str
) -> None:
    said = refused(tmp_path, *line.split()).splitlines()
    assert said[0].startswith(what)
    assert len(said[0]) < 100
    assert detail in said[1]
    assert len(said) == 3


def buffered(home: Path) -> dict[str, str]:
    """The environment of most terminals. With PYTHONUNBUFFERED no output waits to be written."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | {
        "ORDER_LEDGER_HOME": str(home)
    }


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    assert "an argument is not UTF-8" in refused(tmp_path, "inventory", "--sku", b"MUG\xff")


@pytest.mark.parametrize("time", ["2025-11-28", "2025-11-28T18:00"])
def test_what_the_hint_says_is_a_time(tmp_path: Path, time: str) -> None:
    hint = refused(tmp_path, "inventory", "--sku", "MUG", "--at", time).rpartition("write ")[2].split()[0]
    assert hint.startswith(time)
    assert "has no offset" not in refused(tmp_path, "inventory", "--sku", "MUG", "--at", hint)
    assert "is not a time" not in refused(tmp_path, "inventory", "--sku", "MUG", "--at", hint)


@pytest.mark.parametrize(
    ("shell", "says"),
    [
        ("rules show --shipped > /dev/full", "No space left on device"),
        ("publish - < /dev/null <&-", "stdin is closed"),
    ],
)
def test_what_the_operating_system_refuses_is_said(tmp_path: Path, shell: str, says: str) -> None:
    command = f"{sys.executable} -m gateway.cli {shell}"
    env = buffered(tmp_path)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1, done
    assert says in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_what_cannot_be_written_is_not_tried_again_at_the_end(tmp_path: Path) -> None:
    """Seen: exit status 120 and a traceback, where part of the output was still to be written when a write failed."""
    program = (
        "import gateway.cli\n"
        "def command():\n"
        "    print('a line that waits in the buffer')\n"
        "    raise OSError(28, 'No space left on device')\n"
        "gateway.cli.app = command\n"
        "gateway.cli.main()\n"
    )
    env = buffered(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=env
        )
    assert done.returncode == 1, done
    assert "Exception ignored" not in done.stderr
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("shell", "status"),
    [
        ("rules show --shipped --text | head -n 1 > /dev/null; exit ${PIPESTATUS[0]}", {0, 1}),
        ("rules show --shipped >&-", {0}),
    ],
)
def test_nobody_who_listens_is_no_traceback(tmp_path: Path, shell: str, status: set[int]) -> None:
    command = f"{sys.executable} -m gateway.cli {shell}"
    env = buffered(tmp_path)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=env)
    assert done.returncode in status, done
    assert done.stderr == ""


def test_a_terminal_that_does_not_know_a_letter_is_shown_its_number(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    text = (Path(__file__).parents[2] / "docs" / "examples" / "routing-cheap.toml").read_text()
    rules.write_text(text.replace('name = "', 'name = "→ ', 1))
    env = {**os.environ, "ORDER_LEDGER_HOME": str(tmp_path), "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "gateway.cli", "rules", "check", str(rules)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2192" in done.stdout


@pytest.mark.parametrize("command", ["up", "kpi", "run"])
def test_wrong_settings_are_named_by_every_command(tmp_path: Path, command: str) -> None:
    said = refused(tmp_path, command, ORDER_LEDGER_KAFFKA="broker:9092", ORDER_LEDGER_API_PORT="99999")
    assert "2 settings are wrong" in said
    assert "ORDER_LEDGER_KAFFKA is not a setting. The nearest one is ORDER_LEDGER_KAFKA" in said
    assert "ORDER_LEDGER_API_PORT is '99999'. It should be a number from 0 to 65535" in said
    assert not list(tmp_path.iterdir()), "nothing was started"
