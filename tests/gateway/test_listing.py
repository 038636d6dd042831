"""All listings have one shape: the same options, the same words for nothing and for more, the same forms of a name."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.cli.listing import ROWS_SHOWN
from projections.catalogue import PROJECTIONS
from projections.kpi.definitions import DEFINITIONS
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services
from tests.projections.fact_rows import REFUSED, Log, delivered, dispatched, fact, make_tables, placed

#: Every listing of the tables, with an option that leaves nothing of it.
LISTINGS = {
    "inventory": ("--sku", "NOPE"),
    "movements --sku MUG-00": ("--location", "NOPE"),
    "counts": (),
    "queue": ("--queue", "NOPE"),
    "cases": ("--topic", "NOPE"),
    "rejections": ("--channel", "NOPE"),
}
#: Without decisions, more than people are shown.
MANY = ROWS_SHOWN + 5


def _facts(n: int) -> Iterator[dict[str, Any]]:
    """One row more of each kind: stock, a movement, an order, a refusal, one in a queue, a case, a count that waits."""
    at, day = f"2026-11-27T08:{n:02}Z", f"2026-{(10, 11)[n % 2]}-{n % 28 + 1:02}"
    stock = {"location_id": "WH1", "quantity": 10}
    yield fact("StockReceived", "MUG-00", at, **stock)
    if n:
        yield fact("StockReceived", f"MUG-{n:02}", at, **stock)
    yield placed(f"o{n}", at, due="2026-11-28T12:00Z")
    yield dispatched(f"o{n}", f"{day}T12:00Z")
    yield delivered(f"o{n}", f"{day}T13:00Z", due="2026-11-28T12:00Z")
    yield fact("CommandRefused", f"o{n}", at, **REFUSED)
    yield fact("OrderQueued", f"o{n}", at, queue="rejections", reason="limit", detail="thrice", lines=[])
    yield fact("CaseOpened", f"c{n}", at, topic="late", urgency="low")
    count = {"location_id": "WH1", "count_id": f"k{n}", "counted": 1, "counted_at": datetime.fromisoformat(at)}
    yield fact("CountApprovalRequested", "MUG-00", at, counted_by=["ann"], expected=2, variance=-1, **count)


@pytest.fixture(scope="module")
def database(services: Services) -> Iterator[str]:
    """Tables with more rows of each kind than people are shown."""
    conninfo = ensure_database(services, "listing_tests")
    with connect(services, "test", database="listing_tests") as connection:
        make_tables(connection, list(PROJECTIONS.values()))
        log = Log(connection, list(PROJECTIONS.values()))
        log.write(*(one for n in range(MANY) for one in _facts(n)))
        for case in ("r1", "r2", "r3"):
            at = "2026-11-28T08:00Z"
            opened = fact("CaseOpened", case, at, topic="late", urgency="low")
            opened["data"]["channel"] = "web"
            log.write(opened, fact("CaseResolved", case, at))
    yield conninfo
    drop_database(services, "listing_tests")


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ORDER_LEDGER_POSTGRES", database)

    def run(words: str, *more: str) -> Result:
        return CliRunner().invoke(app, [*words.split(), *more], env={"COLUMNS": "200"})

    return run


@pytest.mark.parametrize("words", LISTINGS)
def test_people_are_shown_a_screen_and_told_how_to_see_the_rest(run, words):
    result = run(words)
    assert result.exit_code == 0, result.output
    shown = re.search(r"… (\d+) of (\d+) rows; to show all: --limit (\d+),", result.stderr)
    assert shown, result.stderr
    assert (int(shown[1]), int(shown[2])) == (ROWS_SHOWN, MANY)
    lines = [line for line in result.stdout.splitlines() if line.startswith(("MUG", "2026"))]
    assert len(lines) == ROWS_SHOWN
    assert run(words, "--limit", shown[3]).stderr == ""


def as_cell(value: Any) -> str:
    """A value of the JSON as CSV has it."""
    return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("words", LISTINGS)
def test_programs_get_all_rows_or_as_many_as_they_ask_for(run, words):
    everything = json.loads(run(words, "--json").stdout)
    assert (len(everything["rows"]), everything["total"]) == (MANY, MANY)
    two = json.loads(run(words, "--json", "--limit", "2").stdout)
    assert (len(two["rows"]), two["total"]) == (2, MANY)

    table = list(csv.DictReader(io.StringIO(run(words, "--csv").stdout)))
    assert len(table) == MANY
    for row, cells in zip(everything["rows"], table, strict=True):
        assert {name: as_cell(value) for name, value in row.items()} == cells
    cut = run(words, "--csv", "--limit", "2")
    assert len(cut.stdout.splitlines()) == 3
    assert f"2 of {MANY} rows" in cut.stderr


@pytest.mark.parametrize(("words", "nothing"), [(words, none) for words, none in LISTINGS.items() if none])
def test_nothing_is_one_sentence_that_says_what_was_looked_for(run, words, nothing):
    result = run(words, *nothing)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("no ")
    assert "NOPE" in result.stderr.splitlines()[0]
    assert json.loads(run(words, *nothing, "--json").stdout) == {"rows": [], "total": 0}
    header = run(words, *nothing, "--csv")
    assert header.stdout == run(words, "--csv", "--limit", "1").stdout.splitlines(keepends=True)[0]
    assert header.stderr == result.stderr


@pytest.mark.parametrize("words", LISTINGS)
def test_a_noun_lists_and_so_does_its_list(run, words):
    noun, *rest = words.split()
    assert run(noun, *rest).output == run(f"{noun} list", *rest).output
    assert "--limit" in run(noun, "--help").stdout


@pytest.mark.parametrize("words", [*LISTINGS, "dead-letters", "kpi", "kpi --orders return_rate"])
def test_one_form_at_a_time(run, words):
    result = run(words, "--json", "--csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "exclude each other" in result.stderr


def test_a_count_that_nobody_waits_for_is_said(services, run, monkeypatch):
    conninfo = ensure_database(services, "listing_empty")
    with connect(services, "test", database="listing_empty") as connection:
        make_tables(connection, list(PROJECTIONS.values()))
    monkeypatch.setenv("ORDER_LEDGER_POSTGRES", conninfo)
    try:
        for words, nothing in [
            ("counts", "no counts that wait\n"),
            ("counts --all", "no counts that wait or waited\n"),
            ("inventory", "no stock\n"),
            ("inventory --low", "no stock\n"),
            ("cases", "no open cases\n"),
            ("queue list", "no orders that wait for a person\n"),
            ("rejections list", "no refused commands\n"),
        ]:
            result = run(words)
            assert (result.stdout, result.stderr) == ("", nothing), words
    finally:
        drop_database(services, "listing_empty")


@pytest.mark.parametrize("view", ["", "--low", "--incoming", "--at 2026-11-27T09:00Z", "--known-at 2026-11-27T09:00Z"])
def test_a_sku_that_is_not_known_is_said_to_be_in_every_view(run, view):
    result = run(f"inventory --sku NOPE {view}")
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == "no stock of SKU NOPE is known"
    elsewhere = run(f"inventory --sku MUG-01 --location NOPE {view}").stderr
    assert elsewhere.startswith("no stock of SKU MUG-01 at location NOPE is known\n")


def test_a_sku_that_is_known_is_told_apart_from_one_that_is_not(run):
    before = run("inventory --sku MUG-01 --at 2026-11-27T08:00Z")
    assert before.stdout == ""
    assert before.stderr == (
        "no stock of SKU MUG-01 at 2026-11-27T08:00Z: the first movement happened at 2026-11-27T08:01:00Z"
        " and was recorded at 2026-11-27T08:01:00Z\n"
    )
    assert run("inventory --sku MUG-01 --low").stderr == "no stock at or below its reorder point of SKU MUG-01\n"
    assert run("inventory --sku MUG-01 --incoming").stderr == "no stock on its way of SKU MUG-01\n"


@pytest.mark.parametrize("views", ["--low --incoming", "--low --at 2026-11-27Z", "--incoming --known-at 2026-11-27Z"])
def test_one_view_of_stock_at_a_time(run, views):
    result = run(f"inventory {views}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "exclude each other" in result.stderr


def test_kpi_by_day_is_cut_to_one_figure(run):
    result = run("kpi --by day --figure on_time_delivery_rate")
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert {row[1] for row in rows} == {"on_time_delivery_rate"}
    assert rows[0][0].startswith("2026-10-")
    assert rows[-1][0] == "all"
    document = json.loads(run("kpi --by day --figure on_time_delivery_rate --json").stdout)
    assert list(document["kpis"]) == ["on_time_delivery_rate"]
    assert "perfect_order" not in document
    whole = json.loads(run("kpi --by day --json").stdout)
    assert document["kpis"]["on_time_delivery_rate"] == whole["kpis"]["on_time_delivery_rate"]
    for day, figures in document["groups"].items():
        assert figures == {"on_time_delivery_rate": whole["groups"][day]["on_time_delivery_rate"]}


def test_every_figure_can_be_shown_alone(run):
    for name in [*DEFINITIONS, "perfect_order_rate", "perfect_order_index"]:
        shown = run(f"kpi --figure {name}").stdout.splitlines()
        assert shown[1].split()[0] in {name, "complete"}
        assert not {line.split()[0] for line in shown[1:]} & (set(DEFINITIONS) - {name})


def test_kpi_shows_the_last_days_and_says_how_many_there_are(run):
    days = list(json.loads(run("kpi --by day --json").stdout)["groups"])
    result = run("kpi --by day --figure on_time_delivery_rate --limit 3")
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == [*days[-3:], "all"]
    assert f"… 3 of {len(days)} days; to show all: --limit {len(days)}," in result.stderr
    whole = run("kpi --by day")
    assert len(whole.stdout.splitlines()) <= 100
    assert f"of {len(days)} days" in whole.stderr


def test_kpi_as_csv_has_a_row_for_each_figure_of_each_group(run):
    (row,) = csv.DictReader(io.StringIO(run("kpi --figure on_time_delivery_rate --csv").stdout))
    assert (row["figure"], row["unit"], row["ideal_low"]) == ("on_time_delivery_rate", "ratio", "0.95")
    assert float(row["value"]) == pytest.approx(int(row["numerator"]) / int(row["denominator"]), abs=1e-6)
    rows = list(csv.DictReader(io.StringIO(run("kpi --by channel --csv").stdout)))
    assert [row["channel"] for row in rows if row["figure"] == "return_rate"] == ["web", ""]
    assert "perfect_order.complete" in {row["figure"] for row in rows}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("kpi --figure speed", "no figure speed"),
        ("kpi --figure return_rates", "did you mean return_rate?"),
        ("kpi --orders return_rates", "did you mean return_rate?"),
        ("kpi --figure return_rate --by carrier", "return_rate is not counted by carrier, but by channel, region, day"),
        ("kpi --figure return_rate --orders return_rate", "exclude each other"),
        ("kpi --limit 3", "--limit needs --orders or --by"),
    ],
)
def test_a_figure_that_cannot_be_shown_says_why(run, words, says):
    result = run(words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert says in result.stderr
    assert "hint: " in result.stderr


def test_the_rows_behind_a_figure_are_cut_and_counted(run):
    result = run("kpi --orders on_time_delivery_rate")
    assert len(result.stdout.splitlines()) == ROWS_SHOWN + 1
    assert f"{MANY} rows counted, 0 left out" in result.stderr
    assert f"… {ROWS_SHOWN} of {MANY} rows; to show all: --limit {MANY}," in result.stderr
    document = json.loads(run("kpi --orders on_time_delivery_rate --limit 2 --json").stdout)
    assert (len(document["rows"]), document["total"]) == (2, {"rows": MANY, "left_out": 0})
    rows = list(csv.DictReader(io.StringIO(run("kpi --orders on_time_delivery_rate --csv").stdout)))
    assert [row["counted"] for row in rows] == ["true"] * MANY


def test_a_limit_is_for_what_a_figure_counted_and_as_much_for_what_it_left_out(run):
    words = "kpi --orders case_resolution_hours"
    result = run(words, "--limit", "2")
    assert len(result.stdout.splitlines()) == 1 + 2 + 2
    assert (
        f"… 2 of 3 rows counted and 2 of {MANY} left out: --limit applies to each list; to show all: --limit {MANY},"
    ) in result.stderr
    assert "…" not in run(words, "--limit", str(MANY)).stderr
    document = json.loads(run(words, "--json", "--limit", "2").stdout)
    assert [len(document[kind]) for kind in ("rows", "left_out")] == [2, 2]
    assert "and of cases left out" in " ".join(run("kpi --help").stdout.split())


def test_the_version_is_said(run):
    assert re.fullmatch(r"order-ledger \d+\.\d+\.\d+\S*\n", run("--version").stdout)


def test_a_cell_of_csv_is_one_line_and_cannot_steer_the_terminal(services, run, monkeypatch):
    conninfo = ensure_database(services, "listing_steering")
    with connect(services, "test", database="listing_steering") as connection:
        make_tables(connection, list(PROJECTIONS.values()))
        log = Log(connection, list(PROJECTIONS.values()))
        log.write(fact("StockReceived", 'A\n"B",\x1b[2J', "2026-11-27T08:00Z", location_id="WH1", quantity=1))
    monkeypatch.setenv("ORDER_LEDGER_POSTGRES", conninfo)
    try:
        header, line = run("inventory --csv").stdout.splitlines()
        (row,) = csv.DictReader([header, line])
        assert row["sku"] == r'A\n"B",\x1b[2J'
    finally:
        drop_database(services, "listing_steering")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("stock", "No such command 'stock'. --help lists all."),
        ("inventry", "No such command 'inventry'. Did you mean 'inventory'?"),
        ("dead-letters lst", "No such command 'lst'. Did you mean 'list'?"),
        ("inventory --lmit 5", "--limit"),
        ("--verson", "--version"),
    ],
)
def test_a_wrong_word_is_answered_with_a_near_one(words, says):
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 2
    assert says in result.output.replace("`", "'")


@pytest.mark.parametrize("words", ["inventory --all", "counts --call", "rejections --chapter x"])
def test_no_option_is_offered_that_is_another_word(words):
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 2
    assert "No such option" in result.output
    assert "mean" not in result.output.lower() or "--all" in result.output
