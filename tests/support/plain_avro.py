"""Records as fastavro writes them from plain dicts: for tests that put bytes on a log, or compare them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastavro

from schemas.codec import FRAME, MAGIC, Codec
from schemas.contracts import newest


def encode_data(full_name: str, data: Mapping[str, Any]) -> bytes:
    """Body of the `data` field alone."""
    return _written(_parts(full_name)[1], data)


def encode_around(codec: Codec, full_name: str, envelope: Mapping[str, Any], data: bytes) -> bytes:
    """Frame, envelope and the already encoded data: the bytes that `codec.encode` gives for the whole record."""
    return FRAME.pack(MAGIC, codec.schema_id(full_name)) + _written(_parts(full_name)[0], envelope) + data


@cache
def _parts(full_name: str) -> tuple[Any, Any]:
    contract = newest(full_name)
    *around, data = contract.schema["fields"]
    envelope = {**contract.schema, "name": contract.name + "Envelope", "fields": around}
    return fastavro.parse_schema(envelope), fastavro.parse_schema(data["type"])


def _written(schema: Any, record: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()
