"""What had occurred by a moment, as known now: every fold that shows it, against plain Python over the same facts."""

from datetime import timedelta
from functools import cache, partial

import polars as pl
import pytest

from projections.catalogue import PROJECTIONS
from projections.model import FactBatch
from projections.occurred import occurred_by
from projections.tables import fold
from schemas.contracts import newest
from tests.processors.test_verify import random_logs
from tests.support.chain import BEGINNING, ChainLog, full_name_of
from tests.support.effective import differences, had_occurred
from tests.support.facts import fact, order_placed, stock_received
from tests.support.folding import batch_of, short

EFFECTIVE = {name: one.effective for name, one in PROJECTIONS.items() if one.effective is not None}
HOUR = timedelta(hours=1)


@cache
def any_facts(seed):
    """Records of every kind of fact, and the batch of them."""
    records = [record for log in random_logs(seed, 300) for record in log.records]
    return records, batch_of(records)


def folded(name, moment, *logs, batch=None):
    """The tables by then. A delta without the column that begins its row is dropped, as it has none before it."""
    batch = batch or batch_of([record for log in logs for record in log.records])
    projection = EFFECTIVE[name]
    found = fold(projection, FactBatch(occurred_by(moment, batch.frames)))
    born = {table.name: table.born_with for table in projection.tables if table.born_with}
    return {
        name: frame.filter(pl.col(born[name]).is_not_null()) if name in born else frame for name, frame in found.items()
    }


def test_stock_movements_cases_and_kpis_can_be_shown_as_they_had_occurred():
    assert set(EFFECTIVE) == {"inventory", "stock_movements", "cases", "kpi"}
    for name, projection in EFFECTIVE.items():
        assert (projection.name, projection.effective) == (name, None)
        tables = {table.name: table for table in PROJECTIONS[name].tables}
        for table in projection.tables:
            # The same rows, or some of their columns: the readers of the live tables and `diff` can read them.
            assert table.key == tables[table.name].key
            assert set(table.columns) <= set(tables[table.name].columns)


@pytest.mark.parametrize("seconds", [-501, -300, 0, 7, 60, 300, 900, 10**6, 10**9])
@pytest.mark.parametrize("seed", [1, 2])
def test_tables_are_a_plain_fold_of_what_had_occurred(seed, seconds):
    (records, batch), moment = any_facts(seed), BEGINNING + timedelta(seconds=seconds)
    books = had_occurred(records, moment)
    for name, projection in EFFECTIVE.items():
        if name == "stock_movements":
            continue  # a journal: the next test
        found = folded(name, moment, batch=batch)
        for table in projection.tables:
            columns = [column.name for column in table.columns]
            rows = found[table.name].select(columns).rows() if table.name in found else []
            assert differences(books, table.name, columns, rows) == [], table.name


@pytest.mark.parametrize("seconds", [-300, 0, 7, 300, 10**6])
def test_movements_are_those_with_an_earlier_time_and_stock_is_their_sum(seconds):
    batch, moment = any_facts(2)[1], BEGINNING + timedelta(seconds=seconds)
    then = fold(PROJECTIONS["stock_movements"], batch)["stock_movements"].filter(pl.col("occurred_at") <= moment)
    assert folded("stock_movements", moment, batch=batch)["stock_movements"].rows() == then.rows()
    units = ("on_hand", "reserved", "damaged", "quality_hold")
    sums = then.group_by("sku", "location_id").agg(pl.col(units).sum()).select("sku", "location_id", *units)
    stock = folded("inventory", moment, batch=batch)["inventory"]
    with_units = stock.select("sku", "location_id", *units).filter(pl.any_horizontal(pl.col(units) != 0))
    assert sorted(with_units.rows()) == sorted(sums.filter(pl.any_horizontal(pl.col(units) != 0)).rows())


def test_after_everything_has_occurred_the_tables_are_the_live_ones():
    batch = any_facts(1)[1]
    last = BEGINNING + timedelta(days=10_000)
    for name in ("cases", "kpi", "stock_movements"):
        live, found = fold(PROJECTIONS[name], batch), folded(name, last, batch=batch)
        live.pop("kpi_watermarks", None)  # up to when figures are complete: by the times at which facts happened
        found.pop("kpi_watermarks", None)
        assert {table: short(frame) for table, frame in found.items()} == {t: short(frame) for t, frame in live.items()}


