"""From the bytes of a ledger partition to the facts that count, one by one.

    reading = Reading(Position(next_offset=0), decode)
    accepted = reading.read(1, [(0, value), (1, value)])
    reading.position                         # to be stored once the results of these facts are stored or sent

`decode` returns a record's link and the fact in it, or None if the host does not want the fact. It reads every record
to its end, even an unwanted one: no other reader accepts a record that is cut after its link, so a reader that did
would leave the common chain.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from events.chain import ChainReader, Link
from processors.following.positions import ChainState, Position
from schemas.codec import UndecodableError

Fact = TypeVar("Fact")

Decode: TypeAlias = Callable[[bytes | None], tuple[Link, Fact | None]]
"""Raises UndecodableError on bytes that are no fact."""

Values = Sequence[tuple[int, bytes | None]]
"""Records of one partition as (offset, value)."""


class HoleError(Exception):
    """Records are missing: `expected` is the next offset to read, `found` is the offset that came."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"expected offset {expected}, found {found}")
        self.expected = expected
        self.found = found


class Reading(Generic[Fact]):
    """One partition being read: its chain reader and next offset. `undecodable` counts records by reason."""

    __slots__ = ("_chain", "_decode", "next_offset", "undecodable")

    def __init__(self, start: Position, decode: Decode[Fact]) -> None:
        self._decode = decode
        self._chain: ChainReader[Fact | None] = ChainReader(*start.chain)
        self.next_offset = start.next_offset
        self.undecodable: Counter[str] = Counter()

    @property
    def position(self) -> Position:
        """Where a restart must read from: before the first fact of an incomplete decision."""
        chain = self._chain
        held_back = chain.resume_position
        next_offset = self.next_offset if held_back is None else held_back
        return Position(next_offset, ChainState(chain.last, chain.epoch, chain.intake_offset))

    @property
    def skipped(self) -> Mapping[str, int]:
        """Skipped facts, counted by reason."""
        return self._chain.skipped

    def read(self, first_offset: int, values: Values) -> list[Fact]:
        """Facts that count and that the host wants, in order. `first_offset` is where the values were fetched from.

        Records read before are skipped. Raises HoleError if records are missing; nothing is read then.
        """
        if first_offset > self.next_offset:
            raise HoleError(self.next_offset, first_offset)
        decode, chain = self._decode, self._chain
        found: list[Fact] = []
        for offset, value in values:
            if offset < self.next_offset:
                continue
            self.next_offset = offset + 1
            try:
                link, fact = decode(value)
            except UndecodableError as error:
                # The projector reads the same topics and dead-letters such bytes.
                self.undecodable[error.reason] += 1
                continue
            found += [accepted for accepted in chain.read(link, fact, offset) if accepted is not None]
        return found
