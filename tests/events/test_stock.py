"""What a SKU answers: movements, counts, reservations, releases, expiry."""

from __future__ import annotations

from datetime import timedelta

import pytest

from events.catalogue import STREAMS
from events.envelope import INTERNAL_CHANNEL
from events.stock import facts as f
from events.stock.state import ATTEMPTS_KEPT, MOVES_KEPT, TOMBSTONES_KEPT_DAYS, Attempt
from tests.events.builders import (
    adjust,
    amounts,
    at,
    count,
    damage,
    expire,
    move,
    policy,
    receive,
    release,
    reserve,
    ship,
    take_back,
    wait_for,
)
from tests.support.given import NOW, ask, given, like, nothing, sent


def in_wh1(story: object) -> dict[str, int]:
    return amounts(story.state.level("WH1"))  # type: ignore[attr-defined]


# Movements


def test_of_a_hundred_units_ten_are_held_three_damaged_five_kept_back_and_82_available() -> None:
    story = given(receive(100), reserve(10), damage(3), policy(safety_stock=5))
    assert in_wh1(story) == {"on_hand": 100, "reserved": 10, "damaged": 3, "safety": 5, "available": 82}


def test_an_adjustment_adds_or_takes_away() -> None:
    story = given(receive(5), adjust(-2)).when(adjust(4)).then(like(f.StockAdjusted, quantity_delta=4))
    assert in_wh1(story) == {"on_hand": 7, "available": 7}


def test_an_adjustment_by_nothing_is_refused() -> None:
    given(receive(5)).when(adjust(0)).then_refused("invalid")


def test_no_more_can_be_moved_than_is_available() -> None:
    story = given(receive(10), reserve(3), policy(safety_stock=2))
    story.when(move(6)).then_refused("limit", at_most=5)
    story.when(move(5)).then(like(f.StockMoved, quantity=5))
    assert amounts(story.state.level("WH2")) == {"on_hand": 5, "available": 5}


def test_from_where_less_than_nothing_is_available_nothing_can_be_moved() -> None:
    given(adjust(-3)).when(move(1)).then_refused("limit", at_most=0)


def test_a_move_to_the_same_place_is_refused() -> None:
    given(receive(10)).when(move(1, target="WH1")).then_refused("invalid")


def test_no_more_can_be_marked_damaged_than_is_sound() -> None:
    story = given(receive(5), damage(2))
    story.when(damage(4)).then_refused("limit", at_most=3)
    story.when(damage(3)).then(like(f.StockMarkedDamaged, quantity=3))
    assert in_wh1(story) == {"on_hand": 5, "damaged": 5}


@pytest.mark.parametrize(
    ("disposition", "found"),
    [
        ("restock", {"on_hand": 2, "available": 2}),
        ("damaged", {"on_hand": 2, "damaged": 2}),
        ("inspect", {"on_hand": 2, "quality_hold": 2}),
        ("dispose", {}),
    ],
)
def test_what_comes_back_is_stock_by_its_condition(disposition: str, found: dict[str, int]) -> None:
    story = ask(take_back(2, disposition)).then(like(f.StockReturned, disposition=disposition))
    assert in_wh1(story) == found


def test_safety_stock_is_kept_only_of_units_that_are_there() -> None:
    assert in_wh1(given(receive(3), policy(safety_stock=5))) == {"on_hand": 3, "safety": 3}


def test_a_policy_changes_what_it_names_and_leaves_the_rest() -> None:
    story = given(policy(safety_stock=5, reorder_point=7, buffers={"web": 2}))
    story.when(policy(reorder_point=9)).then(
        like(f.StockPolicySet, safety_stock=5, reorder_point=9), f.SellingRulesResolved
    )
    story.when(policy(safety_stock=0, buffers={})).then(
        like(f.StockPolicySet, safety_stock=0, reorder_point=9, buffers=()), f.SellingRulesResolved
    )


# Counts


def test_a_count_allows_for_what_was_picked_since_and_finds_one_unit_missing() -> None:
    noon, one = at("12:00:00"), at("13:00:00")
    story = given(
        sent(receive(40), occurred_at=noon),
        sent(ship(2), occurred_at=noon + timedelta(minutes=30)),
        receive(1, location="WH2"),
    )
    story.when(count(37, counted_at=one))
    story.then(like(f.StockCounted, expected=38, variance=-1, accurate=False))
    assert in_wh1(story) == {"on_hand": 37, "available": 37}


