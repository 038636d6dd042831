"""Goods that left although they had been called off: recorded, told to a person, and no unit lost."""

from __future__ import annotations

from events.orders import facts as f
from tests.events.builders import (
    amend,
    ask_return,
    cancel,
    dispatch,
    line_of,
    place,
    refund,
    reserved,
    scan,
)
from tests.support.given import given, like


def test_units_that_were_cancelled_and_left_all_the_same_are_shipped_and_a_case_is_to_be_opened() -> None:
    story = given(place({"1": 3}), reserved(3), cancel()).when(dispatch({"1": 2}))
    story.then(
        like(f.ShipmentDispatched),
        like(f.DispatchCrossed, location_id="WH1", lines=(f.CrossedLine(line_id="1", sku="SKU-1", quantity=2),)),
    )
    (part,) = story.answer[0].lines
    assert (part.from_allocated, part.from_open, part.from_cancelled, part.consumed) == (0, 0, 2, ())
    assert line_of(story.state) == {"ordered": 3, "shipped": 2, "cancelled": 1}


def test_what_is_still_wanted_goes_first() -> None:
    story = given(place({"1": 4}), reserved(2), cancel({"1": 1})).when(dispatch({"1": 4}))
    story.then(f.ShipmentDispatched, f.DispatchCrossed)
    (part,) = story.answer[0].lines
    assert (part.from_allocated, part.from_open, part.from_cancelled) == (2, 1, 1)
    assert story.answer[1].lines[0].quantity == 1


def test_more_than_was_ever_ordered_cannot_have_left() -> None:
    story = given(place({"1": 3}), reserved(3), cancel({"1": 2}))
    story.when(dispatch({"1": 4})).then_refused("limit", at_most=3)
    story.when(dispatch({"1": 3})).then(f.ShipmentDispatched, f.DispatchCrossed)
    story.when(dispatch({"1": 1}, shipment="s-2")).then_refused("limit", at_most=0)


def test_units_that_were_amended_away_and_left_make_the_line_as_large_again() -> None:
    story = given(place({"1": 3}), amend({"1": 1}))
    story.when(dispatch({"1": 4})).then_refused("limit", at_most=3)
    story.when(dispatch({"1": 3})).then(f.ShipmentDispatched, f.DispatchCrossed)
    assert line_of(story.state) == {"ordered": 3, "shipped": 3}
    assert story.answer[0].lines[0].from_removed == 2
    grown = given(place({"1": 3}), amend({"1": 1}), amend({"1": 2}))
    grown.when(dispatch({"1": 4})).then_refused("limit", at_most=3)


def test_each_parcel_has_a_case_of_its_own_and_always_the_same() -> None:
    story = given(place({"1": 3}), cancel())
    cases = []
    for parcel in ("s-1", "s-2"):
        story.when(dispatch({"1": 1}, shipment=parcel))
        cases.append(story.answer[1].case_id)
    again = given(place({"1": 3}), cancel()).when(dispatch({"1": 1}))
    assert cases[0] == again.answer[1].case_id != cases[1]


def test_what_crossed_is_delivered_sent_back_and_paid_back_like_anything_else() -> None:
    story = given(place({"1": 2}, price=100), cancel(), dispatch({"1": 2}))
    story.when(scan()).then(f.ShipmentTracked, f.ShipmentDelivered)
    story.when(ask_return({"1": 2})).then(f.ReturnRequested)
    story.when(refund(201)).then_refused("limit", at_most=200)
    story.when(refund(200)).then(f.RefundIssued)


def test_cancelling_what_is_left_after_a_crossing_has_the_right_limit() -> None:
    story = given(place({"1": 3}), cancel({"1": 2}), dispatch({"1": 2}))
    assert line_of(story.state) == {"ordered": 3, "shipped": 2, "cancelled": 1}
    story.when(cancel({"1": 1})).then_refused("limit", at_most=0)
