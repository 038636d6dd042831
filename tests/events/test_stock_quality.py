"""Units that cannot be sold: how they get there, and how they leave."""

from __future__ import annotations

import pytest

from events.stock import facts as f
from tests.events.builders import (
    amounts,
    damage,
    dispose,
    policy,
    receive,
    release_quality,
    reserve,
    set_apart,
    ship,
    take_back,
)
from tests.support.given import Story, given, like


def in_wh1(story: Story) -> dict[str, int]:
    return amounts(story.state.level("WH1"))


def test_of_a_hundred_units_82_are_available_and_90_on_hand_when_the_ten_are_shipped() -> None:
    story = given(receive(100), reserve(10), damage(3), policy(safety_stock=5))
    assert in_wh1(story) == {"on_hand": 100, "reserved": 10, "damaged": 3, "safety": 5, "available": 82}
    story.when(ship(10, (1, "WH1", 10)))
    assert in_wh1(story) == {"on_hand": 90, "damaged": 3, "safety": 5, "available": 82}


def test_units_are_set_apart_until_their_quality_is_known() -> None:
    story = given(receive(10), damage(2)).when(set_apart(3)).then(like(f.StockHeld, quantity=3, reason="smells"))
    assert in_wh1(story) == {"on_hand": 10, "damaged": 2, "quality_hold": 3, "available": 5}


def test_no_more_can_be_set_apart_or_marked_damaged_than_is_sound() -> None:
    story = given(receive(10), damage(2), set_apart(3))
    story.when(set_apart(6)).then_refused("limit", at_most=5)
    story.when(damage(6)).then_refused("limit", at_most=5)


def test_units_that_are_held_for_an_order_can_turn_out_bad_and_that_is_said() -> None:
    story = given(receive(10), reserve(8)).when(set_apart(5))
    story.then(f.StockHeld, like(f.StockShortfallFound, available=-3, cause="StockHeld"))


@pytest.mark.parametrize(
    ("disposition", "left"),
    [
        ("restock", {"on_hand": 10, "quality_hold": 1, "available": 9}),
        ("damaged", {"on_hand": 10, "quality_hold": 1, "damaged": 2, "available": 7}),
        ("dispose", {"on_hand": 8, "quality_hold": 1, "available": 7}),
    ],
)
def test_units_whose_quality_is_known_go_where_they_belong(disposition: str, left: dict[str, int]) -> None:
    story = given(receive(10), set_apart(3)).when(release_quality(2, disposition))
    story.then(like(f.QualityHoldReleased, quantity=2, disposition=disposition))
    assert in_wh1(story) == left
    story.when(release_quality(2)).then_refused("limit", at_most=1)


def test_what_came_back_for_inspection_can_be_released_too() -> None:
    story = given(take_back(2, "inspect")).when(release_quality(2)).then(f.QualityHoldReleased)
    assert in_wh1(story) == {"on_hand": 2, "available": 2}


@pytest.mark.parametrize(
    ("taken_from", "most", "left"),
    [
        ("damaged", 2, {"on_hand": 9, "reserved": 1, "damaged": 1, "quality_hold": 3, "available": 4}),
        ("quality_hold", 3, {"on_hand": 9, "reserved": 1, "damaged": 2, "quality_hold": 2, "available": 4}),
        ("available", 4, {"on_hand": 9, "reserved": 1, "damaged": 2, "quality_hold": 3, "available": 3}),
    ],
)
def test_units_leave_for_good_from_where_they_are(taken_from: str, most: int, left: dict[str, int]) -> None:
    story = given(receive(10), damage(2), set_apart(3), reserve(1))
    story.when(dispose(most + 1, taken_from)).then_refused("limit", at_most=most)
    story.when(dispose(1, taken_from)).then(like(f.StockDisposed, quantity=1, taken_from=taken_from, reason="broken"))
    assert in_wh1(story) == left
