"""The decoder of hosts that take facts one by one: bytes into the structs of `events`, those that are wanted.

decoder = FactDecoder(codec, {OrderPlaced})
link, record = decoder.read(value)           # record is None for a fact that nobody wants
fact = decoder.as_fact(record)               # once it is accepted: what is not accepted need not become a struct
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from events.catalogue import FACTS
from events.chain import Link
from events.envelope import AnyRecorded, Recorded
from schemas.codec import Codec, UndecodableError


class Record(NamedTuple):
    """A decoded fact that is wanted: its name in the catalogue and its fields."""

    name: str
    fields: dict[str, Any]


class FactDecoder:
    """Tells a fact's place in the chain, and keeps what is in it where it is wanted."""

    def __init__(self, codec: Codec, wanted: Collection[type[Any]]) -> None:
        self._codec = codec
        self._structs: Mapping[str, Any] = {
            name: Recorded[row.data]  # type: ignore[name-defined]
            for name, row in FACTS.items()
            if row.data in wanted
        }

    def read(self, value: bytes | None) -> tuple[Link, Record | None]:
        """Raises UndecodableError on bytes that are no fact, to the last one."""
        contract, record = self._codec.decode(value)
        if not contract.is_fact:
            raise UndecodableError("no_fact", contract.full_name)
        return Link.of(record), Record(contract.name, record) if contract.name in self._structs else None

    def as_fact(self, record: Record) -> AnyRecorded:
        """The struct that hosts take. Raises msgspec.ValidationError for what the ledger would never write."""
        fact: AnyRecorded = msgspec.convert(record.fields, self._structs[record.name])
        return fact
