"""What is on its way: it is known, it is never available, and it is used up by what comes."""

from __future__ import annotations

from datetime import timedelta

from events.stock import facts as f
from events.stock.expected import Source
from tests.events.builders import CHECK_EXPECTED, amounts, damage, expect, policy, receive, reserve, ship, wait_for
from tests.support.given import NOW, Story, ask, given, like, sent

SOON, LATER = NOW + timedelta(hours=1), NOW + timedelta(hours=3)


def incoming(story: Story, location: str = "WH1") -> int:
    return sum(one.quantity for source, one in story.state.incoming.items() if source.location_id == location)


def test_what_is_expected_is_stated_and_nothing_of_it_is_available() -> None:
    story = ask(expect(40, SOON)).then(
        f.StockExpected(
            sku="MUG",
            location_id="WH1",
            purchase_order="PO-1",
            quantity=40,
            quantity_before=0,
            expected_at=SOON,
            overdue=False,
            cause="announced",
        )
    )
    assert (incoming(story), amounts(story.state.level("WH1"))) == (40, {})
    story.when(reserve(1)).then(like(f.ReservationRefused, available=0))


def test_a_hundred_with_commitments_damage_and_safety_leave_eighty_two_and_forty_to_come_count_for_nothing() -> None:
    story = given(receive(100), reserve(10, order="o-1"), damage(3), policy(safety_stock=5), expect(40, SOON))
    assert amounts(story.state.level("WH1")) == {
        "on_hand": 100, "available": 82, "reserved": 10, "safety": 5, "damaged": 3,
    }  # fmt: skip
    story.when(reserve(83, order="o-2", attempt=2)).then(like(f.ReservationRefused, available=82))
    story.when(ship(10, (1, "WH1", 10)))
    level = story.state.level("WH1")
    assert (level.on_hand, level.available, incoming(story)) == (90, 82, 40)


def test_a_receipt_uses_up_what_was_expected_and_the_rest_stays_expected() -> None:
    story = given(expect(40, SOON)).when(receive(30, po="PO-1"))
    story.then(
        like(f.StockReceived, quantity=30, purchase_order="PO-1"),
        like(f.StockExpected, quantity=10, quantity_before=40, expected_at=SOON, cause="received"),
    )
    assert (incoming(story), story.state.level("WH1").available) == (10, 30)


def test_more_than_was_expected_ends_at_nothing_expected() -> None:
    story = given(expect(3, SOON)).when(receive(5, po="PO-1"))
    story.then(f.StockReceived, like(f.StockExpected, quantity=0, quantity_before=3))
    assert not story.state.incoming
    story.when(receive(1, po="PO-1")).then(f.StockReceived)


def test_a_receipt_without_a_purchase_order_of_another_or_elsewhere_uses_up_nothing() -> None:
    story = given(expect(3, SOON))
    for other in (receive(1), receive(1, po="PO-2"), receive(1, po="PO-1", location="WH2")):
        story.when(other).then(f.StockReceived)
    assert incoming(story) == 3


def test_an_amendment_says_what_was_expected_before_and_keeps_the_time_where_none_is_given() -> None:
    story = given(expect(40, SOON)).when(expect(25))
    story.then(like(f.StockExpected, quantity=25, quantity_before=40, expected_at=SOON, cause="amended"))
    story.when(expect(25, LATER)).then(like(f.StockExpected, expected_at=LATER, expected_before=SOON))


def test_nothing_more_is_expected_of_what_was_called_off() -> None:
    story = given(expect(40, SOON)).when(expect(0))
    story.then(like(f.StockExpected, quantity=0, quantity_before=40, cause="cancelled"))
    assert incoming(story) == 0
    story.when(expect(0)).then_refused("unknown", at_most=0)


def test_each_location_and_purchase_order_is_expected_by_itself() -> None:
    story = given(expect(1, SOON), expect(2, SOON, location="WH2"), expect(4, po="PO-2"))
    assert (incoming(story), incoming(story, "WH2")) == (5, 2)


# Late


def test_goods_that_did_not_come_in_time_are_overdue_once_by_log_time() -> None:
    story = given(expect(40, SOON))
    story.when(sent(CHECK_EXPECTED, at=SOON - timedelta(seconds=1))).then_nothing()
    story.when(sent(CHECK_EXPECTED, at=SOON)).then(
        f.ReceiptOverdue(sku="MUG", location_id="WH1", quantity=40, expected_at=SOON, purchase_order="PO-1")
    )
    story.when(sent(CHECK_EXPECTED, at=LATER)).then_nothing()
    assert incoming(story) == 40


def test_whatever_is_decided_first_after_that_time_finds_it() -> None:
    story = given(expect(40, SOON)).when(sent(receive(1), at=SOON))
    story.then(f.StockReceived, like(f.ReceiptOverdue, quantity=40))


def test_a_receipt_in_the_nick_of_time_leaves_only_the_rest_overdue() -> None:
    story = given(expect(40, SOON)).when(sent(receive(30, po="PO-1"), at=SOON))
    story.then(f.StockReceived, like(f.StockExpected, quantity=10), like(f.ReceiptOverdue, quantity=10))


def test_what_was_due_is_overdue_until_another_time_is_given() -> None:
    story = given(expect(40, SOON), sent(CHECK_EXPECTED, at=SOON)).when(sent(expect(30), at=SOON))
    story.then(like(f.StockExpected, quantity=30, overdue=True))
    story.when(sent(expect(30, LATER), at=SOON)).then(like(f.StockExpected, overdue=False))
    source = Source("purchase_order", "PO-1", "WH1")
    assert not story.state.incoming[source].overdue
    assert story.state.next_due == LATER


def test_what_is_announced_for_a_time_that_has_passed_is_overdue_at_once() -> None:
    ask(expect(40, NOW)).then(f.StockExpected, like(f.ReceiptOverdue, expected_at=NOW))


def test_nobody_knows_when_goods_without_a_time_come_and_they_are_never_overdue() -> None:
    story = ask(expect(40)).then(like(f.StockExpected, expected_at=None))
    story.when(sent(CHECK_EXPECTED, at=LATER)).then_nothing()


def test_who_waits_is_served_from_what_comes() -> None:
    story = given(expect(2, SOON), wait_for(2)).when(receive(2, po="PO-1"))
    story.then(f.StockReceived, f.StockExpected, like(f.StockReserved, quantity=2, waited=True))
