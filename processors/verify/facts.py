"""Reads one fact from the bytes of one record, with the contract that wrote it.

reader = FactReader(codec)
fact = reader.read("ledger.orders", 3, 17, value)     # fact.name, fact.record, fact.record["data"]
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.codec import Codec, UndecodableError

#: A fold's function for a fact; it gets the envelope, then the data.
Handler = Callable[[Mapping[str, Any], Mapping[str, Any]], None]

#: PostgreSQL's text cannot hold NUL: tables have the replacement character instead.
_NUL, _REPLACEMENT = "\x00", "\ufffd"


class Fact(NamedTuple):
    """A fact and its place; `topic` without prefix. `record`: the envelope, with the fact's fields in `data`."""

    topic: str
    partition: int
    offset: int
    name: str
    record: dict[str, Any]


class FactReader:
    """Decodes values of ledger topics."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._names = {one.full_name: one.name for one in codec.by_id.values() if one.is_fact}
        self._json = msgspec.json.Encoder()

    def read(self, topic: str, partition: int, offset: int, value: bytes | None) -> Fact:
        """The fact in its newest shape. Raises `schemas.codec.UndecodableError` for bytes that are no fact."""
        contract, record = self._codec.decode(value)
        name = self._names.get(contract.full_name)
        if name is None:
            raise UndecodableError("no_fact", f"{contract.full_name} does not belong in {topic}")
        # JSON shows a NUL in any text. Looking through every field of every record would take three times as long.
        if b"\\u0000" in self._json.encode(record):
            record = _storable(record)
        return Fact(topic, partition, offset, name, record)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(_NUL, _REPLACEMENT)
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value
