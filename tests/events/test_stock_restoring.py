"""Units whose dispatch was a mistake are where they were, and held as they were, as far as nobody else has them."""

from __future__ import annotations

from datetime import timedelta

from events.envelope import INTERNAL_CHANNEL
from events.stock import facts as f
from tests.events.builders import amounts, count, policy, receive, release, reserve, restore, ship, wait_for
from tests.support.given import NOW, given, like, sent

SHIPPED = (receive(3), reserve(2), ship(2, (1, "WH1", 2)))


def test_what_was_held_is_held_again_and_comes_free_for_nobody() -> None:
    story = given(*SHIPPED, wait_for(2, order="o-2")).when(restore(2, 2))
    story.then(like(f.StockRestored, quantity=2, to_reserved=2, attempt=7))
    assert amounts(story.state.level("WH1")) == {"on_hand": 3, "reserved": 3}


def test_what_was_not_held_is_for_whoever_waits_longest() -> None:
    story = given(receive(2), ship(2), wait_for(2, order="o-2")).when(restore(2))
    story.then(like(f.StockRestored, to_reserved=0), like(f.StockReserved, order_id="o-2", quantity=2))


def test_safety_stock_is_not_taken_from_what_was_held() -> None:
    story = given(receive(3), reserve(2), policy(safety_stock=5), ship(2, (1, "WH1", 2))).when(restore(2, 2))
    assert amounts(story.state.level("WH1")) == {"on_hand": 3, "reserved": 2, "safety": 1}


def test_a_count_that_has_found_the_units_is_restated_and_they_are_not_there_twice() -> None:
    """They stood on the shelf: somebody counted them, and they were promised to another order."""
    hour = timedelta(hours=1)
    story = given(
        sent(receive(2), at=NOW - hour),
        sent(reserve(2), at=NOW - hour),
        sent(ship(2, (1, "WH1", 2)), at=NOW),
        sent(count(2), at=NOW + hour),
        sent(reserve(1, order="o-2"), at=NOW + 2 * hour),
    )
    story.when(sent(restore(2, 2), at=NOW + 3 * hour, occurred_at=NOW))
    story.then(
        like(f.StockRestored, quantity=2, to_reserved=1),
        like(f.CountRestated, variance=0, variance_before=2),
        like(f.ReservationRefused, quantity=1, available=0, for_order=True),
    )
    assert amounts(story.state.level("WH1")) == {"on_hand": 2, "reserved": 2}


def test_what_is_held_again_can_be_let_go_of_and_shipped() -> None:
    story = given(*SHIPPED, restore(2, 2)).when(sent(release(1, attempt=7), channel=INTERNAL_CHANNEL))
    assert story.state.level("WH1").reserved == 1
    story.when(ship(1, (7, "WH1", 1)))
    assert amounts(story.state.level("WH1")) == {"on_hand": 2, "available": 2}


def test_nothing_is_held_at_a_place_that_nobody_has_registered() -> None:
    story = given(receive(2, location="ODD"), ship(2, location="ODD")).when(restore(2, 2, location="ODD"))
    story.then(like(f.StockRestored, to_reserved=0), like(f.ReservationRefused, reason="not_registered"))
