"""The rule by which every reader of a ledger partition knows which facts count.

A reader accepts a decision if it has seen all its facts and the decision follows the last accepted one. It skips all
other facts. So all readers have the same history, whatever repeats, late writers and crashes leave in the partition.

    reader = ChainReader(last=0)
    for fact in partition:
        for accepted in reader.read(fact.link, fact):
            ...

A writer names its decisions with `digest`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Generic, NamedTuple, TypeVar

Fact = TypeVar("Fact")

#: The value of `follows` in the first decision of a partition.
GENESIS = 0


class Link(NamedTuple):
    """A fact's place in the chain: `decision`, `follows` are signed 64-bit digests, `index` runs from 1 to `count`."""

    decision: int
    follows: int
    # Both hide methods of tuple. Nobody calls these on a link.
    index: int  # type: ignore[assignment]
    count: int  # type: ignore[assignment]
    epoch: int
    intake_offset: int

    @classmethod
    def of(cls, fact: Mapping[str, Any]) -> "Link":
        """The link of a decoded fact."""
        return cls(
            fact["decision"], fact["follows"], fact["index"], fact["count"], fact["epoch"], fact["intake_offset"]
        )


def digest(follows: int, epoch: int, intake_offset: int, facts: Sequence[tuple[str, bytes]]) -> int:
    """Digest of a decision: of the decision before it, its intake position and its facts (full name, encoded data)."""
    state = blake2b(f"{follows}:{epoch}:{intake_offset}".encode(), digest_size=8)
    for full_name, data in facts:
        state.update(f"|{full_name}:{len(data)}:".encode())
        state.update(data)
    value = int.from_bytes(state.digest(), "big", signed=True)
    return value or 1  # 0 is the genesis


class ChainReader(Generic[Fact]):
    """Follows the chain of one partition. `last` is the last accepted decision, `skipped` counts skipped facts."""

    __slots__ = ("_candidates", "_positions", "epoch", "intake_offset", "last", "skipped")

    def __init__(self, last: int = GENESIS, epoch: int = 0, intake_offset: int = -1) -> None:
        self.last = last
        self.epoch = epoch
        self.intake_offset = intake_offset
        self.skipped: Counter[str] = Counter()
        # By decision and `count`, because facts with different counts do not belong together.
        self._candidates: dict[tuple[int, int], dict[int, Fact]] = {}
        self._positions: dict[tuple[int, int], int] = {}

    @property
    def waiting(self) -> bool:
        """Whether facts of an incomplete decision are held back."""
        return bool(self._candidates)

    @property
    def resume_position(self) -> int | None:
        """Lowest position of a fact that is held back, or None. A restart reads again from there."""
        return min(self._positions.values(), default=None)

    def read(self, link: Link, fact: Fact, position: int = -1) -> Sequence[Fact]:
        """The facts of the decision that this fact completes, in order; empty if it completes none."""
        if link.follows != self.last:
            self.skipped[self._why(link)] += 1
            return ()
        if not 1 <= link.index <= link.count:
            self.skipped["no_place"] += 1
            return ()
        if link.count == 1:
            self._accept(link)
            return (fact,)
        facts = self._candidates.setdefault((link.decision, link.count), {})
        if link.index in facts:
            self.skipped["repeat"] += 1
            return ()
        facts[link.index] = fact
        self._positions.setdefault((link.decision, link.count), position)
        if len(facts) < link.count:
            return ()
        self._accept(link)
        return [facts[index] for index in range(1, link.count + 1)]

    def _accept(self, link: Link) -> None:
        # Rival decisions followed the same decision. Their facts can no longer be accepted.
        if self._candidates:
            whole = (link.decision, link.count)
            rivals = sum(len(facts) for named, facts in self._candidates.items() if named != whole)
            if rivals:
                self.skipped["cut_or_rival"] += rivals
            self._candidates.clear()
            self._positions.clear()
        self.last = link.decision
        self.epoch = link.epoch
        self.intake_offset = link.intake_offset

    def _why(self, link: Link) -> str:
        if link.decision == self.last:
            return "repeat"
        if (link.epoch, link.intake_offset) <= (self.epoch, self.intake_offset):
            return "late_writer"
        return "gap_or_other_rules"
