"""`order-ledger route` and `what-if` on given files: no service is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from tests.gateway.online_retail_builders import frame, row

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ORDER = str(EXAMPLES / "routing-order.json")


def told(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_example_is_routed_and_explained() -> None:
    shown = told("route", "EXAMPLE", "--stock", ORDER, "--rules", str(EXAMPLES / "routing-cheap.toml"), "--explain")
    assert shown.exit_code == 0, shown.output
    assert "2 parcels, cost 10.00" in shown.output
    assert "L1  not chosen: with L1 and L2: cost 13.00 instead of 10.00" in shown.output


def test_as_json_it_is_one_document() -> None:
    shown = told("route", "EXAMPLE", "--stock", ORDER, "--rules", str(EXAMPLES / "routing-one-parcel.toml"), "--json")
    document = json.loads(shown.stdout)
    assert (document["outcome"], document["reason"]["code"], document["proved"]) == ("queue", "no_split", True)
    assert [line["from"] for line in document["lines"]] == [{}, {"L3": 1}, {"L3": 1}]
    assert {one["location_id"]: one["status"] for one in document["locations"]}["L3"] == "chosen"


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    assert told("route", "OTHER", "--stock", ORDER).exit_code == 1
    broken = tmp_path / "broken.json"
    broken.write_text('{"stock": 3}')
    with pytest.raises(Exception, match="cannot be used"):
        CliRunner().invoke(app, ["route", "EXAMPLE", "--stock", str(broken)], catch_exceptions=False)
    rules = str(EXAMPLES / "routing-cheap.toml")
    assert "no file" in told("what-if", "--rules", rules, "--data", "none.xlsx").output
    assert "wrong way" in told("what-if", "--rules", rules, "--from", "2020-01-02", "--to", "2020-01-01").output


def test_a_retailers_file_is_routed_again_with_simulated_stock_around_it(tmp_path: Path) -> None:
    file = tmp_path / "retail.parquet"
    frame(*(row(invoice=str(500000 + n), at="2010-12-01 10:00:00") for n in range(3))).write_parquet(file)
    rules = str(EXAMPLES / "routing-peak.toml")
    arguments = ("what-if", "--data", str(file), "--rules", rules, "--promise-days", "3")
    document = json.loads(told(*arguments, "--json").stdout)
    assert document["base"]["orders"] == document["tried"]["orders"] == 3
    assert document["actual"] is None
    assert document["difference"]["orders"] == 0
    shown = told(*arguments).output
    assert "simulated: the stock and the costs of SIM-WH-EU" in shown
