"""What holds for every fold: batches may be of any size, and an empty one changes nothing."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from events.catalogue import FACTS
from projections.catalogue import PROJECTIONS
from projections.model import SEQUENCE, Column, FactBatch, Projection, Table, frame_schema
from projections.tables import fold, reduce
from schemas.contracts import newest
from tests.support.chain import BEGINNING, ChainLog, full_name_of
from tests.support.folding import fold_in_steps

WORDS = st.sampled_from(["1", "2", "WH1", "", "customer", "lost", "restock"])


def values(avro):
    """Any value of an Avro type; few different words, so that keys meet."""
    if isinstance(avro, list):
        return st.none() | values(next(one for one in avro if one != "null"))
    kind = avro["type"] if isinstance(avro, dict) else avro
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-micros":
        return st.just(BEGINNING)
    if kind == "record":
        return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in avro["fields"]})
    if kind == "array":
        return st.lists(values(avro["items"]), max_size=2)
    return {"string": WORDS, "long": st.integers(0, 9), "boolean": st.booleans(), "double": st.just(1.5)}[kind]


def any_fact(topic):
    def of(name):
        return values(newest(full_name_of(name)).schema["fields"][-1]["type"]).map(lambda data: (name, data))

    return st.sampled_from([*(name for name, one in FACTS.items() if one.topic == topic), "CommandRefused"]).flatmap(of)


@st.composite
def logs_in_steps(draw):
    """Any facts in all topics, and where the reader's first batch ends."""
    records = []
    for topic in ("ledger.orders", "ledger.stock", "ledger.service"):
        log = ChainLog(topic)
        for one in draw(st.lists(any_fact(topic), max_size=6)):
            log.decide(draw(st.sampled_from(["1", "2"])), one, channel=draw(st.sampled_from(["web", "order-ledger"])))
        records.append(log.records)
    cuts = [draw(st.integers(0, len(one))) for one in records]
    first = [record for one, cut in zip(records, cuts, strict=True) for record in one[:cut]]
    second = [record for one, cut in zip(records, cuts, strict=True) for record in one[cut:]]
    return first, second


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS.keys())
@settings(max_examples=25, deadline=None)
@given(steps=logs_in_steps())
def test_two_batches_give_what_one_gives(projection: Projection, steps):
    tables = {table.name: table for table in projection.tables}
    together = fold_in_steps(projection, [[*steps[0], *steps[1]]])
    apart = fold_in_steps(projection, steps)
    assert together.keys() == apart.keys()
    for name, frame in together.items():
        keys = list(tables[name].key)
        expected = frame.drop(SEQUENCE, strict=False).sort(keys, maintain_order=True)
        assert_frame_equal(apart[name].drop(SEQUENCE, strict=False).sort(keys, maintain_order=True), expected)


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS.keys())
def test_a_fold_of_nothing_gives_no_rows_and_only_known_columns(projection: Projection):
    assert fold(projection, FactBatch({})) == {}
    tables = {table.name: table for table in projection.tables}
    for name, rows in projection.fold(FactBatch({})).items():
        reduce(tables[name], rows.frame)


@pytest.mark.parametrize("name", [*FACTS, "CommandRefused"])
def test_a_fact_that_is_not_there_has_the_columns_of_its_contract(name):
    schema = frame_schema(name)
    frame = FactBatch({}).facts(name)
    assert frame.height == 0
    assert set(frame.columns) == {f"meta_{column}" for column in schema if column != "data"} | {
        field.name for field in schema["data"].fields
    }


def test_a_list_in_a_list_is_opened_and_the_outer_names_are_kept_apart():
    columns = FactBatch({}).lines("ShipmentDispatched", "lines", "consumed").columns
    assert {"quantity", "outer_quantity", "location_id", "outer_location_id", "order_id"} <= set(columns)


MERGES = Table(
    "t",
    (
        Column("id", "text", "key", "the id"),
        Column("sum", "bigint", "sum", "the sum"),
        Column("last", "text", "last", "the last"),
        Column("first", "text", "first", "the first"),
        Column("min", "bigint", "min", "the min"),
        Column("max", "bigint", "max", "the max"),
        Column("replace", "text", "replace", "the replace"),
    ),
    "One column for each way of merging",
)


def test_each_merge_does_what_its_name_says():
    deltas = pl.DataFrame(
        {
            SEQUENCE: [3, 1, 2],
            "id": ["a", "a", "a"],
            "sum": [None, 1, 2],
            "last": [None, "x", "y"],
            "first": ["z", None, "y"],
            "min": [3, None, 2],
            "max": [3, None, 2],
            "replace": [None, "x", "y"],
        }
    )
    (row,) = reduce(MERGES, deltas).to_dicts()
    assert row == {
        "id": "a", "sum": 3, "last": "y", "first": "y", "min": 2, "max": 3, "replace": None, SEQUENCE: 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"id": ["a"], "colour": ["red"], SEQUENCE: [1]}, "colour"),
        ({"id": [None], SEQUENCE: [1]}, "no key"),
        ({"id": ["a"]}, SEQUENCE),
    ],
)
def test_a_delta_that_the_table_cannot_take_is_an_error(columns, says):
    with pytest.raises(ValueError, match=says):
        reduce(MERGES, pl.DataFrame(columns))


def test_a_character_that_postgresql_cannot_store_is_replaced():
    deltas = pl.DataFrame({SEQUENCE: [1, 2], "id": ["a\x00", "a\ufffd"], "sum": [1, 1]})
    assert reduce(MERGES, deltas)["id"].to_list() == ["a\ufffd"]
