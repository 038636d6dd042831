"""Goods that left before their order had an answer: what the SKU holds, or would hold, for them has left with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st

from events.ahead import Ahead, add_ahead, total, use_up
from events.envelope import INTERNAL_CHANNEL
from events.stock import facts as f
from events.stock.state import TOMBSTONES_KEPT_DAYS, from_stored, to_stored
from tests.events.builders import amounts, in_round, put_in_cart, receive, release, reserve, ship, wait_for
from tests.support.given import NOW, given, like, sent


def asked(units: int, *, round_: int = 1, part: int = 1, location: str = "WH1", **more: Any) -> sent:
    return sent(reserve(units, attempt=in_round(round_, part), location=location, **more), channel=INTERNAL_CHANNEL)


def waits(units: int, *, round_: int = 1, **more: Any) -> sent:
    return sent(wait_for(units, attempt=in_round(round_, 999), **more), channel=INTERNAL_CHANNEL)


# Held before it left


def test_what_was_held_leaves_with_the_parcel_and_no_shortfall_is_found() -> None:
    story = given(receive(3), asked(3)).when(ship(3, ahead=3))
    story.then(
        like(f.StockShipped, quantity=3, from_reserved=0, ahead=0), like(f.StockReleased, quantity=3, shipped=True)
    )
    assert amounts(story.state.level("WH1")) == {}


def test_what_is_held_where_the_parcel_left_goes_first() -> None:
    story = given(receive(3), receive(3, location="WH2"), asked(2, part=2, location="WH2"), asked(2))
    story.when(ship(3, location="WH1", ahead=3))
    gone = [(fact.location_id, fact.quantity) for fact in story.answer if isinstance(fact, f.StockReleased)]
    assert gone == [("WH1", 2), ("WH2", 1)]


def test_units_that_the_order_knew_of_are_not_taken_twice() -> None:
    known, unknown = in_round(1), in_round(1, 2)
    story = given(receive(5), asked(2), asked(2, part=2)).when(ship(3, (known, "WH1", 2), ahead=1))
    story.then(
        like(f.StockShipped, from_reserved=2, ahead=0), like(f.StockReleased, attempt=unknown, quantity=1, shipped=True)
    )
    assert amounts(story.state.level("WH1")) == {"on_hand": 2, "reserved": 1, "available": 1}


def test_what_waits_for_them_waits_no_more() -> None:
    story = given(receive(1), waits(3)).when(ship(3, ahead=3))
    story.then(
        f.StockShipped,
        like(f.StockReleased, quantity=1, shipped=True),
        like(f.WaitEnded, quantity=2, shipped=True),
        f.StockShortfallFound,
    )
    assert not story.state.queue


def test_an_offer_is_for_the_whole_order_and_stays() -> None:
    story = given(receive(1), waits(3, mode="offer")).when(ship(1, ahead=1))
    story.then(like(f.StockShipped, ahead=1))
    assert len(story.state.queue) == 1


def test_a_hold_of_a_channel_or_of_another_line_stays() -> None:
    story = given(receive(5), sent(reserve(1, attempt=7)), asked(1, line="2")).when(ship(1, ahead=1))
    story.then(like(f.StockShipped, ahead=1))
    assert amounts(story.state.level("WH1")) == {"on_hand": 4, "reserved": 2, "available": 2}


def test_what_waited_and_was_granted_unheard_leaves_too() -> None:
    """The order knew of a wait, and the units had been granted meanwhile."""
    story = given(waits(2), receive(2)).when(ship(2, (in_round(1, 999), "", 2)))
    story.then(f.StockShipped, like(f.StockReleased, quantity=2, shipped=True))
    assert amounts(story.state.level("WH1")) == {}


def test_a_cart_lets_go_of_what_left() -> None:
    story = given(receive(2), put_in_cart(2)).when(ship(2, ahead=2, cart_id="cart-1"))
    story.then(like(f.StockShipped, ahead=2), like(f.StockReleased, order_id="cart-1", quantity=2, shipped=False))
    assert amounts(story.state.level("WH1")) == {}


# Asked for after it left


def test_a_question_that_comes_after_its_goods_left_holds_only_the_rest() -> None:
    story = given(receive(9), ship(3, ahead=3)).when(asked(5))
    story.then(like(f.WaitEnded, quantity=3, shipped=True), like(f.StockReserved, quantity=2))
    story.when(asked(2, part=2)).then(like(f.StockReserved, quantity=2))


def test_a_question_for_what_left_holds_nothing_though_there_is_nothing_any_more() -> None:
    story = given(receive(3), ship(3, ahead=3)).when(asked(3))
    story.then(like(f.WaitEnded, quantity=3, shipped=True))
    story.when(asked(3)).then_refused("conflict")


def test_of_a_wait_that_comes_after_only_the_rest_waits() -> None:
    for mode in ("grant", "offer", "take"):
        story = given(receive(3), ship(3, ahead=3)).when(waits(5, mode=mode))
        story.then(
            like(f.WaitEnded, quantity=3, shipped=True),
            like(f.StockAwaited, quantity=2, mode="grant" if mode == "grant" else "offer"),
        )


def test_a_later_round_asks_for_other_units() -> None:
    given(receive(9), ship(3, ahead=3)).when(asked(5, round_=2)).then(like(f.StockReserved, quantity=5))


def test_an_amendment_asks_for_other_units() -> None:
    story = given(receive(9), ship(3, ahead=3, ahead_round=4, ahead_apart=2))
    story.when(asked(2, round_=2)).then(like(f.StockReserved, quantity=2))
    story.when(asked(3, round_=3)).then(like(f.WaitEnded, quantity=3, shipped=True))


def test_what_a_channel_asks_for_itself_is_held_whatever_left() -> None:
    given(receive(9), ship(3, ahead=3)).when(reserve(2)).then(like(f.StockReserved, quantity=2))


def test_a_release_that_came_first_still_counts() -> None:
    early = sent(release(2, attempt=in_round(1)), channel=INTERNAL_CHANNEL)
    story = given(receive(9), ship(3, ahead=3), early).when(asked(2))
    story.then(like(f.ReservationRefused, reason="released_before"))


def test_units_that_left_are_forgotten_like_releases_that_came_first() -> None:
    late = NOW + timedelta(days=TOMBSTONES_KEPT_DAYS + 1)
    story = given(receive(9), ship(3, ahead=3)).when(sent(ship(1, ahead=1), at=late))
    assert [total(one.left) for one in story.state.aheads.values()] == [1]
    other = given(receive(9), ship(3, ahead=3))
    other.when(sent(release(1, order="o-2", attempt=9), at=late, channel=INTERNAL_CHANNEL))
    assert not other.state.aheads


def test_a_snapshot_keeps_what_left() -> None:
    story = given(receive(9), asked(1, part=3, line="2"), waits(9, line="3"), ship(3, ahead=3))
    assert from_stored(to_stored(story.state)) == story.state


# The rule that orders and SKUs share

entries = st.lists(st.builds(Ahead, st.integers(1, 9), st.integers(1, 5), st.integers(0, 5)), max_size=6)


@for_all(entries, st.integers(1, 6), st.integers(1, 40))
def test_a_question_uses_up_units_of_its_round_or_later_and_loses_none(
    units: list[Ahead], round_: int, wanted: int
) -> None:
    left: tuple[Ahead, ...] = ()
    for one in units:
        left = add_ahead(left, one)
    assert total(left) == total(units)
    rest, found = use_up(left, round_, wanted)
    mine = total(one for one in left if one.round >= round_ != one.apart)
    assert found == min(wanted, mine)
    assert total(rest) == total(left) - found
    assert use_up(rest, round_, wanted - found)[1] == 0
