"""Generated code reads and writes what fastavro does, for every contract."""

from __future__ import annotations

import io
import json
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import FRAME, Codec, UndecodableError
from schemas.compiled import attribute, decoder, encoder, long
from schemas.contracts import Contract, contracts, newest
from tests.schemas.goldens import from_json, golden_path
from tests.support.plain_avro import encode_data

NEWEST = [contract for contract in contracts() if contract == newest(contract.full_name)]
#: A record with every kind of field that contracts have, at every depth.
SCHEMA: Any = {
    "type": "record",
    "name": "Everything",
    "fields": [
        {"name": "word", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "part", "type": "double"},
        {"name": "yes", "type": "boolean"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "or_null", "type": ["long", "null"]},
        {"name": "numbers", "type": {"type": "map", "values": "long"}},
        {
            "name": "lines",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Line",
                    "fields": [
                        {"name": "sku", "type": "string"},
                        {"name": "words", "type": ["null", {"type": "array", "items": "string"}]},
                        {"name": "until", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
                    ],
                },
            },
        },
    ],
}
PARSED = fastavro.parse_schema(SCHEMA)
DECODE, ENCODE = decoder(SCHEMA), encoder(SCHEMA)

longs = st.integers(-(2**63), 2**63 - 1)
words = st.text(max_size=20)
times = st.datetimes(timezones=st.just(UTC))
lines = st.fixed_dictionaries(
    {"sku": words, "words": st.none() | st.lists(words, max_size=3), "until": st.none() | times}
)
records = st.fixed_dictionaries(
    {
        "word": words,
        "number": longs,
        "part": st.floats(allow_nan=False),
        "yes": st.booleans(),
        "at": times,
        "maybe": st.none() | words,
        "or_null": st.none() | longs,
        "numbers": st.dictionaries(words, longs, max_size=3),
        "lines": st.lists(lines, max_size=3),
    }
)


def written(record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, record)
    return out.getvalue()


def as_object(value: Any) -> Any:
    """Records as objects with attributes; maps, by the only name that is one here, stay dicts."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: item if name == "numbers" else as_object(item) for name, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


@given(records)
def test_it_writes_the_bytes_of_fastavro_and_reads_them_to_the_last_one(record: Any) -> None:
    value = written(record)
    assert ENCODE(as_object(record)) == value
    assert DECODE(b"head" + value, 4) == (record, 4 + len(value))


@given(records, st.data())
def test_of_damaged_bytes_it_says_the_same_or_that_they_are_none(record: Any, data: st.DataObject) -> None:
    """A number of more than ten bytes, and a union without such a branch, are errors here; fastavro reads something."""
    value = bytearray(written(record))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(value[: data.draw(st.integers(len(value) // 2, len(value)))])
    try:
        found, end = DECODE(damaged, 0)
    except Exception:  # noqa: BLE001 - of any kind, as `Codec.decode` expects
        return
    if end > len(damaged):
        return
    out = io.BytesIO(damaged)
    assert repr(fastavro.schemaless_reader(out, PARSED, None)) == repr(found)
    assert out.tell() == end


@pytest.mark.parametrize("blocks", ["03 10 02 61 00 00 02 62 00 00 02 02 63 00 00 00", "01 08 02 61 00 00 00"])
def test_arrays_may_come_in_blocks_with_their_size(blocks: str) -> None:
    """Java writes them like this."""
    schema = {**SCHEMA, "fields": SCHEMA["fields"][-1:]}
    value = bytes.fromhex(blocks)
    theirs = fastavro.schemaless_reader(io.BytesIO(value), fastavro.parse_schema(schema), None)
    assert decoder(schema)(value, 0) == (theirs, len(value))


@pytest.mark.parametrize("contract", NEWEST, ids=lambda contract: contract.name)
@pytest.mark.parametrize("kind", ["complete", "minimal"])
def test_every_contract_is_written_from_attributes_as_from_a_dict(contract: Contract, kind: str) -> None:
    golden = json.loads(golden_path(contract).read_text(encoding="utf-8"))[kind]
    data = from_json(contract.schema, golden["record"])["data"]
    assert Codec().encode_data(contract.full_name, _attributes(contract.schema["fields"][-1]["type"], data)) == (
        encode_data(contract.full_name, data)
    )


def _attributes(schema: Any, value: Any) -> Any:
    if isinstance(schema, list):
        return None if value is None else _attributes(next(one for one in schema if one != "null"), value)
    if isinstance(schema, dict) and schema["type"] == "record":
        fields = {field["name"]: field["type"] for field in schema["fields"]}
        return SimpleNamespace(**{attribute(name): _attributes(fields[name], item) for name, item in value.items()})
    if isinstance(schema, dict) and schema["type"] == "array":
        return [_attributes(schema["items"], item) for item in value]
    return value


@pytest.mark.parametrize("bits", range(64))
def test_numbers_of_every_length_are_written_as_fastavro_writes_them(bits: int) -> None:
    schema: Any = {"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]}
    for number in (2**bits - 1, 2**bits // 3, -(2**bits), -(2**bits) // 3):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, {"n": number})
        assert long(number) == out.getvalue()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_beyond_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        long(number)


def test_of_a_long_of_ten_bytes_the_bits_beyond_64_are_dropped_and_one_of_eleven_is_refused() -> None:
    """As polars does it. Nobody writes such a long."""
    read = decoder({"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]})
    assert read(b"\xff" * 9 + b"\x01", 0) == ({"n": -(2**63)}, 10)
    assert read(b"\xff" * 9 + b"\x7f", 0) == ({"n": -(2**63)}, 10)
    with pytest.raises(OverflowError, match="ten bytes"):
        read(b"\xff" * 10 + b"\x01", 0)


def test_a_record_that_goes_on_behind_its_end_is_refused() -> None:
    """A length that is larger than what is left."""
    codec = Codec()
    full_name = "order_ledger.commands.CancelOrder"
    value = FRAME.pack(0, codec.schema_id(full_name)) + b"\x7e" + b"id"
    with pytest.raises(UndecodableError, match="bad_avro"):
        codec.decode(value)


@pytest.mark.parametrize("schema", ["int", {"type": "enum", "symbols": ["a"]}, ["string", "long"], ["null"]])
def test_a_type_that_no_contract_has_is_refused(schema: Any) -> None:
    with pytest.raises(ValueError, match="no type"):
        decoder({"type": "record", "fields": [{"name": "x", "type": schema}]})