def test_a_count_from_before_a_pick_does_not_take_the_pick_for_a_loss() -> None:
    noon = at("12:00:00")
    story = given(sent(receive(40), occurred_at=noon), sent(ship(2), occurred_at=at("14:00:00")))
    story.when(count(40, counted_at=at("13:00:00"))).then(like(f.StockCounted, expected=40, variance=0, accurate=True))
    assert in_wh1(story)["on_hand"] == 38


def test_a_count_without_a_time_counts_when_it_was_sent() -> None:
    story = given(receive(4)).when(sent(count(4), occurred_at=at("17:00:00")))
    story.then(like(f.StockCounted, counted_at=at("17:00:00"), expected=0, variance=4))


def test_a_variance_within_the_tolerance_is_accurate_and_still_corrected() -> None:
    story = given(receive(100)).when(count(98, tolerance=2)).then(like(f.StockCounted, accurate=True, variance=-2))
    assert in_wh1(story)["on_hand"] == 98


def test_a_second_report_of_an_earlier_count_sees_the_correction_of_the_first() -> None:
    story = given(sent(receive(10), occurred_at=at("10:00:00")), count(8, counted_at=at("11:00:00")))
    story.when(count(8, counted_at=at("11:30:00"))).then(like(f.StockCounted, expected=8, variance=0))
    story.when(count(10, counted_at=at("10:30:00"))).then(like(f.StockCounted, expected=10, variance=0))


def test_a_count_from_before_all_movements_that_are_remembered_is_refused() -> None:
    first = NOW - timedelta(hours=1)
    moves = [sent(receive(1), occurred_at=first + timedelta(seconds=second)) for second in range(MOVES_KEPT + 1)]
    story = given(*moves)
    story.when(count(0, counted_at=first)).then_refused("limit", says=str(MOVES_KEPT))
    story.when(count(2, counted_at=first + timedelta(seconds=1))).then(like(f.StockCounted, expected=2))


# Levels


def test_a_shortfall_is_stated_when_available_falls_below_0_and_each_time_it_falls_further() -> None:
    story = given(receive(5), reserve(5))
    story.when(adjust(-1)).then(f.StockAdjusted, like(f.StockShortfallFound, available=-1, cause="StockAdjusted"))
    story.when(adjust(-1)).then(f.StockAdjusted, like(f.StockShortfallFound, available=-2))
    story.when(adjust(1)).then(f.StockAdjusted)
    story.when(receive(1, location="WH2")).then(f.StockReceived)


def test_falling_to_exactly_0_is_no_shortfall() -> None:
    given(receive(5)).when(adjust(-5)).then(f.StockAdjusted)


def test_low_stock_is_detected_once_when_available_falls_to_the_reorder_point() -> None:
    story = given(receive(10), policy(reorder_point=5))
    story.when(adjust(-4)).then(f.StockAdjusted)
    story.when(adjust(-1)).then(f.StockAdjusted, like(f.LowStockDetected, available=5, reorder_point=5))
    story.when(adjust(-1)).then(f.StockAdjusted)
    story.when(receive(5), adjust(-4)).then(f.StockAdjusted, f.LowStockDetected)


def test_a_reorder_point_above_what_is_there_is_low_stock_at_once() -> None:
    given(receive(10)).when(policy(reorder_point=10)).then(f.StockPolicySet, f.LowStockDetected)


def test_nothing_is_said_of_locations_that_did_not_change() -> None:
    story = given(receive(1), policy(reorder_point=5), adjust(-3))
    story.when(receive(1, location="WH2")).then(f.StockReceived)


# Reservations


def test_a_reservation_holds_units() -> None:
    story = given(receive(2)).when(reserve(2)).then(like(f.StockReserved, quantity=2, waited=False, for_order=False))
    assert in_wh1(story) == {"on_hand": 2, "reserved": 2}


def test_a_reservation_by_the_ledger_itself_is_for_an_order() -> None:
    given(receive(2)).when(sent(reserve(2), channel=INTERNAL_CHANNEL)).then(like(f.StockReserved, for_order=True))


def test_not_enough_is_said_at_once_and_with_what_there_is() -> None:
    story = given(receive(2)).when(reserve(3))
    story.then(like(f.ReservationRefused, available=2, reason="not_enough"))


def test_an_attempt_is_answered_once() -> None:
    story = given(receive(2), reserve(1)).when(reserve(1)).then_refused("conflict")
    story.when(reserve(5, attempt=2)).then(f.ReservationRefused)
    story.when(reserve(1, attempt=2)).then_refused("conflict")


def test_units_behind_safety_stock_cannot_be_reserved() -> None:
    given(receive(5), policy(safety_stock=4)).when(reserve(2)).then(like(f.ReservationRefused, available=1))