def test_a_late_report_counts_from_when_it_happened():
    log = ChainLog("ledger.stock")
    log.decide("MUG", stock_received("MUG", quantity=5), recorded_at=BEGINNING)
    log.decide("MUG", stock_received("MUG", quantity=2), recorded_at=BEGINNING + 9 * HOUR, occurred_at=BEGINNING + HOUR)
    at = partial(folded, "inventory")
    assert short(at(BEGINNING, log)["inventory"])[0]["on_hand"] == 5
    assert short(at(BEGINNING + HOUR, log)["inventory"])[0]["on_hand"] == 7
    assert at(BEGINNING - HOUR, log) == {}


def test_a_count_counts_from_when_somebody_counted_and_so_does_what_restates_it():
    log = ChainLog("ledger.stock")
    counted = {"sku": "MUG", "location_id": "WH1", "counted": 4, "counted_at": BEGINNING + HOUR}
    log.decide("MUG", stock_received("MUG", quantity=5))
    log.decide("MUG", fact("StockCounted", **counted, expected=5, variance=-1), occurred_at=BEGINNING + 3 * HOUR)
    sent = fact("StockShipped", sku="MUG", location_id="WH1", quantity=1, order_id="o", line_id="1", shipment_id="s")
    log.decide("MUG", sent, fact("CountRestated", **counted, expected=4, variance=0, variance_before=-1))
    stock = {hours: short(folded("inventory", BEGINNING + hours * HOUR, log)["inventory"]) for hours in (0.5, 2, 4)}
    assert {hours: rows[0]["on_hand"] for hours, rows in stock.items()} == {0.5: 4, 2: 4, 4: 4}


def test_an_order_counts_from_when_it_was_placed_and_a_retracted_parcel_never_left():
    log = ChainLog()
    line = {"line_id": "1", "sku": "SKU-1", "quantity": 2}
    parcel = {"order_id": "o-1", "shipment_id": "p-1"}
    log.decide("o-1", order_placed(), occurred_at=BEGINNING + HOUR)
    # The warehouse's clock is behind.
    log.decide(
        "o-1", fact("ShipmentDispatched", **parcel, lines=[_line("ShipmentDispatched", line)]), occurred_at=BEGINNING
    )
    assert folded("kpi", BEGINNING, log).get("kpi_orders", pl.DataFrame()).height == 0
    (order,) = short(folded("kpi", BEGINNING + HOUR, log)["kpi_orders"])
    assert (order["ordered"], order["shipped"]) == (2, 2)
    back = fact("DispatchRetracted", **parcel, dispatched_at=BEGINNING, lines=[_line("DispatchRetracted", line)])
    log.decide("o-1", back, occurred_at=BEGINNING + 5 * HOUR)
    (order,) = short(folded("kpi", BEGINNING + HOUR, log)["kpi_orders"])
    assert (order["ordered"], order.get("shipped")) == (2, None)


def test_the_moment_of_the_figures_is_not_after_the_moment_asked_for():
    log = ChainLog("ledger.stock")
    counted = {"sku": "MUG", "location_id": "WH1", "counted": 0, "counted_at": BEGINNING}
    log.decide("MUG", fact("StockCounted", **counted), occurred_at=BEGINNING + HOUR, recorded_at=BEGINNING + HOUR)
    (watermark,) = short(folded("kpi", BEGINNING + timedelta(minutes=1), log)["kpi_watermarks"])
    assert watermark["as_of"] == BEGINNING


def _line(name, values):
    """A line of this fact; everything else of it is 0 or null."""
    fields = {one["name"]: one["type"] for one in newest(full_name_of(name)).schema["fields"][-1]["type"]["fields"]}
    empty = {"array": [], "string": "", "long": 0, "boolean": False}
    return {
        one["name"]: values.get(one["name"], None if isinstance(one["type"], list) else empty[_kind(one["type"])])
        for one in fields["lines"]["items"]["fields"]
    }


def _kind(avro):
    return avro["type"] if isinstance(avro, dict) else avro
