"""Laws that hold after any sequence of commands, whatever was accepted and whatever refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.catalogue import FACTS, STREAMS
from events.envelope import About, Refused
from events.stock import facts as stock_facts
from tests.events import builders as b
from tests.events.test_service import (
    ASSIGN,
    EXCLUDE,
    EXCLUDE_NONE,
    JOIN,
    JOIN_WH1,
    KEEP_BACK,
    KEEP_NOTHING,
    LEAVE,
    NOTE,
    OTHER_RULES,
    REOPEN,
    RESOLVE,
    RULES,
    open_case,
    register,
)
from tests.support.given import NOW, sent

LINES = st.sampled_from(["1", "2", "3"])
UNITS = st.integers(1, 6)
SOME = st.dictionaries(LINES, UNITS, min_size=1, max_size=3)
PLACES = st.sampled_from(["WH1", "WH2"])
ATTEMPTS = st.sampled_from([b.in_round(1), b.in_round(1, 2), b.in_round(1, 999), b.in_round(2)])


@st.composite
def said(draw: st.DrawFn) -> Any:
    """Answers, as they could come late, twice and for what was never asked."""
    return b.answers(
        *(
            b.answer(
                draw(st.sampled_from(["reserved", "refused", "waiting", "offered", "expired", "released", "promised"])),
                draw(UNITS),
                version=draw(st.integers(1, 30)),
                line=draw(LINES),
                location=draw(PLACES),
                attempt=draw(ATTEMPTS),
            )
            for _ in range(draw(st.integers(1, 3)))
        )
    )


ORDER_COMMANDS = st.one_of(
    said(),
    said(),
    st.builds(b.cancel, st.one_of(st.just({}), SOME), by=st.sampled_from(["customer", "seller"])),
    st.builds(b.amend, st.dictionaries(LINES, st.integers(0, 9), min_size=1)),
    st.builds(b.hold, st.sampled_from(["payment", "fraud"])),
    st.builds(b.release_hold, st.sampled_from(["payment", "fraud"])),
    st.builds(b.dispatch, SOME, shipment=st.sampled_from(["s-1", "s-2", "s-3"]), location=PLACES),
    st.builds(
        b.scan,
        st.sampled_from(["in_transit", "delivered", "returned_to_sender"]),
        shipment=st.sampled_from(["s-1", "s-2", "s-3"]),
    ),
    st.builds(b.retract, st.sampled_from(["s-1", "s-2", "s-3"])),
    st.builds(
        b.send_again,
        st.one_of(st.just({}), SOME),
        shipment=st.sampled_from(["s-1", "s-2", "s-3"]),
        reason=st.sampled_from(["lost", "lost", "damaged"]),
    ),
    st.builds(b.ask_return, SOME, return_id=st.sampled_from(["r-1", "r-2"])),
    st.builds(
        b.receive_return,
        SOME,
        return_id=st.sampled_from(["r-1", "r-2"]),
        cause=st.sampled_from([None, None, "customer", "unclaimed", "refused", "recalled"]),
    ),
    st.builds(b.refund, st.integers(1, 900)),
    st.just(b.RELEASE_ORDER),
)
PLACED = st.builds(
    b.place,
    st.dictionaries(LINES, UNITS, min_size=1),
    allocation=st.sampled_from(["ship_available", "all_or_nothing"]),
    release_at=st.none() | st.just(NOW + timedelta(hours=1)),
)

OWNERS = {"order": st.sampled_from(["x", "o-1"]), "line": st.just("1"), "attempt": st.integers(1, 4)}
CHANNELS = st.none() | st.sampled_from(["web", "store"])
ORDERED = st.sampled_from([None, "PO-1", "PO-2"])
TRANSFERS = st.sampled_from(["T-1", "T-2"])
SOON = st.none() | st.integers(-2, 25).map(lambda seconds: NOW + timedelta(seconds=seconds))
STOCK_COMMANDS = st.one_of(
    st.builds(b.receive, UNITS, location=PLACES, po=ORDERED),
    st.builds(b.expect, st.integers(0, 6), SOON, location=PLACES, po=ORDERED.filter(bool)),
    st.just(b.CHECK_EXPECTED),
    st.builds(
        b.channels,
        st.none() | PLACES,
        buffers=st.none() | st.dictionaries(st.sampled_from(["*", "web"]), st.integers(0, 3)),
        excluded_channels=st.sampled_from([(), (), ("web",), ("*",)]),
    ),
    st.builds(b.send, UNITS, TRANSFERS, source=st.just("WH1"), expected_at=SOON),
    st.builds(b.arrive, st.integers(0, 6), TRANSFERS, damaged=st.integers(0, 2), close=st.booleans()),
    st.builds(b.amend_transfer, SOON.filter(bool), TRANSFERS),
    st.builds(b.adjust, st.integers(-4, 4)),
    st.builds(b.move, UNITS),
    st.builds(b.count, st.integers(0, 9)),
    st.builds(b.count, st.integers(0, 9), count_id=st.sampled_from(["A", "B", "C"])),
    st.builds(b.count, st.integers(0, 9), counted_at=SOON.filter(bool)),
    st.builds(b.approve, st.sampled_from(["A", "B", "C"]), approved=st.booleans()),
    st.builds(b.damage, UNITS),
    st.builds(b.set_apart, UNITS),
    st.builds(b.release_quality, UNITS, st.sampled_from(["restock", "damaged", "dispose"])),
    st.builds(b.dispose, UNITS, st.sampled_from(["available", "damaged", "quality_hold"])),
    st.builds(
        b.policy,
        location=PLACES,
        safety_stock=st.none() | st.integers(0, 3),
        reorder_point=st.none() | st.integers(0, 5),
        buffers=st.none() | st.dictionaries(st.sampled_from(["*", "web"]), st.integers(0, 3)),
        recount_above=st.none() | st.integers(0, 3),
        approval_above=st.none() | st.integers(0, 3),
    ),
    st.builds(b.confirm, PLACES),
    st.builds(b.reserve, UNITS, location=PLACES, for_channel=CHANNELS, **OWNERS),
    st.builds(b.reserve, UNITS, location=PLACES, cart_id=st.just("x"), **OWNERS),
    st.builds(b.reserve, UNITS, location=PLACES, expires_at=st.just(NOW + timedelta(seconds=5)), **(OWNERS)),
    st.builds(b.release, UNITS, location=st.sampled_from(["WH1", "WH2", ""]), **OWNERS),
    st.builds(b.wait_for, UNITS, mode=st.sampled_from(["grant", "offer"]), for_channel=CHANNELS, **OWNERS),
    st.builds(b.wait_for, UNITS, cart_id=st.just("x"), **OWNERS),
    st.builds(b.ship, UNITS, st.tuples(st.integers(1, 4), st.sampled_from(["WH1", "WH2", ""]), UNITS), location=PLACES),
    st.builds(b.take_back, UNITS, st.sampled_from(["restock", "damaged", "dispose", "inspect"])),
    st.builds(b.restore, UNITS, st.integers(0, 1), attempt=st.integers(5, 6), location=PLACES),
    st.builds(b.expire, attempt=st.integers(1, 4), location=PLACES),
)

#: Few and small: by kind, what is asked of them in any order.
SMALL = {
    "case": [open_case(), NOTE, ASSIGN, RESOLVE, REOPEN],
    "location": [register(), register(latitude=1.0, longitude=2.0), EXCLUDE, EXCLUDE_NONE, JOIN_WH1],
    "category": [KEEP_BACK, KEEP_NOTHING, JOIN, LEAVE],
    "routing": [RULES, OTHER_RULES],
}


class Life:
    """One stream under a sequence of commands; checks what holds for every kind of stream."""

    def __init__(self, kind: str, stream_id: str) -> None:
        self.kind = STREAMS[kind]
        self.state = self.kind.begin(stream_id)
        self.number = 0

    def live(self, data: Any) -> list[tuple[Any, Any]]:
        """The facts of the command, each with the state after it."""
        now = NOW + timedelta(seconds=self.number)
        self.number += 1
        command = sent(data, at=now, actor=f"person-{self.number % 3}", id=f"c-{self.number}").command()
        answer = self.kind.decide(self.state, command)
        assert answer == self.kind.decide(self.state, command)
        before = self.state
        if isinstance(answer, Refused):
            return []
        about = About.of(command)
        after = []
        # A snapshot between any two facts makes no difference.
        stored = self.kind.encode(self.state)
        for fact in answer:
            plain = msgspec.json.encode(fact)
            assert msgspec.json.decode(plain, type=FACTS[type(fact).__name__].data) == fact
            self.state = self.kind.evolve(self.state, fact, about)
            stored = self.kind.encode(self.kind.evolve(self.kind.decode(stored), fact, about))
            assert self.kind.decode(stored) == self.state
            assert stored == self.kind.encode(self.state)
            after.append((fact, self.state))
        concluded = self.kind.conclude(before, command)
        assert concluded == (answer, self.state), "deciding leaves the state that its facts fold to"
        return after


def check_lines(order: Any) -> None:
    for line in order.lines.values():
        assert line.ordered == line.open + line.backordered + line.allocated + line.shipped + line.cancelled, line
        assert 0 <= line.delivered <= line.shipped, line
        assert 0 <= line.returned_by_customer <= line.returned <= line.shipped, line
        assert line.returned_by_customer <= line.delivered, line
        assert 0 <= line.written_off <= line.shipped - line.delivered, line
        assert 0 <= line.replacing <= min(line.replaced, line.unshipped), line
        assert min(line.idle, line.sourcing, line.cancelled) >= 0, line
        assert all(part.quantity > 0 for part in (*line.holds, *line.waits)), line
        assert line.unshipped >= 0


@settings(max_examples=250, deadline=None)
@given(placed=PLACED, commands=st.lists(ORDER_COMMANDS, max_size=25))
def test_every_unit_of_an_order_is_in_one_place_after_every_fact(placed: Any, commands: list[Any]) -> None:
    life = Life("order", "o-1")
    for data in (placed, *commands):
        for fact, order in life.live(data):
            check_lines(order)
            if type(fact).__name__ == "RefundIssued":
                assert order.refunded_minor <= order.value_minor
        order = life.state
        if order.as_a_whole and order.may_source:
            # Nobody would ever call an order that waits without a place in a queue.
            waits = [wait.attempt for line in order.lines.values() for wait in line.waits]
            assert not waits or any(waits), order


@settings(max_examples=250, deadline=None)
@given(commands=st.lists(STOCK_COMMANDS, max_size=30))
def test_stock_is_the_sum_of_its_movements_and_no_unit_is_promised_twice(commands: list[Any]) -> None:
    life = Life("stock", "MUG")
    on_hand: dict[str, int] = {}
    for data in commands:
        before = start = life.state
        for fact, stock in life.live(data):
            for place, delta in movements(fact):
                on_hand[place] = on_hand.get(place, 0) + delta
            if isinstance(fact, stock_facts.StockReserved):
                if getattr(data, "cart_id", None) is None:
                    assert 0 < fact.quantity <= before.level(fact.location_id).available
                # What a cart hands over was promised before: then there may be less than nothing, but not still less.
                least = min(0, start.level(fact.location_id).available)
                assert stock.level(fact.location_id).available >= least
            for place, level in stock.levels.items():
                kept = level.reserved + level.safety + level.damaged + level.quality_hold
                assert level.on_hand == level.available + kept
                assert level.on_hand == on_hand.get(place, 0)
                assert min(level.safety, level.damaged, level.quality_hold, level.reserved) >= 0
                held = (by_place[place].quantity for by_place in stock.reservations.values() if place in by_place)
                assert level.reserved == sum(held)
            left = {key: transfer.sent - transfer.received for key, transfer in stock.transfers.items()}
            assert sum(left.values()) == on_hand.get("on its way", 0)
            coming = {key.reference: one.quantity for key, one in stock.incoming.items() if key.kind == "transfer"}
            assert coming == left
            assert all(one.quantity > 0 for one in stock.incoming.values())
            assert all(waiting.quantity > 0 for waiting in stock.queue.values())
            before = stock


def movements(fact: Any) -> list[tuple[str, int]]:
    match fact:
        case stock_facts.StockReceived():
            return [(fact.location_id, fact.quantity)]
        case stock_facts.StockAdjusted():
            return [(fact.location_id, fact.quantity_delta)]
        case stock_facts.StockMoved():
            return [(fact.from_location_id, -fact.quantity), (fact.to_location_id, fact.quantity)]
        case stock_facts.TransferStarted():
            return [(fact.from_location_id, -fact.quantity), ("on its way", fact.quantity)]
        case stock_facts.TransferReceived():
            return [("on its way", -fact.quantity), (fact.location_id, fact.quantity)]
        case stock_facts.TransferDiffered():
            return [("on its way", -fact.missing)]
        case stock_facts.StockCounted():
            return [(fact.location_id, fact.variance)]
        case stock_facts.CountRestated():
            return [(fact.location_id, fact.variance - fact.variance_before)]
        case stock_facts.StockShipped():
            return [(fact.location_id, -fact.quantity)]
        case stock_facts.StockRestored():
            return [(fact.location_id, fact.quantity)]
        case stock_facts.StockDisposed():
            return [(fact.location_id, -fact.quantity)]
        case stock_facts.QualityHoldReleased() if fact.disposition == "dispose":
            return [(fact.location_id, -fact.quantity)]
        case stock_facts.StockReturned() if fact.disposition != "dispose":
            return [(fact.location_id, fact.quantity)]
    return []


@settings(max_examples=250, deadline=None)
@given(commands=st.lists(STOCK_COMMANDS.filter(lambda data: getattr(data, "mode", "") != "offer"), max_size=30))
def test_nobody_waits_while_there_is_a_unit_that_could_be_given(commands: list[Any]) -> None:
    life = Life("stock", "MUG")
    for data in commands:
        life.live(data)
        for waiting in life.state.queue.values():
            assert not sum(level.free(waiting.for_channel) for level in life.state.levels.values()), data


@settings(max_examples=100, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", sorted(STREAMS.keys() - {"order", "stock"}))
def test_a_small_stream_is_written_to_a_snapshot_and_back_at_any_moment(kind: str, data: st.DataObject) -> None:
    life = Life(kind, "k-1")
    for one in data.draw(st.lists(st.sampled_from(SMALL[kind]), max_size=12)):
        life.live(one)