@pytest.mark.parametrize(("channel", "free"), [("web", 3), ("store", 6), ("marketplace", 8), (None, 6)])
def test_of_the_buffers_the_most_specific_one_counts(channel: str | None, free: int) -> None:
    story = given(receive(10), policy(buffers={"*": 4, "web": 7, "marketplace": 2}))
    story.when(reserve(free + 1, for_channel=channel)).then(like(f.ReservationRefused, available=free))
    story.when(reserve(free, attempt=2, for_channel=channel)).then(f.StockReserved)


def test_a_buffer_of_0_frees_a_channel_from_the_general_one() -> None:
    given(receive(10), policy(buffers={"*": 4, "web": 0})).when(reserve(10, for_channel="web")).then(f.StockReserved)


def test_released_units_are_free_again() -> None:
    story = given(receive(5), reserve(3)).when(release(2)).then(like(f.StockReleased, quantity=2))
    assert in_wh1(story) == {"on_hand": 5, "reserved": 1, "available": 4}
    story.when(release(9)).then(like(f.StockReleased, quantity=1))
    story.when(release(1)).then_refused("limit", at_most=0)
    story.when(release(1, location="")).then_refused("limit", at_most=0, says="queue")


def test_a_release_that_comes_before_its_reservation_leaves_a_tombstone() -> None:
    story = given(receive(5)).when(release(1)).then(like(f.ReleaseTombstoned, attempt=1))
    story.when(reserve(1)).then(like(f.ReservationRefused, reason="released_before", available=5))
    story.when(reserve(1, attempt=2)).then(f.StockReserved)


def test_a_hold_lapses_at_the_second_that_it_names_and_not_one_before() -> None:
    until = at("10:15:00")
    story = given(sent(receive(5), at=at("10:00:00")), sent(reserve(1, expires_at=until), at=at("10:00:00")))
    # Nothing is stated: the timer's clock is ahead, and it rings again under the same id.
    story.when(sent(expire(), at=at("10:14:59"))).then_nothing()
    story.when(sent(expire(), at=until)).then(like(f.ReservationExpired, quantity=1, for_order=False))
    story.when(sent(expire(), at=until)).then_refused("unknown")


def test_of_one_unit_held_for_a_quarter_of_an_hour_none_is_free_a_second_before_and_one_at_the_second() -> None:
    ten, until = at("10:00:00"), at("10:15:00")
    story = given(sent(receive(1), at=ten), sent(reserve(1, order="cart-1", expires_at=until), at=ten))
    story.when(sent(reserve(1, attempt=2), at=at("10:14:59")))
    story.then(like(f.ReservationRefused, available=0))
    story.when(sent(reserve(1, attempt=3), at=until))
    story.then(
        like(f.ReservationExpired, order_id="cart-1", quantity=1, expires_at=until), like(f.StockReserved, attempt=3)
    )


def test_a_hold_lapses_in_the_decision_about_anything_else_and_before_it() -> None:
    ten, until = at("10:00:00"), at("10:15:00")
    story = given(sent(receive(5), at=ten), sent(reserve(3, expires_at=until), at=ten))
    story.when(sent(reserve(1, attempt=2, expires_at=at("10:10:00")), at=ten))
    story.when(sent(move(5), at=until))
    story.then(like(f.ReservationExpired, attempt=2), like(f.ReservationExpired, attempt=1), f.StockMoved)


def test_a_refusal_counts_what_has_lapsed_and_leaves_it_to_the_next_decision_to_state_it() -> None:
    ten, until = at("10:00:00"), at("10:15:00")
    story = given(sent(receive(5), at=ten), sent(reserve(3, expires_at=until), at=ten))
    story.when(sent(move(6), at=until)).then_refused("limit", at_most=5)
    story.when(sent(receive(1), at=until)).then(f.ReservationExpired, f.StockReceived)


def test_what_lapses_goes_to_those_who_wait_before_it_can_be_asked_for() -> None:
    ten, until = at("10:00:00"), at("10:15:00")
    story = given(sent(receive(2), at=ten), sent(reserve(2, order="cart-1", expires_at=until), at=ten))
    story.when(sent(wait_for(1, attempt=7), at=ten)).then(f.StockAwaited)
    story.when(sent(reserve(2, order="o-2"), at=until)).then(
        like(f.ReservationExpired, quantity=2),
        like(f.StockReserved, order_id="o-1", waited=True),
        like(f.ReservationRefused, order_id="o-2", available=1),
    )


