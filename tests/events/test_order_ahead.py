"""A parcel that is told before stock has answered: the order counts its units as shipped, and takes the answers that
come for them as what they are.
"""

from __future__ import annotations

from typing import Any

from events.orders import commands as c
from events.orders import facts as f
from events.orders.state import Hold
from tests.events.builders import answer, answers, dispatch, in_round, line_of, place, reserved, waiting
from tests.support.given import given, like

WAIT = in_round(1, 999)


def left(units: int, *, version: int, location: str = "WH1", attempt: int = in_round(1)) -> c.RecordAllocation:
    """Stock says that what it held or was asked for has left with the parcel."""
    return answers(answer("shipped", units, version=version, location=location, attempt=attempt))


def test_an_answer_for_units_that_have_left_is_kept_until_stock_says_that_it_left_with_them() -> None:
    story = given(place({"1": 2}), dispatch({"1": 2})).when(reserved(2))
    story.then(like(f.AllocationAnswered, outcome="covers", quantity=2))
    story.when(left(2, version=2)).then(like(f.AllocationAnswered, outcome="shipped", quantity=2))
    assert (story.state.lines["1"].ahead, story.state.lines["1"].covers) == ((), ())
    assert line_of(story.state) == {"ordered": 2, "shipped": 2}


def test_what_is_held_beyond_the_units_that_left_is_given_back() -> None:
    story = given(place({"1": 2}), dispatch({"1": 2})).when(reserved(3))
    story.then(
        like(f.ReservationSurrendered, quantity=1, stock_version=1),
        like(f.AllocationAnswered, outcome="covers", quantity=2),
    )


def test_a_place_in_the_queue_that_was_for_units_that_left_is_the_same_units_when_it_is_granted() -> None:
    """Seed 2022588 of the simulation: 3 of 4 were refused, and the unit that waited counted twice once it was held."""
    story = given(
        place({"1": 4}),
        dispatch({"1": 4}),
        answers(answer("refused", 3, version=1)),
        waiting(1, version=2, attempt=WAIT),
    )
    story.when(reserved(1, version=3, attempt=WAIT)).then(like(f.AllocationAnswered, outcome="covers", quantity=1))
    assert story.state.lines["1"].covers == (Hold(WAIT, "WH1", 1),)
    story.when(left(1, version=4, attempt=WAIT)).then(like(f.AllocationAnswered, outcome="shipped", quantity=1))
    assert story.state.lines["1"].covers == ()


def test_what_is_granted_beyond_the_place_that_covered_is_looked_at_by_itself() -> None:
    story = given(place({"1": 2}), dispatch({"1": 1}), waiting(2, attempt=WAIT))
    story.when(reserved(2, version=2, attempt=WAIT)).then(
        like(f.LineAllocated, quantity=1), like(f.AllocationAnswered, outcome="covers", quantity=1), f.OrderAllocated
    )
    assert story.state.lines["1"].covers == (Hold(WAIT, "WH1", 1),)


def test_a_question_for_units_that_left_is_over_when_stock_says_so() -> None:
    story = given(place({"1": 2}), dispatch({"1": 2})).when(left(2, version=1))
    story.then(like(f.AllocationAnswered, outcome="shipped"))
    story.when(reserved(1, version=2)).then(like(f.ReservationSurrendered, quantity=1))


def test_the_rest_of_a_line_is_allocated_by_what_stock_did_not_take_for_the_parcel() -> None:
    """Stock takes the units at WH1 for the parcel, and the order had taken them for those that are still wanted."""
    story = given(
        place({"1": 5}), dispatch({"1": 3}), reserved(3), reserved(2, location="WH2", version=2, attempt=in_round(1, 2))
    )
    assert line_of(story.state) == {"ordered": 5, "allocated": 2, "shipped": 3}
    story.when(left(3, version=3)).then(
        like(f.LineDeallocated, location_id="WH1", quantity=2, reason="shipped", releases=()),
        like(f.AllocationAnswered, outcome="shipped"),
        like(f.ReservationSurrendered, quantity=2, stock_version=None),
        like(f.SourcingRequested, round=2),
    )
    given_back: Any = story.answer[2]
    assert [(one.location_id, one.quantity) for one in given_back.releases] == [("WH2", 2)]


def test_a_place_in_the_queue_that_was_for_units_that_left_is_asked_for_again_as_far_as_it_is_missing() -> None:
    story = given(place({"1": 5}), dispatch({"1": 3}), waiting(5))
    assert line_of(story.state) == {"ordered": 5, "backordered": 2, "shipped": 3}
    story.when(left(3, version=2, location="", attempt=WAIT)).then(like(f.AllocationAnswered, outcome="shipped"))
    assert line_of(story.state) == {"ordered": 5, "backordered": 2, "shipped": 3}


def test_the_wait_for_units_that_are_still_wanted_may_have_ended_with_the_parcel() -> None:
    story = given(place({"1": 5}), dispatch({"1": 3}), waiting(2), reserved(3, version=2))
    assert line_of(story.state) == {"ordered": 5, "backordered": 2, "shipped": 3}
    story.when(left(2, version=3, location="", attempt=WAIT)).then(
        like(f.BackorderReopened, quantity=2, releases=(), reason="shipped"),
        like(f.AllocationAnswered, outcome="shipped"),
        like(f.ReservationSurrendered, quantity=2),
        like(f.SourcingRequested, round=2),
    )


def test_an_answer_of_a_later_round_is_for_other_units() -> None:
    story = given(place({"1": 3}), answers(answer("refused", 3, version=1)), dispatch({"1": 1}))
    assert story.state.lines["1"].ahead[0].round == 2
    story.when(reserved(3, version=2, attempt=in_round(2)))
    story.then(
        like(f.LineAllocated, quantity=2),
        like(f.AllocationAnswered, outcome="covers", quantity=1),
        like(f.OrderAllocated),
    )


def test_the_place_in_the_queue_of_an_order_that_goes_as_a_whole_is_the_orders_own_to_end() -> None:
    """Seed 920090 of the simulation: it was kept for goods that had left, and nobody ever ended it."""
    whole = place({"1": 2}, allocation="all_or_nothing")
    story = given(whole, dispatch({"1": 2})).when(waiting(2))
    story.then(like(f.ReservationSurrendered, quantity=2))


def test_an_order_that_asked_for_a_place_only_goes_on_when_what_it_asked_for_has_left() -> None:
    """In its first round a whole order may ask for the line only that its look-up did not find. Nothing else is under
    way then. Seen (a history told at once): the other line was sourced for ever.
    """
    lines = {"1": ("MUG", 4), "2": ("TRAY", 1)}
    story = given(place(lines, allocation="all_or_nothing"), dispatch({"2": 1}))
    gone = answers(answer("shipped", 1, version=1, line="2", location="", attempt=WAIT))
    story.when(gone)
    assert story.state.lines["1"].sourcing == 4
    assert story.answer[-1] == like(f.SourcingRequested, round=2)
    story.when(reserved(4, attempt=in_round(2))).then(f.LineAllocated, f.OrderAllocated)
