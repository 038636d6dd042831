"""The decoder for hosts that take facts one by one: it turns the bytes of wanted facts into the structs of `events`.

decoder = FactDecoder(codec, {OrderPlaced})
link, record = decoder.read(value)           # record is None for an unwanted fact
fact = decoder.as_fact(record)               # only for an accepted fact: this saves time
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from events.catalogue import FACTS
from events.chain import Link
from events.envelope import AnyRecorded, Recorded
from schemas.codec import Codec, UndecodableError


class Record(NamedTuple):
    """A decoded, wanted fact: its name in the catalogue and its fields."""

    name: str
    fields: dict[str, Any]


class FactDecoder:
    """Reads a fact's link, and the contents of wanted facts."""

    def __init__(self, codec: Codec, wanted: Collection[type[Any]]) -> None:
        self._codec = codec
        self._structs: Mapping[str, Any] = {
            name: Recorded[row.data]  # type: ignore[name-defined]
            for name, row in FACTS.items()
            if row.data in wanted
        }

    def read(self, value: bytes | None) -> tuple[Link, Record | None]:
        """The link and the record. Reads to the last byte; raises UndecodableError if the bytes are no fact."""
        contract, record = self._codec.decode(value)
        if not contract.is_fact:
            raise UndecodableError("no_fact", contract.full_name)
        return Link.of(record), Record(contract.name, record) if contract.name in self._structs else None

    def as_fact(self, record: Record) -> AnyRecorded:
        """The struct for the host. Raises msgspec.ValidationError for a fact that the ledger would never write."""
        fact: AnyRecorded = msgspec.convert(record.fields, self._structs[record.name])
        return fact
