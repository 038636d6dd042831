"""Compiled readers and writers do what the codec does, and accept nothing else."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.chain import Link
from processors.following.facts import FactDecoder, Record
from schemas.codec import FRAME, Codec, UndecodableError
from schemas.compiled import compiled, compiled_writer
from schemas.contracts import Contract, contracts, newest

CODEC = Codec()
FACTS: Sequence[Contract] = [contract for contract in contracts() if contract.is_fact]
LONGS = (0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2**31, 2**62, 2**63 - 1, -(2**63))
TEXTS = ("", "a", "MUG", "Ünïcödé", "x" * 64, "y" * 300, "\x00")


def varint(number: int) -> bytes:
    """A long as the general encoder writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    return out.getvalue()


def written(avro: Any, random: Random) -> bytes:
    """Any value of this type, as Avro writes it."""
    if isinstance(avro, list):
        number = random.randrange(len(avro))
        return varint(number) + written(avro[number], random)
    kind = avro if isinstance(avro, str) else avro.get("logicalType", avro["type"])
    match kind:
        case "null":
            return b""
        case "string":
            text = random.choice(TEXTS).encode()
            return varint(len(text)) + text
        case "long":
            return varint(random.choice(LONGS))
        case "timestamp-micros":
            return varint(random.choice((0, -1, 1_764_266_400_000_000, -62_135_596_800_000_000, 2**61)))
        case "boolean":
            return bytes([random.randrange(2)])
        case "double":
            return struct.pack("<d", random.choice((0.0, -1.5, 52.25)))
        case "record":
            return b"".join(written(field["type"], random) for field in avro["fields"])
        case "array":
            items = [written(avro["items"], random) for _ in range(random.randrange(3))]
        case "map":
            keys = [written("string", random) for _ in range(random.randrange(3))]
            items = [key + written(avro["values"], random) for key in keys]
        case _:
            raise TypeError(kind)
    if not items:
        return b"\0"
    if random.random() < 0.3:  # a block that says how many bytes it has
        return varint(-len(items)) + varint(len(b"".join(items))) + b"".join(items) + b"\0"
    return varint(len(items)) + b"".join(items) + b"\0"


def outcome(decoder: FactDecoder, value: bytes) -> Any:
    try:
        return decoder.read(value)
    except UndecodableError as error:
        return error.reason


def by_codec(value: bytes, wanted: bool) -> Any:
    try:
        contract, record = CODEC.decode(value)
    except UndecodableError as error:
        return error.reason
    if not contract.is_fact:
        return "no_fact"
    return Link.of(record), Record(contract.name, record) if wanted else None


class Everything:
    """Stands for the set of wanted facts."""

    def __contains__(self, _: object) -> bool:
        return True


ALL, NONE = FactDecoder(CODEC, Everything()), FactDecoder(CODEC, ())  # type: ignore[arg-type]


@pytest.mark.parametrize("contract", FACTS, ids=lambda contract: f"{contract.name}.v{contract.version}")
def test_a_reader_gives_what_the_codec_gives(contract: Contract) -> None:
    random = Random(contract.schema_id)
    read, links = compiled(contract.schema), compiled(contract.schema, Link._fields)
    frame = FRAME.pack(0, contract.schema_id)
    read_fast = 0
    for _ in range(20):
        value = frame + written(contract.schema, random)
        try:
            _, record = CODEC.decode(value)
        except UndecodableError:
            continue  # a time that Python does not have
        try:
            found, end = read(value, FRAME.size)
        except ValueError:
            continue  # blocks with sizes are left to the codec
        assert (found, end) == (record, len(value))
        assert links(value, FRAME.size) == ({name: record[name] for name in Link._fields}, len(value))
        read_fast += 1
    assert read_fast


@pytest.mark.parametrize("contract", contracts(), ids=lambda contract: f"{contract.name}.v{contract.version}")
def test_a_writer_writes_what_the_codec_writes(contract: Contract) -> None:
    random = Random(contract.schema_id)
    write, written_some = compiled_writer(contract.schema), 0
    for _ in range(20):
        try:
            _, record = CODEC.decode(FRAME.pack(0, contract.schema_id) + written(contract.schema, random))
        except UndecodableError:
            continue
        expected = CODEC.encode(contract.full_name, record)
        assert FRAME.pack(0, contract.schema_id) + write(record) == expected
        unset = {field["name"] for field in contract.schema["fields"] if "default" in field}
        given_some = {name: value for name, value in record.items() if name not in unset or random.random() < 0.5}
        assert FRAME.pack(0, contract.schema_id) + write(given_some) == CODEC.encode(contract.full_name, given_some)
        written_some += 1
    assert written_some


@pytest.mark.parametrize("wrong", [{"sku": 1}, {"quantity": "1"}, {"quantity": 2**63}, {"quantity": None}, {}])
def test_a_writer_raises_for_what_does_not_fit(wrong: dict[str, Any]) -> None:
    contract = newest("order_ledger.commands.ReceiveStock")
    data = {"sku": "MUG", "location_id": "WH1", "quantity": 1, **wrong} if wrong else {}
    write = compiled_writer(contract.schema["fields"][-1]["type"])
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        write(data)


@settings(max_examples=400)
@given(
    st.sampled_from(FACTS),
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=2),
    st.integers(-3, 3),
)
def test_whatever_the_bytes_are_the_decoder_agrees_with_the_codec(
    contract: Contract, seed: int, flips: list[tuple[int, int]], more: int
) -> None:
    value = bytearray(FRAME.pack(0, contract.schema_id) + written(contract.schema, Random(seed)))
    for at, byte in flips:
        value[at % len(value)] = byte
    value = value + b"\x02" * more if more >= 0 else value[:more]
    for decoder, wanted in ((ALL, True), (NONE, False)):
        expected = by_codec(bytes(value), wanted)
        if wanted and not isinstance(expected, str) and expected[1].name == "CommandRefused":
            expected = (expected[0], None)
        assert repr(outcome(decoder, bytes(value))) == repr(expected)  # NaN is not equal to itself
