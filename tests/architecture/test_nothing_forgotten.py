"""A command or a fact that its aggregate does not handle is found by mypy, before any test runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from events.catalogue import STREAMS
from events.streams import members

ROOT = Path(__file__).parents[2]
#: A class that nobody handles, in front of the union that it is planted into.
PLANTED = """class Forgotten(Struct, frozen=True, kw_only=True):
    {key}: str


{name} = Forgotten | """


def union_of(classes: tuple[type[Any], ...], kind: str) -> tuple[str, str]:
    """Path of the module that has the union of these classes, and the union's name."""
    for module in {data.__module__ for data in classes}:
        for name, value in vars(sys.modules[module]).items():
            if name.endswith(kind) and members(value) == classes:
                return path_of(module), name
    raise AssertionError(f"no union of {classes}")


def path_of(module: str) -> str:
    return module.replace(".", "/") + ".py"


def planted(path: str, name: str, key: str) -> str:
    source = (ROOT / path).read_text(encoding="utf-8")
    changed, count = re.subn(rf"^{name} = ", PLANTED.format(name=name, key=key), source, flags=re.MULTILINE)
    assert count == 1, name
    return changed


def test_mypy_finds_every_command_and_every_fact_that_was_forgotten(tmp_path: Path) -> None:
    """Every union gets a class that nobody handles: mypy says so of each decider and of each `evolve`.

    Seen to fail: with `Any` as the type of the data in the decider of orders, mypy said nothing about it.
    """
    shadows: list[str] = []
    wanted: Counter[str] = Counter()
    for row in STREAMS.values():
        for classes, kind, handler in ((row.commands, "Command", row.decide), (row.facts, "Fact", row.evolve)):
            path, name = union_of(classes, kind)
            shadow = tmp_path / path.replace("/", "_")
            shadow.write_text(planted(path, name, row.key), encoding="utf-8")
            shadows += ["--shadow-file", path, str(shadow)]
            wanted[path_of(handler.__module__)] += 1
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), *shadows, "-p", "events"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in checked.stdout.splitlines() if "has incompatible type" in line and "Forgotten" in line]
    found = Counter(line.partition(":")[0] for line in errors)
    assert wanted <= found, checked.stdout + checked.stderr
