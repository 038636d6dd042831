"""The whole real year 2009/10, against its own totals and against the independent oracle."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from gateway.connectors.online_retail.codes import COUNTRIES
from gateway.connectors.online_retail.mapping import Mapping, map_rows, peak_slice, read_file
from gateway.connectors.online_retail.stock import LOCATIONS, late_deliveries, opening_stock
from tests.gateway.online_retail_builders import (
    check_against_the_ledgers_types,
    named,
    written_off,
)


def real_file() -> Path:
    """The year 2009/10: the file or folder named in ORDER_LEDGER_TEST_DATA, else beside the repository."""
    named_path = os.environ.get("ORDER_LEDGER_TEST_DATA")
    place = Path(named_path) if named_path else Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return place if place.suffix else place / "online_retail_II_2009_2010.parquet"


@pytest.fixture(scope="module")
def real_frame() -> pl.DataFrame:
    """The raw rows of the real file."""
    if not real_file().is_file():
        pytest.skip(f"the real file is not there: {real_file().name} (set ORDER_LEDGER_TEST_DATA)")
    return read_file(real_file())


@pytest.fixture(scope="module")
def real_mapping(real_frame: pl.DataFrame) -> Mapping:
    """The whole real file, mapped."""
    return map_rows(real_frame)


def test_the_whole_real_file_is_accounted_for(real_frame: pl.DataFrame, real_mapping: Mapping) -> None:
    account = real_mapping.account
    assert account.rows_read == real_frame.height
    assert sum(account.units.values()) == real_frame.get_column("Quantity").sum()
    exact = (real_frame.get_column("Quantity") * real_frame.get_column("Price")).sum() * 100
    assert sum(account.value_minor.values()) + float(account.price_rounding_minor) == pytest.approx(exact, abs=0.01)
    if real_frame.height == 525_461:
        assert account.rows == {
            "lines": 509_677, "charges": 2_622, "returns": 9_582, "adjustments": 3_236, "refused": 344,
        }  # fmt: skip
        assert (account.orders, account.price_rounded_rows, account.unknown_countries) == (20_955, 14, {})


def test_the_real_file_maps_to_what_the_independent_oracle_computes(real_mapping: Mapping) -> None:
    from tests.gateway.online_retail_oracle import sale_lines

    month = pl.col("at").dt.strftime("%Y-%m")
    value = (pl.col("quantity") * pl.col("unit_price_minor")).sum().alias("value")
    sums = real_mapping.line_rows.group_by("sku", month.alias("month")).agg(pl.col("quantity").sum(), value)
    ours = {(sku, when): (units, worth) for sku, when, units, worth in sums.iter_rows()}
    assert ours == sale_lines(real_file())


def test_every_command_of_the_real_file_is_one_the_ledger_takes(real_mapping: Mapping) -> None:
    ids = set()
    for count, command in enumerate(real_mapping.commands(), start=1):
        check_against_the_ledgers_types(command)
        ids.add(command["id"])
        assert len(ids) == count


def test_every_country_name_of_the_real_file_has_a_code(real_frame: pl.DataFrame) -> None:
    assert set(real_frame.get_column("Country").unique()) <= set(COUNTRIES)


def test_the_peak_of_the_real_file_can_be_had_from_its_simulated_stock(real_frame: pl.DataFrame) -> None:
    first, last = peak_slice(real_frame)
    mapping = map_rows(real_frame, from_=first, to=last)
    opening = named(opening_stock(mapping, seed=7), "ReceiveStock")
    late = named(late_deliveries(mapping, seed=7), "ReceiveStock")
    received = sum(part["quantity"] for part in opening)
    assert received / (mapping.account.units["lines"] + written_off(mapping)) == pytest.approx(0.97, abs=0.005)
    have = Counter[str]()
    for part in [*opening, *late]:
        have[part["sku"]] += part["quantity"]
    for sku, units in mapping.line_rows.group_by("sku").agg(pl.col("quantity").sum()).iter_rows():
        assert have[sku] >= units
    assert {part["location_id"] for part in opening} == {location["location_id"] for location in LOCATIONS}
