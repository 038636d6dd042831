"""What happens when a contract gets its second version: no contract has one yet, so one is made here."""

import json
from copy import deepcopy
from typing import Any

import polars as pl
import pytest

from processors.projector.decode import Decoder
from schemas.codec import Codec
from schemas.contracts import Contract, newest
from tests.schemas.goldens import golden_path

FIRST = newest("order_ledger.facts.OrderPlaced")
VALUE = bytes.fromhex(json.loads(golden_path(FIRST).read_text(encoding="utf-8"))["complete"]["hex"])


def second_version() -> Contract:
    """With a field more in the data, and one more in a record within it."""
    schema: dict[str, Any] = deepcopy(FIRST.schema)
    data = schema["fields"][-1]["type"]
    lines = next(field for field in data["fields"] if field["name"] == "lines")
    lines["type"]["items"]["fields"].append({"name": "wrapped", "type": "boolean", "default": False, "doc": "Wrapped."})
    data["fields"].append({"name": "note", "type": ["null", "string"], "default": None, "doc": "A note."})
    return Contract(FIRST.full_name, 2, 9001, schema)


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Contract:
    """The contracts as they are once this one has a second version."""
    made = second_version()
    monkeypatch.setattr("schemas.codec.contracts", lambda: (FIRST, made))
    for module in ("schemas.codec", "processors.projector.decode"):
        monkeypatch.setattr(f"{module}.newest", lambda _: made)
    return made


def test_new_records_are_written_in_the_newest_version_and_old_ones_are_read_in_its_shape(second: Contract) -> None:
    codec = Codec()
    wrote, record = codec.decode(VALUE)
    assert wrote == FIRST
    assert record["data"]["note"] is None
    assert [line["wrapped"] for line in record["data"]["lines"]] == [False, False]
    record["data"]["note"] = "fragile"
    again = codec.encode(FIRST.full_name, record)
    assert int.from_bytes(again[1:5], "big") == second.schema_id
    assert codec.decode(again) == (second, record)


def test_columns_of_old_and_new_records_have_the_newest_shape(second: Contract) -> None:
    codec = Codec()
    record = codec.decode(VALUE)[1]
    record["data"]["note"] = "fragile"
    place = pl.DataFrame({"topic": ["ledger.orders"] * 2, "partition": [0, 0], "offset": [0, 1]})
    decoded = Decoder(codec).decode([VALUE, codec.encode(FIRST.full_name, record)], place)
    assert decoded.garbage == []
    assert decoded.one_by_one == {}
    data = decoded.frames["OrderPlaced"]["data"].struct
    assert data.field("note").to_list() == [None, "fragile"]
    assert data.field("lines").to_list()[0] == record["data"]["lines"]
