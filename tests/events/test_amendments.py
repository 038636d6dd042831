"""More is given whole or not at all, as the stock streams answer; less goes at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from msgspec.structs import replace

from events.attempts import attempt_number, round_of
from events.orders import commands as c
from events.orders import facts as f
from tests.events.builders import (
    RELEASE_ORDER,
    adjust,
    amend,
    answer,
    answers,
    at,
    cancel,
    dispatch,
    hold,
    line_of,
    place,
    receive,
    reject,
    reserved,
    waiting,
)
from tests.events.shop import Shop
from tests.support.given import Story, given, like

WHOLE = {"allocation": "all_or_nothing"}


def extra(
    units: int, *, line: str = "1", version: int = 2, round_: int = 2, part: int = 1, location: str = "WH1"
) -> Any:
    """The stock stream has set aside units for the amendment of that round."""
    attempt = attempt_number(round_, part, location, units)
    return answer("reserved", units, line=line, version=version, attempt=attempt, location=location)


def no_extra(units: int, available: int, *, line: str = "1", version: int = 2) -> c.Answer:
    attempt = attempt_number(2, 1, "WH1", units)
    return c.Answer(
        line_id=line, attempt=attempt, outcome="refused", location_id="WH1", quantity=units, available=available,
        stock_version=version,
    )  # fmt: skip


def asked_for_three_more() -> Story:
    return given(place({"1": 2, "2": 4}), reserved(2), reserved(4, line="2")).when(amend({"1": 5, "2": 3}))


def waits(units: int, *, line: str = "1", version: int = 2, round_: int = 2, part: int = 1) -> c.Answer:
    """The stock stream has too little: so many units of the amendment wait."""
    return c.Answer(
        line_id=line,
        attempt=attempt_number(round_, part, "WH1", units),
        outcome="waiting",
        location_id="",
        quantity=units,
        stock_version=version,
    )


def test_more_is_asked_of_stock_first_and_nothing_changes_meanwhile() -> None:
    story = asked_for_three_more()
    story.then(like(f.AmendmentRequested, amendment_id="A1", round=2, by="customer"))
    assert [(line.line_id, line.ordered_before, line.ordered) for line in story.answer[0].lines] == [
        ("1", 2, 5),
        ("2", 4, 3),
    ]
    assert line_of(story.state) == {"ordered": 2, "allocated": 2}
    assert line_of(story.state, "2") == {"ordered": 4, "allocated": 4}


def test_when_all_of_it_is_set_aside_the_order_is_amended_in_one_decision() -> None:
    story = asked_for_three_more().when(answers(extra(2, location="WH1"), extra(1, version=3, part=2, location="WH2")))
    story.then(
        like(f.AmendmentAnswered, outcome="reserved", quantity=2),
        like(f.AmendmentAnswered, outcome="reserved", quantity=1),
        like(f.OrderAmended, amendment_id="A1"),
        like(f.LineAllocated, location_id="WH1", quantity=2, from_open=2, from_backordered=0),
        like(f.LineAllocated, location_id="WH2", quantity=1, from_open=1, from_backordered=0),
    )
    assert [(change.line_id, change.ordered, change.from_allocated) for change in story.answer[2].lines] == [
        ("1", 5, 0),
        ("2", 3, 1),
    ]
    assert line_of(story.state) == {"ordered": 5, "allocated": 5}
    assert line_of(story.state, "2") == {"ordered": 3, "allocated": 3}
    assert story.state.amendment is None


def test_when_any_of_it_is_refused_what_was_got_goes_back_and_the_number_that_there_is_is_said() -> None:
    story = asked_for_three_more().when(answers(extra(2, part=2, location="WH2"), no_extra(1, 0, version=3)))
    story.then(
        f.AmendmentAnswered,
        like(f.AmendmentAnswered, outcome="refused", quantity=0, available=0),
        like(f.AmendmentDeclined, reason="not_enough"),
    )
    declined = story.answer[2]
    assert [(line.line_id, line.ordered, line.available) for line in declined.lines] == [("1", 5, 4), ("2", 3, None)]
    assert [(back.location_id, back.quantity) for back in declined.releases] == [("WH2", 2)]
    assert line_of(story.state) == {"ordered": 2, "allocated": 2}
    assert line_of(story.state, "2") == {"ordered": 4, "allocated": 4}


def test_what_would_have_to_wait_is_declined_and_its_place_in_the_queue_given_up() -> None:
    story = asked_for_three_more().when(answers(extra(1, version=2), waits(2, version=3)))
    story.then(
        like(f.AmendmentAnswered, outcome="reserved", quantity=1),
        like(f.AmendmentAnswered, outcome="waiting", quantity=0),
        like(f.AmendmentDeclined, reason="not_enough"),
    )
    declined = story.answer[2]
    assert declined.lines[0].available == 3
    assert [(back.location_id, back.quantity) for back in declined.releases] == [("WH1", 1), ("", 2)]


def test_what_is_said_of_a_place_that_is_given_up_changes_nothing() -> None:
    """The promise of the place comes behind it, and what it is granted meanwhile goes back."""
    late = waits(3, version=3)
    promised = replace(late, outcome="promised", expected_at=at("09:00:00"))
    story = asked_for_three_more().when(answers(waits(3)), answers(promised))
    story.then_nothing()
    story.when(answers(extra(3, version=4))).then(like(f.ReservationSurrendered, quantity=3))
    asked_for_three_more().when(answers(extra(3)), answers(late)).then(like(f.ReservationSurrendered, quantity=3))


def test_units_that_come_for_an_amendment_that_was_declined_go_back() -> None:
    story = asked_for_three_more().when(answers(waits(3)), answers(extra(3, version=3)))
    story.then(like(f.ReservationSurrendered, quantity=3))


def test_what_comes_twice_because_a_plan_was_made_twice_goes_back() -> None:
    story = asked_for_three_more().when(answers(extra(2, version=2), extra(3, version=3, location="WH2")))
    story.then(
        like(f.AmendmentAnswered, quantity=2),
        like(f.AmendmentAnswered, quantity=1),
        like(f.ReservationSurrendered, quantity=2),
        f.OrderAmended,
        f.LineAllocated,
        f.LineAllocated,
    )


def test_a_unit_set_aside_for_an_amendment_that_is_lost_declines_it() -> None:
    lost = c.Answer(
        line_id="1", attempt=attempt_number(2, 1, "WH1", 2), outcome="released", location_id="WH1", quantity=1,
        stock_version=3,
    )  # fmt: skip
    story = asked_for_three_more().when(answers(extra(2), lost))
    story.then(f.AmendmentAnswered, f.AmendmentAnswered, like(f.AmendmentDeclined, reason="lost"))
    assert [(back.location_id, back.quantity) for back in story.answer[2].releases] == [("WH1", 1)]


@pytest.mark.parametrize("by", ["customer", "seller"])
def test_while_one_amendment_is_asked_of_stock_the_next_is_of_the_order_as_it_will_be(by: Any) -> None:
    story = asked_for_three_more().when(amend({"1": 4}, by=by))
    story.then(
        like(f.OrderAmended, amendment_id="A1"),
        like(f.OrderAmended, amendment_id=None, by=by),
    )
    assert line_of(story.state) == {"ordered": 4, "allocated": 2, "open": 2}
    assert line_of(story.state, "2") == {"ordered": 3, "allocated": 3}
    story.when(answers(extra(3))).then(
        like(f.LineAllocated, quantity=2), like(f.ReservationSurrendered), f.OrderAllocated
    )


def test_two_increases_that_come_at_once_are_both_made() -> None:
    story = asked_for_three_more().when(answers(extra(2, location="WH2")), amend({"1": 9}))
    story.then(
        like(f.OrderAmended, amendment_id="A1"),
        like(f.LineAllocated, location_id="WH2", quantity=2),
        like(f.AmendmentRequested, amendment_id="A2", round=3),
    )
    assert [(line.ordered_before, line.ordered) for line in story.answer[2].lines] == [(5, 9)]
    story.when(answers(waits(1, version=3))).then(like(f.LineBackordered, quantity=1))
    assert story.state.amendment is not None, "the second is still being asked for"


def test_what_is_being_asked_of_stock_already_is_not_asked_twice() -> None:
    story = given(place({"1": 2}), reserved(2), amend({"1": 5}))
    story.when(amend({"1": 5})).then_refused("conflict", at_most=5, says="5 ordered")
    assert story.state.amendment is not None


def test_a_promise_that_comes_while_units_are_being_asked_for_is_taken() -> None:
    story = asked_for_three_more().when(amend(promised_by="2026-12-24", by="seller"))
    story.then(f.OrderAmended, like(f.OrderAmended, by="seller", lines=()))


def test_a_cancelled_order_takes_no_promise() -> None:
    given(place(), cancel()).when(amend(promised_by="2026-12-24")).then_refused(
        "conflict", says="no units that are still wanted"
    )


def test_after_the_answer_the_next_one_is_taken_and_numbered_on() -> None:
    story = asked_for_three_more().when(answers(waits(3)), amend({"1": 3}))
    story.then(like(f.AmendmentRequested, amendment_id="A2", round=3))


def test_a_cancellation_meanwhile_is_of_the_order_as_it_will_be() -> None:
    story = asked_for_three_more().when(cancel({"2": 1})).then(f.OrderCancelled)
    story.when(answers(extra(3)))
    assert line_of(story.state) == {"ordered": 5, "allocated": 5}
    assert line_of(story.state, "2") == {"ordered": 3, "allocated": 2, "cancelled": 1}


def test_who_cancels_all_cancels_what_is_being_asked_for_too() -> None:
    story = asked_for_three_more().when(answers(extra(2, location="WH2")), cancel())
    story.then(f.OrderAmended, f.LineAllocated, f.OrderCancelled)
    assert line_of(story.state) == {"ordered": 5, "cancelled": 5}
    assert line_of(story.state, "2") == {"ordered": 3, "cancelled": 3}
    story.when(answers(extra(1, version=3, part=2))).then(like(f.ReservationSurrendered, quantity=1))


def test_units_that_are_being_asked_for_can_be_cancelled_and_the_rest_of_the_line_is_sought() -> None:
    story = given(place({"1": 2}), reserved(2), amend({"1": 5}))
    story.when(cancel({"1": 6})).then_refused("limit", at_most=5)
    story.when(cancel({"1": 4})).then(f.OrderAmended, f.OrderCancelled)
    assert line_of(story.state) == {"ordered": 5, "allocated": 1, "cancelled": 4}
    shipped = given(place({"1": 2}), reserved(2), dispatch({"1": 2}), amend({"1": 5}))
    shipped.when(cancel({"1": 2})).then(f.OrderAmended, f.OrderCancelled)
    assert line_of(shipped.state) == {"ordered": 5, "open": 1, "shipped": 2, "cancelled": 2}


def test_what_one_amendment_asks_for_is_made_together_also_by_a_cancellation() -> None:
    story = given(place({"1": 2, "2": 2}), reserved(2), reserved(2, line="2"), amend({"1": 5, "2": 9}))
    story.when(cancel({"1": 4})).then(f.OrderAmended, f.OrderCancelled)
    assert line_of(story.state) == {"ordered": 5, "allocated": 1, "cancelled": 4}
    assert line_of(story.state, "2") == {"ordered": 9, "open": 7, "allocated": 2}


def test_a_held_order_takes_fewer_units_also_while_more_are_being_asked_for() -> None:
    story = given(place({"1": 3}), reserved(3), amend({"1": 5}), hold()).when(amend({"1": 4}))
    story.then(f.OrderAmended, f.OrderAmended)
    story.when(answers(extra(2)))
    assert line_of(story.state) == {"ordered": 4, "allocated": 4}


def test_what_is_being_asked_for_when_a_hold_comes_is_kept_when_it_is_answered() -> None:
    story = asked_for_three_more().when(hold()).then(f.OrderHeld)
    story.when(answers(extra(3)))
    assert line_of(story.state) == {"ordered": 5, "allocated": 5}
    story = asked_for_three_more().when(hold(stock="release"), answers(extra(3)))
    assert line_of(story.state) == {"ordered": 5, "open": 5}


def test_an_exchange_does_not_end_what_is_being_asked_for() -> None:
    story = given(place({"1": 2}), reserved(2), dispatch({"1": 1}), amend({"1": 3}))
    wanted = (c.ReturnLine(line_id="1", quantity=1, reason="too small"),)
    story.when(c.RequestReturn(order_id="o-1", return_id="r-1", lines=wanted, resolution="exchange"))
    story.then(f.ReturnRequested, f.ExchangeLinesAdded, f.SourcingRequested)
    story.when(answers(extra(1)))
    assert line_of(story.state) == {"ordered": 3, "allocated": 2, "shipped": 1}


def test_a_parcel_with_the_units_that_are_being_asked_for_makes_the_amendment() -> None:
    story = asked_for_three_more().when(answers(extra(1, location="WH2")), dispatch({"1": 5}))
    story.then(f.OrderAmended, f.LineAllocated, f.ShipmentDispatched, f.DispatchDiffered)
    (part,) = story.answer[2].lines
    assert (part.from_allocated, part.ahead, part.ahead_round) == (3, 2, 2)
    assert story.answer[3].lines[0].planned == "elsewhere"  # the one that was set aside at WH2
    assert line_of(story.state) == {"ordered": 5, "shipped": 5}
    assert line_of(story.state, "2") == {"ordered": 3, "allocated": 3}
    story.when(answers(extra(2, version=3, part=2))).then(like(f.AllocationAnswered, outcome="covers", quantity=2))


def test_units_of_an_amendment_that_a_parcel_leaves_behind_may_have_to_wait_like_others() -> None:
    story = given(place({"1": 2}), reserved(2), amend({"1": 5})).when(dispatch({"1": 3}))
    story.then(f.OrderAmended, f.ShipmentDispatched)
    assert line_of(story.state) == {"ordered": 5, "open": 2, "shipped": 3}
    waiting_line = given(place({"1": 2}), reserved(2), amend({"1": 5}), dispatch({"1": 3}))
    waiting_line.when(answers(waits(2))).then(like(f.LineBackordered, quantity=2))
    story.when(answers(extra(3))).then(f.LineAllocated, f.AllocationAnswered, f.OrderAllocated)
    assert line_of(story.state) == {"ordered": 5, "allocated": 2, "shipped": 3}


def test_more_than_is_being_asked_for_cannot_have_left() -> None:
    story = given(place({"1": 2}), reserved(2), amend({"1": 5}))
    story.when(dispatch({"1": 6})).then_refused("limit", at_most=5)
    assert story.state.amendment is not None


def test_a_held_order_takes_no_increase_but_fewer_units_and_another_promise() -> None:
    story = given(place({"1": 2}), reserved(2), hold())
    story.when(amend({"1": 3})).then_refused("conflict", says="ReleaseHold")
    story.when(amend({"1": 1}, promised_by="2026-12-24")).then(f.OrderAmended)


def test_parcels_that_leave_meanwhile_do_not_matter_where_there_is_room() -> None:
    story = asked_for_three_more().when(dispatch({"1": 2, "2": 3}), answers(extra(3)))
    story.then(f.AmendmentAnswered, f.OrderAmended, f.LineAllocated)
    assert line_of(story.state) == {"ordered": 5, "allocated": 3, "shipped": 2}
    assert line_of(story.state, "2") == {"ordered": 3, "shipped": 3}


def test_when_more_has_left_than_was_to_remain_the_amendment_is_declined() -> None:
    story = asked_for_three_more().when(dispatch({"2": 4}), answers(extra(3)))
    story.then(f.AmendmentAnswered, like(f.AmendmentDeclined, reason="shipped"))


def test_units_that_were_amended_away_are_the_ones_that_are_wanted_again() -> None:
    """Seed 903579 of the simulation: an amendment was applied to a line that had grown, and a unit stood twice."""
    story = given(place({"1": 4}), reserved(4), amend({"1": 2}), amend({"1": 6}))
    story.when(dispatch({"1": 4}, location="WH2"))
    assert story.state.amendment is None
    assert line_of(story.state) == {"ordered": 6, "open": 2, "shipped": 4}


def test_an_order_with_backordered_lines_gets_more_only_where_the_extra_units_are_there() -> None:
    story = given(place({"1": 2}), waiting(2)).when(amend({"1": 3}), answers(extra(1)))
    story.then(f.AmendmentAnswered, f.OrderAmended, f.LineAllocated)
    assert line_of(story.state) == {"ordered": 3, "backordered": 2, "allocated": 1}


def test_units_that_are_still_under_way_are_not_taken_for_the_extra_ones() -> None:
    story = given(place({"1": 2})).when(amend({"1": 3}), answers(extra(1, version=1)), reserved(2, version=2))
    story.then(like(f.LineAllocated, quantity=2, from_open=2), f.OrderAllocated)
    assert line_of(story.state) == {"ordered": 3, "allocated": 3}


def test_an_order_that_is_not_released_yet_takes_more_at_once() -> None:
    story = given(place({"1": 2}, release_at=at("20:00:00", day=28))).when(amend({"1": 5}))
    story.then(like(f.OrderAmended, amendment_id=None))
    story.when(RELEASE_ORDER)
    assert story.answer[0].lines[0].quantity == 5


def test_an_order_that_waits_as_a_whole_takes_more_at_once_for_nothing_of_it_is_promised() -> None:
    story = given(place({"1": 2}, **WHOLE), waiting(2)).when(amend({"1": 3}))
    assert isinstance(story.answer[0], f.OrderAmended)


def test_an_order_that_has_all_as_a_whole_asks_for_more_and_stays_whole() -> None:
    story = given(place({"1": 2}, **WHOLE), reserved(2)).when(amend({"1": 3})).then(f.AmendmentRequested)
    story.when(answers(extra(1))).then(f.AmendmentAnswered, f.OrderAmended, f.LineAllocated)
    assert story.state.fully_allocated


def test_an_order_that_lost_what_it_had_as_a_whole_is_not_given_more_meanwhile() -> None:
    story = given(place({"1": 2, "2": 1}, **WHOLE), reserved(2), reserved(1, line="2")).when(amend({"1": 3}))
    story.when(answers(answer("expired", 1, version=2, line="2")))
    story.when(answers(extra(1))).then(f.AmendmentAnswered, like(f.AmendmentDeclined, reason="waiting"))


@pytest.mark.parametrize("said", [extra(1, version=3), waits(1, version=3)], ids=["reserved", "waiting"])
def test_an_amendment_that_was_made_early_has_its_answer_though_a_rejection_began_a_later_round(said: Any) -> None:
    """Seed 3030904 of the simulation: the answer counted as stale, and the unit was under way for ever."""
    story = given(place({"1": 2, "2": 1}, **WHOLE), reserved(2), reserved(1, line="2", version=1), amend({"1": 3}))
    story.when(reject({"1": 2})).then(f.AllocationRejected, like(f.SourcingRequested, round=3))
    story.when(amend({"2": 2})).then(like(f.OrderAmended, amendment_id="A1"), f.OrderAmended)
    assert story.state.lines["1"].sourcing == 3
    story.when(answers(said))
    assert story.state.lines["1"].sourcing == 2


# A number is what the customer gets in all: shipped units are in it, cancelled ones are not


def test_cancelled_units_are_not_in_the_number_that_is_wanted() -> None:
    story = given(place({"1": 10}), reserved(10), cancel({"1": 3})).when(amend({"1": 8}))
    story.then(f.AmendmentRequested)
    (line,) = story.answer[-1].lines
    assert (line.ordered_before, line.ordered, line.cancelled) == (10, 11, 3)
    story.when(answers(extra(1)))
    assert line_of(story.state) == {"ordered": 11, "allocated": 8, "cancelled": 3}
    story.when(amend({"1": 5})).then(like(f.OrderAmended, amendment_id=None))
    assert line_of(story.state) == {"ordered": 8, "allocated": 5, "cancelled": 3}


def test_a_line_that_was_cancelled_whole_is_wanted_again() -> None:
    story = given(place({"1": 3}), reserved(3), cancel()).when(amend({"1": 3}), answers(extra(3)))
    assert line_of(story.state) == {"ordered": 6, "allocated": 3, "cancelled": 3}


def test_the_number_that_would_have_been_accepted_is_one_that_can_be_asked_for() -> None:
    story = given(place({"1": 10}), reserved(10), cancel({"1": 3})).when(
        amend({"1": 12}), answers(extra(2), waits(3, version=3))
    )
    (line,) = story.answer[-1].lines
    assert (line.ordered - line.cancelled, line.available) == (12, 9)
    story.when(amend({"1": 9}), answers(extra(2, version=4, round_=3)))
    assert line_of(story.state) == {"ordered": 12, "allocated": 9, "cancelled": 3}


def test_cancelled_units_leave_after_those_that_are_asked_for() -> None:
    """The units that are asked for leave first; those that were cancelled and left count again."""
    story = given(place({"1": 10}), reserved(10), cancel({"1": 3}), amend({"1": 8}), dispatch({"1": 9}))
    assert story.state.amendment is None
    assert line_of(story.state) == {"ordered": 11, "shipped": 9, "cancelled": 2}


SHIPPED = (place({"1": 3}), reserved(3), dispatch({"1": 3}))
UNCHANGED = {
    "the same number": ((place({"1": 10}), reserved(10), cancel({"1": 3})), amend({"1": 7}), 7),
    "part of it shipped": ((place({"1": 5}), reserved(5), dispatch({"1": 2})), amend({"1": 5}), 3),
    "all of it shipped": (SHIPPED, amend({"1": 3}), 0),
    "nothing left to remove": (SHIPPED, amend({"1": 0}), 0),
    "all of it cancelled": ((place({"1": 3}), cancel()), amend({"1": 0}), 0),
    "all removed before": ((place({"1": 3, "2": 1}), amend({"1": 0})), amend({"1": 0}), 0),
    "every line as it is": ((place({"1": 2, "2": 4}),), amend({"1": 2, "2": 4}), 6),
    "the same promise": ((place(promised_by="2026-12-24"),), amend(promised_by="2026-12-24"), None),
    "both the same": ((place(promised_by="2026-12-24"),), amend({"1": 2}, promised_by="2026-12-24"), 2),
    "before its time": ((place({"1": 2}, release_at=at("20:00:00", day=28)),), amend({"1": 2}), 2),
    "on hold": ((place({"1": 2}), hold()), amend({"1": 2}), 2),
    "waits as a whole": ((place({"1": 2}, **WHOLE), waiting(2)), amend({"1": 2}), 2),
}


@pytest.mark.parametrize("case", UNCHANGED)
def test_an_amendment_that_changes_nothing_is_refused_with_the_present_numbers(case: str) -> None:
    history, asked, at_most = UNCHANGED[case]
    for by in ("customer", "seller"):
        story = given(*history).when(replace(asked, by=by))
        story.then_refused("conflict", at_most=at_most, says="nothing would change")
        for line in asked.lines:
            assert f"{story.state.lines[line.line_id].ordered} ordered" in story.answer.detail


def test_a_line_that_stays_as_it_is_may_stand_beside_one_that_changes() -> None:
    story = given(place({"1": 2, "2": 4}, **WHOLE), reserved(2)).when(amend({"1": 2, "2": 3}))
    assert [line.line_id for line in story.answer[0].lines] == ["2"]
    story = given(place({"1": 2}, **WHOLE), waiting(2)).when(amend({"1": 2}, promised_by="2026-12-24"))
    story.then(like(f.OrderAmended, lines=()))  # it keeps its place in the queue


def test_a_promise_that_the_seller_moved_counts_when_the_customer_agrees_to_it() -> None:
    story = given(place(promised_by="2026-12-20"), amend(promised_by="2026-12-24", by="seller"))
    story.when(amend(promised_by="2026-12-24", by="seller")).then_refused("conflict", says="promised by")
    story.when(amend(promised_by="2026-12-24")).then(f.OrderAmended)
    assert story.state.due_by == story.state.promised_by
    story.when(amend(promised_by="2026-12-24")).then_refused("conflict", says="promised by")


def test_an_increase_beyond_what_an_order_may_be_worth_is_refused_before_stock_is_asked() -> None:
    story = given(place({"1": 2}, price=10**12), reserved(2)).when(amend({"1": 10**9}))
    story.then_refused("limit", at_most=10**15)


@for_all(round_=st.integers(1, 10_000), part=st.integers(1, 999), units=st.integers(1, 10**6))
def test_an_attempt_tells_its_round(round_: int, part: int, units: int) -> None:
    assert round_of(attempt_number(round_, part, "WH1", units)) == round_


@for_all(
    seed=st.integers(0, 10_000),
    first=st.integers(1, 3),
    wanted=st.integers(1, 6),
    stock=st.integers(0, 6),
    taken=st.integers(0, 3),
)
def test_an_increase_is_made_whole_or_not_at_all_whatever_crosses_it(
    seed: int, first: int, wanted: int, stock: int, taken: int
) -> None:
    shop = Shop(seed)
    shop.ask(receive(first), place({"1": ("MUG", first)}))
    shop.run()
    shop.ask(receive(stock or 1), receive(2, location="WH2"))
    shop.run()
    if wanted != first:
        shop.ask(amend({"1": wanted}))
    if taken:
        shop.ask(adjust(-taken), adjust(-1, location="WH2"))
    shop.run()
    order, mugs = shop.orders["o-1"], shop.skus["MUG"]
    line = order.lines["1"]
    assert order.amendment is None
    assert line.ordered in (first, wanted)
    assert line.allocated == line.ordered
    assert sum(level.reserved for level in mugs.levels.values()) == line.ordered
