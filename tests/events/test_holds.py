"""Holds: several at once, nothing new while one is set, and what becomes of what an order has already."""

from __future__ import annotations

from hypothesis import given as for_all
from hypothesis import strategies as st

from events.envelope import INTERNAL_CHANNEL
from events.orders import facts as f
from tests.events.builders import (
    answer,
    answers,
    cancel,
    dispatch,
    hold,
    in_round,
    line_of,
    place,
    receive,
    release,
    release_hold,
    reserved,
    wait_for,
    waiting,
)
from tests.events.shop import Shop
from tests.support.given import Story, given, like, sent

WHOLE = {"allocation": "all_or_nothing"}


def let_go(attempt: int, location_id: str, quantity: int, line: str = "1") -> f.Release:
    return f.Release(line_id=line, sku=f"SKU-{line}", attempt=attempt, location_id=location_id, quantity=quantity)


def one_held_and_two_waiting() -> Story:
    said = answers(
        answer("reserved", 1, version=1, attempt=in_round(1, 999)),
        answer("waiting", 2, version=2, attempt=in_round(1, 999)),
    )
    return given(place({"1": 3}), said)


def test_the_first_hold_ends_the_places_in_queues_and_keeps_what_is_held() -> None:
    story = one_held_and_two_waiting().when(hold())
    story.then(
        like(f.OrderHeld, hold="payment", stock="keep"),
        like(f.BackorderReopened, quantity=2, reason="hold", releases=(let_go(in_round(1, 999), "", 2),)),
    )
    assert line_of(story.state) == {"ordered": 3, "open": 2, "allocated": 1}


def test_a_hold_may_let_go_of_what_is_held_too() -> None:
    story = one_held_and_two_waiting().when(hold(stock="release"))
    story.then(
        like(f.OrderHeld, stock="release"),
        f.BackorderReopened,
        like(f.LineDeallocated, reason="hold", quantity=1, releases=(let_go(in_round(1, 999), "WH1", 1),)),
    )
    assert line_of(story.state) == {"ordered": 3, "open": 3}


def test_a_second_hold_may_let_go_of_what_the_first_one_kept() -> None:
    story = given(place(), reserved(2), hold("payment")).when(hold("fraud", stock="release"))
    story.then(f.OrderHeld, like(f.LineDeallocated, reason="hold"))


def test_only_when_the_last_hold_is_gone_the_order_asks_again() -> None:
    story = given(place(), waiting(2), hold("payment"), hold("fraud"))
    story.when(release_hold("payment")).then(f.HoldReleased)
    story.when(release_hold("fraud")).then(f.HoldReleased, like(f.SourcingRequested, round=2))


def test_what_was_asked_before_the_hold_is_kept_when_it_comes() -> None:
    story = given(place(), hold()).when(reserved(2)).then(f.LineAllocated, f.OrderAllocated)
    assert line_of(story.state) == {"ordered": 2, "allocated": 2}


def test_what_was_asked_before_a_hold_that_lets_go_goes_back_when_it_comes() -> None:
    story = given(place(), hold(stock="release")).when(reserved(2))
    story.then(f.LineAllocated, like(f.LineDeallocated, reason="hold", releases=(let_go(in_round(1), "WH1", 2),)))
    assert line_of(story.state) == {"ordered": 2, "open": 2}


def test_a_place_in_a_queue_that_was_asked_for_before_the_hold_is_given_back_at_once() -> None:
    story = given(place(), hold()).when(waiting(2))
    story.then(f.LineBackordered, like(f.BackorderReopened, reason="hold", releases=(let_go(in_round(1, 999), "", 2),)))


def test_a_grant_that_crosses_the_hold_goes_back() -> None:
    """The stock stream had granted before it heard that the place is given up."""
    story = given(place(), waiting(2), hold()).when(reserved(2, version=2, attempt=in_round(1, 999)))
    story.then(like(f.ReservationSurrendered, quantity=2, releases=(let_go(in_round(1, 999), "WH1", 2),)))
    assert line_of(story.state) == {"ordered": 2, "open": 2}


def test_what_was_being_sought_when_the_hold_came_is_sought_on_elsewhere() -> None:
    """Had stock been quicker, it would have been held before."""
    story = given(place(), hold()).when(answers(answer("refused", 2, version=1)))
    story.then(f.AllocationAnswered, like(f.SourcingRequested, round=2))
    story.when(reserved(2, version=2, attempt=in_round(2))).then(f.LineAllocated, f.OrderAllocated)
    story.when(answers(answer("expired", 2, version=3, attempt=in_round(2)))).then(f.LineDeallocated)


def test_what_was_being_sought_and_has_to_wait_waits_for_the_end_of_the_hold() -> None:
    story = given(place(), hold()).when(waiting(2))
    story.then(f.LineBackordered, like(f.BackorderReopened, reason="hold"))
    story.when(release_hold()).then(f.HoldReleased, f.SourcingRequested)


def test_nothing_is_sought_under_a_hold_that_lets_go_of_stock() -> None:
    refused = answers(answer("refused", 2, version=1))
    given(place(), hold(stock="release")).when(refused).then(f.AllocationAnswered)
    given(place(), hold(), hold("fraud", stock="release")).when(refused).then(f.AllocationAnswered)


def test_units_that_come_when_the_hold_is_set_are_not_sought() -> None:
    """Here: a location that cannot provide what it was to ship. The other line is sought on."""
    story = given(place({"1": 1, "2": 1}), reserved(1), hold(), answers(answer("refused", 1, version=1, line="2")))
    story.when(answers(answer("expired", 1, version=2))).then(f.LineDeallocated)
    story.when(answers(answer("refused", 1, version=2, line="2", attempt=in_round(2)))).then(
        f.AllocationAnswered, like(f.SourcingRequested, round=3)
    )
    assert [line.line_id for line in story.answer[1].lines] == ["2"]


