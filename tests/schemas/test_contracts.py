"""The contracts keep their promises: complete, documented, readable by every version, and the same as the classes."""

import io
import json
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import fastavro
import msgspec
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import Schema, parse

import schemas
from events.catalogue import COMMANDS, FACTS, REFUSAL_SCHEMA
from events.envelope import Command, Recorded
from events.refusal import CommandRefused
from schemas.contracts import RETIRED_IDS, Contract, contracts, newest

FOLDER = Path(schemas.__file__).parent
ALL = contracts()
IDS = [f"{contract.name}.v{contract.version}" for contract in ALL]
CLASSES: dict[str, type[Any]] = {
    **{row.schema: row.data for row in COMMANDS.values()},
    **{row.schema: row.data for row in FACTS.values()},
    REFUSAL_SCHEMA: CommandRefused,
}
# `recorded_at` of a command is the broker's time of its record: it is stamped by Kafka and stands in no schema.
STAMPED_BY_THE_BROKER = {"recorded_at"}
# What stands for the default of a field that has none.
REQUIRED = object()
A_TIME = datetime(2026, 11, 27, 18, tzinfo=UTC)


def named_types(schema: Any) -> Iterator[dict[str, Any]]:
    """Every definition of a record within a schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from named_types(branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            yield schema
            for field in schema["fields"]:
                yield from named_types(field["type"])
        elif schema["type"] == "array":
            yield from named_types(schema["items"])
        elif schema["type"] == "map":
            yield from named_types(schema["values"])
        elif isinstance(schema["type"], (list, dict)):
            yield from named_types(schema["type"])


def leaves(schema: Any) -> Iterator[str]:
    """Every type that a schema refers to by a bare name."""
    if isinstance(schema, str):
        yield schema
    elif isinstance(schema, list):
        for branch in schema:
            yield from leaves(branch)
    elif schema["type"] == "record":
        for field in schema["fields"]:
            yield from leaves(field["type"])
    elif schema["type"] in ("array", "map"):
        yield schema["type"]
        yield from leaves(schema["items"] if schema["type"] == "array" else schema["values"])
    else:
        yield from leaves(schema["type"])


def shape_of_schema(schema: Any) -> Any:
    """A schema without names and documentation, to compare with a class."""
    if isinstance(schema, list):
        assert [branch == "null" for branch in schema] == [True, False], "an option is written [null, type]"
        return ("optional", shape_of_schema(schema[1]))
    if isinstance(schema, str):
        return schema
    if schema.get("logicalType") == "timestamp-micros":
        return "time"
    if schema["type"] == "record":
        return {field["name"]: shape_of_schema(field["type"]) for field in schema["fields"]}
    if schema["type"] == "array":
        return ("array", shape_of_schema(schema["items"]))
    if schema["type"] == "map":
        return ("map", shape_of_schema(schema["values"]))
    return shape_of_schema(schema["type"])


PRIMITIVES = {str: "string", int: "long", float: "double", bool: "boolean", datetime: "time"}


def shape_of_class(kind: Any) -> Any:
    """A class of the catalogue in the same form."""
    if get_origin(kind) is Annotated:
        return shape_of_class(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        (inner,) = [branch for branch in get_args(kind) if branch is not type(None)]
        return ("optional", shape_of_class(inner))
    if get_origin(kind) is Literal:
        return "string"
    if get_origin(kind) is tuple:
        return ("array", shape_of_class(get_args(kind)[0]))
    if get_origin(kind) is dict:
        return ("map", shape_of_class(get_args(kind)[1]))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.encode_name: shape_of_class(field.type) for field in msgspec.structs.fields(kind)}
    return PRIMITIVES[kind]


@pytest.mark.parametrize("contract", ALL, ids=IDS)
def test_every_record_and_every_field_says_what_it_means(contract: Contract) -> None:
    for record in named_types(contract.schema):
        assert record.get("doc"), record["name"]
        for field in record["fields"]:
            assert field.get("doc"), f"{record['name']}.{field['name']}"


@pytest.mark.parametrize("contract", ALL, ids=IDS)
def test_a_file_holds_the_data_of_the_record_that_its_name_says(contract: Contract) -> None:
    assert f"{contract.schema['namespace']}.{contract.schema['name']}" == contract.full_name
    assert contract.schema["fields"][-1]["type"]["name"] == contract.name + "Data"
    assert "example" not in contract.schema["fields"][-1]["type"], "a registry gets no examples"


@pytest.mark.parametrize("full_name", sorted({contract.full_name for contract in ALL}))
def test_every_version_reads_what_every_other_version_wrote(full_name: str) -> None:
    versions: list[Schema] = [parse(contract.text) for contract in ALL if contract.full_name == full_name]
    for reader, writer in [*permutations(versions, 2), (versions[-1], versions[-1])]:
        result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        assert result.compatibility is SchemaCompatibilityType.compatible, result.messages


@pytest.mark.parametrize("full_name", sorted(CLASSES))
def test_a_class_has_the_fields_of_its_contract(full_name: str) -> None:
    fields = newest(full_name).schema["fields"]
    data_class = CLASSES[full_name]
    assert shape_of_schema(fields[-1]["type"]) == shape_of_class(data_class)
    assert fields[-1]["name"] == "data"
    envelope = Recorded if newest(full_name).is_fact else Command
    hints = {field.name: field.type for field in msgspec.structs.fields(envelope) if field.name != "data"}
    of_class = {
        name: shape_of_class(kind)
        for name, kind in hints.items()
        if envelope is Recorded or name not in STAMPED_BY_THE_BROKER
    }
    assert {field["name"]: shape_of_schema(field["type"]) for field in fields[:-1]} == of_class


def defaults(kind: type[Any], record: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each field of a class and of the records in it: its path, its default there and its default in Avro."""
    described = {field["name"]: field for field in record["fields"]}
    for field in msgspec.structs.fields(kind):
        avro = described[field.encode_name]
        path = before + field.encode_name
        yield path, default_of_class(field), avro.get("default", REQUIRED)
        inner = next(named_types(avro["type"]), None)
        if inner is not None:
            yield from defaults(struct_in(field.type), inner, path + ".")


