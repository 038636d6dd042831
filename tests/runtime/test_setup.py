"""`make setup` on a machine that lacks something says in one line what to install; on one that has it, nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
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


def make_venv(tree, folder=None):
    root = tree if folder is None else tree / folder
    if folder is not None:
        (root / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "make_venv.py", root / "scripts")
    return subprocess.run(
        [sys.executable, root / "scripts" / "make_venv.py", "sum"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ["a:b", "a$b", 'a"b', "a`b", "a\\b"])
def test_a_folder_that_no_environment_can_be_made_in_is_named(tree, name):
    done = make_venv(tree, name)
    assert done.returncode == 1
    assert "no environment can be made in" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_somebody_else_is_named(tree):
    (tree / ".venv.lock").mkdir()  # cannot be opened, by root neither
    done = make_venv(tree)
    assert done.returncode == 1
    assert ".venv/ cannot be made" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_environment_in_which_pip_was_cut_off_is_not_used_again(tree):
    """Pip takes a package for installed before all its files are there."""
    spec = importlib.util.spec_from_file_location("make_venv", tree / "scripts" / "make_venv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv.EnvBuilder(symlinks=True, with_pip=False).create(module.VENV)
    (next(module.VENV.glob("lib/python*/site-packages")) / "pip.py").touch()
    assert module.is_usable()
    module.UNFINISHED.touch()
    assert not module.is_usable()


def test_the_project_is_found_under_any_locale(tree):
    """Seen to fail: the path with an umlaut was "ascii can't decode" to every start under LC_ALL=C."""
    root = tree / "Käse"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(tree / "scripts" / "make_venv.py", root / "scripts")
    spec = importlib.util.spec_from_file_location("make_venv", root / "scripts" / "make_venv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv.EnvBuilder(symlinks=True, with_pip=False).create(module.VENV)
    packages = next(module.VENV.glob("lib/python*/site-packages"))
    (packages / "__editable__.order_ledger-0.1.0.pth").write_text(f"{root}\n", encoding="utf-8")
    module.point_by_relative_path()
    (root / "found_me.py").write_text("print('here')")
    for locale in ("C", "C.UTF-8"):
        code = [module.VENV / "bin" / "python", "-c", "import found_me"]
        done = subprocess.run(code, env={"LC_ALL": locale}, cwd="/", capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("here\n", "")


def test_set_up_is_done_by_another_python_than_that_of_the_environment(tree):
    """`make` has .venv/bin first on PATH: one that is broken cannot mend itself."""
    (tree / ".venv" / "bin").mkdir(parents=True)
    own = tree / ".venv" / "bin" / "python3"
    own.write_text("#!/bin/sh\nexit 1\n")
    own.chmod(0o755)
    other = tree / "bin" / "python3"
    other.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "made with $0"\n')
    other.chmod(0o755)
    result = run(tree, PATH=f"{tree}/.venv/bin:{tree}/.venv/bin:{tree}/bin", CDPATH=f"{tree}/bin")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"made with {tree}/bin/python3" in result.stdout
