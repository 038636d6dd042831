"""Every command says what it does and shows an example."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import app


def _paths(group: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        assert command.name
        yield (*path, command.name)
    for inner in group.registered_groups:
        assert inner.typer_instance
        name = inner.name if isinstance(inner.name, str) else inner.typer_instance.info.name
        yield from _paths(inner.typer_instance, (*path, str(name)))


@pytest.mark.parametrize("path", list(_paths(app)), ids=" ".join)
def test_a_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"order-ledger {' '.join(path)}" in shown.output.split("Example:")[1]
