"""A location cannot provide what is held there: its stock is corrected, the order goes elsewhere, or to a person."""

from __future__ import annotations

import pytest

from events.orders import commands as c
from events.orders import facts as f
from events.stock import facts as s
from events.values import Consumed
from tests.events.builders import (
    adjust,
    amend,
    amounts,
    answer,
    answers,
    in_round,
    line_of,
    move,
    place,
    receive,
    reject,
    reject_stock,
    release,
    reserve,
    reserved,
    wait_for,
    waiting,
)
from tests.support.given import given, like


def test_rejected_units_are_open_again_and_sought_elsewhere_at_once() -> None:
    story = given(place({"1": 3}), reserved(3)).when(reject({"1": 2}, note="empty shelf"))
    held = Consumed(attempt=in_round(1), location_id="WH1", quantity=2)
    story.then(
        like(
            f.AllocationRejected,
            location_id="WH1",
            reason="not_in_stock",
            note="empty shelf",
            lines=(f.RejectedLine(line_id="1", sku="SKU-1", quantity=2, rejections=1, consumed=(held,)),),
        ),
        like(
            f.SourcingRequested,
            lines=(f.SourcingLine(line_id="1", sku="SKU-1", quantity=2),),
            excluded=(f.Excluded(line_id="1", location_id="WH1", rejected=True),),
        ),
    )
    assert line_of(story.state) == {"ordered": 3, "open": 2, "allocated": 1}


def test_a_location_that_rejected_stays_excluded_until_it_gives_the_line_something_that_has_arrived_since() -> None:
    story = given(
        place({"1": 2}), reserved(2), reject({"1": 2}), reserved(1, location="WH2", version=2, attempt=in_round(2))
    )
    story.when(reject({"1": 1}, location="WH2"))
    assert [pair.location_id for pair in story.answer[1].excluded] == ["WH1", "WH2"]
    story.when(waiting(2, version=3)).when(reserved(2, location="WH1", version=4, attempt=in_round(1, 999)))
    assert story.state.lines["1"].rejected_by == ("WH2",)


def test_stock_that_is_offered_to_an_order_that_goes_as_a_whole_is_worth_another_look_everywhere() -> None:
    story = given(place({"1": 2}, allocation="all_or_nothing"), reserved(2), reject({"1": 2}))
    story.when(waiting(2, version=2, attempt=in_round(2, 999)))
    story.when(answers(answer("offered", 2, version=3, attempt=in_round(2, 999))))
    story.then(f.BackorderReopened, like(f.SourcingRequested, excluded=()))


def test_the_third_rejection_of_a_line_brings_it_to_a_person() -> None:
    story = given(place({"1": 1, "2": 1}), reserved(1), reserved(1, line="2"))
    for number in (2, 3):
        story.when(reject({"1": 1}, location=f"WH{number - 1}")).then(f.AllocationRejected, f.SourcingRequested)
        story.when(reserved(1, location=f"WH{number}", version=number, attempt=in_round(number)))
    story.when(reject({"1": 1}, location="WH3", reason="damaged", note="wet"))
    story.then(like(f.AllocationRejected), like(f.OrderQueued, queue="rejections", reason="damaged"))
    assert "WH3 (damaged): wet" in story.answer[1].detail
    assert line_of(story.state, "2") == {"ordered": 1, "allocated": 1}
    story.when(c.ResolveQueued(order_id="o-1", queue="rejections", resolution="retry"))
    story.then(f.OrderUnqueued, like(f.SourcingRequested, excluded=()))
    story.when(reserved(1, location="WH1", version=9, attempt=in_round(9, 0))).when(reject({"1": 1}))
    story.then(f.AllocationRejected, f.SourcingRequested)


def test_a_line_that_was_rejected_too_often_is_not_amended_up_before_a_person_has_decided() -> None:
    story = given(place({"1": 1}), reserved(1))
    for number in (1, 2):
        story.when(reject({"1": 1}), reserved(1, version=number + 1, attempt=number * 1000 + 1000))
    story.when(reject({"1": 1})).then(f.AllocationRejected, f.OrderQueued)
    story.when(amend({"1": 2})).then_refused("conflict", says="ResolveQueued")
    assert line_of(story.state) == {"ordered": 1, "open": 1}


