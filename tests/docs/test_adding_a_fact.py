"""The example of docs/adding-a-fact.md, applied to a copy of the tree, does what the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.docs.examples import ROOT, applied, files, run

PAGE = ROOT / "docs" / "adding-a-fact.md"
#: Aim of the page: more files than this, and adding a fact is work.
FILES_MAX = 10
#: What programs write for it.
GENERATED = (
    "tests/schemas/golden/commands/ChangeServiceLevel.v1.json",
    "tests/schemas/golden/facts/ServiceLevelChanged.v1.json",
)
#: Laws that ask something of every command and every fact: each is asked of the new ones.
LAWS = {
    "tests/schemas/test_contracts.py": "ChangeServiceLevel or ServiceLevelChanged or list_the_same or share_an_id",
    "tests/schemas/test_personal.py": "",
    "tests/schemas/test_goldens.py": "ChangeServiceLevel or ServiceLevelChanged",
    "tests/events/test_no_effect.py": "ChangeServiceLevel",
    "tests/events/test_service_levels.py": "",
    "tests/gateway/test_story.py": "has_its_words",
    "tests/projections/test_laws.py": "ServiceLevelChanged",
}

PYTHON = [name for name in files(PAGE) if name.endswith(".py")]
#: The lists with `assert_never`, and the story. The types of polars, which fold and proof import, take far longer.
TYPED = [name for name in PYTHON if name.startswith(("events/", "gateway/"))]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is, with the example and what programs write for it."""
    tree = applied(PAGE, tmp_path_factory.mktemp("tree"))
    stale = run(tree, sys.executable, "scripts/describe_contracts.py", "--check")
    assert "commands.md is out of date" in stale.stderr, stale.stderr
    for program in ("tests/schemas/goldens.py", "scripts/describe_contracts.py"):
        done = run(tree, sys.executable, program)
        assert done.returncode == 0, done.stderr
    return tree


def test_the_example_is_as_small_as_the_page_says() -> None:
    touched = files(PAGE)
    assert len(touched) == len(set(touched)) == FILES_MAX


def test_what_is_generated_has_the_command_and_the_fact(tree: Path) -> None:
    assert all((tree / name).exists() for name in GENERATED)
    headings = (tree / "docs" / "commands.md").read_text(encoding="utf-8").splitlines()
    assert {"### ChangeServiceLevel", "### ServiceLevelChanged"} <= set(headings)


def test_the_example_keeps_the_laws_and_its_own_test(tree: Path) -> None:
    asked = " or ".join(words or Path(path).stem for path, words in LAWS.items())
    done = run(tree, sys.executable, "-m", "pytest", "-v", "-n0", "-p", "no:cacheprovider", *LAWS, "-k", asked)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in LAWS:
        assert re.search(rf"^{re.escape(path)}::.* PASSED", done.stdout, re.MULTILINE), path


def test_the_example_is_typed_and_in_style(tree: Path) -> None:
    style = run(tree, sys.executable, "-m", "ruff", "check", *PYTHON)
    assert style.returncode == 0, style.stdout
    form = run(tree, sys.executable, "-m", "ruff", "format", "--check", *PYTHON)
    assert form.returncode == 0, form.stdout
    types = run(tree, sys.executable, "-m", "mypy", *TYPED)
    assert types.returncode == 0, types.stdout
