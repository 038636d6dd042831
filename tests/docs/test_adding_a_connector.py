"""The example of docs/adding-a-connector.md, applied to a copy of the tree, does what the page says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs.examples import ROOT, applied, files, run

PAGE = ROOT / "docs" / "adding-a-connector.md"
FOLDER = "gateway/connectors/marketplace"
TEST = "tests/gateway/test_marketplace.py"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is, with the example."""
    return applied(PAGE, tmp_path_factory.mktemp("tree"))


def test_the_example_is_one_folder_and_its_test() -> None:
    outside = [name for name in files(PAGE) if not name.startswith(f"{FOLDER}/")]
    assert outside == [TEST]


@pytest.mark.parametrize(
    "command",
    [
        ("pytest", "-q", "-n0", "-p", "no:cacheprovider", TEST, "tests/gateway/test_connectors.py"),
        ("ruff", "check", FOLDER, TEST),
        ("ruff", "format", "--check", FOLDER, TEST),
        ("mypy", FOLDER),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_the_example_keeps_what_is_checked(tree: Path, command: tuple[str, ...]) -> None:
    done = run(tree, sys.executable, "-m", *command)
    assert done.returncode == 0, done.stdout + done.stderr
