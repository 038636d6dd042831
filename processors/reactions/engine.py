"""One batch: facts in, commands out, position saved. In this order, so that a crash anywhere only repeats commands.

    engine.handle([Fetched("ledger.orders", 0, first_offset=7, values=[(7, b"...")])])  -> partitions to read again

Blocking; runs in a thread of its own, one batch at a time.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from events.envelope import AnyRecorded
from processors.following.facts import FactDecoder, Record
from processors.following.follower import Fetched, Follower, PositionStore
from processors.following.positions import Partition
from processors.reactions.asked import Asked
from processors.reactions.rows import Due
from processors.reactions.sourcing import Lookups
from processors.reactions.wiring import TIMERS, needs_of, react
from processors.slow_paths import Miss, report
from runtime import failpoints

NAME = "reactions"

#: A command that a timer has sent is not sent again for so long: the tables show its effect only a moment later.
#: Shorter sends repeats (harmless, but work for the ledger); longer delays the second attempt after a lost one.
TIMER_REPEAT_SECONDS = 30.0


class LookupSource(Protocol):
    """What `ProjectionLookups` is."""

    def read(self, skus: Collection[str], carts: Collection[str], moments: Collection[datetime]) -> Lookups: ...
    def due(self, queries: Sequence[Due], now: datetime) -> list[Sequence[Any]]: ...


class CommandSender(Protocol):
    """What `Sender` is."""

    def send(self, batch: Sequence[Asked]) -> None: ...


Count = Callable[[Mapping[Miss, int]], None]
"""Adds to what `doctor` shows."""


class Engine:
    """Reads partitions by the reader's rule and sends what the reactions ask for."""

    def __init__(
        self,
        decoder: FactDecoder,
        positions: PositionStore,
        lookups: LookupSource,
        sender: CommandSender,
        count: Count = lambda _: None,
    ) -> None:
        self._decoder = decoder
        self._follower: Follower[Record] = Follower(NAME, decoder.read, positions)
        self._lookups = lookups
        self._sender = sender
        self._count = count
        self._timer_sent: dict[str, float] = {}
        self.commands_sent = 0

    @property
    def next_offsets(self) -> dict[Partition, int]:
        """Offset that comes next, of each partition at hand."""
        return self._follower.next_offsets

    def assign(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Take exactly these partitions from now on; the offset to read each one on from."""
        return self._follower.assign(partitions)

    def look_back(self) -> dict[Partition, int]:
        """Offsets to read again from, of partitions whose stored position is not the one that we saved last."""
        return self._follower.place(self._follower.strayed())

    def handle(self, batch: Sequence[Fetched]) -> dict[Partition, int]:
        """Send what the batch asks for, then save the positions.

        Returns the offsets that partitions must be read again from: records were missing before these, or another copy
        has moved the position (what we sent then are repeats, which the ledger knows).
        """
        records, touched, again = self._follower.read(batch)
        facts = [self._decoder.as_fact(record) for record in records]
        failpoints.reach("reactions.react")
        asked = react(facts, self._look_up(facts)) if facts else []
        self._sender.send(asked)
        self.commands_sent += len(asked)
        failpoints.reach("reactions.before_position")
        again |= self._follower.save(touched)
        failpoints.reach("reactions.after_position")
        misses = _misses(asked)
        if misses:
            report(NAME, misses)
            self._count(misses)
        return again

    def _look_up(self, facts: Sequence[AnyRecorded]) -> Lookups:
        needs = needs_of(facts)
        return self._lookups.read(needs.skus, needs.carts, needs.moments)

    def ring(self, now: datetime, monotonic_seconds: float) -> int:
        """Send the commands of timers that are due at `now`; how many were sent."""
        overdue = self._lookups.due([timer.query for timer in TIMERS], now)
        due = [timer.command(row) for timer, rows in zip(TIMERS, overdue, strict=True) for row in rows]
        sent_lately = {
            command_id: at
            for command_id, at in self._timer_sent.items()
            if monotonic_seconds - at < TIMER_REPEAT_SECONDS
        }
        asked = list({row.id: row for row in due if row.id not in sent_lately}.values())
        self._sender.send(asked)
        self._timer_sent = sent_lately | dict.fromkeys((row.id for row in asked), monotonic_seconds)
        return len(asked)


def _misses(asked: Sequence[Asked]) -> Counter[Miss]:
    """Orders whose plan was not proved to be the best, by the reaction that made it."""
    plans = {(row.actor, row.causation_id) for row in asked if row.unproved}
    return Counter(Miss("route", "not_proved", actor) for actor, _ in plans)
