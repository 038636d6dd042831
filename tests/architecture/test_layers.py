"""The rooms import one another in one direction, and the pure ones touch nothing of the world."""

from __future__ import annotations

import ast
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner
from importlinter.cli import lint_imports_command

ROOT = Path(__file__).parents[2]
PURE_ROOMS = ("events", "projections", "schemas")

#: Modules that read a clock, wait, print, log, ask the environment or speak to a server.
WORLDLY = {
    "asyncio", "confluent_kafka", "faust", "httpx", "logging", "os", "random", "requests", "secrets", "socket",
    "structlog",
    "subprocess", "sys", "threading", "time", "uuid",
}  # fmt: skip
#: Readers of a projection run queries on a connection that they are handed; a registry is spoken to through its client.
ALLOWED = {"schemas/registry.py": {"confluent_kafka"}}
CLOCKS = {"now", "today", "utcnow"}


def modules(room: str) -> list[Path]:
    return sorted(path for path in (ROOT / room).rglob("*.py") if "__pycache__" not in path.parts)


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_the_import_contracts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(lint_imports_command, ["--config", "pyproject.toml", "--no-cache"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_has_no_clock_no_waiting_no_printing_and_no_world(room: str) -> None:
    assert modules(room), room
    for path in modules(room):
        name = str(path.relative_to(ROOT))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert imported(tree) & WORLDLY <= ALLOWED.get(name, set()), name
        for node in ast.walk(tree):
            assert not isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)), name
            if isinstance(node, ast.Call):
                called = node.func
                assert not (isinstance(called, ast.Name) and called.id in ("print", "input")), name
                assert not (isinstance(called, ast.Attribute) and called.attr in CLOCKS), f"{name}: {called.attr}"


def test_the_module_events_is_ours_and_nobody_else_s() -> None:
    """`events` is also a module of a package on PyPI: in one environment with it, the wrong one would be imported."""
    try:
        distribution("order-ledger")
    except PackageNotFoundError:
        pytest.skip("order-ledger is not installed in this environment; `make setup` does")
    # A source tree beside its installation may be found twice: the same distribution all the same.
    assert set(packages_distributions()["events"]) == {"order-ledger"}


def test_verify_shares_nothing_with_what_it_checks() -> None:
    for path in modules("processors/verify"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        sources = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {source for source in sources if source.partition(".")[0] in ("events", "projections", "processors")}
        assert {one for one in ours if not one.startswith("processors.verify")} <= {
            "projections.catalogue",
            "processors.old_log",  # refuses a log that nobody can read; folds nothing
        }, path
