"""`order-ledger rules check`: what a planner sees before anything is published."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from gateway.cli import app
from processors.routing.default import default_text


def check(tmp_path: Path, text: str, *options: str) -> tuple[int, str]:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    result = CliRunner().invoke(app, ["rules", "check", str(file), *options])
    return result.exit_code, result.output


def test_a_rule_file_that_can_be_used_is_told_in_words(tmp_path: Path) -> None:
    status, said = check(tmp_path, default_text())
    assert status == 0
    assert "best is    late_days, then parcels, then wait_days, then distance, then cost" in said
    assert "otherwise  relax wait_days_max, then backorder" in said


def test_as_json_it_is_the_rules(tmp_path: Path) -> None:
    status, said = check(tmp_path, default_text(), "--json")
    document = json.loads(said)
    assert status == 0
    assert document["valid"] is True
    assert document["rules"][0]["filters"] == {"wait_days_max": 5}


def test_a_rule_file_that_cannot_be_used_is_refused_with_the_place_and_what_to_do(tmp_path: Path) -> None:
    status, said = check(tmp_path, default_text().replace("wait_days_max = 5", "wait_day_max = 5"))
    assert status == 1
    assert 'rules[0].filters (rule "every order"): unknown key `wait_day_max`' in said
    assert "did you mean `wait_days_max`?" in said


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["rules", "check", str(tmp_path / "none.toml")])
    assert result.exit_code == 1
    assert "cannot be read" in result.output
