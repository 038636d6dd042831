"""Every command says what it does and shows an example; and what is said of it before it is imported is the same."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import gateway.cli
from gateway.cli import app
from gateway.cli.table import COMMANDS
from tests.gateway.every_command import every_command, root

PATHS = [path for path, _ in every_command()]

#: What `--help` may import beside Python's own modules: most of the time of a short command goes into imports.
OF_HELP = {
    "annotated_doc", "shellingham", "typer", "typing_extensions",
    "events", "events.spelling",
    "gateway", "gateway.cli", "gateway.cli.interrupt", "gateway.cli.table", "gateway.cli.terminal", "gateway.cli.words",
    "runtime", "runtime.errors", "runtime.logging",
}  # fmt: skip
#: Python's own that take long.
SLOW = {"asyncio", "concurrent", "email", "http", "importlib.metadata", "multiprocessing", "socket", "ssl", "xml"}
#: What a question to the tables does without.
NOT_OF_ORDER = {
    "aiokafka", "confluent_kafka", "fastapi", "fastavro", "faust", "numpy", "polars", "psycopg_pool",
    "pyarrow", "structlog", "uvicorn",
}  # fmt: skip


def imported_by(*arguments: str) -> set[str]:
    """Names of all modules that are there when the command ends."""
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        f"sys.argv = ['order-ledger', *{arguments!r}]\n"
        "from gateway.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('\\n'.join(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    return set(done.stderr.splitlines())


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_a_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"order-ledger {' '.join(path)}" in shown.output.split("Example:")[1]


def test_help_imports_what_it_may_and_nothing_else() -> None:
    found = imported_by("--help")
    ours = {name for name in found if name.partition(".")[0] in {"events", "gateway", "processors", "projections",
            "runtime", "schemas"}}  # fmt: skip
    others = {name.partition(".")[0] for name in found - ours} - sys.stdlib_module_names
    assert ours | others <= OF_HELP
    assert not found & SLOW


def test_a_question_to_the_tables_imports_neither_kafka_nor_what_folds() -> None:
    found = imported_by("order", "--help")  # its module, and all that this imports
    assert "psycopg" in found
    assert not {name.partition(".")[0] for name in found} & NOT_OF_ORDER


@pytest.mark.parametrize("width", [40, 80, 200])
def test_help_is_the_same_before_a_command_is_imported_and_after(width: int) -> None:
    before, after = root(), root()
    after.whole()
    terminal = {"terminal_width": width, "max_content_width": width}
    shown = [one.get_help(one.make_context("order-ledger", [], resilient_parsing=True, **terminal))
             for one in (before, after)]  # fmt: skip
    assert shown[0] == shown[1]
    assert "dead-letters" in shown[0]


def test_completion_knows_commands_and_their_options() -> None:
    def completed(words: str) -> str:
        env = {**os.environ, "_ORDER_LEDGER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(
            words.count(" "))}  # fmt: skip
        program = [sys.executable, "-c", "from gateway.cli import app; app(prog_name='order-ledger')"]
        return subprocess.run(program, capture_output=True, text=True, check=True, env=env).stdout

    assert set(completed("order-ledger ").split()) == {row.name for row in COMMANDS}
    assert "--json" in completed("order-ledger order --").split()
    assert set(completed("order-ledger rules ").split()) == {"check", "publish", "show"}


def test_the_table_has_every_module_that_has_commands_and_each_command_once() -> None:
    names = [row.name for row in COMMANDS]
    assert len(names) == len(set(names))
    modules = {name for _, name, _ in pkgutil.iter_modules(gateway.cli.__path__)}
    with_commands = {name for name in modules if name != "__main__" and hasattr(
        __import__(f"gateway.cli.{name}", fromlist=["register"]), "register")}  # fmt: skip
    assert with_commands == {row.module for row in COMMANDS}
    registered = {name for module in with_commands for name in gateway.cli.words.read(module)}
    assert registered == set(names)