def test_a_lost_reservation_of_a_held_order_is_not_sourced_before_the_hold_is_gone() -> None:
    story = given(place(), reserved(2), hold()).when(answers(answer("expired", 2, version=2)))
    story.then(like(f.LineDeallocated, reason="expired"))
    story.when(release_hold()).then(f.HoldReleased, f.SourcingRequested)


def test_a_held_order_may_be_shipped_and_cancelled_all_the_same() -> None:
    story = given(place({"1": 3}), reserved(3), hold())
    story.when(dispatch({"1": 1})).then(f.ShipmentDispatched)
    story.when(cancel({"1": 1})).then(f.OrderCancelled)


# As a whole


def test_an_order_that_goes_as_a_whole_keeps_what_it_holds_when_that_is_everything() -> None:
    story = given(place({"1": 1, "2": 1}, **WHOLE), reserved(1), reserved(1, line="2")).when(hold())
    story.then(f.OrderHeld)


def test_an_order_that_goes_as_a_whole_keeps_no_part_of_it_while_it_is_held() -> None:
    refused = answers(answer("refused", 1, version=1, line="2"))
    story = given(place({"1": 1, "2": 1}, **WHOLE), reserved(1), refused)  # now it acquires line by line: 1 comes first
    story.when(hold(), reserved(1, version=2, attempt=in_round(2)))
    story.then(f.LineAllocated, like(f.SourcingRequested, round=3))  # it was being sought as a whole
    story.when(waiting(1, line="2", version=2, attempt=in_round(3)))
    story.then(
        like(f.LineBackordered, line_id="2"),
        like(f.LineDeallocated, line_id="1", reason="all_or_nothing"),
        like(f.LineBackordered, line_id="1"),
        like(f.BackorderReopened, line_id="1", reason="hold"),
        like(f.BackorderReopened, line_id="2", reason="hold"),
    )
    assert [line.open for line in story.state.lines.values()] == [1, 1]


def test_an_order_that_waits_as_a_whole_waits_no_more_while_it_is_held() -> None:
    story = given(place({"1": 1, "2": 1}, **WHOLE), reserved(1), waiting(1, line="2")).when(hold())
    story.then(f.OrderHeld, like(f.BackorderReopened, line_id="1"), like(f.BackorderReopened, line_id="2"))
    assert story.answer[2].releases == (let_go(in_round(1, 999), "", 1, line="2"),)


def test_the_place_of_an_order_that_goes_as_a_whole_ends_whole() -> None:
    """It is for all that the order needs of the SKU, thus for more than the line that it is named by."""
    story = given(wait_for(4, mode="offer")).when(sent(release(2, location=""), channel=INTERNAL_CHANNEL))
    assert [(type(fact).__name__, fact.quantity) for fact in story.answer] == [("WaitEnded", 4)]


# Among others


@for_all(seed=st.integers(0, 10_000), stock=st.sampled_from(["keep", "release"]))
def test_a_held_order_lets_younger_ones_pass_and_then_stands_where_it_stood(seed: int, stock: str) -> None:
    shop = Shop(seed)
    for order_id in ("o-1", "o-2", "o-3"):
        shop.ask(place({"1": ("MUG", 1)}, order_id=order_id))
    shop.run()
    shop.ask(hold(stock=stock))
    shop.run()
    shop.ask(receive(1))
    shop.run()
    assert shop.orders["o-2"].fully_allocated
    shop.ask(release_hold())
    shop.run()
    shop.ask(receive(1))
    shop.run()
    assert shop.orders["o-1"].fully_allocated
    assert not shop.orders["o-3"].fully_allocated


@for_all(seed=st.integers(0, 10_000), stock=st.sampled_from(["keep", "release"]))
def test_whatever_crosses_the_hold_an_order_that_goes_as_a_whole_stands_in_nobodys_way(seed: int, stock: str) -> None:
    shop = Shop(seed)
    lines = {"1": ("A", 1), "2": ("B", 1)}
    for order_id in ("o-1", "o-2"):
        shop.ask(place(lines, order_id=order_id, allocation="all_or_nothing"))
    shop.ask(hold(stock=stock), receive(1, sku="A"), receive(1, sku="B"))
    shop.run()
    assert sum(order.fully_allocated for order in shop.orders.values()) == 1
    held = shop.orders["o-1"]
    assert not any(line.waits for line in held.lines.values())
    assert len({bool(line.holds) for line in held.lines.values()}) == 1
    shop.ask(release_hold(), receive(1, sku="A"), receive(1, sku="B"))
    shop.run()
    assert all(order.fully_allocated for order in shop.orders.values())


def test_an_order_that_goes_as_a_whole_says_what_it_may_have_been_offered_and_does_not_take_while_it_is_held() -> None:
    placed = place({"1": 2, "2": 1}, allocation="all_or_nothing")
    offered = answers(answer("offered", 2, version=2, attempt=in_round(1, 999)))
    story = given(placed, waiting(2), offered).when(hold())
    assert story.answer[0].open_skus == ("SKU-2",), "line 1 is being asked for"
    # An offer that comes while it is held.
    late = answers(answer("offered", 2, version=1, attempt=in_round(1, 999)))
    story = given(placed, hold(stock="release")).when(late)
    assert story.answer[-1].outcome == "offered"
    # It takes the offer where it was being sought when the hold came.
    story = given(placed, hold()).when(late)
    assert type(story.answer[-1]) is f.SourcingRequested
