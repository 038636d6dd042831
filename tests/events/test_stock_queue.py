"""Who waits for stock is served oldest first, in the decision that brings or frees it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from events.envelope import INTERNAL_CHANNEL
from events.stock import commands as c
from events.stock import facts as f
from events.stock.state import TOMBSTONES_KEPT_DAYS
from tests.events.builders import (
    adjust,
    at,
    count,
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
from tests.support.given import NOW, Story, ask, given, like, sent


def served(story: Story) -> list[tuple[str, str, int]]:
    """(order, line, units) of those who were served, in turn."""
    return [(fact.order_id, fact.line_id, fact.quantity) for fact in story.answer if isinstance(fact, f.StockReserved)]


def test_what_is_there_is_held_at_once_and_the_rest_waits() -> None:
    story = given(receive(2), receive(1, location="WH2")).when(wait_for(5, locations=("WH2",)))
    story.then(
        like(f.StockReserved, location_id="WH2", quantity=1, waited=False, for_order=True),
        like(f.StockReserved, location_id="WH1", quantity=2),
        like(f.StockAwaited, quantity=2, locations=("WH2",)),
    )


def test_a_line_that_gets_all_does_not_wait() -> None:
    given(receive(2)).when(wait_for(2)).then(f.StockReserved)


def test_the_oldest_order_is_served_first_then_by_order_number_then_by_line() -> None:
    early, late = at("08:00:00"), at("09:00:00")
    story = given(
        wait_for(order="c", placed_at=late),
        wait_for(order="b", line="2", placed_at=early),
        wait_for(order="b", line="1", placed_at=early),
        wait_for(order="a", placed_at=late),
        wait_for(order="z", placed_at=early),
    )
    story.when(receive(4))
    assert served(story) == [("b", "1", 1), ("b", "2", 1), ("z", "1", 1), ("a", "1", 1)]
    assert [attempt.order_id for attempt in story.state.queue] == ["c"]
    assert all(fact.waited for fact in story.answer[1:])


def test_a_line_that_gets_a_part_waits_on_in_its_place() -> None:
    story = given(wait_for(3, order="a"), wait_for(1, order="b", placed_at=at("10:00:00"))).when(receive(2))
    assert served(story) == [("a", "1", 2)]
    story.when(receive(2))
    assert served(story) == [("a", "1", 1), ("b", "1", 1)]


HELD = (receive(1), reserve(1, order="x", expires_at=NOW + timedelta(minutes=5)))
KEPT_BACK = (receive(1), policy(safety_stock=1))
BUFFERED = (receive(1), policy(buffers={"web": 1}))


@pytest.mark.parametrize(
    ("before", "frees"),
    [
        pytest.param(HELD, release(1, order="x"), id="release"),
        pytest.param(HELD, sent(expire(order="x"), at=NOW + timedelta(hours=1)), id="expiry"),
        pytest.param(HELD, adjust(1), id="adjustment"),
        pytest.param(HELD, count(2), id="count"),
        pytest.param(HELD, take_back(1), id="return"),
        pytest.param((receive(1), reserve(1)), ship(1, (1, "WH1", 1), location="WH2"), id="shipped-from-elsewhere"),
        pytest.param(KEPT_BACK, policy(safety_stock=0), id="safety-stock"),
        pytest.param(BUFFERED, policy(buffers={}), id="buffer"),
        pytest.param(BUFFERED, policy(buffers={"*": 1, "web": 0}), id="buffer-of-the-channel"),
    ],
)
def test_whatever_frees_a_unit_serves_the_queue(before: tuple[object, ...], frees: object) -> None:
    story = given(*before, wait_for(1, order="w", for_channel="web")).when(frees)
    assert served(story) == [("w", "1", 1)]


def test_a_move_serves_the_queue_where_the_other_location_keeps_nothing_back() -> None:
    story = given(receive(2), policy(buffers={"*": 2}), wait_for(1)).when(move(1))
    assert served(story) == [("o-1", "1", 1)]


def test_the_queue_of_a_channel_with_a_buffer_leaves_that_buffer_alone() -> None:
    web, store = at("08:00:00"), at("09:00:00")
    story = given(
        policy(buffers={"web": 3}),
        wait_for(2, order="w", placed_at=web, for_channel="web"),
        wait_for(2, order="s", placed_at=store, for_channel="store"),
    ).when(receive(4))
    assert served(story) == [("w", "1", 1), ("s", "1", 2)]


def test_units_that_only_make_up_for_a_shortfall_are_given_to_nobody() -> None:
    given(receive(1), reserve(1, order="x"), adjust(-3), wait_for(1)).when(receive(2)).then(f.StockReceived)


def test_a_wait_may_be_ended_in_parts() -> None:
    story = (
        given(wait_for(3))
        .when(sent(release(2, location=""), channel=INTERNAL_CHANNEL))
        .then(like(f.WaitEnded, quantity=2))
    )
    story.when(sent(release(9, location=""), channel=INTERNAL_CHANNEL)).then(like(f.WaitEnded, quantity=1))
    story.when(receive(5)).then(f.StockReceived)


def test_what_an_order_waits_for_or_holds_is_its_own_to_let_go_of() -> None:
    given(wait_for(3)).when(release(2, location="")).then_refused("conflict", at_most=0)
    held = sent(reserve(2), channel=INTERNAL_CHANNEL)
    given(receive(2), held).when(release(2)).then_refused("conflict", at_most=0)
    given(receive(2), reserve(2)).when(release(2)).then(like(f.StockReleased, quantity=2))


def test_goods_that_left_while_their_line_waited_end_the_wait() -> None:
    story = given(receive(2), reserve(2, order="x"), wait_for(3)).when(ship(2, (1, "", 2)))
    story.then(f.StockShipped, like(f.WaitEnded, quantity=2), like(f.StockShortfallFound, available=-2))


def test_an_attempt_waits_once() -> None:
    given(wait_for(1)).when(wait_for(1)).then_refused("conflict")


def test_a_wait_is_remembered_for_as_long_as_it_lasts() -> None:
    later = NOW + timedelta(days=TOMBSTONES_KEPT_DAYS + 1)
    story = given(wait_for(2), sent(wait_for(1, order="b"), at=later))
    story.when(sent(release(2, location=""), channel=INTERNAL_CHANNEL, at=later)).then(like(f.WaitEnded, quantity=2))


# Offers


def test_stock_is_offered_to_an_order_that_goes_as_a_whole_and_nothing_is_held_for_it() -> None:
    ask(wait_for(2, mode="offer")).then(like(f.StockAwaited, mode="offer"))
    story = given(wait_for(2, mode="offer"))
    story.when(receive(1)).then(f.StockReceived)
    story.when(receive(1)).then(f.StockReceived, like(f.StockOffered, quantity=2))
    assert not story.state.queue
    assert not story.state.reservations


def test_stock_that_is_there_is_offered_at_once() -> None:
    given(receive(2)).when(wait_for(2, mode="offer")).then(f.StockOffered)


def test_what_is_offered_is_not_given_to_a_younger_order_in_the_same_breath() -> None:
    story = given(
        wait_for(3, order="whole", placed_at=at("08:00:00"), mode="offer"),
        wait_for(2, order="young", placed_at=at("09:00:00")),
    ).when(receive(4))
    story.then(
        f.StockReceived, like(f.StockOffered, order_id="whole"), like(f.StockReserved, order_id="young", quantity=1)
    )


def test_what_was_offered_and_not_taken_is_for_whoever_else_waits_when_that_is_said() -> None:
    story = given(
        wait_for(3, order="whole", placed_at=at("08:00:00"), mode="offer"),
        wait_for(3, order="other", placed_at=at("08:30:00"), mode="offer"),
        wait_for(2, order="young", placed_at=at("09:00:00")),
        receive(3),
    )
    story.when(c.ServeQueue(sku="MUG")).then(like(f.StockOffered, order_id="other"))
    story.when(c.ServeQueue(sku="MUG")).then(like(f.StockReserved, order_id="young", quantity=2, waited=True))
    story.when(c.ServeQueue(sku="MUG")).then_nothing()


def test_who_was_offered_less_than_it_needs_by_now_leaves_it_to_the_others() -> None:
    """Seed 1124070: the order had grown while it waited."""
    story = given(
        wait_for(1, order="whole", placed_at=at("08:00:00"), mode="offer"),
        wait_for(1, order="young", placed_at=at("09:00:00")),
        receive(1),
    )
    story.when(wait_for(4, order="whole", attempt=2, placed_at=at("08:00:00"), mode="offer")).then(
        like(f.StockAwaited, order_id="whole"), like(f.StockReserved, order_id="young", quantity=1)
    )


def test_an_order_that_goes_as_a_whole_does_not_keep_others_from_what_is_too_little_for_it() -> None:
    story = given(
        wait_for(3, order="whole", placed_at=at("08:00:00"), mode="offer"),
        wait_for(1, order="young", placed_at=at("09:00:00")),
    ).when(receive(2))
    assert served(story) == [("young", "1", 1)]


# An all-or-nothing order, line by line


def test_what_the_tables_do_not_know_of_is_taken_at_once_where_there_is_all_of_it() -> None:
    story = given(receive(2), receive(1, location="WH2")).when(wait_for(3, mode="take"))
    story.then(
        like(f.StockReserved, location_id="WH1", quantity=2, waited=False),
        like(f.StockReserved, location_id="WH2", quantity=1, waited=False),
    )


def test_where_there_is_too_little_nothing_is_taken_and_the_order_waits_to_be_called() -> None:
    story = given(receive(2)).when(wait_for(3, mode="take")).then(like(f.StockAwaited, quantity=3, mode="offer"))
    story.when(receive(1)).then(f.StockReceived, like(f.StockOffered, quantity=3))
