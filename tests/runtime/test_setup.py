"""`make setup` on a machine that lacks something says in one line what to install; on one that has it, nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path):
    """A copy of what set-up reads, and an empty folder of programs with the few that sh needs."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup", "scripts/make_venv.py", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for name in ("cat", "cksum", "dirname", "pwd", "tail"):
        if found := shutil.which(name):
            (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def python(tree, name, status):
    path = tree / "bin" / name
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1" && exit 0\nexit {status}\n')
    path.chmod(0o755)


def run(tree, **env):
    shell = shutil.which("sh")
    return subprocess.run(
        [shell, tree / "scripts" / "setup"],
        env={"PATH": str(tree / "bin"), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_python_at_all(tree):
    result = run(tree)
    assert result.returncode == 1
    assert "no Python found" in result.stderr
    assert "hint: install Python 3.11" in result.stderr


def test_a_python_that_is_too_old(tree):
    python(tree, "python3", 11)
    result = run(tree)
    assert result.returncode == 1
    assert "Python 3.9.1 is too old" in result.stderr
    assert "make PYTHON=" in result.stderr


def test_a_python_without_venv(tree):
    python(tree, "python3", 12)
    result = run(tree)
    assert result.returncode == 1
    assert "lacks the modules venv, ensurepip or ssl" in result.stderr
    assert "python3-venv" in result.stderr


def test_a_python_that_does_not_run(tree):
    python(tree, "python3", 127)
    result = run(tree)
    assert result.returncode == 1
    assert "python3 does not run" in result.stderr


def test_a_newer_python_beside_an_old_one_is_found(tree):
    python(tree, "python3", 11)
    path = tree / "bin" / "python3.12"
    path.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "made with $0 $1"\n')
    path.chmod(0o755)
    result = run(tree)
    assert (result.returncode, result.stderr) == (0, "")
    assert "python3.12 scripts/make_venv.py" in result.stdout


def test_the_interpreter_that_is_named_is_the_only_one_tried(tree):
    python(tree, "python3.12", 0)
    result = run(tree, PYTHON="no-such-python")
    assert result.returncode == 1
    assert "looked for: no-such-python" in result.stderr


def test_no_address_of_a_registry_is_in_the_pins():
    assert "://" not in (ROOT / "constraints.txt").read_text()
    assert "://" not in (ROOT / "runtime" / "embedded" / "kafka_jars.sha256").read_text()


def test_set_up_does_nothing_when_all_is_there(tree):
    (tree / ".venv" / "bin").mkdir(parents=True)
    (tree / ".venv" / "bin" / "order-ledger").symlink_to("/bin/sh")
    (tree / ".venv" / "bin" / "python").symlink_to("/bin/sh")
    sums = subprocess.run(
        "cat constraints.txt pyproject.toml scripts/make_venv.py | cksum",
        shell=True, cwd=tree, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (tree / ".venv" / ".made-from").write_text(f"{sums} any {os.path.realpath(tree)}")
    assert run(tree).returncode == 0
