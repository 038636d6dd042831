"""A dispatch that was a mistake is taken back: its units are what they were, and no scan says that they left."""

from __future__ import annotations

from datetime import timedelta

import pytest

from events.attempts import held_again, round_of
from events.orders import facts as f
from events.orders.exchanging import WithdrawReturn
from tests.events.builders import (
    amend,
    answer,
    answers,
    ask_return,
    cancel,
    dispatch,
    hold,
    in_round,
    line_of,
    place,
    receive_return,
    release_hold,
    reserved,
    retract,
    scan,
    send_again,
    waiting,
)
from tests.support.given import NOW, given, like, sent

SHIPPED = (place({"1": 2}), reserved(2), dispatch({"1": 2}))
#: For tests/events/test_no_effect.py: what comes before the command, and the command.
EXAMPLES = {"RetractDispatch": (SHIPPED, retract())}


def test_units_that_were_held_there_are_held_there_again_under_a_new_attempt() -> None:
    story = given(*SHIPPED).when(sent(retract(), at=NOW + timedelta(hours=1)))
    story.then(
        like(f.DispatchRetracted, location_id="WH1", dispatched_at=NOW, reason="wrong gate", crossed=False),
        f.OrderAllocated,
    )
    (line,) = story.answer[0].lines
    assert (line.quantity, line.to_allocated, line.to_open) == (2, 2, 0)
    assert held_again(line.attempt)
    assert round_of(line.attempt) == story.state.round == 1, "nothing is asked"
    assert line_of(story.state) == {"ordered": 2, "allocated": 2}
    assert [(one.location_id, one.quantity) for one in story.state.lines["1"].holds] == [("WH1", 2)]


def test_a_parcel_that_its_clock_says_leaves_tomorrow_was_dispatched_when_that_was_told() -> None:
    tomorrow = NOW + timedelta(days=1)
    story = given(*SHIPPED[:2], sent(dispatch({"1": 2}), occurred_at=tomorrow)).when(retract())
    story.then(like(f.DispatchRetracted, dispatched_at=NOW), f.OrderAllocated)


@pytest.mark.parametrize("before", [(), (waiting(2),), (reserved(2, location="WH2"),)], ids=["asked", "waits", "WH2"])
def test_units_that_nothing_was_held_for_there_are_looked_for_again(before: tuple[object, ...]) -> None:
    story = given(place({"1": 2}), *before, dispatch({"1": 2})).when(retract())
    story.then(f.DispatchRetracted, like(f.SourcingRequested, round=2))
    assert line_of(story.state) == {"ordered": 2, "open": 2}


def test_what_stock_still_says_of_the_parcel_allocates_nothing_twice() -> None:
    """The question was under way when its units were said to have left: its answer is for the parcel, and told so."""
    story = given(place({"1": 2}), dispatch({"1": 2}), retract())
    story.when(reserved(2)).then(like(f.LineAllocated, quantity=2), f.OrderAllocated)
    story.when(answers(answer("shipped", 2, version=2)))
    story.then(
        like(f.LineDeallocated, reason="shipped"), like(f.AllocationAnswered, outcome="shipped"), f.SourcingRequested
    )
    story.when(reserved(2, version=3, attempt=in_round(3))).then(f.LineAllocated, f.OrderAllocated)
    story.when(reserved(2, version=4, attempt=in_round(4))).then(f.ReservationSurrendered)
    assert line_of(story.state) == {"ordered": 2, "allocated": 2}
    assert (story.state.lines["1"].ahead, story.state.lines["1"].covers) == ((), ())


def test_what_cannot_be_held_again_is_looked_for() -> None:
    """Somebody counted the units meanwhile, and they were promised to others."""
    story = given(*SHIPPED, retract())
    (held,) = story.state.lines["1"].holds
    story.when(answers(answer("refused", 1, version=2, attempt=held.attempt, available=0)))
    story.then(like(f.LineDeallocated, quantity=1, reason="refused"), like(f.SourcingRequested, excluded=()))
    assert line_of(story.state) == {"ordered": 2, "open": 1, "allocated": 1}


def test_that_it_cannot_be_held_again_changes_nothing_of_what_is_asked_meanwhile() -> None:
    story = given(*SHIPPED, retract())
    (held,) = story.state.lines["1"].holds
    story.when(dispatch({"1": 2}, shipment="s-2"), amend({"1": 3}))
    story.when(answers(answer("refused", 2, version=2, attempt=held.attempt, available=0)))
    story.then(like(f.AllocationAnswered, quantity=0))
    assert line_of(story.state) == {"ordered": 2, "shipped": 2}


def test_units_that_had_been_called_off_are_called_off_again() -> None:
    story = given(place({"1": 3}), cancel({"1": 1}), amend({"1": 1}), dispatch({"1": 3}))
    assert line_of(story.state) == {"ordered": 3, "shipped": 3}
    story.when(retract()).then(like(f.DispatchRetracted, crossed=True), f.SourcingRequested)
    assert line_of(story.state) == {"ordered": 2, "open": 1, "cancelled": 1}
    story.when(dispatch({"1": 4}, shipment="s-2")).then_refused("limit", at_most=3)


def test_an_order_that_was_cancelled_is_cancelled_again() -> None:
    story = given(place({"1": 2}), cancel(), dispatch({"1": 2}), retract())
    assert line_of(story.state) == {"ordered": 2, "cancelled": 2}
    assert not isinstance(story.answer[-1], f.SourcingRequested), "nobody wants it"