def test_only_what_is_held_there_can_be_rejected() -> None:
    story = given(place({"1": 2}), reserved(2))
    story.when(reject({"1": 3})).then_refused("limit", at_most=2)
    story.when(reject({"1": 1}, location="WH2")).then_refused("limit", at_most=0)
    story.when(reject({"9": 1})).then_refused("unknown")
    story.when(reject({})).then_refused("invalid")
    once = c.LineQuantity(line_id="1", quantity=1)
    twice = c.RejectAllocation(order_id="o-1", location_id="WH1", lines=(once, once), reason="damaged")
    story.when(twice).then_refused("invalid")


def test_an_order_on_hold_is_sought_for_when_it_is_released() -> None:
    held = c.HoldOrder(order_id="o-1", hold="fraud")
    story = given(place({"1": 2}), reserved(2), held).when(reject({"1": 2})).then(f.AllocationRejected)
    story.when(c.ReleaseHold(order_id="o-1", hold="fraud")).then(f.HoldReleased, f.SourcingRequested)
    whole = given(place({"1": 2, "2": 1}, allocation="all_or_nothing"), reserved(2), reserved(1, line="2"), held)
    whole.when(reject({"1": 2})).then(f.AllocationRejected, like(f.LineDeallocated, line_id="2"))


# The stock of the location


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        ("not_in_stock", {"on_hand": 3, "available": 3}),
        ("damaged", {"on_hand": 5, "available": 3, "damaged": 2}),
        ("mismatch", {"on_hand": 5, "available": 3, "quality_hold": 2}),
    ],
)
def test_the_hold_ends_and_the_record_is_corrected_in_one_fact(reason: str, left: dict[str, int]) -> None:
    story = given(receive(5), reserve(2)).when(reject_stock(2, (1, 2), reason=reason))
    story.then(like(s.StockRejected, quantity=2, corrected=2, from_reserved=2, order_id="o-1", reason=reason))
    assert amounts(story.state.level("WH1")) == left
    assert not story.state.reservations


def test_what_is_not_there_is_granted_to_nobody_who_waits() -> None:
    story = given(receive(2), reserve(2), wait_for(1, order="o-2")).when(reject_stock(2, (1, 2)))
    story.then(s.StockRejected)
    assert amounts(story.state.level("WH1")) == {}


def test_a_hold_that_lapsed_before_is_no_reason_not_to_correct_and_a_shortfall_is_said() -> None:
    story = given(receive(2), reserve(2), release(2), reserve(2, order="o-2")).when(reject_stock(2, (1, 2)))
    story.then(like(s.StockRejected, from_reserved=0, corrected=2), like(s.StockShortfallFound, available=-2))


def test_the_record_is_corrected_by_no_more_than_it_says() -> None:
    story = given(receive(2), reserve(2), adjust(-1)).when(reject_stock(2, (1, 2)))
    story.then(like(s.StockRejected, quantity=2, corrected=1, from_reserved=2))
    assert amounts(story.state.level("WH1")) == {}


def test_who_waits_after_a_rejection_gets_nothing_of_what_the_location_still_has_on_record() -> None:
    story = given(receive(9)).when(wait_for(2, not_at=("WH1",))).then(like(s.StockAwaited, not_at=("WH1",)))
    story.when(adjust(-1)).then(s.StockAdjusted)
    story.when(receive(1, location="WH2")).then(s.StockReceived, like(s.StockReserved, location_id="WH2", quantity=1))
    story.when(receive(1)).then(s.StockReceived, like(s.StockReserved, location_id="WH1", quantity=1, waited=True))


def test_goods_that_are_moved_to_the_location_have_arrived_there() -> None:
    story = given(receive(5), receive(1, location="WH2"), reserve(1, order="o-9", location="WH2"))
    story.when(wait_for(1, not_at=("WH1", "WH2"))).when(release(1, order="o-9", location="WH2"))
    story.then(s.StockReleased)
    story.when(move(1, source="WH2", target="WH1")).then(s.StockMoved, like(s.StockReserved, location_id="WH1"))


def test_an_order_that_goes_as_a_whole_is_not_offered_what_its_locations_have_rejected() -> None:
    story = given(receive(9)).when(wait_for(2, mode="offer", not_at=("WH1",))).then(s.StockAwaited)
    story.when(receive(1)).then(s.StockReceived, s.StockOffered)


def test_an_increase_is_not_asked_of_a_location_that_rejected_the_line() -> None:
    story = given(
        place({"1": 3}), reserved(3), reject({"1": 2}), reserved(2, location="WH2", version=2, attempt=in_round(2))
    )
    story.when(amend({"1": 4})).then(
        like(f.AmendmentRequested, excluded=(f.Excluded(line_id="1", location_id="WH1", rejected=True),))
    )
