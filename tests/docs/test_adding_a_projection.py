"""The example of docs/adding-a-projection.md, applied to a copy of the tree, does what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adding-a-projection.md"
ROOMS = ("schemas", "events", "projections", "processors", "gateway", "runtime", "tests", "scripts", "docs")
#: Aim of the page: more files than this, and adding a projection is work.
FILES_MAX = 6


def patches() -> list[str]:
    return re.findall(r"^```diff\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is, with the example."""
    tree = tmp_path_factory.mktemp("tree")
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    for patch in patches():
        done = subprocess.run(
            ["git", "apply", "--verbose", "-"], cwd=tree, input=patch, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return tree


def test_the_example_is_as_small_as_the_page_says() -> None:
    files = re.findall(r"^\+\+\+ b/(.+)$", "".join(patches()), re.MULTILINE)
    assert len(files) == len(set(files)) == FILES_MAX


def test_the_example_keeps_the_laws_and_its_own_test(tree: Path) -> None:
    done = run(
        tree, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
        "tests/projections/test_first_parcels.py", "tests/projections/test_laws.py",
        "-k", "first_parcels",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b3 passed", done.stdout), done.stdout


def test_verify_knows_the_table_and_the_list_of_views_is_written_anew(tree: Path) -> None:
    program = (
        "from processors.verify.books import Books;"
        "from projections.catalogue import PROJECTIONS;"
        "declared = {table.name for one in PROJECTIONS.values() for table in one.tables};"
        "assert declared == set(Books().tables), declared ^ set(Books().tables);"
        "assert 'first_parcels' in declared"
    )
    done = run(tree, sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    stale = run(tree, sys.executable, "scripts/describe_tables.py", "--check")
    assert stale.returncode == 1
    assert run(tree, sys.executable, "scripts/describe_tables.py").returncode == 0
    assert "## v_first_parcels" in (tree / "docs" / "tables.md").read_text(encoding="utf-8")


def test_the_example_is_typed_and_in_style(tree: Path) -> None:
    style = run(tree, sys.executable, "-m", "ruff", "check", "projections", "processors/verify", "tests/projections")
    assert style.returncode == 0, style.stdout
    form = run(tree, sys.executable, "-m", "ruff", "format", "--check", "projections", "processors/verify")
    assert form.returncode == 0, form.stdout
    types = run(tree, sys.executable, "-m", "mypy", "projections/first_parcels", "processors/verify/first_parcels.py")
    assert types.returncode == 0, types.stdout
