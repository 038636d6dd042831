"""Bytes in, columns out; what is no fact is told apart, and nothing is shifted by it."""

import json

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from processors.projector.decode import Decoder, newest_shape
from processors.slow_paths import Miss
from projections.model import frame_schema
from schemas.codec import UndecodableError
from schemas.contracts import contracts, newest
from tests.schemas.goldens import KINDS, golden_path
from tests.support.chain import CODEC, ChainLog
from tests.support.facts import fact, order_placed, stock_received

DECODER = Decoder(CODEC)


def decode(values):
    place = pl.DataFrame(
        {
            "topic": ["ledger.orders"] * len(values),
            "partition": pl.Series([0] * len(values), dtype=pl.Int32),
            "offset": list(range(len(values))),
        },
        schema={"topic": pl.String, "partition": pl.Int32, "offset": pl.Int64},
    )
    return DECODER.decode(values, place)


def stock_value():
    return ChainLog("ledger.stock").decide("SKU-1", stock_received())[0].value_bytes


def some_values(count=3):
    log = ChainLog()
    for number in range(count):
        log.decide(f"o-{number}", order_placed(f"o-{number}"), fact("OrderAllocated", order_id=f"o-{number}", units=2))
    return [record.value_bytes for record in log.records]


def test_facts_become_columns_in_log_order():
    decoded = decode(some_values())
    placed = decoded.frames["OrderPlaced"]
    assert dict(placed.schema) == frame_schema("OrderPlaced")
    assert placed["seq"].to_list() == placed["offset"].to_list() == [0, 2, 4]
    assert placed["data"].struct.field("order_id").to_list() == ["o-0", "o-1", "o-2"]
    assert decoded.links["seq"].to_list() == list(range(6))


FACT_CONTRACTS = [contract for contract in contracts() if contract.is_fact]


@pytest.mark.parametrize("contract", FACT_CONTRACTS, ids=lambda one: f"{one.name}.v{one.version}")
def test_every_version_of_every_fact_is_decoded_in_columns(contract):
    golden = json.loads(golden_path(contract).read_text(encoding="utf-8"))
    values = [bytes.fromhex(golden[kind]["hex"]) for kind in KINDS]
    decoded = decode([*values, *values])
    assert decoded.one_by_one == {}
    assert decoded.garbage == []
    frame = decoded.frames[contract.name]
    assert dict(frame.schema) == frame_schema(contract.name)
    # The columns hold what the decoder of single records reads.
    place = {"topic", "partition", "offset", "seq"}
    single = [CODEC.decode(value)[1] for value in values]
    assert frame.drop(place).rows(named=True) == [*single, *single]


def test_what_the_columns_refuse_is_read_all_the_same_and_counted(monkeypatch):
    values = some_values(100)
    clean = decode(values)

    def refuse(*_):
        raise pl.exceptions.ComputeError("OutOfSpec")

    monkeypatch.setattr(pl, "read_avro", refuse)
    slow = decode(values)
    assert {name: frame.to_dicts() for name, frame in slow.frames.items()} == {
        name: frame.to_dicts() for name, frame in clean.frames.items()
    }
    version = newest("order_ledger.facts.OrderPlaced").version
    assert slow.one_by_one[Miss("decode", "refused", f"OrderPlaced v{version}")] == 100
    assert sum(slow.one_by_one.values()) == 200


