"""Pages whose example is a real diff: applied to a copy of the tree, it does what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "events", "projections", "processors", "gateway", "runtime", "tests", "scripts", "docs")


def patches(page: Path) -> list[str]:
    return re.findall(r"^```diff\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def files(page: Path) -> list[str]:
    """What the example touches, a file once for each diff."""
    return re.findall(r"^\+\+\+ b/(.+)$", "".join(patches(page)), re.MULTILINE)


def applied(page: Path, tree: Path) -> Path:
    """The tree as it is, with the example."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    known = ROOT / ".mypy_cache"
    if known.exists():  # what `make check` found of the files that the example leaves as they are, and of libraries
        shutil.copytree(known, tree / known.name)
    for patch in patches(page):
        done = subprocess.run(
            ["git", "apply", "--verbose", "-"], cwd=tree, input=patch, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return tree


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
