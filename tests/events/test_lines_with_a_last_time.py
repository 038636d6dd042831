"""cancel_after: what is neither set aside nor shipped by then is cancelled by the seller, by log time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from events.orders import commands as c
from events.orders import facts as f
from tests.events.builders import (
    amend,
    answer,
    answers,
    at,
    dispatch,
    hold,
    in_round,
    line_of,
    place,
    quantities,
    receive,
    reserved,
    waiting,
)
from tests.events.shop import Shop
from tests.support.given import Story, given, like, sent

NOON = at("12:00:00", day=28)
WHOLE = {"allocation": "all_or_nothing"}


def until_noon(lines: dict[str, Any], *, last: str = "1", **more: Any) -> c.PlaceOrder:
    """One of the lines is given up at noon of the next day."""
    order = place(lines, **more)
    parts = tuple(replace(one, cancel_after=NOON) if one.line_id == last else one for one in order.lines)
    return replace(order, lines=parts)


def rung(when: datetime = NOON) -> sent:
    """The timer rings at this log time."""
    return sent(c.CancelOverdueLines(order_id="o-1"), at=when)


def cancelled(story: Story) -> dict[str, int]:
    (fact,) = [fact for fact in story.answer if isinstance(fact, f.OrderCancelled)]
    assert (fact.by, fact.reason) == ("seller", "auto_cancel")
    return {line.line_id: line.quantity for line in fact.lines}


def test_what_waits_or_is_sought_at_the_last_time_is_cancelled_and_what_is_held_stays() -> None:
    said = answers(
        answer("reserved", 1, version=1, attempt=in_round(1, 999)),
        answer("waiting", 2, version=2, attempt=in_round(1, 999)),
    )
    story = given(until_noon({"1": 4, "2": 1}), said).when(rung())
    assert cancelled(story) == {"1": 3}
    assert [(back.attempt, back.location_id, back.quantity) for back in story.answer[0].releases] == [
        (in_round(1, 999), "", 2)
    ]
    assert line_of(story.state) == {"ordered": 4, "allocated": 1, "cancelled": 3}
    assert line_of(story.state, "2") == {"ordered": 1, "open": 1}


def test_a_second_before_nothing_is_cancelled() -> None:
    given(until_noon({"1": 2}), waiting(2)).when(rung(at("11:59:59", day=28))).then_nothing()


def test_what_is_all_held_or_shipped_stays() -> None:
    given(until_noon({"1": 2}), reserved(2), dispatch({"1": 1})).when(rung()).then_nothing()


def test_a_unit_that_was_under_way_comes_too_late_and_goes_back() -> None:
    story = given(until_noon({"1": 2}), rung()).when(reserved(2))
    story.then(like(f.ReservationSurrendered, quantity=2))


def test_a_held_order_is_not_spared() -> None:
    assert cancelled(given(until_noon({"1": 2}), waiting(2), hold()).when(rung())) == {"1": 2}


def test_an_order_that_is_not_released_yet_is_not_spared() -> None:
    story = given(until_noon({"1": 2}, release_at=at("08:00:00", day=29))).when(rung())
    assert cancelled(story) == {"1": 2}


def test_a_hold_that_is_lost_after_the_last_time_is_given_up_when_the_timer_rings_again() -> None:
    story = given(until_noon({"1": 2}), reserved(2)).when(rung()).then_nothing()
    story.when(answers(answer("expired", 2, version=2))).then(f.LineDeallocated, f.SourcingRequested)
    assert cancelled(story.when(rung())) == {"1": 2}


def test_a_pending_amendment_is_declined_with_it() -> None:
    story = given(until_noon({"1": 2, "2": 1}), waiting(2), reserved(1, line="2"), amend({"2": 2})).when(rung())
    story.then(like(f.AmendmentDeclined, reason="cancelled"), f.OrderCancelled, like(f.OrderAllocated, units=1))


def test_of_an_order_that_goes_as_a_whole_and_waits_the_line_goes_whole_and_the_rest_goes_on() -> None:
    story = given(until_noon({"1": 2, "2": 1}, **WHOLE), reserved(2), waiting(1, line="2")).when(rung())
    assert cancelled(story) == {"1": 2}
    story = given(until_noon({"1": 2, "2": 1}, last="2", **WHOLE), reserved(2), waiting(1, line="2")).when(rung())
    assert cancelled(story) == {"2": 1}
    assert [line.line_id for line in story.answer[-1].lines] == ["1"]


def test_of_an_order_that_has_all_as_a_whole_nothing_goes() -> None:
    given(until_noon({"1": 2, "2": 1}, **WHOLE), reserved(2), reserved(1, line="2")).when(rung()).then_nothing()


def test_after_it_younger_orders_are_given_what_comes() -> None:
    shop = Shop(seed=4)
    shop.ask(until_noon({"1": ("MUG", 1)}), place({"1": ("MUG", 1)}, order_id="o-2"))
    shop.run()
    shop.ask(c.CancelOrder(order_id="o-1", reason="auto_cancel", by="seller", lines=quantities({"1": 1})))
    shop.run()
    shop.ask(receive(1))
    shop.run()
    assert shop.orders["o-2"].fully_allocated
