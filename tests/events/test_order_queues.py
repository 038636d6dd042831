"""Queues that a person works: who stands there, who decides, and what becomes of it."""

from __future__ import annotations

from typing import Any

from events.orders import commands as c
from events.orders import facts as f
from tests.events.builders import (
    amend,
    answer,
    answers,
    cancel,
    dispatch,
    in_round,
    line_of,
    place,
    quantities,
    reserved,
    waiting,
)
from tests.support.given import given, like

QUEUE = "routing_exceptions"


def stuck(lines: dict[str, int] | None = None, *, reason: str = "no_split") -> c.QueueOrder:
    detail = "no location has all of it, and it may not be split"
    return c.QueueOrder(order_id="o-1", queue=QUEUE, reason=reason, detail=detail, lines=quantities(lines or {}))


def decide(resolution: Any, *, reason: str | None = None, queue: str = QUEUE) -> c.ResolveQueued:
    return c.ResolveQueued(order_id="o-1", queue=queue, resolution=resolution, reason=reason)


def test_units_for_which_no_way_is_known_stand_in_the_queue_with_the_reason_and_nobody_looks_for_them() -> None:
    story = given(place({"1": 2})).when(stuck({"1": 2}))
    story.then(
        like(
            f.OrderQueued,
            queue=QUEUE,
            reason="no_split",
            lines=(f.QueuedLine(line_id="1", sku="SKU-1", quantity=2, from_sourcing=2),),
        )
    )
    assert line_of(story.state) == {"ordered": 2, "open": 2}
    story.when(amend({"1": 3})).then_refused("conflict", says="ResolveQueued")
    story.when(amend({"1": 1})).then(f.OrderAmended)
    assert story.state.lines["1"].idle == 1


def test_without_lines_all_units_that_nobody_holds_are_meant() -> None:
    story = given(place({"1": 2, "2": 1}), reserved(2)).when(stuck())
    story.then(like(f.OrderQueued, lines=(f.QueuedLine(line_id="2", sku="SKU-2", quantity=1, from_sourcing=1),)))


def test_what_is_said_twice_or_too_late_is_said_once() -> None:
    story = given(place({"1": 2}), stuck({"1": 2}))
    story.when(stuck({"1": 2})).then_nothing()
    given(place({"1": 2}), reserved(2)).when(stuck({"1": 2})).then_nothing()


def test_a_line_that_the_order_has_not_is_refused() -> None:
    given(place({"1": 2})).when(stuck({"9": 1})).then_refused("unknown", says="line 9")


def test_units_that_come_after_all_are_given_back_while_a_person_decides() -> None:
    story = given(place({"1": 2}), stuck({"1": 2})).when(reserved(2))
    story.then(like(f.ReservationSurrendered, quantity=2))
    assert line_of(story.state) == {"ordered": 2, "open": 2}


def test_trying_again_begins_with_a_clean_slate() -> None:
    story = given(place({"1": 2}), answers(answer("refused", 2, version=1)), stuck({"1": 2}))
    assert story.state.lines["1"].excluded == ("WH1",)
    story.when(decide("retry")).then(
        like(f.OrderUnqueued, resolution="retry"), like(f.SourcingRequested, round=3, excluded=())
    )
    assert not story.state.queues


def test_giving_up_cancels_what_is_unshipped_of_the_queued_lines_by_the_seller() -> None:
    story = given(place({"1": 2, "2": 1}), reserved(1, line="2"), stuck({"1": 2}))
    story.when(decide("cancel", reason="no longer made"))
    story.then(
        like(f.OrderUnqueued, resolution="cancel"),
        like(f.OrderCancelled, by="seller", reason="no longer made"),
        f.OrderAllocated,
    )
    assert line_of(story.state) == {"ordered": 2, "cancelled": 2}
    assert line_of(story.state, "2") == {"ordered": 1, "allocated": 1}


def test_giving_up_without_a_word_keeps_the_reason_that_the_queue_had() -> None:
    story = given(place({"1": 2}), stuck()).when(decide("cancel"))
    story.then(f.OrderUnqueued, like(f.OrderCancelled, reason="routing_exceptions: no_split"))


def test_leaving_it_takes_it_off_the_list_and_it_can_be_taken_up_again() -> None:
    story = given(place({"1": 2}), stuck()).when(decide("leave")).then(like(f.OrderUnqueued, resolution="leave"))
    story.when(amend({"1": 1})).then(f.OrderAmended)
    story.when(decide("retry")).then(f.OrderUnqueued, like(f.SourcingRequested, round=2))


def test_an_order_that_has_nothing_open_any_more_leaves_the_queue_by_itself() -> None:
    given(place({"1": 2}), stuck()).when(cancel()).then(f.OrderCancelled, like(f.OrderUnqueued, resolution="over"))
    given(place({"1": 2}), stuck()).when(dispatch({"1": 1})).then(f.ShipmentDispatched, f.DispatchDiffered)
    given(place({"1": 2}), stuck()).when(dispatch({"1": 2})).then(
        f.ShipmentDispatched, f.DispatchDiffered, like(f.OrderUnqueued, resolution="over")
    )
    given(place({"1": 2}), stuck(), decide("leave")).when(cancel()).then(
        f.OrderCancelled, like(f.OrderUnqueued, resolution="over")
    )


def test_deciding_about_an_order_that_stands_in_no_such_queue_is_refused() -> None:
    given(place({"1": 2})).when(decide("retry")).then_refused("unknown", says="none")
    given(place({"1": 2}), stuck()).when(decide("retry", queue="rejections")).then_refused("unknown", says=QUEUE)


def test_an_order_that_goes_as_a_whole_stands_there_as_a_whole_and_holds_nothing() -> None:
    story = given(place({"1": 2, "2": 1}, allocation="all_or_nothing"), reserved(1, line="2")).when(stuck({"1": 2}))
    story.then(like(f.LineDeallocated, line_id="2", reason="all_or_nothing"), f.OrderQueued)
    assert [line.line_id for line in story.answer[1].lines] == ["1", "2"]
    story.when(waiting(2, version=2)).then(f.ReservationSurrendered)
    story.when(answers(answer("offered", 2, version=3, attempt=in_round(1, 999)))).then(f.AllocationAnswered)
    story.when(decide("retry")).then(f.OrderUnqueued, like(f.SourcingRequested, round=2))


def test_an_order_that_waits_as_a_whole_is_called_by_its_place_and_needs_nobody_to_decide() -> None:
    given(place({"1": 2, "2": 1}, allocation="all_or_nothing"), waiting(2)).when(stuck()).then_nothing()


def test_lines_added_to_a_whole_order_in_a_queue_go_their_way_when_what_stood_there_is_over() -> None:
    story = given(place({"1": 2}, allocation="all_or_nothing"), stuck(), dispatch({"1": 1}))
    larger = c.ExchangeLine(line_id="2", sku="LARGER", quantity=2, unit_price_minor=100)
    story.when(
        c.RequestReturn(
            order_id="o-1",
            return_id="r-1",
            lines=(c.ReturnLine(line_id="1", quantity=1, reason="too small"),),
            resolution="exchange",
            exchange=(larger,),
        )
    ).then(f.ReturnRequested, f.ExchangeLinesAdded)
    story.when(cancel({"1": 1})).then(
        f.OrderCancelled,
        like(f.OrderUnqueued, resolution="over"),
        like(f.SourcingRequested, lines=(f.SourcingLine(line_id="2", sku="LARGER", quantity=2),)),
    )