def default_of_class(field: msgspec.structs.FieldInfo) -> Any:
    """As JSON has it; REQUIRED where the field cannot be left out."""
    if field.required:
        return REQUIRED
    factory = field.default_factory
    default = field.default if factory is msgspec.NODEFAULT else factory()
    return msgspec.json.decode(msgspec.json.encode(default))


def struct_in(kind: Any) -> type[Any]:
    """The record that a field holds: itself, as an option or as elements of a list."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return struct_in(next(branch for branch in get_args(kind) if branch is not type(None)))


@pytest.mark.parametrize("full_name", sorted(CLASSES))
def test_what_may_be_left_out_in_json_may_be_left_out_in_avro(full_name: str) -> None:
    data = newest(full_name).schema["fields"][-1]["type"]
    differ = [found for found in defaults(CLASSES[full_name], data) if found[1] != found[2]]
    assert differ == [], "field, default of the class, default in Avro"


@pytest.mark.parametrize("contract", ALL, ids=IDS)
def test_a_sender_may_leave_out_of_the_envelope_what_may_be_null(contract: Contract) -> None:
    for field in contract.schema["fields"]:
        assert isinstance(field["type"], list) is ("default" in field), field["name"]


PATTERNS = {"^[A-Z]{2}$": "DE", "^[A-Z]{3}$": "EUR"}


def only_required(kind: Any, *, lists: bool) -> Any:
    """The least that a plain client has to write; with `lists`, each has one element, so that its fields are tried."""
    if get_origin(kind) is Annotated:
        base, *notes = get_args(kind)
        patterns = [note.pattern for note in notes if isinstance(note, msgspec.Meta) and note.pattern]
        return PATTERNS[patterns[0]] if patterns else only_required(base, lists=lists)
    if get_origin(kind) in (Union, types.UnionType):
        return only_required(next(branch for branch in get_args(kind) if branch is not type(None)), lists=lists)
    if get_origin(kind) is tuple:
        return [only_required(get_args(kind)[0], lists=lists)]
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {
            field.encode_name: only_required(field.type, lists=lists)
            for field in msgspec.structs.fields(kind)
            if field.required or (lists and get_origin(field.type) is tuple)
        }
    return {str: "a", int: 1, float: 1.0, bool: True, datetime: A_TIME}[kind]


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_plain_client_leaves_out_the_optional_fields_of_a_command(name: str, *, lists: bool) -> None:
    row = COMMANDS[name]
    schema = fastavro.parse_schema(newest(row.schema).schema)
    data = only_required(row.data, lists=lists)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, {"id": "a", "channel": "a", "occurred_at": A_TIME, "data": data})
    body.seek(0)
    read: Any = fastavro.schemaless_reader(body, schema, None)
    assert msgspec.convert(read["data"], row.data) == msgspec.convert(data, row.data)


def test_files_ids_and_catalogue_list_the_same_contracts() -> None:
    ids = json.loads((FOLDER / "ids.json").read_text(encoding="utf-8"))
    listed = {f"{name.split('.')[1]}/{name.split('.')[2]}.v{version}.avsc" for name in ids for version in ids[name]}
    assert listed == {str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*.avsc")}
    assert set(ids) == set(CLASSES)


def test_no_two_contracts_share_an_id() -> None:
    ids = [contract.schema_id for contract in ALL]
    assert len(ids) == len(set(ids))
    assert min(ids) > 0
    assert not any(schema_id in RETIRED_IDS for schema_id in ids)


@pytest.mark.parametrize(
    "contract", [contract for contract in ALL if contract.is_fact], ids=lambda contract: contract.name
)
def test_facts_can_be_decoded_by_polars(contract: Contract) -> None:
    """polars reads neither maps nor a named type that is referred to a second time by its name."""
    names = [record["name"] for record in named_types(contract.schema)]
    assert len(names) == len(set(names))
    assert set(leaves(contract.schema)) <= {"null", "string", "long", "double", "boolean", "array"}
