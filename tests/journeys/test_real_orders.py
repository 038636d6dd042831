"""Real orders through the real ledger: what the tables say is what the file says, to the row, unit and penny.

The oracle reads the file by itself. `make year` does the same for the whole year (minutes); the first two days of the
peak week are part of every run.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from gateway.connectors.connector import Request
from gateway.connectors.online_retail.importing import bring_in
from gateway.connectors.online_retail.mapping import peak_slice, read_file
from gateway.sending.scenarios import Run
from tests.gateway.online_retail_oracle import sale_lines
from tests.support.shop import Shop

FILE = Path(
    os.environ.get("ORDER_LEDGER_TEST_DATA")
    or Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail_II_2009_2010.parquet"
)
WHOLE_YEAR = os.environ.get("ORDER_LEDGER_TEST_WHOLE_YEAR") == "1"

pytestmark = [
    pytest.mark.journey,
    pytest.mark.slow,
    pytest.mark.timeout(3_000),
    pytest.mark.skipif(
        not FILE.exists(), reason=f"UCI Online Retail II is not at {FILE.name}: set ORDER_LEDGER_TEST_DATA"
    ),
]


def test_the_tables_hold_what_the_file_says(shop: Shop) -> None:
    days: tuple[date, date] | tuple[None, None] = (None, None) if WHOLE_YEAR else _first_days_of_the_peak()
    began = time.monotonic()
    run = Run(shop.env.settings, shop.env.services, shop.connection)

    account = bring_in(run, Request(FILE, *days))

    imported = time.monotonic()
    report = shop.verify()
    verified = time.monotonic()
    of_file = dict(sale_lines(FILE, *days))
    said = time.monotonic()
    in_phases = sum(phase.seconds for phase in run.phases)
    print(f"\n{FILE.name}: imported to verified in {verified - began:.1f} s")
    print(_stage("reading the file", imported - began - in_phases, account["rows_read"], "rows"))
    for phase in run.phases:
        print(_stage(phase.name, phase.seconds, phase.facts, f"facts, sent after {phase.sending:.1f} s"))
    print(_stage("verify", verified - imported, report.facts, "facts"))
    print(_stage("the oracle's reading of the file (not counted)", said - verified, account["rows_read"], "rows"))

    assert report.equal, report.first_difference
    parts = ("lines", "charges", "returns", "adjustments", "refused")
    assert account["rows_read"] == sum(account[part]["rows"] for part in parts), account
    if WHOLE_YEAR:
        assert account["rows_read"] == 525_461
    assert _sums(shop) == of_file
    lines = shop.connection.execute("SELECT count(*) FROM order_lines").fetchone()
    assert lines == (account["lines"]["rows"],)
    refused = shop.connection.execute("SELECT what, detail FROM answers WHERE outcome = 'refused'").fetchall()
    assert refused == []


def _stage(name: str, seconds: float, count: int, unit: str) -> str:
    """A line of the run's account: the time of a stage and its rate."""
    return f"{name:50} {seconds:7.1f} s {count:10,} {unit} ({count / seconds:,.0f}/s)"


def _first_days_of_the_peak() -> tuple[date, date]:
    first, _ = peak_slice(read_file(FILE))
    return first, first + timedelta(days=1)


def _sums(shop: Shop) -> dict[tuple[str, str], tuple[int, int]]:
    """(SKU, UTC month) → units and value in minor units, from the tables."""
    units: Counter[tuple[str, str]] = Counter()
    value: Counter[tuple[str, str]] = Counter()
    rows = shop.connection.execute(
        "SELECT sku, to_char(placed_at AT TIME ZONE 'UTC', 'YYYY-MM'), sum(l.ordered), "
        "sum(l.ordered * unit_price_minor) "
        "FROM order_lines AS l JOIN order_status USING (order_id) GROUP BY 1, 2"
    )
    for sku, month, ordered, minor in rows:
        units[sku, month] += int(ordered)
        value[sku, month] += int(minor)
    return {key: (units[key], value[key]) for key in units}
