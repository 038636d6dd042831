"""The examples of docs/adding-a-reaction.md and docs/adding-an-effect.md do what the pages say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs.examples import ROOT, applied, files, run

#: Page, its folder, its own module and its own test.
EXAMPLES = [
    ("adding-a-reaction.md", "processors/reactions", "suspicions.py", "tests/processors/test_suspicions.py"),
    ("adding-an-effect.md", "processors/effects", "fraud_check.py", "tests/processors/test_fraud_check.py"),
]


@pytest.mark.parametrize(("page", "folder", "module", "test"), EXAMPLES, ids=[one[0] for one in EXAMPLES])
def test_the_example_is_one_module_its_name_in_the_list_and_a_test(
    page: str, folder: str, module: str, test: str, tmp_path: Path
) -> None:
    assert files(ROOT / "docs" / page) == [f"{folder}/{module}", f"{folder}/wiring.py", test]
    tree = applied(ROOT / "docs" / page, tmp_path)
    for command in (
        ("pytest", "-q", "-n0", "-p", "no:cacheprovider", test),
        ("ruff", "check", folder, test),
        ("ruff", "format", "--check", folder, test),
        ("mypy", f"{folder}/{module}"),
    ):
        done = run(tree, sys.executable, "-m", *command)
        assert done.returncode == 0, done.stdout + done.stderr