def test_what_stands_beside_a_bad_value_is_counted_as_that():
    values = some_values(200)
    decoded = decode([*values[:2], values[0][:-3], *values[2:]])
    ((miss, count),) = decoded.one_by_one.items()
    assert (miss.path, miss.why) == ("decode", "beside_unreadable")
    assert 1 < count <= 64


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (None, "no_frame"),
        (b"", "no_frame"),
        (b"{}", "no_frame"),
        (b"\x01\x00\x00\x00\x01rest", "no_frame"),
        (b"\x00\xff\xff\xff\xffrest", "unknown_schema"),
        (b"\x00\x00\x00\x03\xe9rest", "retired_schema"),
        ("truncated", "bad_avro"),
        ("longer", "trailing_bytes"),
        ("text", "bad_avro"),
        ("command", "no_fact"),
    ],
)
@pytest.mark.parametrize("count", [3, 200])
def test_one_bad_value_is_found_among_good_ones(garbage, reason, count):
    values = some_values(count)
    good = values[0]
    if garbage == "truncated":
        garbage = good[:-3]
    elif garbage == "longer":
        garbage = good + b"\x02x"
    elif garbage == "text":
        garbage = good.replace(b"c-1", b"c\xff\xfe")
    elif garbage == "command":
        schema_id = CODEC.schema_id("order_ledger.commands.PlaceOrder")
        garbage = b"\x00" + schema_id.to_bytes(4, "big") + b"rest"
    decoded = decode([*values[:2], garbage, *values[2:]])
    assert [(one.row, one.reason) for one in decoded.garbage] == [(2, reason)]
    clean = decode(values)
    for name, frame in clean.frames.items():
        place = ["seq", "offset"]
        assert_frame_equal(decoded.frames[name].drop(place), frame.drop(place))
    assert decoded.links["seq"].to_list() == [0, 1, *range(3, len(values) + 1)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4))
def test_flipped_bytes_shift_nothing(flips):
    values = some_values()
    broken = bytearray(values[2])
    for at, byte in flips:
        if at >= 5:
            broken[at % len(broken)] = byte if at % len(broken) >= 5 else broken[at % len(broken)]
    decoded = decode([*values[:2], bytes(broken), *values[3:]])
    intact = {"seq": [0, 4]}
    placed = decoded.frames["OrderPlaced"].filter(pl.col("seq").is_in(intact["seq"]))
    assert placed["data"].struct.field("order_id").to_list() == ["o-0", "o-2"]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_a_fact_to_the_columns_is_one_to_the_decoder_of_single_records(data):
    """Ledger and reactions read one by one, the projector in columns: one that took more would follow its own branch.

    Not so where a union names a branch that it does not have, which polars takes for the last one.
    """
    value = bytearray(data.draw(st.sampled_from([*some_values(), stock_value()])))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(5, len(value)))
        value[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    found = decode([bytes(value)])
    try:
        expected = CODEC.decode(bytes(value))[0].name
    except UndecodableError as error:
        assume("no such branch" not in error.detail)
        expected = error.reason
    assert [*found.frames, *(one.reason for one in found.garbage)] == [expected]


@pytest.mark.parametrize("years", [-3_000, 9_000])
def test_a_time_that_nobody_else_can_read_is_no_fact(years):
    _, data = fact("LinePromised", order_id="o-1")
    moment = years * 366 * 86_400 * 1_000_000
    values = some_values()
    _, envelope = CODEC.decode(values[0])
    for odd in ({"occurred_at": moment}, {"data": data | {"expected_at": moment}}):
        value = CODEC.encode("order_ledger.facts.LinePromised", envelope | {"data": data} | odd)
        assert [one.reason for one in decode([value, *values]).garbage] == ["bad_avro"]


def test_an_older_version_comes_in_the_newest_shape():
    def record(fields):
        return {"type": "record", "name": "R", "fields": fields}

    item = {"name": "n", "type": "int"}
    written = record([{"name": "lines", "type": {"type": "array", "items": record([item])}}, item])
    wanted = json.loads(json.dumps(written))
    wanted["fields"][0]["type"]["items"]["fields"] = [
        {"name": "n", "type": "long"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "kind", "type": "string", "default": "plain"},
    ]
    wanted["fields"].append({"name": "later", "type": "boolean", "default": False})
    frame = pl.DataFrame({"lines": [[{"n": 1}, {"n": 2}], []], "n": [7, 8]}, schema_overrides={"n": pl.Int32})
    shaped = newest_shape(frame, written, wanted)
    assert shaped.to_dicts() == [
        {
            "lines": [{"n": 1, "note": None, "kind": "plain"}, {"n": 2, "note": None, "kind": "plain"}],
            "n": 7,
            "later": False,
        },
        {"lines": [], "n": 8, "later": False},
    ]
    assert shaped.schema["lines"] == pl.List(pl.Struct({"n": pl.Int64, "note": pl.String, "kind": pl.String}))


def test_a_single_fact_is_a_batch():
    log = ChainLog("ledger.stock")
    log.decide("SKU-1", stock_received())
    assert decode([log.records[0].value_bytes]).frames["StockReceived"].height == 1
    assert decode([]).links.height == 0
