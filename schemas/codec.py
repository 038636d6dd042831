"""Confluent framing and Avro, one record at a time: `0x00`, four bytes of schema id, the body.

    codec = Codec()
    value = codec.encode("order_ledger.commands.PlaceOrder", record)
    contract, record = codec.decode(value)

Records of the newest contracts are read by generated code (`schemas.compiled`); fastavro reads those of older versions.

Facts are encoded in two parts: the digest in the envelope covers the encoded data, so the data comes first. Avro writes
a record's fields one after the other, so the bytes of `data` are simply appended to the envelope's.
"""

import io
import json
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import fastavro
from fastavro.read import LOGICAL_READERS
from fastavro.schema import parse_schema

from schemas.compiled import Decode, Encode, decoder, encoder, long
from schemas.contracts import FACT_NAMESPACE, RETIRED_IDS, Contract, contracts, newest

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
        self._ids = ids
        # A real registry gives other ids, and refuses new contracts under the subjects of the old ones.
        self._retired = RETIRED_IDS if ids is None else range(0)
        self._contract: dict[int, Contract] = {}
        self._reader: dict[int, tuple[Any, Any]] = {}
        self._any_time: dict[int, Any] = {}
        self._writer: dict[str, tuple[bytes, Any]] = {}
        # Made when they are first needed: a channel needs few.
        self._decode: dict[int, Decode] = {}
        self._encode_data: dict[str, Encode] = {}
        self._encode_record: dict[str, Encode] = {}
        # Each schema is parsed separately: parse_schema marks what it has parsed, and shared marks would clash.
        for contract in contracts():
            schema_id = contract.schema_id if ids is None else ids[contract.full_name, contract.version]
            self._contract[schema_id] = contract
            latest = newest(contract.full_name)
            if latest.version == contract.version:
                self._writer[contract.full_name] = (FRAME.pack(MAGIC, schema_id), parse_schema(contract.schema))
            else:
                self._reader[schema_id] = (parse_schema(contract.schema), parse_schema(latest.schema))
        # All facts have one envelope. Three of its fields differ between the facts of a decision; the others are
        # encoded once for all of them.
        fact = next(one for one in contracts() if one.full_name.startswith(FACT_NAMESPACE))
        fields = fact.schema["fields"][:-1]
        names = [field["name"] for field in fields]
        version, index = names.index("version"), names.index("index")
        assert names[0] == "event_id"
        self._shared = [
            encoder({"type": "record", "fields": fields[start:end]})
            for start, end in ((1, version), (version + 1, index), (index + 1, len(fields)))
        ]

    def __reduce__(self) -> tuple[type[Self], tuple[Mapping[tuple[str, int], int] | None]]:
        """Generated code cannot be sent to another process, the ids can."""
        return type(self), (self._ids,)

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

    def encode_data(self, full_name: str, data: Any) -> bytes:
        """Body of the `data` field alone, from an object that has its fields as attributes."""
        encode = self._encode_data.get(full_name)
        if encode is None:
            encode = self._encode_data[full_name] = encoder(newest(full_name).schema["fields"][-1]["type"])
        return encode(data)

    def encode_record(self, full_name: str, record: Any) -> bytes:
        """Frame and body of a whole record, from an object that has its fields as attributes."""
        encode = self._encode_record.get(full_name)
        if encode is None:
            encode = self._encode_record[full_name] = encoder(newest(full_name).schema)
        return self._writer[full_name][0] + encode(record)

    def encode_decision(self, around: Any, event: str, version: int, parts: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """The records of one decision: frame, envelope and encoded data of each fact (`parts`: full name, data).

        `around` has what the envelopes share, as attributes. The event ids are `event` and the fact's number as four
        hexadecimal digits; versions go on from `version`.
        """
        first, second, third = [encode(around) for encode in self._shared]
        length = long(len(event) + 4)
        frames = self._writer
        records = []
        for index, (full_name, data) in enumerate(parts, start=1):
            name = f"{event}{index:04x}".encode()
            head = (frames[full_name][0], length, name, first, long(version + index), second, long(index))
            records.append(b"".join((*head, third, data)))
        return records

    def decode(self, value: bytes | None) -> tuple[Contract, dict[str, Any]]:
        """Contract that wrote the record, and the record in its newest shape. Raises UndecodableError.

        The contract allows times that Python cannot represent. In a command such a time is read as the nearest
        possible one, because the ledger must answer the command. A fact never holds one.
        """
        if value is None or len(value) < FRAME.size or value[0] != MAGIC:
            raise UndecodableError("no_frame", "a record begins with a zero byte and four bytes of schema id")
        schema_id = int.from_bytes(value[1:5], "big")
        contract = self._contract.get(schema_id)
        if contract is None:
            raise self.stranger(schema_id)
        try:
            if schema_id in self._reader:
                record, end = self._read_older(value, schema_id)
            else:
                decode = self._decode.get(schema_id)
                if decode is None:
                    decode = self._decode[schema_id] = decoder(contract.schema, nearest=not contract.is_fact)
                record, end = decode(value, FRAME.size)
        except Exception as error:  # a dozen types on hostile bytes; all mean the same here
            raise UndecodableError("bad_avro", f"{type(error).__name__}: {error}") from error
        if end > len(value):
            raise UndecodableError("bad_avro", f"the record goes on for {end - len(value)} bytes behind its end")
        if end < len(value):
            raise UndecodableError("trailing_bytes", f"{len(value) - end} bytes follow the record")
        return contract, record

    def stranger(self, schema_id: int) -> UndecodableError:
        """The error for an id that no contract has."""
        if schema_id in self._retired:
            return UndecodableError(
                RETIRED,
                f"schema id {schema_id} belongs to an old version of the contracts; "
                "the sender must use the present contracts",
            )
        return UndecodableError("unknown_schema", f"schema id {schema_id} is unknown")

    def _read_older(self, value: bytes, schema_id: int) -> tuple[dict[str, Any], int]:
        """A record of an older version in the newest shape, and the position behind it."""
        body = io.BytesIO(value)
        writer, reader = self._reader[schema_id]
        body.seek(FRAME.size)
        try:
            record = fastavro.schemaless_reader(body, writer, reader)
        except OverflowError:
            if self._contract[schema_id].is_fact:
                raise
            body.seek(FRAME.size)
            record = fastavro.schemaless_reader(body, self._with_any_time(schema_id), reader)
        if not isinstance(record, dict):
            raise TypeError("the schema is no record")
        return record, body.tell()

    def _with_any_time(self, schema_id: int) -> Any:
        if schema_id not in self._any_time:
            text = json.dumps(self._contract[schema_id].schema).replace(f'"{_TIME}"', f'"{_ANY_TIME}"')
            self._any_time[schema_id] = parse_schema(json.loads(text))
        return self._any_time[schema_id]
