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
from schemas.compiled import Decode, decoder
from schemas.contracts import newest


class Record(NamedTuple):
    """A decoded, wanted fact: its name in the catalogue and its fields."""

    name: str
    fields: dict[str, Any]


class FactDecoder:
    """Reads a fact's link, and the contents of wanted facts.

    Of other facts only the link is made. They are read to their end all the same: both kinds accept the same bytes.
    """

    def __init__(self, codec: Codec, wanted: Collection[type[Any]]) -> None:
        self._codec = codec
        self._structs: Mapping[str, Any] = {
            name: Recorded[row.data]  # type: ignore[name-defined]
            for name, row in FACTS.items()
            if row.data in wanted
        }
        #: By the bytes before the body: reads the link of a fact that nobody wants. None where the codec reads.
        self._links: dict[bytes, Decode | None] = {}

    def read(self, value: bytes | None) -> tuple[Link, Record | None]:
        """The link and the record. Reads to the last byte; raises UndecodableError if the bytes are no fact."""
        if value is not None:
            frame = value[: FRAME.size]
            link = self._links[frame] if frame in self._links else self._link(frame)
            if link is not None:
                try:
                    record, end = link(value, FRAME.size)
                except Exception:  # noqa: BLE001  # hostile bytes raise anything; the codec says what is wrong
                    record, end = {}, -1
                if end == len(value):
                    return Link.of(record), None
        contract, record = self._codec.decode(value)
        if not contract.is_fact:
            raise UndecodableError("no_fact", contract.full_name)
        return Link.of(record), Record(contract.name, record) if contract.name in self._structs else None

    def _link(self, frame: bytes) -> Decode | None:
        contract = None
        if len(frame) == FRAME.size and frame[0] == MAGIC:
            contract = self._codec.by_id.get(FRAME.unpack(frame)[1])
        if contract is None:
            return None  # not kept: hostile frames are without number
        wanted = not contract.is_fact or contract.name in self._structs or contract != newest(contract.full_name)
        self._links[frame] = None if wanted else decoder(contract.schema, wanted=Link._fields)
        return self._links[frame]

    def as_fact(self, record: Record) -> AnyRecorded:
        """The struct for the host. Raises msgspec.ValidationError for a fact that the ledger would never write."""
        fact: AnyRecorded = msgspec.convert(record.fields, self._structs[record.name])
        return fact
