"""Which facts count: those of a decision that is complete and follows the last accepted one.

    partition = Acceptance()
    for fact in log:
        for counted in partition.offer(fact): …
    partition.skipped      # {"repeat": 2} and the offsets of the first ones

This is the rule of `events.chain`, written a second time on purpose: the check must not share code with what it checks.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from processors.verify.facts import Fact

#: Decisions remembered to distinguish repeats from other rules. Only the reason shown for a skipped fact depends on it:
#: with fewer, a very late repeat is called late_writer. 20,000 for each of 36 partitions take at most some 70 MB.
REMEMBERED_DECISIONS_MAX = 20_000

#: Offsets named for each reason. A fork can skip millions of facts; the first ones show where it began.
NAMED_PLACES_MAX = 5


@dataclass(slots=True)
class Skipped:
    """How many facts were skipped for one reason, and the offsets of the first."""

    count: int = 0
    offsets: list[int] = field(default_factory=list)


class Acceptance:
    """Follows one partition from its first fact. `decision`, `epoch`, `intake_offset`: of the last accepted one."""

    def __init__(self) -> None:
        self.decision = 0
        self.epoch = 0
        self.intake_offset = -1
        self.skipped: dict[str, Skipped] = {}
        self._parts: dict[tuple[int, int], dict[int, Fact]] = {}  # by decision and its count
        self._order: deque[int] = deque()
        self._counted: set[int] = set()
        self._rivals: set[int] = set()

    @property
    def held_back(self) -> int:
        """Facts of incomplete decisions."""
        return sum(len(parts) for parts in self._parts.values())

    def offer(self, fact: Fact) -> list[Fact]:
        """The facts of the decision that this fact completes, in order; empty if it completes none."""
        record = fact.record
        if record["follows"] != self.decision:
            self.skip(self._reason(record), fact.offset)
            return []
        if not 1 <= record["index"] <= record["count"]:
            self.skip("no_place", fact.offset)
            return []
        parts = self._parts.setdefault((record["decision"], record["count"]), {})
        if record["index"] in parts:
            self.skip("repeat", fact.offset)
            return []
        parts[record["index"]] = fact
        if len(parts) < record["count"]:
            return []
        whole = [parts[index] for index in sorted(parts)]
        self._count(record)
        return whole

    def skip(self, reason: str, offset: int) -> None:
        """Record that a fact was skipped."""
        skipped = self.skipped.setdefault(reason, Skipped())
        skipped.count += 1
        if len(skipped.offsets) < NAMED_PLACES_MAX:
            skipped.offsets.append(offset)

    def _count(self, record: dict[str, Any]) -> None:
        decision = record["decision"]
        for (rival, count), parts in self._parts.items():
            if (rival, count) != (decision, record["count"]):
                self._rivals.add(rival)
                for fact in parts.values():
                    self.skip("other_rules", fact.offset)
        self._parts.clear()
        self.decision, self.epoch, self.intake_offset = decision, record["epoch"], record["intake_offset"]
        self._counted.add(decision)
        self._order.append(decision)
        if len(self._order) > REMEMBERED_DECISIONS_MAX:
            self._counted.discard(self._order.popleft())

    def _reason(self, record: dict[str, Any]) -> str:
        """repeat: already accepted. other_rules: it, or a decision before it, is a rival of an accepted decision.

        late_writer: about commands that were decided long ago. gap: follows a decision that was never complete.
        """
        if record["decision"] in self._counted:
            return "repeat"
        if record["follows"] in self._counted or record["follows"] in self._rivals:
            self._rivals.add(record["decision"])
            return "other_rules"
        if (record["epoch"], record["intake_offset"]) <= (self.epoch, self.intake_offset):
            return "late_writer"
        return "gap"
