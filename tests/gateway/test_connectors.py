"""A connector is a folder with a row; the table finds it, and the command line reads the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app, imports
from gateway.connectors import table
from gateway.connectors.connector import Request
from gateway.connectors.online_retail.file import HEADERS
from gateway.connectors.table import CONNECTORS, connector_of
from processors.worker import resolve
from runtime.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_folder_of_a_connector_is_in_the_table_and_its_functions_are_there() -> None:
    """A folder with modules but no `__init__.py`, or with the name of another's command, would be left out."""
    folders = sorted({file.parent.name for file in (ROOT / "gateway/connectors").glob("*/*.py")})
    assert sorted(row.bring_in.split(".")[2] for row in CONNECTORS.values()) == folders
    for name, row in CONNECTORS.items():
        assert row.name == name
        assert callable(resolve(row.bring_in))
        assert row.history is None or callable(resolve(row.history))


def test_the_fields_of_online_retail_are_those_that_its_reader_looks_for() -> None:
    fields = CONNECTORS["online-retail"].fields
    assert len(fields) == len(HEADERS)
    assert all(any(field in variants for field in fields) for variants in HEADERS.values())


def test_a_file_goes_to_the_connector_that_takes_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = CONNECTORS["online-retail"]
    toy = replace(ours, name="toy", kinds=(".toy",))
    monkeypatch.setitem(CONNECTORS, "toy", toy)  # type: ignore[arg-type]  # a table that nobody else changes
    assert connector_of(Path("a.TOY")) == toy
    assert connector_of(Path("a.csv")) == connector_of(Path("a.nothing")) == ours
    assert (ours.kinds_in_words, toy.kinds_in_words) == ("parquet, csv or xlsx", "toy")


def test_a_file_for_what_if_goes_to_a_connector_with_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = replace(CONNECTORS["online-retail"], name="toy", kinds=(".toy", ".csv"), history=None)
    monkeypatch.setattr("gateway.connectors.table.CONNECTORS", {"toy": toy, **CONNECTORS})
    assert connector_of(Path("a.csv")) == connector_of(Path("a.toy")) == CONNECTORS["online-retail"]


def test_a_folder_without_a_row_is_no_silent_gap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "unreadable").mkdir()  # a module that exports no row
    (tmp_path / "unreadable" / "__init__.py").touch()
    monkeypatch.setattr("gateway.connectors.table.__file__", str(tmp_path / "table.py"))
    with pytest.raises(AttributeError, match="CONNECTOR"):
        list(table._rows())


def test_a_new_connector_is_a_command_of_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "rows.toy"
    file.touch()
    toy = replace(CONNECTORS["online-retail"], name="toy", help="Import toys.", kinds=(".toy",))
    monkeypatch.setitem(CONNECTORS, "toy", toy)  # type: ignore[arg-type]  # the same
    asked: list[Any] = []

    def run(_settings: Settings, _services: Any, connector: Any, request: Request) -> dict[str, Any]:
        asked.append((connector, request))
        return {"text": "one toy"}

    monkeypatch.setattr(imports, "run_import", run)
    monkeypatch.setattr(imports, "services_for", lambda *_, **__: None)
    assert "Import toys." in CliRunner().invoke(app, ["import", "--help"]).stdout
    done = CliRunner().invoke(app, ["import", "toy", str(file), "--seed", "3"])
    assert done.stdout == "one toy\n", done.output
    assert asked == [(toy, Request(file, seed=3))]
