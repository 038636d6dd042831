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
from schemas.codec import FRAME, MAGIC, Codec, UndecodableError
from schemas.compiled import Reader, compiled
from schemas.contracts import newest


class Record(NamedTuple):
    """A decoded, wanted fact: its name in the catalogue and its fields."""

    name: str
    fields: dict[str, Any]


class FactDecoder:
    """Reads a fact's link, and the contents of wanted facts.

    Each contract has a compiled reader: half the time of the codec. Where it gives up, the codec decides; so both
    accept the same bytes.
    """

    def __init__(self, codec: Codec, wanted: Collection[type[Any]]) -> None:
        self._codec = codec
        self._structs: Mapping[str, Any] = {
            name: Recorded[row.data]  # type: ignore[name-defined]
            for name, row in FACTS.items()
            if row.data in wanted
        }
        #: By the bytes before the body: the name of a wanted fact, and its reader. Readers are made when needed.
        self._readers: dict[bytes, tuple[str | None, Reader]] = {}

    def read(self, value: bytes | None) -> tuple[Link, Record | None]:
        """The link and the record. Reads to the last byte; raises UndecodableError if the bytes are no fact."""
        if value is None:
            return self._read_by_codec(value)
        frame = value[: FRAME.size]
        known = self._readers.get(frame) or self._reader(frame)
        if known is None:
            return self._read_by_codec(value)
        name, reader = known
        try:
            record, end = reader(value, FRAME.size)
        except Exception:  # noqa: BLE001  # hostile bytes raise anything; the codec knows why
            return self._read_by_codec(value)
        if end != len(value):
            return self._read_by_codec(value)
        return Link.of(record), None if name is None else Record(name, record)

    def _reader(self, frame: bytes) -> tuple[str | None, Reader] | None:
        """None where the codec reads: no frame, no fact, or an older version, which it brings to the newest shape."""
        if len(frame) < FRAME.size or frame[0] != MAGIC:
            return None
        contract = self._codec.by_id.get(FRAME.unpack(frame)[1])
        if contract is None or not contract.is_fact or contract.version != newest(contract.full_name).version:
            return None
        wanted = contract.name in self._structs
        reader = compiled(contract.schema, None if wanted else Link._fields)
        known = self._readers[frame] = (contract.name if wanted else None, reader)
        return known

    def _read_by_codec(self, value: bytes | None) -> tuple[Link, Record | None]:
        contract, record = self._codec.decode(value)
        if not contract.is_fact:
            raise UndecodableError("no_fact", contract.full_name)
        return Link.of(record), Record(contract.name, record) if contract.name in self._structs else None

    def as_fact(self, record: Record) -> AnyRecorded:
        """The struct for the host. Raises msgspec.ValidationError for a fact that the ledger would never write."""
        fact: AnyRecorded = msgspec.convert(record.fields, self._structs[record.name])
        return fact