def test_units_that_an_amendment_counts_are_wanted_whatever_was_said_before_they_left() -> None:
    story = given(
        place({"1": 3}), cancel({"1": 2}), dispatch({"1": 3}), amend({"1": 4}), reserved(1, attempt=in_round(2))
    )
    story.when(retract())
    assert line_of(story.state) == {"ordered": 4, "open": 3, "allocated": 1}


def test_an_amendment_that_is_being_asked_for_is_of_the_order_as_it_will_be() -> None:
    story = given(*SHIPPED, amend({"1": 3})).when(retract())
    story.then(like(f.OrderAmended, amendment_id="A1"), f.DispatchRetracted)
    assert line_of(story.state) == {"ordered": 3, "open": 1, "allocated": 2}


def test_a_parcel_that_was_scanned_has_left() -> None:
    for status in ("picked_up", "in_transit", "delivered", "lost", "returned_to_sender"):
        story = given(*SHIPPED, scan(status)).when(retract())
        story.then_refused("impossible", says=status.replace("_", " "))


def test_a_scan_that_waited_for_the_parcel_has_seen_it() -> None:
    given(place({"1": 2}), scan("in_transit"), dispatch({"1": 2})).when(retract()).then_refused("impossible")


def test_a_scan_of_a_parcel_that_never_left_is_refused_and_says_what_to_do() -> None:
    given(*SHIPPED, retract()).when(scan()).then_refused("conflict", says="a new shipment_id")


def test_a_dispatch_is_retracted_once_and_its_number_never_used_again() -> None:
    story = given(*SHIPPED, retract())
    story.when(retract()).then_refused("conflict", says="before")
    story.when(dispatch({"1": 2})).then_refused("conflict", says="retracted")
    story.when(dispatch({"1": 2}, shipment="s-2")).then(f.ShipmentDispatched)
    story.when(retract("s-9")).then_refused("unknown", says="s-1, s-2")


def test_what_customers_have_got_or_announced_had_left() -> None:
    given(*SHIPPED, receive_return({"1": 1})).when(retract()).then_refused("conflict", says="1 arrived")
    given(*SHIPPED, receive_return({"1": 1}, cause="refused")).when(retract()).then_refused("conflict")
    story = given(*SHIPPED, ask_return({"1": 1})).when(retract()).then_refused("conflict", says="WithdrawReturn")
    story.when(WithdrawReturn(order_id="o-1", return_id="r-1", reason="a mistake"), retract())
    assert line_of(story.state) == {"ordered": 2, "allocated": 2}


def test_another_parcel_may_have_held_what_came_back() -> None:
    story = given(place({"1": 4}), reserved(4), dispatch({"1": 2}), dispatch({"1": 2}, shipment="s-2"))
    story.when(receive_return({"1": 2}), retract())
    assert line_of(story.state) == {
        "ordered": 4, "allocated": 2, "shipped": 2, "delivered": 2, "returned": 2, "returned_by_customer": 2,
    }  # fmt: skip
    story.when(retract("s-2")).then_refused("conflict")


def test_a_held_order_keeps_what_it_had_and_asks_for_nothing() -> None:
    story = given(*SHIPPED[:2], hold(), dispatch({"1": 2})).when(retract())
    story.then(f.DispatchRetracted, f.OrderAllocated)
    story = given(place({"1": 2}), waiting(2), hold(), dispatch({"1": 2})).when(retract()).then(f.DispatchRetracted)
    assert line_of(story.state) == {"ordered": 2, "open": 2}
    story.when(release_hold()).then(f.HoldReleased, f.SourcingRequested)


def test_a_hold_that_keeps_no_stock_lets_go_of_it() -> None:
    story = given(place({"1": 3}), reserved(2), dispatch({"1": 2}), hold(stock="release")).when(retract())
    story.then(f.DispatchRetracted, like(f.LineDeallocated, reason="hold"))
    assert line_of(story.state) == {"ordered": 3, "open": 3}


def test_an_all_or_nothing_order_holds_all_again_or_nothing() -> None:
    whole = place({"1": 1, "2": 1}, allocation="all_or_nothing")
    both = (reserved(1), reserved(1, line="2"))
    story = given(whole, *both, dispatch({"1": 1, "2": 1})).when(retract())
    story.then(f.DispatchRetracted, f.OrderAllocated)
    story = given(whole, reserved(1), reserved(1, line="2", location="WH2"), dispatch({"1": 1, "2": 1})).when(retract())
    story.then(f.DispatchRetracted, like(f.LineDeallocated, reason="all_or_nothing"), f.SourcingRequested)
    assert not any(line.holds for line in story.state.lines.values())


def test_a_parcel_that_was_replaced_as_lost_and_is_still_there_needs_no_replacement() -> None:
    story = given(*SHIPPED, send_again({"1": 1}))
    assert line_of(story.state) == {"ordered": 3, "open": 1, "shipped": 2, "replaced": 1, "written_off": 1}
    story.when(retract())
    assert line_of(story.state) == {"ordered": 2, "open": 1, "allocated": 1}
    assert (story.state.lines["1"].replacing, story.state.value_minor) == (0, 200)


def test_a_parcel_of_which_somebody_has_seen_the_goods_has_left() -> None:
    given(*SHIPPED, send_again(reason="damaged")).when(retract()).then_refused("impossible", says="damaged")
