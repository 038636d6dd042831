"""A connector is a folder with a row; the command line reads the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app, imports
from gateway.connectors.connector import Request
from gateway.connectors.online_retail.file import HEADERS
from gateway.connectors.table import CONNECTORS, connector_of, kinds_in_words
from processors.worker import resolve
from runtime.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_folder_of_a_connector_is_in_the_table_and_its_functions_are_there() -> None:
    folders = {file.parent.name for file in (ROOT / "gateway/connectors").glob("*/__init__.py")}
    assert {row.bring_in.split(".")[2] for row in CONNECTORS.values()} == folders
    for name, row in CONNECTORS.items():
        assert row.name == name
        assert callable(resolve(row.bring_in))
        assert callable(resolve(row.history))


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
    assert kinds_in_words() == "parquet, csv, xlsx or toy"


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
