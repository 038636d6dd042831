"""What was once written is read for ever, and written the same way again."""

import io
import json
from pathlib import Path

import fastavro
import pytest

from schemas.codec import Codec, UndecodableError
from schemas.contracts import Contract, contracts, newest
from tests.schemas.goldens import FOLDER, KINDS, add_missing, encode, from_json, golden_path, make_golden, to_json
from tests.support.plain_avro import encode_around, encode_data

ALL = contracts()
CASES = [(contract, kind) for contract in ALL for kind in KINDS]
IDS = [f"{contract.name}.v{contract.version}-{kind}" for contract, kind in CASES]


def test_every_version_has_its_golden_bytes_and_no_file_is_left_over() -> None:
    assert set(FOLDER.rglob("*.json")) == {golden_path(contract) for contract in ALL}
    assert add_missing() == []


@pytest.mark.parametrize(("contract", "kind"), CASES, ids=IDS)
def test_golden_bytes_decode_to_their_record_and_encode_to_themselves(
    contract: Contract, kind: str, codec: Codec
) -> None:
    golden = json.loads(golden_path(contract).read_text(encoding="utf-8"))[kind]
    value = bytes.fromhex(golden["hex"])
    as_written = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(contract.schema), None)
    assert to_json(as_written) == golden["record"]
    record = from_json(contract.schema, golden["record"])
    assert encode(contract, record) == value

    wrote, decoded = codec.decode(value)
    assert wrote == contract
    assert set(decoded) == {field["name"] for field in newest(contract.full_name).schema["fields"]}
    if contract == newest(contract.full_name):
        assert decoded == record
        assert codec.encode(contract.full_name, record) == value
        envelope = {name: item for name, item in record.items() if name != "data"}
        data = encode_data(contract.full_name, record["data"])
        assert encode_around(codec, contract.full_name, envelope, data) == value


def test_a_complete_example_leaves_nothing_out_and_a_minimal_one_everything_that_it_can() -> None:
    golden = make_golden(newest("order_ledger.facts.ShipmentDispatched"))
    assert None not in golden["complete"]["record"]["data"].values()
    assert len(golden["complete"]["record"]["data"]["lines"][1]["consumed"]) == 2
    assert golden["minimal"]["record"]["data"]["tracking_number"] is None
    assert golden["minimal"]["record"]["data"]["lines"] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda value: b"", "no_frame"),
        (lambda value: b"\x01" + value[1:], "no_frame"),
        (lambda value: b"\0\xff\xff\xff\xff" + value[5:], "unknown_schema"),
        (lambda value: b"\0\0\0\x03\xe9" + value[5:], "retired_schema"),
        (lambda value: value[:-1], "bad_avro"),
        (lambda value: value + b"\0", "trailing_bytes"),
        (lambda value: value[:5] + b"\x01" + value[6:], "bad_avro"),
    ],
)
def test_bytes_that_are_no_record_are_refused_with_a_stable_reason(change, reason: str, codec: Codec) -> None:  # type: ignore[no-untyped-def]
    golden = json.loads((Path(FOLDER) / "facts" / "OrderPlaced.v1.json").read_text(encoding="utf-8"))
    with pytest.raises(UndecodableError) as error:
        codec.decode(change(bytes.fromhex(golden["complete"]["hex"])))
    assert error.value.reason == reason
    with pytest.raises(UndecodableError):
        codec.decode(None)
