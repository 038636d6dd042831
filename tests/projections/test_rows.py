"""Steps on facts that are absent cost nothing and give the same columns; parts without facts are not called."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from events.catalogue import FACTS
from projections.catalogue import PROJECTIONS
from projections.model import FactBatch, Rows, reads, together
from projections.tables import fold
from tests.support.chain import ChainLog
from tests.support.facts import fact, order_placed, stock_received
from tests.support.folding import batch_of

SOME = pl.DataFrame({"id": ["a", "b"], "units": [1, 2]})


def steps(rows: Rows) -> Rows:
    return (
        rows.filter(pl.col("units") > 0)
        .with_columns(twice=pl.col("units") * 2)
        .select("id", "twice", word=pl.lit("w"))
        .then(lambda frame: frame.sort("id"))
    )


def test_rows_take_the_steps_of_a_frame():
    assert steps(Rows(SOME)).frame.to_dicts() == [
        {"id": "a", "twice": 2, "word": "w"},
        {"id": "b", "twice": 4, "word": "w"},
    ]


def test_steps_on_nothing_are_done_when_the_frame_is_asked_for():
    done = []
    nothing = Rows(SOME.clear()).then(lambda frame: done.append(1) or frame)
    after = steps(nothing)
    assert (after.height, done) == (0, [])
    assert_frame_equal(after.frame, steps(Rows(SOME)).frame.clear())
    assert done == [1]


def test_rows_that_are_filtered_away_are_nothing_too():
    called = []
    Rows(SOME).filter(pl.col("units") > 9).then(lambda frame: called.append(1) or frame)
    assert called == []


def test_together_has_the_columns_of_the_parts_with_rows():
    some = Rows(SOME)
    more = Rows(pl.DataFrame({"id": ["c"], "open": [3]}))
    none = Rows(lambda: pl.DataFrame(schema={"id": pl.String(), "closed": pl.Int64()}))
    assert together(some, none).columns == ["id", "units"]
    assert together(some, none, more).columns == ["id", "units", "open"]
    assert together(none, none).columns == ["id", "closed"]
    assert together(some, none).keep("id", "closed").columns == ["id"]


def _held(batch: FactBatch) -> Rows:
    CALLS.append(batch.has("OrderHeld"))
    return batch.facts("OrderHeld").select("order_id")


CALLS: list[bool] = []


def test_a_part_is_called_once_for_a_batch_and_only_if_it_has_one_of_its_facts():
    held, placed = ChainLog(), ChainLog()
    held.decide("o-1", fact("OrderHeld", order_id="o-1", hold="customer"))
    placed.decide("o-1", order_placed("o-1"))
    assert reads(_held) == {"OrderHeld"}
    CALLS.clear()
    assert batch_of(placed.records).made(_held).height == 0
    assert CALLS == []
    batch = batch_of(held.records)
    assert batch.made(_held).frame.to_dicts() == batch.made(_held).frame.to_dicts() == [{"order_id": "o-1"}]
    assert CALLS == [True]


def test_a_projection_is_not_called_for_a_batch_without_its_facts():
    stock = ChainLog("ledger.stock")
    stock.decide("SKU-1", stock_received())
    batch = batch_of(stock.records)
    folded = {name for name, one in PROJECTIONS.items() if fold(one, batch)}
    assert folded == {"inventory", "stock_movements", "answers", "kpi"}
    assert not batch.has_any(reads(PROJECTIONS["order_status"].fold))


@pytest.mark.parametrize("name", PROJECTIONS)
def test_what_a_projection_reads_is_found(name):
    found = reads(PROJECTIONS[name].fold)
    assert found
    assert found <= {*FACTS, "CommandRefused"}
