"""The commands that print what the tables say, with a real PostgreSQL behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from projections.answers.projection import PROJECTION as ANSWERS
from projections.cases.projection import PROJECTION as CASES
from projections.deferred_tracking.projection import PROJECTION as DEFERRED_TRACKING
from projections.inventory.projection import PROJECTION as INVENTORY
from projections.kpi.definitions import DEFINITIONS
from projections.kpi.projection import PROJECTION as KPI
from projections.order_history.projection import PROJECTION as ORDER_HISTORY
from projections.order_status.projection import PROJECTION as ORDER_STATUS
from projections.work_queue.projection import PROJECTION as WORK_QUEUE
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services
from tests.projections.fact_rows import REFUSED, Log, delivered, dispatched, fact, make_tables, placed

NOON = "2026-11-27T12:00:00Z"
NOT_PLACED = {
    "command": "PlaceOrder",
    "what": "order o2 was not placed",
    "detail": "line_id 1 is used twice",
    "hint": "h",
}


@pytest.fixture(scope="module")
def database(services: Services) -> Iterator[str]:
    """Tables with one order, one refusal and some stock."""
    conninfo = ensure_database(services, "reading_tests")
    with connect(services, "test", database="reading_tests") as connection:
        tables = [ORDER_STATUS, ORDER_HISTORY, INVENTORY, ANSWERS, CASES, KPI, WORK_QUEUE, DEFERRED_TRACKING]
        make_tables(connection, tables)
        log = Log(connection, tables)
        log.write(
            placed("o1", "2026-11-27T08:00Z", due="2026-11-28T12:00Z"),
            dispatched("o1", NOON),
            delivered("o1", "2026-11-28T13:00Z", due="2026-11-28T12:00Z"),
            fact("CommandRefused", "o1", "2026-11-28T14:00Z", **REFUSED),
            fact("CommandRefused", "o2", "2026-11-28T15:00Z", **REFUSED | NOT_PLACED),
            fact("StockReceived", "MUG", "2026-11-27T07:00Z", location_id="WH1", quantity=1200),
            fact("LocationConfirmed", "MUG", "2026-11-27T07:00Z", location_id="WH1", registered=True),
            fact("StockReceived", "\x1b[2JMUG", "2026-11-27T07:00Z", location_id="WH1", quantity=1),
        )
    yield conninfo
    drop_database(services, "reading_tests")


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ORDER_LEDGER_POSTGRES", database)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return run


def test_order_prints_the_order(run):
    result = run("order", "o1", "--json")
    assert result.exit_code == 0
    order = json.loads(result.stdout)
    assert (order["order_id"], order["status"], order["promised_by"]) == ("o1", "delivered", "2026-11-28T12:00:00Z")
    shown = run("order", "o1").stdout
    assert shown.startswith("Order o1: delivered (version 3)\n")
    assert "parcel P1 from WH1 with DHL: delivered (2 × MUG), 2026-11-28T13:00:00Z, LATE\n" in shown


@pytest.mark.parametrize("command", ["order", "story"])
def test_an_unknown_order_is_an_error_on_stderr(run, command):
    result = run(command, "nobody", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no command about order nobody" in result.stderr
    assert "hint: " in result.stderr


def test_an_order_that_was_refused_says_why(run):
    result = run("order", "o2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("order o2 was refused\n")
    assert "PlaceOrder from web was refused at " in result.stderr
    assert ": order o2 was not placed: line_id 1 is used twice\n" in result.stderr
    assert "hint: h\n" in result.stderr
    assert "PlaceOrder was refused" in run("story", "o2").stdout


def test_story_tells_the_order(run):
    told = run("story", "o1").stdout
    assert told.startswith(
        "Order o1\n\n27 November 2026\n  08:00  Customer C1 ordered 2 × MUG on web for 10.00 GBP, to GB."
    )
    assert "late: it was promised by 28 November 2026, 12:00 UTC." in told
    assert "CancelOrder was refused" in told
    document = json.loads(run("story", "o1", "--json").stdout)
    assert [day["day"] for day in document["days"]] == ["2026-11-27", "2026-11-28"]
    assert [row["version"] for row in document["facts"]] == [1, 2, 3, 4]


@pytest.mark.parametrize("words", ["inventory", "order \x1b[2JMUG", "inventory --sku \x1b[2JMUG --json"])
def test_an_id_cannot_steer_the_terminal(run, words):
    result = run(*words.split(" "))
    assert "\x1b" not in result.output
    assert r"[2JMUG" in result.output


def test_inventory_prints_rows(run):
    (row,) = json.loads(run("inventory", "--sku", "MUG", "--location", "WH1", "--json").stdout)["rows"]
    assert (row["on_hand"], row["available"], row["sellable"]) == (1200, 1200, 1200)
    mug, other = run("inventory").stdout.splitlines()[-1:-3:-1]
    assert "1,200" in mug
    assert "NOT REGISTERED" not in mug
    assert "NOT REGISTERED" in other
    assert json.loads(run("inventory", "--sku", "NONE", "--json").stdout) == {"rows": [], "total": 0}


def test_kpi_prints_the_six_figures(run):
    document = json.loads(run("kpi", "--json").stdout)
    assert list(document["kpis"]) == list(DEFINITIONS)
    on_time = document["kpis"]["on_time_delivery_rate"]
    assert (on_time["value"], on_time["numerator"], on_time["denominator"]) == (0.0, 0, 1)
    groups = json.loads(run("kpi", "--by", "channel", "--json").stdout)["groups"]
    assert groups["web"]["order_processing_hours"]["value"] == 4.0
    none = json.loads(run("kpi", "--from", "2026-12-01", "--to", "2026-12-01", "--json").stdout)
    assert none["kpis"]["on_time_delivery_rate"]["value"] is None


def test_kpi_marks_what_is_out_of_its_range(run):
    rows = {row.split()[0]: row for row in run("kpi").stdout.splitlines()}
    assert rows["on_time_delivery_rate"].split()[1:] == ["0.0", "%", "0", "/", "1", "95-97", "%", "MISSED"]
    assert rows["order_processing_hours"].split()[-4:] == ["<", "24", "h", "ok"]
    assert rows["inventory_accuracy"].rstrip().endswith("nothing counted")
    assert rows["left_otherwise_than_planned"].split()[1:] == ["0.0", "%", "0", "/", "1", "-"]
    assert run("kpi", "--by", "location").stdout.splitlines()[1].startswith("WH1")


def test_a_figure_opens_to_the_orders_behind_it(run):
    document = json.loads(run("kpi", "--orders", "on_time_delivery_rate", "--json").stdout)
    assert document["kpi"] == "on_time_delivery_rate/3"
    assert [(row["id"], row["why"]) for row in document["rows"]] == [("o1", "late by 1.0 h")]
    assert "late by 1.0 h" in run("kpi", "--orders", "on_time_delivery_rate").stdout
    wrong = run("kpi", "--orders", "speed")
    assert wrong.exit_code == 1
    assert "no figure speed" in wrong.stderr


def test_the_perfect_order_stands_beneath_the_six(run):
    document = json.loads(run("kpi", "--json").stdout)["perfect_order"]
    assert document["perfect_order_rate"]["numerator"] == 0
    assert document["components"]["undamaged"] == {"value": 1.0, "numerator": 1, "denominator": 1}
    shown = run("kpi").stdout.splitlines()
    (at,) = [number for number, line in enumerate(shown) if line.startswith("perfect_order_rate")]
    assert [line.split()[0] for line in shown[at:]] == [
        "perfect_order_rate", "complete", "on_time", "undamaged", "accurate", "perfect_order_index",
    ]  # fmt: skip
    assert "their product" in shown[-1]
    (row,) = json.loads(run("kpi", "--orders", "perfect_order_index", "--json").stdout)["rows"]
    assert (row["order_id"], row["good"], row["complete"], row["on_time"]) == ("o1", False, True, False)


def test_a_figure_opens_to_one_group_and_to_what_it_left_out(run):
    words = ("kpi", "--orders", "on_time_parcel_rate", "--by", "carrier")
    (row,) = json.loads(run(*words, "--group", "DHL", "--json").stdout)["rows"]
    assert (row["id"], row["order_id"], row["group"]) == ("o1 P1", "o1", "DHL")
    assert json.loads(run(*words, "--group", "UPS", "--json").stdout)["rows"] == []
    assert "1 rows counted, 0 left out" in run(*words, "--limit", "1").stderr
    left_out = run("kpi", "--orders", "order_fulfillment_rate").stdout
    assert "left out" not in left_out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--group", "web"), "--group needs --orders"),
        (("--limit", "1"), "--limit needs --orders"),
        (("--orders", "return_rate", "--group", "web"), "name the dimension as well"),
        (("--orders", "return_rate", "--by", "carrier"), "not counted by carrier"),
    ],
)
def test_rows_that_cannot_be_shown_say_why(run, words, says):
    result = run("kpi", *words)
    assert result.exit_code == 1
    assert says in result.stderr


def test_days_the_wrong_way_round_are_an_error(run):
    result = run("kpi", "--from", "2026-12-02", "--to", "2026-12-01")
    assert result.exit_code == 1
    assert "swap them" in result.stderr


def test_rejections_are_listed_newest_first(run):
    newest, one = json.loads(run("rejections", "list", "--limit", "5", "--json").stdout)["rows"]
    assert (newest["command"], newest["stream_id"]) == ("PlaceOrder", "o2")
    assert (one["command"], one["stream_id"], one["hint"]) == ("CancelOrder", "o1", REFUSED["hint"])
    assert "detail: everything has already shipped" in run("rejections", "list").stdout
    assert run("rejections", "list", "--channel", "shop").stdout == ""


@pytest.mark.parametrize("command", ["order", "story", "inventory", "kpi", "rejections list"])
def test_help_has_an_example(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert f"Example: order-ledger {command}" in " ".join(result.stdout.split())


def test_without_services_the_command_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("ORDER_LEDGER_POSTGRES", raising=False)
    monkeypatch.setenv("ORDER_LEDGER_HOME", str(tmp_path / "nothing here"))
    result = CliRunner().invoke(app, ["order", "o1"])
    assert result.exit_code == 1
    assert "the services are not up" in result.stderr
    assert "order-ledger up" in result.stderr
    assert not (tmp_path / "nothing here").exists()


def test_without_tables_the_command_says_what_to_do(ledger_env, monkeypatch):
    monkeypatch.setenv("ORDER_LEDGER_POSTGRES", ledger_env.services.postgres)
    result = CliRunner().invoke(app, ["kpi"])
    assert result.exit_code == 1
    assert "the ledger's tables do not exist yet" in result.stderr
