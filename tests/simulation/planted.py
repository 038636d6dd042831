"""Bugs on purpose, to see that the simulation finds them: each takes one protection of the product away, here only.

    with PLANTED["ids_are_not_remembered"].plant():
        …                                             # every run in this process has the bug

The product has no switch for any of this: functions are replaced in the process of the simulation.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec

from events.chain import ChainReader, Link
from events.orders import amending, exchanging, line_changes
from events.stock import awaiting
from events.stock import decide as stock_decide
from events.stock import decision as stock_decision
from events.stock.commands import ExpireReservation
from events.stock.state import Level
from processors.following import columns, reading
from processors.ledger import memory, partition, saving, snapshots, takeover, writer
from processors.ledger.memory import Answer, Memory, Stream
from processors.ledger.owned import Owned
from processors.ledger.partition import PartitionLedger
from processors.ledger.saving import Counts, Saver
from processors.reactions import asked, engine, locations, movements, offers, rejections, release, wiring
from processors.reactions.asked import Asked
from tests.support.memory_tables import MemoryStore


class Bug(NamedTuple):
    """`plant` takes the protection away while it is entered; `tables` says whether the projector must run to see it;
    `seed` is known to find it.
    """

    what: str
    plant: Callable[[], AbstractContextManager[Any]]
    tables: bool = False
    seed: int = 1


def _forgets_ids() -> AbstractContextManager[Any]:
    return patch.object(PartitionLedger, "_remember", lambda *_: None)


def _forgets_own_ids() -> AbstractContextManager[Any]:
    """As it was: reactions' ids on a SKU were forgotten after 30 days, like those of channels."""
    remember = PartitionLedger._remember

    def all_alike(self: PartitionLedger, stream: Stream, answer: Answer) -> None:
        day = int(self.log_time.timestamp()) // partition.SECONDS_PER_DAY
        remember(self, stream, answer._replace(day=min(day, answer.day)))

    return patch.object(PartitionLedger, "_remember", all_alike)


def _does_not_look_up_ids() -> AbstractContextManager[Any]:
    """Answers that were let go are not fetched again."""
    look_up = Memory.look_up

    def nothing_there(self: Memory, answers: Mapping[int, Any]) -> None:
        look_up(self, dict.fromkeys(answers, ()))

    return patch.object(Memory, "look_up", nothing_there)


def _lists_no_new_answers() -> AbstractContextManager[Any]:
    """The list of commands that a snapshot holds answers to is made once, and nothing is added to it."""
    return patch.object(memory, "_with", lambda known, _: known)


def _trusts_any_snapshot() -> AbstractContextManager[Any]:
    """Streams are fetched from whatever snapshot is there, be it restored from a backup."""
    reaches = snapshots._reaches

    def as_known(connection: Any, places: Any) -> Any:
        asked = sys._getframe(1).f_locals
        known = {(one.topic, one.ledger.partition): one.ledger.memory.saved_offset for one in asked.get("wanted", ())}
        return reaches(connection, places) | {place: (offset, offset) for place, offset in known.items()}

    return patch.object(snapshots, "_reaches", as_known)


def _refusals_move_the_version() -> AbstractContextManager[Any]:
    """As it was: the version that is expected was the envelope's."""
    return patch.object(Stream, "state_version", property(lambda stream: stream.version, lambda *_: None))


def _snapshots_forget_the_version() -> AbstractContextManager[Any]:
    restored = snapshots.restored

    def as_of_its_newest_fact(*stored: Any) -> Stream:
        stream = restored(*stored)
        stream.state_version = stream.version
        return stream

    return patch.object(snapshots, "restored", as_of_its_newest_fact)


@contextmanager
def _saves_before_it_sends() -> Iterator[None]:
    handle = engine.Engine.handle

    class Later:
        def __init__(self) -> None:
            self.batch: list[Asked] = []

        def send(self, batch: Sequence[Asked]) -> None:
            self.batch += batch

    def handle_first(self: engine.Engine, batch: Any) -> Any:
        later, sender = Later(), self._sender
        self._sender = later
        try:
            again = handle(self, batch)
        finally:
            self._sender = sender
        sender.send(later.batch)
        return again

    with patch.object(engine.Engine, "handle", handle_first):
        yield


def _no_fence() -> AbstractContextManager[Any]:
    return patch.object(MemoryStore, "fence", lambda *_: None)


class _Believer(ChainReader[Any]):
    """A reader that takes every fact as it comes."""

    __slots__ = ()

    def read(self, link: Link, fact: Any, position: int = -1) -> Sequence[Any]:
        del position
        self._accept(link)
        return (fact,)


class _Piecemeal(ChainReader[Any]):
    """A reader that follows the chain but does not wait for all facts of a decision."""

    __slots__ = ()

    def read(self, link: Link, fact: Any, position: int = -1) -> Sequence[Any]:
        del position
        if self.last not in (link.follows, link.decision):
            return ()
        self._accept(link)
        return (fact,)


