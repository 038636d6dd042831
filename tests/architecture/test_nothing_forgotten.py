"""A command or a fact that its aggregate does not handle is found by mypy, before any test runs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from events.catalogue import STREAMS
from events.orders.parts import FactOfOrder
from events.streams import members

ROOT = Path(__file__).parents[2]
#: A class that nobody handles, in front of the union that it is planted into.
PLANTED = """from msgspec import Struct


class Forgotten(Struct, frozen=True, kw_only=True):
    {key}: str


{name} = Forgotten | """


def union_of(classes: tuple[type[Any], ...], module: str) -> tuple[str, str]:
    """Path of the module that has the union of these classes, and the union's name (a class alone has its own, too)."""
    full_name = f"{classes[0].__module__.rpartition('.')[0]}.{module}"
    named = vars(sys.modules[full_name]).items()
    (name,) = (n for n, value in named if n != classes[0].__name__ and members(value) == classes)
    return path_of(full_name), name


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
        for classes, module, handler in ((row.commands, "commands", row.decide), (row.facts, "facts", row.evolve)):
            path, name = union_of(classes, module)
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


def test_every_class_that_is_a_fact_of_an_order_is_in_the_union() -> None:
    """A decision takes what is a `FactOfOrder`, and hands it to an `evolve` that knows the union."""
    assert set(FactOfOrder.__subclasses__()) == set(STREAMS["order"].facts)


def test_no_modules_of_events_import_each_other_in_a_circle() -> None:
    modules = {
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".") for path in (ROOT / "events").rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for module in modules:
        tree = ast.parse((ROOT / path_of(module)).read_text(encoding="utf-8"))
        named = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        of = {f"{node.module}.{alias.name}" for node in named for alias in node.names} | {str(n.module) for n in named}
        graph[module] = of & modules
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from error
    assert len(order) == len(modules) > 50
