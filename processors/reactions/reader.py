"""From the bytes of a ledger partition to the facts that count, keeping only what somebody reacts to.

    reading = PartitionReading(Position(next_offset=0), facts)
    accepted = reading.read(1, [(0, value), (1, value)])
    reading.position                         # what to keep, once the commands are on their way

Every record is decoded to its end, wanted or not: a record that is cut behind its place in the chain counts for nobody
else, and a reader that accepted it would follow a branch of its own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from events.catalogue import FACTS
from events.chain import GENESIS, ChainReader, Link
from events.envelope import AnyRecorded, Recorded
from processors.reactions.wiring import REACTED_TO
from schemas.codec import Codec, UndecodableError

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
    """Tells a fact's place in the chain, and keeps what is in it where any reaction wants it."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def read(self, value: bytes | None) -> tuple[Link, _Record | None]:
        """Raises UndecodableError on bytes that are no fact, to the last one: see above."""
        contract, record = self._codec.decode(value)
        if not contract.is_fact:
            raise UndecodableError("no_fact", contract.full_name)
        return Link.of(record), _Record(contract.name, record) if contract.name in _STRUCTS else None


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
