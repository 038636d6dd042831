"""Units on their way between locations: they leave at once, arrive in parts, and none is lost without a word."""

from __future__ import annotations

from datetime import timedelta

from events.stock import facts as f
from tests.events.builders import (
    CHECK_EXPECTED,
    amend_transfer,
    amounts,
    arrive,
    count,
    expect,
    policy,
    receive,
    reserve,
    send,
    wait_for,
)
from tests.support.given import NOW, Story, ask, given, like, sent

SOON, LATER = NOW + timedelta(hours=1), NOW + timedelta(hours=3)


def incoming(story: Story, location: str = "WH2") -> int:
    return sum(one.quantity for source, one in story.state.incoming.items() if source.location_id == location)


def test_units_leave_at_once_and_stand_as_incoming_where_they_go() -> None:
    story = given(receive(10)).when(send(4, expected_at=SOON))
    story.then(
        f.TransferStarted(
            sku="MUG",
            transfer_id="T-1",
            from_location_id="WH1",
            to_location_id="WH2",
            quantity=4,
            expected_at=SOON,
        )
    )
    assert amounts(story.state.level("WH1")) == {"on_hand": 6, "available": 6}
    assert (incoming(story), amounts(story.state.level("WH2"))) == (4, {})


def test_no_more_may_be_sent_than_may_be_promised() -> None:
    story = given(receive(10), reserve(3), policy(safety_stock=2)).when(send(6))
    story.then_refused("limit", at_most=5)
    given(receive(1)).when(send(1, target="WH1")).then_refused("invalid")


def test_a_number_is_used_once_while_it_is_on_its_way() -> None:
    story = given(receive(10), send(4)).when(send(1)).then_refused("conflict")
    story.when(arrive(4)).when(send(1)).then(f.TransferStarted)


def test_a_transfer_arrives_in_parts_and_damaged_units_with_it() -> None:
    story = given(receive(10), send(4, expected_at=SOON)).when(arrive(3, damaged=1))
    story.then(like(f.TransferReceived, location_id="WH2", quantity=3, damaged=1, left=1, expected_at=SOON))
    assert amounts(story.state.level("WH2")) == {"on_hand": 3, "available": 2, "damaged": 1}
    assert incoming(story) == 1
    story.when(arrive(1)).then(like(f.TransferReceived, left=0))
    assert (incoming(story), story.state.transfers) == (0, {})


def test_what_is_missing_when_a_transfer_is_closed_is_stated_for_a_person() -> None:
    story = given(receive(10), send(4), arrive(1)).when(arrive(1, close=True))
    story.then(
        f.TransferReceived,
        f.TransferDiffered(
            sku="MUG",
            transfer_id="T-1",
            from_location_id="WH1",
            to_location_id="WH2",
            sent=4,
            received=2,
            missing=2,
        ),
    )
    assert (incoming(story), story.state.transfers) == (0, {})
    given(receive(10), send(4)).when(arrive(0, close=True)).then(like(f.TransferDiffered, missing=4))
    given(receive(10), send(4)).when(arrive(4, close=True)).then(f.TransferReceived)


def test_no_more_arrives_than_is_on_its_way() -> None:
    story = given(receive(10), send(4), arrive(1))
    story.when(arrive(4)).then_refused("limit", at_most=3)
    story.when(arrive(2, damaged=3)).then_refused("limit", at_most=2)
    story.when(arrive(0)).then_refused("invalid")
    story.when(arrive(3)).then(f.TransferReceived)
    story.when(arrive(1)).then_refused("unknown", at_most=0)


def test_a_transfer_that_is_late_is_overdue_until_another_time_is_given() -> None:
    story = given(receive(10), send(4, expected_at=SOON)).when(sent(CHECK_EXPECTED, at=SOON))
    story.then(like(f.ReceiptOverdue, transfer_id="T-1", purchase_order=None, location_id="WH2", quantity=4))
    story.when(sent(amend_transfer(SOON), at=SOON)).then_refused("conflict", says="another expected_at")
    story.when(sent(amend_transfer(LATER), at=SOON))
    story.then(like(f.TransferAmended, left=4, expected_at=LATER, expected_before=SOON, overdue=False))
    assert story.state.next_due == LATER
    ask(amend_transfer(LATER)).then_refused("unknown", at_most=0)


def test_a_transfer_and_a_purchase_order_of_the_same_number_are_apart() -> None:
    story = given(receive(10), expect(5, SOON, location="WH2", po="T-1"), send(4, expected_at=SOON))
    assert incoming(story) == 9
    story.when(receive(5, location="WH2", po="T-1"))
    assert incoming(story) == 4


def test_a_count_at_its_beginning_allows_for_what_left_since() -> None:
    story = given(receive(10), sent(send(4), at=SOON)).when(count(10, counted_at=NOW))
    story.then(like(f.StockCounted, expected=10, variance=0))


def test_who_waits_is_served_from_what_arrives() -> None:
    story = given(receive(2), send(2), wait_for(1)).when(arrive(2))
    story.then(f.TransferReceived, like(f.StockReserved, location_id="WH2", quantity=1))
