"""One SKU under a machine that asks what it likes, remembers what it was told, and compares; Hypothesis makes it small.

The simulation drives the whole; here is one stream, so that a failure names a rule of stock and nothing else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from events.catalogue import STREAMS
from events.envelope import About, Refused
from events.stock import facts as f
from tests.events import builders as b
from tests.support.given import NOW, sent

UNITS = st.integers(1, 5)
PLACES = st.sampled_from(["WH1", "WH2"])
ATTEMPTS = st.integers(1, 5)


class Sku(RuleBasedStateMachine):
    """`held`: what each attempt was told that it holds; `on_hand`: the sum of what was said to have moved."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = STREAMS["stock"]
        self.state = self.kind.begin("MUG")
        self.now = NOW
        self.held: dict[tuple[int, str], int] = {}
        self.on_hand: dict[str, int] = {}

    def ask(self, data: Any) -> None:
        self.now += timedelta(seconds=1)
        command = sent(data, at=self.now).command()
        answer = self.kind.decide(self.state, command)
        if isinstance(answer, Refused):
            return
        for fact in answer:
            self.hear(fact)
            self.state = self.kind.evolve(self.state, fact, About("web", self.now, self.now))

    def hear(self, fact: Any) -> None:
        match fact:
            case f.StockReceived():
                self.on_hand[fact.location_id] = self.on_hand.get(fact.location_id, 0) + fact.quantity
            case f.StockShipped():
                self.on_hand[fact.location_id] = self.on_hand.get(fact.location_id, 0) - fact.quantity
                for part in fact.consumed:
                    self.let_go(part.attempt, part.location_id, part.quantity)
            case f.StockReserved():
                held = self.held.get((fact.attempt, fact.location_id), 0)
                self.held[fact.attempt, fact.location_id] = held + fact.quantity
                taken = sum(units for (_, place), units in self.held.items() if place == fact.location_id)
                assert taken <= self.on_hand.get(fact.location_id, 0), "a unit is promised once"
            case f.StockReleased() | f.ReservationExpired():
                self.let_go(fact.attempt, fact.location_id, fact.quantity)

    def let_go(self, attempt: int, place: str, units: int) -> None:
        self.held[attempt, place] -= units
        assert self.held[attempt, place] >= 0, "nothing is let go twice"

    @rule(units=UNITS, place=PLACES)
    def receive(self, units: int, place: str) -> None:
        self.ask(b.receive(units, location=place))

    @rule(units=UNITS, place=PLACES, attempt=ATTEMPTS)
    def reserve(self, units: int, place: str, attempt: int) -> None:
        self.ask(b.reserve(units, location=place, attempt=attempt))

    @rule(units=UNITS, place=PLACES, attempt=ATTEMPTS)
    def reserve_for_a_second(self, units: int, place: str, attempt: int) -> None:
        expires_at = self.now + timedelta(seconds=2)
        self.ask(b.reserve(units, location=place, attempt=attempt, expires_at=expires_at))
        self.now += timedelta(seconds=1)
        self.ask(b.expire(order="o-1", attempt=attempt, location=place))

    @rule(units=UNITS, place=st.sampled_from(["WH1", "WH2", ""]), attempt=ATTEMPTS)
    def release(self, units: int, place: str, attempt: int) -> None:
        self.ask(b.release(units, location=place, attempt=attempt))

    @rule(units=UNITS, attempt=ATTEMPTS)
    def wait(self, units: int, attempt: int) -> None:
        self.ask(b.wait_for(units, attempt=attempt))

    @rule(place=PLACES, attempt=ATTEMPTS)
    def ship_what_is_held(self, place: str, attempt: int) -> None:
        units = self.held.get((attempt, place), 0)
        if units:
            self.ask(b.ship(units, (attempt, place, units), location=place))

    @invariant()
    def everybody_remembers_the_same(self) -> None:
        told = {key: units for key, units in self.held.items() if units}
        known = {
            (attempt.attempt, place): reservation.quantity
            for attempt, by_place in self.state.reservations.items()
            for place, reservation in by_place.items()
        }
        assert known == told
        assert {place: level.on_hand for place, level in self.state.levels.items() if level.on_hand} == {
            place: units for place, units in self.on_hand.items() if units
        }

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        if self.state.queue:
            assert not sum(level.free(None) for level in self.state.levels.values())

    @invariant()
    def a_snapshot_makes_no_difference(self) -> None:
        assert self.kind.decode(self.kind.encode(self.state)) == self.state


TestSku = Sku.TestCase
TestSku.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
