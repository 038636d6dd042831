"""Confluent framing and Avro, one record at a time: `0x00`, four bytes of schema id, the body.

    codec = Codec()
    value = codec.encode("order_ledger.commands.PlaceOrder", record)
    contract, record = codec.decode(value)

Facts are encoded in two parts: the digest in the envelope covers the encoded data, so the data comes first. Avro writes
a record's fields one after the other, so the bytes of `data` are simply appended to the envelope's.
"""

import io
import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
from fastavro.read import LOGICAL_READERS
from fastavro.schema import parse_schema

from schemas.contracts import RETIRED_IDS, Contract, contracts, newest

MAGIC = 0
FRAME = struct.Struct(">bI")
#: Reason for a record written under a retired id.
RETIRED = "retired_schema"
_TIME = "timestamp-micros"
#: Like `timestamp-micros`, but reads times that Python cannot represent. It needs its own name: fastavro keeps readers
#: by name for the whole process.
_ANY_TIME = "order-ledger-any-timestamp-micros"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _nearest_time(micros: int, _writer: Any = None, _reader: Any = None) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if micros > 0 else datetime.min.replace(tzinfo=UTC)


LOGICAL_READERS[f"long-{_ANY_TIME}"] = _nearest_time


class UndecodableError(ValueError):
    """The bytes cannot be read as a record. `reason` is no_frame, unknown_schema, retired_schema, bad_avro or
    trailing_bytes.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Codec:
    """Encodes and decodes records. `ids` maps (full name, version) to a real registry's id; default: the fixed ids."""

    def __init__(self, ids: Mapping[tuple[str, int], int] | None = None) -> None:
        # A real registry gives other ids, and refuses new contracts under the subjects of the old ones.
        self._retired = RETIRED_IDS if ids is None else range(0)
        self._contract: dict[int, Contract] = {}
        self._reader: dict[int, tuple[Any, Any]] = {}
        self._any_time: dict[int, Any] = {}
        self._writer: dict[str, tuple[bytes, Any]] = {}
        self._parts: dict[str, tuple[bytes, Any, Any]] = {}
        # Each schema is parsed separately: parse_schema marks what it has parsed, and shared marks would clash.
        for contract in contracts():
            schema_id = contract.schema_id if ids is None else ids[contract.full_name, contract.version]
            self._contract[schema_id] = contract
            latest = newest(contract.full_name)
            writer = parse_schema(contract.schema)
            reader = None if latest.version == contract.version else parse_schema(latest.schema)
            self._reader[schema_id] = (writer, reader)
            if latest.version == contract.version:
                frame = FRAME.pack(MAGIC, schema_id)
                self._writer[contract.full_name] = (frame, writer)
                fields = contract.schema["fields"]
                envelope = {**contract.schema, "name": contract.name + "Envelope", "fields": fields[:-1]}
                self._parts[contract.full_name] = (frame, parse_schema(envelope), parse_schema(fields[-1]["type"]))

    @property
    def by_id(self) -> Mapping[int, Contract]:
        """The contract of each readable id."""
        return self._contract

    def schema_id(self, full_name: str) -> int:
        """The id that new records of this type carry."""
        return int(FRAME.unpack(self._writer[full_name][0])[1])

    def encode(self, full_name: str, record: Mapping[str, Any]) -> bytes:
        """Frame and body of a whole record. Raises ValueError or TypeError if it does not fit its schema."""
        frame, schema = self._writer[full_name]
        out = io.BytesIO()
        out.write(frame)
        fastavro.schemaless_writer(out, schema, record)
        return out.getvalue()

    def encode_data(self, full_name: str, data: Mapping[str, Any]) -> bytes:
        """Body of the `data` field alone."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._parts[full_name][2], data)
        return out.getvalue()

    def encode_around(self, full_name: str, envelope: Mapping[str, Any], data: bytes) -> bytes:
        """Frame, envelope and the already encoded data: the bytes that `encode` would give."""
        frame, schema, _ = self._parts[full_name]
        out = io.BytesIO()
        out.write(frame)
        fastavro.schemaless_writer(out, schema, envelope)
        out.write(data)
        return out.getvalue()

    def decode(self, value: bytes | None) -> tuple[Contract, dict[str, Any]]:
        """Contract that wrote the record, and the record in its newest shape. Raises UndecodableError.

        The contract allows times that Python cannot represent. In a command such a time is read as the nearest
        possible one, because the ledger must answer the command. A fact never holds one.
        """
        if value is None or len(value) < FRAME.size or value[0] != MAGIC:
            raise UndecodableError("no_frame", "a record begins with a zero byte and four bytes of schema id")
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_id not in self._contract:
            raise self.stranger(schema_id)
        body = io.BytesIO(value)
        try:
            try:
                record = self._read(body, schema_id, self._reader[schema_id][0])
            except OverflowError:
                if self._contract[schema_id].is_fact:
                    raise
                record = self._read(body, schema_id, self._with_any_time(schema_id))
        except Exception as error:  # fastavro raises a dozen types on hostile bytes; all mean the same here
            raise UndecodableError("bad_avro", f"{type(error).__name__}: {error}") from error
        if body.tell() != len(value):
            raise UndecodableError("trailing_bytes", f"{len(value) - body.tell()} bytes follow the record")
        if not isinstance(record, dict):
            raise UndecodableError("bad_avro", "the schema is no record")
        return self._contract[schema_id], record

    def stranger(self, schema_id: int) -> UndecodableError:
        """The error for an id that no contract has."""
        if schema_id in self._retired:
            return UndecodableError(
                RETIRED,
                f"schema id {schema_id} belongs to an old version of the contracts; "
                "the sender must use the present contracts",
            )
        return UndecodableError("unknown_schema", f"schema id {schema_id} is unknown")

    def _read(self, body: io.BytesIO, schema_id: int, writer: Any) -> Any:
        body.seek(FRAME.size)
        return fastavro.schemaless_reader(body, writer, self._reader[schema_id][1])

    def _with_any_time(self, schema_id: int) -> Any:
        if schema_id not in self._any_time:
            text = json.dumps(self._contract[schema_id].schema).replace(f'"{_TIME}"', f'"{_ANY_TIME}"')
            self._any_time[schema_id] = parse_schema(json.loads(text))
        return self._any_time[schema_id]
