"""From the bytes of a ledger partition to the facts that count, decoding only what somebody reacts to.

    reading = PartitionReading(Position(next_offset=0), facts)
    accepted = reading.read(1, [(0, value), (1, value)])
    reading.position                         # what to keep, once the commands are on their way

Every record's place in the chain is read (Avro writes fields one after the other, so the first ones can be read
alone); the whole record only when its decision is accepted and its type is in the wiring.
"""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import fastavro
import msgspec
from fastavro.schema import parse_schema

from events.catalogue import FACTS
from events.chain import GENESIS, ChainReader, Link
from events.envelope import AnyRecorded, Recorded
from processors.reactions.wiring import REACTED_TO
from schemas.codec import FRAME, MAGIC, Codec, UndecodableError

Values = Sequence[tuple[int, bytes | None]]
"""Records of one partition as (offset, value)."""


class Position(NamedTuple):
    """Where a partition is to be read on from: the offset, and the last decision accepted before it."""

    next_offset: int = 0
    last_decision: int = GENESIS
    epoch: int = 0
    intake_offset: int = -1


class _Record(NamedTuple):
    """A decoded fact that some reaction wants: its name in the catalogue and its fields."""

    name: str
    fields: dict[str, Any]


#: The struct of each fact that is reacted to, by name.
_STRUCTS: Mapping[str, Any] = {
    name: Recorded[row.data]  # type: ignore[name-defined]
    for name, row in FACTS.items()
    if row.data in REACTED_TO
}


class HoleError(Exception):
    """Records came that do not join what was read: `expected` is the offset to read on from, `found` what came."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"expected offset {expected}, found {found}")
        self.expected = expected
        self.found = found


class FactDecoder:
    """Reads a fact as far as it is needed. Raises UndecodableError on bytes that are no fact."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._prefix: dict[bytes, Any] = {}
        self._reacted_to: set[bytes] = set()
        for schema_id, contract in codec.by_id.items():
            if not contract.is_fact:
                continue
            frame = FRAME.pack(MAGIC, schema_id)
            fields = contract.schema["fields"]
            names = [field["name"] for field in fields]
            needed = 1 + max(names.index(name) for name in Link._fields)
            # A name of its own: fastavro remembers parsed names.
            prefix = {**contract.schema, "name": f"{contract.name}LinkV{contract.version}", "fields": fields[:needed]}
            self._prefix[frame] = parse_schema(prefix)
            if contract.name in _STRUCTS:
                self._reacted_to.add(frame)

    def read(self, value: bytes | None) -> tuple[Link, _Record | None]:
        """The fact's place in the chain, and the whole record where any reaction wants it."""
        if value is None or len(value) < FRAME.size:
            raise UndecodableError("no_frame", "a fact begins with a zero byte and four bytes of schema id")
        frame = value[: FRAME.size]
        if frame in self._reacted_to:
            contract, record = self._codec.decode(value)
            return Link.of(record), _Record(contract.name, record)
        schema = self._prefix.get(frame)
        if schema is None:
            self._codec.decode(value)  # says what is wrong, unless it is a command
            raise UndecodableError("unknown_schema", "not a fact")
        body = io.BytesIO(value)
        body.seek(FRAME.size)
        try:
            start: Any = fastavro.schemaless_reader(body, schema, None)
        except Exception as error:  # fastavro raises a dozen types on hostile bytes; all mean the same here
            raise UndecodableError("bad_avro", f"{type(error).__name__}: {error}") from error
        return Link.of(start), None


def as_fact(record: _Record) -> AnyRecorded:
    """The struct that the reactions take. Raises msgspec.ValidationError for what the ledger would never write."""
    fact: AnyRecorded = msgspec.convert(record.fields, _STRUCTS[record.name])
    return fact


class PartitionReading:
    """One partition as it is read: the chain's reader, and the offset that comes next. `undecodable` counts by
    reason.
    """

    __slots__ = ("_chain", "_decoder", "next_offset", "undecodable")

    def __init__(self, start: Position, decoder: FactDecoder) -> None:
        self._decoder = decoder
        self._chain: ChainReader[_Record | None] = ChainReader(start.last_decision, start.epoch, start.intake_offset)
        self.next_offset = start.next_offset
        self.undecodable: Counter[str] = Counter()

    @property
    def position(self) -> Position:
        """Where a restart has to read on from: before the first fact of a decision that is not complete yet."""
        chain = self._chain
        held_back = chain.resume_position
        next_offset = self.next_offset if held_back is None else held_back
        return Position(next_offset, chain.last, chain.epoch, chain.intake_offset)

    @property
    def skipped(self) -> Mapping[str, int]:
        """Why facts were passed over, counted."""
        return self._chain.skipped

    def read(self, first_offset: int, values: Values) -> list[AnyRecorded]:
        """Facts that count and that somebody reacts to, in order. `first_offset` is where the values were fetched from.

        What was read before is passed over. Raises HoleError when records between are missing; nothing is read then.
        """
        if first_offset > self.next_offset:
            raise HoleError(self.next_offset, first_offset)
        read, chain = self._decoder.read, self._chain
        found: list[AnyRecorded] = []
        for offset, value in values:
            if offset < self.next_offset:
                continue
            self.next_offset = offset + 1
            try:
                link, record = read(value)
            except UndecodableError as error:
                # The projector reads the same topics and sets such bytes aside as dead letters.
                self.undecodable[error.reason] += 1
                continue
            found += [as_fact(accepted) for accepted in chain.read(link, record, offset) if accepted is not None]
        return found
