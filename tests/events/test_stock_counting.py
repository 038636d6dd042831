"""Counts that are not believed at once: compare and set, a second count, the approval of another person."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from events.stock import facts as f
from events.stock.state import COUNTS_KEPT
from tests.events.builders import (
    adjust,
    amounts,
    approve,
    at,
    count,
    move,
    policy,
    receive,
    reject_stock,
    reserve,
    ship,
    wait_for,
)
from tests.support.given import NOW, Story, given, like, sent

NINE, TEN, NOON, ONE, TWO = (at(f"{hour}:00:00") for hour in ("09", "10", "12", "13", "14"))


def counted(units: int, when: datetime, *, by: str | None = None, name: str | None = None, **more: Any) -> sent:
    return sent(count(units, counted_at=when, count_id=name, **more), actor=by, id=f"c-{when.hour}-{units}")


def forty(**numbers: int) -> Story:
    return (
        given(sent(receive(40), occurred_at=NINE), policy(**numbers))
        if numbers
        else given(sent(receive(40), occurred_at=NINE))
    )


def on_hand(story: Story) -> int:
    return int(story.state.level("WH1").on_hand)


# Compare and set


def test_an_adjustment_of_a_number_that_is_no_longer_true_is_refused_with_the_true_one() -> None:
    story = forty().when(adjust(-3, expected_on_hand=41)).then_refused("stale", at_most=40)
    story.when(adjust(-3, expected_on_hand=40)).then(like(f.StockAdjusted, quantity_delta=-3))


def test_a_count_of_a_number_that_is_no_longer_true_is_refused_with_the_true_one() -> None:
    story = forty().when(count(37, expected_on_hand=38)).then_refused("stale", at_most=40)
    story.when(count(37, expected_on_hand=40)).then(f.StockCounted)


# Recounts


def test_without_a_policy_a_count_is_believed_at_once() -> None:
    story = forty().when(counted(1, NOON)).then(like(f.StockCounted, variance=-39))
    assert on_hand(story) == 1


def test_a_count_that_differs_by_too_much_changes_nothing_and_asks_for_another() -> None:
    story = forty(recount_above=2).when(counted(37, NOON, by="anna", name="A"))
    story.then(like(f.RecountRequested, count_id="A", expected=40, counted=37, variance=-3, counted_by=("anna",)))
    assert on_hand(story) == 40
    story.when(counted(38, ONE)).then(like(f.StockCounted, variance=-2))
    assert on_hand(story) == 38
    assert story.state.level("WH1").recount is None


def test_a_second_count_that_agrees_is_applied_with_what_was_picked_between_them_allowed_for() -> None:
    story = forty(recount_above=2).when(counted(37, NOON)).then(f.RecountRequested)
    story.when(sent(ship(2), occurred_at=at("12:30:00")))
    story.when(counted(35, ONE)).then(like(f.StockCounted, expected=38, variance=-3))
    assert on_hand(story) == 35


def test_a_second_count_that_does_not_agree_asks_for_a_third() -> None:
    story = forty(recount_above=2).when(counted(37, NOON), counted(36, ONE)).then(like(f.RecountRequested, variance=-4))
    story.when(counted(36, TWO)).then(like(f.StockCounted, variance=-4))


def test_one_count_sent_twice_under_two_ids_does_not_agree_with_itself() -> None:
    story = forty(recount_above=2).when(counted(37, NOON, name="A"), counted(37, NOON, name="B"))
    story.then(like(f.RecountRequested, count_id="B"))


def test_a_movement_from_before_the_counts_that_is_told_late_is_allowed_for() -> None:
    story = forty(recount_above=2).when(counted(37, NOON)).then(f.RecountRequested)
    story.when(sent(ship(1), occurred_at=TEN))
    story.when(counted(37, ONE)).then(like(f.StockCounted, expected=39, variance=-2))
    story = forty(recount_above=0).when(counted(37, NOON)).then(f.RecountRequested)
    story.when(sent(ship(1), occurred_at=TEN), counted(37, ONE)).then(like(f.StockCounted, variance=-2))


# Approval


def waiting() -> Story:
    story = forty(recount_above=2, approval_above=5)
    return story.when(counted(30, NOON, by="anna", name="A"), counted(30, ONE, by="ben", name="B"))


def test_an_agreed_count_beyond_the_limit_waits_for_approval_and_changes_nothing() -> None:
    story = waiting().then(
        like(f.CountApprovalRequested, count_id="B", variance=-10, approval_above=5, counted_by=("anna", "ben"))
    )
    assert on_hand(story) == 40


def test_an_agreed_count_within_the_limit_needs_no_approval() -> None:
    story = forty(recount_above=2, approval_above=5).when(counted(35, NOON), counted(35, ONE)).then(f.StockCounted)
    assert on_hand(story) == 35


def test_only_somebody_who_did_not_count_can_approve() -> None:
    story = waiting()
    story.when(sent(approve("B"))).then_refused("invalid")
    story.when(sent(approve("B"), actor="anna")).then_refused("conflict")
    story.when(sent(approve("B"), actor="ben")).then_refused("conflict")
    story.when(sent(approve("A"), actor="carla")).then_refused("unknown", says="count B")
    story.when(sent(approve("B"), actor="carla")).then(like(f.StockCounted, count_id="B", expected=40, variance=-10))
    assert amounts(story.state.level("WH1")) == {"on_hand": 30, "available": 30}
    story.when(sent(approve("B"), actor="carla")).then_refused("unknown", says="no count does")


def test_what_moved_between_count_and_approval_stays_as_it_is() -> None:
    story = waiting().when(sent(ship(4), occurred_at=TWO), sent(approve("B"), actor="carla"))
    story.then(like(f.StockCounted, variance=-10))
    assert on_hand(story) == 26


def test_what_became_known_of_the_time_before_the_count_is_not_corrected_a_second_time() -> None:
    story = waiting().when(sent(move(4), occurred_at=TEN), sent(approve("B"), actor="carla"))
    story.then(like(f.StockCounted, counted=30, expected=36, variance=-6))
    assert on_hand(story) == 30


def test_a_count_that_is_rejected_changes_nothing() -> None:
    story = waiting().when(sent(approve("B", approved=False, reason="wrong shelf"), actor="carla"))
    story.then(like(f.CountRejected, count_id="B", variance=-10, reason="wrong shelf"))
    assert on_hand(story) == 40


def test_a_newer_count_takes_the_place_of_one_that_waits() -> None:
    story = waiting().when(counted(39, TWO, name="C"))
    story.then(like(f.CountRejected, count_id="B", reason="counted again: C"), like(f.StockCounted, variance=-1))
    story = waiting().when(counted(30, TWO, name="C"))
    story.then(like(f.CountRejected, count_id="B"), like(f.CountApprovalRequested, count_id="C"))


def test_a_newer_count_that_must_be_repeated_leaves_the_one_that_waits() -> None:
    story = waiting().when(counted(20, TWO, name="C")).then(like(f.RecountRequested, count_id="C"))
    story.when(sent(approve("B"), actor="carla")).then(f.StockCounted)


def test_two_open_counts_cannot_have_one_name() -> None:
    waiting().when(counted(20, TWO, name="B")).then_refused("conflict")


def test_a_limit_for_approval_alone_asks_for_no_second_count() -> None:
    story = forty(approval_above=5).when(counted(30, NOON)).then(f.CountApprovalRequested)
    story.when(sent(approve("c-12-30"), actor="carla")).then(f.StockCounted)


# Movements from before a count that are told after it


def at_noon(*commands: Any) -> list[sent]:
    return [sent(command, occurred_at=NOON, id=f"late-{number}") for number, command in enumerate(commands)]


def test_a_parcel_that_left_before_the_count_and_is_told_after_it_leaves_once() -> None:
    story = given(sent(receive(5), occurred_at=NINE), reserve(3))
    story.when(counted(2, NOON)).then(
        like(f.StockCounted, expected=5, variance=-3, accurate=False), like(f.StockShortfallFound, available=-1)
    )
    story.when(sent(ship(3, (1, "WH1", 3)), occurred_at=TEN)).then(
        like(f.StockShipped, quantity=3, from_reserved=3),
        like(f.CountRestated, counted=2, expected=2, variance=0, variance_before=-3, accurate=True, count_id="c-12-2"),
    )
    assert amounts(story.state.level("WH1")) == {"on_hand": 2, "available": 2}


def test_a_receipt_that_was_counted_already_is_promised_to_nobody() -> None:
    story = given(sent(receive(1), occurred_at=NINE), sent(count(6, counted_at=NOON)), wait_for(10))
    story.when(sent(receive(5), occurred_at=TEN)).then(
        like(f.StockReceived, quantity=5), like(f.CountRestated, expected=6, variance=0, variance_before=5)
    )
    assert on_hand(story) == 6


def test_what_moved_after_the_count_moves() -> None:
    forty().when(counted(38, NOON)).when(sent(ship(3), occurred_at=ONE)).then(f.StockShipped)


def test_what_moved_at_the_moment_of_the_count_was_counted() -> None:
    story = forty().when(counted(38, NOON), *at_noon(ship(2))).then(f.StockShipped, like(f.CountRestated, variance=0))
    assert on_hand(story) == 38


def test_the_next_count_has_found_it_and_those_after_that_compare_with_it() -> None:
    story = forty().when(counted(38, NOON), counted(37, TWO))
    story.when(sent(ship(2), occurred_at=TEN)).then(f.StockShipped, like(f.CountRestated, count_id="c-12-38"))
    story.when(sent(ship(1), occurred_at=ONE, id="c-2"))
    story.then(f.StockShipped, like(f.CountRestated, count_id="c-14-37", variance=0, variance_before=-1))
    assert on_hand(story) == 37


def test_an_earlier_count_that_is_told_after_a_later_one_takes_over_what_that_had_found() -> None:
    story = forty().when(counted(37, TWO)).then(like(f.StockCounted, variance=-3))
    story.when(counted(38, NOON)).then(
        like(f.StockCounted, expected=40, variance=-2), like(f.CountRestated, expected=38, variance=-1)
    )
    assert on_hand(story) == 37


def test_of_two_counts_at_one_moment_the_one_told_later_is_right() -> None:
    story = forty().when(counted(37, NOON), counted(38, NOON)).then(like(f.StockCounted, expected=37, variance=1))
    assert on_hand(story) == 38


def test_one_count_of_one_moment_is_applied_once() -> None:
    story = forty().when(counted(37, NOON, name="A"), sent(count(37, counted_at=NOON, count_id="A"), id="again"))
    story.then_refused("conflict", says="was already applied")
    story.when(counted(36, ONE, name="A")).then(f.StockCounted)


def test_what_a_location_could_not_find_and_a_later_count_did_is_there() -> None:
    story = given(sent(receive(5), occurred_at=NINE), reserve(2), sent(count(5, counted_at=NOON)))
    story.when(sent(reject_stock(2, (1, 2)), occurred_at=TEN))
    story.then(like(f.StockRejected, corrected=2), like(f.CountRestated, expected=3, variance=2))
    assert amounts(story.state.level("WH1")) == {"on_hand": 5, "available": 5}


def test_a_count_from_the_future_is_one_of_now_and_what_leaves_then_leaves() -> None:
    later = {"at": NOW + timedelta(seconds=1), "id": "later"}
    for lie in (NOW + timedelta(days=400), NOW):
        story = forty().when(counted(38, lie)).then(like(f.StockCounted, counted_at=NOW, variance=-2))
        story.when(sent(ship(3), **later)).then(f.StockShipped)
        assert on_hand(story) == 35
    # Two clocks that are ahead say nothing about which was first: what is told first was.
    story = forty().when(counted(38, NOW + timedelta(days=2)))
    story.when(sent(ship(3), occurred_at=NOW + timedelta(days=1))).then(f.StockShipped)
    story = forty().when(sent(ship(3), occurred_at=NOW + timedelta(days=2)), counted(37, NOW + timedelta(days=1)))
    story.then(like(f.StockCounted, expected=37, variance=0))


def test_what_comes_while_the_clock_stands_still_came_after_a_count_that_waits() -> None:
    story = forty(approval_above=5).when(counted(30, NOW, name="A")).then(f.CountApprovalRequested)
    story.when(receive(3), sent(approve("A"), actor="carla")).then(like(f.StockCounted, expected=40, variance=-10))
    assert on_hand(story) == 33


def test_a_dispatch_whose_clock_is_ahead_was_before_a_count_that_is_told_after_it() -> None:
    story = forty().when(sent(ship(3), occurred_at=NOW + timedelta(days=1)))
    story.when(sent(count(37), at=NOW + timedelta(hours=1))).then(like(f.StockCounted, expected=37, variance=0))


def test_a_move_between_two_places_is_told_to_the_counts_of_both() -> None:
    story = forty().when(counted(36, NOON)).when(sent(move(4), occurred_at=TEN))
    story.then(f.StockMoved, like(f.CountRestated, location_id="WH1", variance=0))
    assert (on_hand(story), story.state.level("WH2").on_hand) == (36, 4)


def test_a_count_that_waits_and_one_that_was_applied_hear_of_it_once_each() -> None:
    # The parcel of 10 o'clock is known to neither; the one at noon has found it, so the one at two compares with that.
    story = forty(recount_above=2).when(counted(38, NOON), counted(30, TWO)).then(like(f.RecountRequested, variance=-8))
    story.when(sent(ship(2), occurred_at=TEN)).then(f.StockShipped, like(f.CountRestated, variance=0))
    story.when(counted(30, at("15:00:00"))).then(like(f.StockCounted, expected=38, variance=-8))


def test_a_count_before_all_that_are_remembered_does_not_move_the_record() -> None:
    story = forty().when(*(counted(40, TWO + timedelta(minutes=n)) for n in range(COUNTS_KEPT)))
    story.when(counted(35, NOON)).then(like(f.StockCounted, variance=-5), like(f.CountRestated, variance=5))
    assert on_hand(story) == 40
    story.when(sent(ship(3), occurred_at=TEN)).then(f.StockShipped, like(f.CountRestated, variance=8))
    assert on_hand(story) == 40


MINUTES = st.integers(0, 40)


@settings(max_examples=200)
@hypothesis_given(
    st.dictionaries(MINUTES, st.integers(-5, 9).filter(bool), max_size=8),
    st.dictionaries(MINUTES, st.integers(0, 30), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_in_whatever_order_it_is_told_the_record_and_each_variance_are_the_same(
    moves: dict[int, int], counts: dict[int, int], random: Random
) -> None:
    told = [("move", minute, units) for minute, units in moves.items()]
    told += [("count", minute, units) for minute, units in counts.items()]
    random.shuffle(told)
    story = forty()
    for number, (what, minute, units) in enumerate(told):
        when = NINE + timedelta(minutes=1 + minute)
        command = adjust(units) if what == "move" else count(units, counted_at=when, count_id=str(minute))
        story.when(sent(command, occurred_at=when, id=f"c-{number}"))

    # By the clock, plainly: a count sets the record, and differs from it by its variance.
    record, variances = 40, {}
    for minute in range(41):
        record += moves.get(minute, 0)
        if minute in counts:
            variances[str(minute)] = counts[minute] - record
            record = counts[minute]
    level = story.state.level("WH1")
    assert level.on_hand == record
    assert {one.count_id: one.counted - one.expected for one in level.counts} == variances
    facts = [fact for fact in story.facts if isinstance(fact, f.StockCounted | f.CountRestated)]
    assert {fact.count_id: fact.variance for fact in facts} == variances, "the last fact of each says so"