def _instead(made: Callable[[Any], list[Asked]], other: Callable[[Any], list[Asked]]) -> AbstractContextManager[Any]:
    """Another reaction in the place of one."""
    rows = {
        fact: [row._replace(react=other) if row.react is made else row for row in those]
        for fact, those in wiring.BY_FACT.items()
    }
    return patch.object(wiring, "BY_FACT", rows)


def _numbered(made: Callable[[Any], list[Asked]]) -> AbstractContextManager[Any]:
    """A reaction whose commands get another id each time."""
    numbers = itertools.count()

    def anew(fact: Any) -> list[Asked]:
        return [asked._replace(id=f"{asked.id}:{next(numbers)}") for asked in made(fact)]

    return _instead(made, anew)


def _doubled(made: Callable[[Any], list[Asked]]) -> AbstractContextManager[Any]:
    """A reaction that asks for everything twice, under two ids."""
    return _instead(made, lambda fact: [*made(fact), *(one._replace(id=f"{one.id}:again") for one in made(fact))])


def _no_tombstone() -> AbstractContextManager[Any]:
    released = stock_decide._release

    def nothing_known(decision: Any, data: Any) -> Any:
        attempt = stock_decide.Attempt(data.order_id, data.line_id, data.attempt)
        return None if attempt not in decision.stock.answered else released(decision, data)

    return patch.object(stock_decide, "_release", nothing_known)


def _answers_again() -> AbstractContextManager[Any]:
    return patch.object(line_changes, "newest", lambda *_: 0)


def _looks_at_a_clock() -> AbstractContextManager[Any]:
    decide = PartitionLedger.decide
    ticks = itertools.count()

    def by_clock(self: PartitionLedger, offset: int, timestamp_ms: int, key: Any, value: Any) -> Any:
        return decide(self, offset, timestamp_ms + next(ticks) % 2, key, value)

    return patch.object(PartitionLedger, "decide", by_clock)


def _early_snapshot() -> AbstractContextManager[Any]:
    """A snapshot of what is decided, whether or not it stands on the log, and a takeover that does not look."""

    class Trusting(takeover._Tail):
        def __init__(self, topic: str, ledger: PartitionLedger, position: snapshots.Position | None) -> None:
            super().__init__(topic, ledger, position)
            self.start = 0 if position is None else position.next_offset
            self.expected = None

    note = Saver._note

    def at_once(self: Saver, owned: Owned) -> saving._Noted:
        return note(self, owned)._replace(sent=0)

    both = ExitStack()
    both.enter_context(patch.object(Saver, "_note", at_once))
    both.enter_context(patch.object(takeover, "_Tail", Trusting))
    return both