def test_a_timer_that_is_early_states_nothing_even_where_another_hold_has_lapsed() -> None:
    ten, until = at("10:00:00"), at("10:15:00")
    story = given(sent(receive(5), at=ten), sent(reserve(1, expires_at=until), at=ten))
    story.when(sent(reserve(1, attempt=2, expires_at=at("10:20:00")), at=ten))
    story.when(sent(expire(attempt=2), at=until)).then_nothing()
    story.when(sent(expire(attempt=2), at=at("10:20:00"))).then(f.ReservationExpired, f.ReservationExpired)


def test_a_shortfall_is_said_to_come_from_the_command_and_not_from_a_hold_that_lapsed() -> None:
    ten, until = at("10:00:00"), at("10:15:00")
    story = given(
        sent(receive(2), at=ten), sent(reserve(1, expires_at=until), at=ten), sent(reserve(1, attempt=2), at=ten)
    )
    story.when(sent(adjust(-2), at=until))
    story.then(f.ReservationExpired, f.StockAdjusted, like(f.StockShortfallFound, cause="StockAdjusted"))


def test_a_release_ends_a_hold_before_its_time() -> None:
    ten = at("10:00:00")
    story = given(sent(receive(3), at=ten), sent(reserve(3, expires_at=at("10:15:00")), at=ten))
    story.when(sent(release(1), at=ten)).when(sent(release(2), at=ten))
    assert story.state.lapsing.first is None
    story.when(sent(receive(1), at=at("10:15:00"))).then(f.StockReceived)


def test_a_hold_without_an_end_does_not_lapse() -> None:
    given(receive(5), reserve(1)).when(expire()).then_refused("unknown")


def test_a_hold_that_would_have_lapsed_already_is_refused() -> None:
    given(receive(5)).when(sent(reserve(1, expires_at=NOW), at=NOW)).then_refused("invalid")


# Shipping


def test_goods_that_leave_end_the_hold_on_them() -> None:
    story = given(receive(5), reserve(3)).when(ship(2, (1, "WH1", 2)))
    story.then(like(f.StockShipped, quantity=2, from_reserved=2))
    assert in_wh1(story) == {"on_hand": 3, "reserved": 1, "available": 2}


def test_goods_that_leave_from_elsewhere_let_go_of_what_was_held() -> None:
    story = given(receive(5), receive(5, location="WH2"), reserve(2)).when(ship(2, (1, "WH1", 2), location="WH2"))
    story.then(like(f.StockShipped, from_reserved=0), like(f.StockReleased, location_id="WH1", for_order=True))
    assert in_wh1(story) == {"on_hand": 5, "available": 5}


def test_goods_that_leave_though_their_hold_had_lapsed_are_taken_off_the_shelf_all_the_same() -> None:
    story = given(receive(5)).when(ship(2, (1, "WH1", 2))).then(like(f.StockShipped, from_reserved=0, consumed=()))
    assert in_wh1(story) == {"on_hand": 3, "available": 3}


def test_goods_that_leave_where_none_were_on_record_are_a_shortfall() -> None:
    nothing(ship(1)).when(ship(1)).then(f.StockShipped, like(f.StockShortfallFound, available=-1))


# Memory


def test_attempts_are_forgotten_when_many_came_after_them_but_not_while_they_hold_something() -> None:
    story = given(receive(5), reserve(2), reserve(1, attempt=2), release(1, attempt=2), release(1, attempt=3))
    story.when(*(reserve(9, order=f"x{number}") for number in range(2 * ATTEMPTS_KEPT)))
    answered = story.state.answered
    assert len(answered) <= ATTEMPTS_KEPT * 3 // 2
    assert Attempt("o-1", "1", 1) in answered, "it holds two units"
    assert Attempt("o-1", "1", 2) not in answered
    assert Attempt("o-1", "1", 3) in story.state.tombstones, "its reservation may still come"
    story.when(release(2)).then(like(f.StockReleased, quantity=2))


def test_what_a_sku_remembers_does_not_grow_with_its_history() -> None:
    story = given(receive(5))
    sizes = []
    for number in range(6 * ATTEMPTS_KEPT):
        story.when(reserve(9, order=f"x{number:04}"))
        sizes.append(len(STREAMS["stock"].encode(story.state)))
    filled, later = sizes[2 * ATTEMPTS_KEPT : 4 * ATTEMPTS_KEPT], sizes[4 * ATTEMPTS_KEPT :]
    assert max(later) == max(filled)


def test_a_tombstone_is_forgotten_after_a_month() -> None:
    later = NOW + timedelta(days=TOMBSTONES_KEPT_DAYS + 1)
    story = given(receive(5), release(1, attempt=3))
    story.when(sent(release(1, attempt=4), at=later)).then(f.ReleaseTombstoned)
    assert set(story.state.tombstones) == {Attempt("o-1", "1", 4)}
