"""Counts that are not believed at once: compare and set, a second count, the approval of another person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from events.stock import facts as f
from tests.events.builders import adjust, amounts, approve, at, count, move, policy, receive, ship
from tests.support.given import Story, given, like, sent

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
    story.when(sent(approve("B"), actor="carla")).then_refused("unknown", says="none does")


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