def _asides_in_any_order() -> AbstractContextManager[Any]:
    """As it was: facts did not wait for what was set aside before them."""

    class Never(list[Any]):
        def append(self, held: Any) -> None:
            self.shell._send(*held)  # type: ignore[attr-defined]

    begin = writer.LedgerWriter.__init__

    def without_hold(self: writer.LedgerWriter, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self._held = Never()
        self._held.shell = self  # type: ignore[attr-defined]

    return patch.object(writer.LedgerWriter, "__init__", without_hold)


def _snapshots_past_asides() -> AbstractContextManager[Any]:
    """As it was: a snapshot did not wait for what was set aside before it."""
    begin = Saver.begin

    def without_looking(self: Saver, owned: Iterable[Owned], _: int, counts: Counts) -> None:
        begin(self, owned, -1, counts)

    return patch.object(Saver, "begin", without_looking)


def _promises_twice() -> AbstractContextManager[Any]:
    """Units are reserved by what is on hand, not by what is free."""

    def on_hand(self: Any, _channel: str | None) -> int:
        return max(0, self.on_hand) if self.registered else 0

    return patch.object(Level, "free", on_hand)


def _promises_anywhere() -> AbstractContextManager[Any]:
    """As it was: a location that nobody has registered is as good as any other one."""
    free = Level.free
    return patch.object(
        Level, "free", lambda self, channel: free(msgspec.structs.replace(self, registered=True), channel)
    )


def _at_once(fact: Any) -> list[Asked]:
    """As if a location's word to those who waited were for nobody: it stands behind its registration."""
    return locations.confirm(fact) if fact.index == 1 else []


def _lapses_by_timer() -> AbstractContextManager[Any]:
    """As it was: a hold counts until a timer has said that its time is over."""
    lapse = stock_decide.Decision.lapse

    def only_when_rung(self: stock_decide.Decision) -> None:
        if isinstance(self.command.data, ExpireReservation):
            lapse(self)

    return patch.object(stock_decide.Decision, "lapse", only_when_rung)


def _keeps_holds_of_shipped() -> AbstractContextManager[Any]:
    """A dispatch does not end the hold that it used up."""

    def ship_only(fact: Any) -> list[Asked]:
        return [row._replace(data=msgspec.structs.replace(row.data, consumed=())) for row in movements.ship(fact)]

    return _instead(movements.ship, ship_only)


def _keeps_offers() -> AbstractContextManager[Any]:
    """As it was: what an order was offered and did not take stayed where it was."""
    return _instead(offers.pass_on, lambda _: [])


PLANTED: Mapping[str, Bug] = {
    "ids_are_not_remembered": Bug("a command that comes twice is decided twice", _forgets_ids),
    "own_ids_are_forgotten": Bug("what reactions repeat after 30 days is done again", _forgets_own_ids, seed=17),
    "own_ids_have_any_length": Bug(
        "what reactions ask for an order with a long id is none", lambda: patch.object(asked, "ID_LENGTH_MAX", 10**6)
    ),
    "ids_are_not_fetched": Bug("ids that were let go of are not looked up", _does_not_look_up_ids, seed=3),
    "new_answers_are_not_listed": Bug(
        "the list of answered commands is never added to", _lists_no_new_answers, seed=351
    ),
    "any_snapshot_will_do": Bug(
        "a restored snapshot is taken for the one that was there", _trusts_any_snapshot, seed=42
    ),
    "position_before_commands": Bug(
        "reactions save how far they are before they have sent", _saves_before_it_sends, seed=10
    ),
    "no_fence": Bug("the projector writes without looking who else did", _no_fence, tables=True),
    "reactions_believe_all": Bug(
        "reactions take every fact for one that counts", lambda: patch.object(reading, "ChainReader", _Believer)
    ),
    "reactions_read_piecemeal": Bug(
        "reactions do not wait for whole decisions", lambda: patch.object(reading, "ChainReader", _Piecemeal)
    ),
    "projector_believes_all": Bug(
        "the projector takes every fact for one that counts",
        lambda: patch.object(columns, "ChainReader", _Believer),
        tables=True,
        seed=2,
    ),
    "takeover_believes_all": Bug(
        "a writer that takes over believes whatever stands there",
        lambda: patch.object(takeover, "ChainReader", _Believer),
        seed=2,
    ),
    "release_twice": Bug("a release is asked for twice", lambda: _doubled(release.release), seed=4),
    "no_tombstone": Bug("a release that comes first is forgotten", _no_tombstone, seed=22),
    "answers_taken_again": Bug("an order takes an old answer again", _answers_again, seed=2),
    "ship_twice": Bug("a dispatch that is repeated moves stock again", lambda: _numbered(movements.ship), seed=2),
    "restore_twice": Bug(
        "a retraction that is repeated brings stock back again", lambda: _numbered(movements.restore), seed=2
    ),
    "decides_by_clock": Bug("a decision depends on when it is made", _looks_at_a_clock),
    "snapshot_too_early": Bug("a snapshot holds what is not on the log", _early_snapshot, seed=7),
    "asides_in_any_order": Bug("facts overtake what was set aside before them", _asides_in_any_order, seed=366),
    "snapshots_past_asides": Bug("a snapshot overtakes what was set aside before it", _snapshots_past_asides, seed=402),
    "promises_twice": Bug("held units are promised again", _promises_twice),
    "promises_anywhere": Bug("units at a place that nobody has registered are promised", _promises_anywhere),
    "registered_too_late": Bug(
        "who asked before a location was registered hears nothing", lambda: _instead(locations.confirm, _at_once)
    ),
    "postponed_for_ever": Bug(
        "who asked before a location answered is never answered",
        lambda: patch.object(awaiting, "answer_postponed", lambda _: None),
    ),
    "holds_lapse_by_timer": Bug("a hold counts until a timer rings", _lapses_by_timer, seed=2),
    "corrections_twice": Bug(
        "a rejection that is repeated corrects the stock again", lambda: _numbered(rejections.correct), seed=3
    ),
    "offers_are_kept": Bug("what was offered and not taken is offered to nobody else", _keeps_offers, seed=740),
    "exchanges_leave_early": Bug(
        "part of a return lets all go that is sent for it",
        lambda: patch.object(exchanging, "_missing", lambda _: {}),
        seed=86,
    ),
    "counts_are_not_restated": Bug(
        "what a count has found already is counted again when it is told",
        lambda: patch.object(stock_decision, "restated", lambda *_: None),
        seed=17,
    ),
    "what_left_ahead_stays_held": Bug(
        "what is held for units that left before their order had an answer stays held",
        lambda: patch.object(stock_decide, "_held_for_what_left", lambda _, data: ([], data.ahead)),
        seed=1,
    ),
    "holds_of_shipped_stay": Bug("what was dispatched stays reserved", _keeps_holds_of_shipped),
    "refusals_move_the_version": Bug("a refusal makes an expected_version stale", _refusals_move_the_version),
    "snapshots_forget_the_version": Bug(
        "a stream from a snapshot counts refusals in its version", _snapshots_forget_the_version, seed=1
    ),
    "amendments_without_effect": Bug(
        "an amendment that changes nothing is accepted",
        lambda: patch.object(amending, "_moves_promise", lambda *_: True),
        seed=13,
    ),
}
