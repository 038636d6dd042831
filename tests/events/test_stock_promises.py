"""Who waits is promised what is on its way: first come, first served, and each change is said once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from events.envelope import INTERNAL_CHANNEL
from events.stock import facts as f
from events.stock import promising
from events.stock.state import Attempt
from tests.events.builders import (
    CHECK_EXPECTED,
    amend_transfer,
    arrive,
    at,
    expect,
    receive,
    release,
    send,
    wait_for,
)
from tests.events.test_laws import STOCK_COMMANDS, Life
from tests.support.given import NOW, Story, given, like, sent
from tests.support.promised import plainly_promised

MONDAY, FRIDAY = NOW + timedelta(days=3), NOW + timedelta(days=7)


def told(story: Story) -> list[tuple[str, datetime | None, datetime | None, str]]:
    """(order, new time, old time, cause) of each promise that was stated last."""
    return [
        (fact.order_id, fact.expected_at, fact.previous, fact.cause)
        for fact in story.answer
        if isinstance(fact, f.BackorderPromised)
    ]


OLD, YOUNG = wait_for(2, order="old", placed_at=at("08:00:00")), wait_for(3, order="young", placed_at=at("09:00:00"))


def test_a_line_that_waits_is_promised_the_time_of_its_last_unit() -> None:
    story = given(expect(4, MONDAY), expect(6, FRIDAY, po="PO-2")).when(OLD)
    story.then(f.StockAwaited, like(f.BackorderPromised, quantity=2, expected_at=MONDAY, previous=None, cause="first"))
    story.when(YOUNG)
    assert told(story) == [("young", FRIDAY, None, "first")]


def test_what_is_announced_later_is_promised_to_those_who_wait_already() -> None:
    story = given(OLD, YOUNG).when(expect(5, MONDAY))
    assert told(story) == [("old", MONDAY, None, "first"), ("young", MONDAY, None, "first")]


def test_whoever_is_not_covered_whole_is_promised_nothing() -> None:
    story = given(OLD, YOUNG).when(expect(4, MONDAY))
    assert told(story) == [("old", MONDAY, None, "first")]


def test_a_smaller_order_does_not_pass_one_before_it() -> None:
    story = given(YOUNG, wait_for(1, order="small", placed_at=at("10:00:00"))).when(expect(2, MONDAY))
    assert told(story) == []


def test_a_receipt_that_is_short_moves_the_promises_that_it_no_longer_covers() -> None:
    story = given(expect(5, MONDAY), expect(6, FRIDAY, po="PO-2"), OLD, YOUNG).when(expect(3, MONDAY))
    assert told(story) == [("young", FRIDAY, MONDAY, "short")]
    story.when(expect(0, po="PO-2"))
    assert told(story) == [("young", None, FRIDAY, "short")]


def test_a_short_delivery_moves_no_promise_while_the_rest_is_still_expected() -> None:
    story = given(expect(5, MONDAY), OLD, YOUNG).when(receive(4, po="PO-1"))
    assert told(story) == []
    assert [(one.order_id, one.quantity) for one in story.answer if isinstance(one, f.StockReserved)] == [
        ("old", 2), ("young", 2),
    ]  # fmt: skip


def test_a_delivery_that_comes_late_moves_the_promise_and_one_that_comes_early_too() -> None:
    story = given(expect(5, MONDAY), OLD).when(expect(5, FRIDAY))
    assert told(story) == [("old", FRIDAY, MONDAY, "late")]
    story.when(expect(5, MONDAY))
    assert told(story) == [("old", MONDAY, FRIDAY, "earlier")]


def test_what_does_not_come_in_time_is_promised_no_more_until_another_time_is_given() -> None:
    story = given(expect(5, MONDAY), expect(2, FRIDAY, po="PO-2"), OLD, YOUNG)
    story.when(sent(CHECK_EXPECTED, at=MONDAY))
    assert told(story) == [("old", FRIDAY, MONDAY, "late"), ("young", None, MONDAY, "late")]
    story.when(sent(expect(5, FRIDAY), at=MONDAY))
    assert told(story) == [("young", FRIDAY, None, "first")]


def test_an_older_order_that_comes_later_overtakes() -> None:
    story = given(expect(3, MONDAY), expect(2, FRIDAY, po="PO-2"), YOUNG).when(OLD)
    assert told(story) == [("old", MONDAY, None, "first"), ("young", FRIDAY, MONDAY, "overtaken")]


def test_whoever_leaves_the_queue_lets_others_come_earlier() -> None:
    story = given(expect(3, MONDAY), expect(2, FRIDAY, po="PO-2"), OLD, YOUNG)
    story.when(sent(release(2, order="old", location=""), channel=INTERNAL_CHANNEL))
    assert told(story) == [("young", MONDAY, FRIDAY, "earlier")]


def test_transfers_are_promised_too() -> None:
    story = given(receive(4), send(4, expected_at=MONDAY), OLD)
    assert story.state.promises[Attempt("old", "1", 1)] == MONDAY
    story.when(amend_transfer(FRIDAY))
    assert told(story) == [("old", FRIDAY, MONDAY, "late")]
    story.when(arrive(1, close=True))
    assert told(story) == [("old", None, FRIDAY, "short")]


def test_an_order_that_goes_as_a_whole_is_promised_in_its_turn() -> None:
    story = given(expect(4, MONDAY)).when(wait_for(3, mode="offer"))
    assert told(story) == [("o-1", MONDAY, None, "first")]


def test_nothing_is_promised_on_goods_of_which_nobody_knows_when_they_come() -> None:
    assert told(given(expect(9)).when(OLD)) == []


WAITS = st.builds(
    wait_for,
    st.integers(1, 4),
    order=st.sampled_from(["a", "b", "c", "d"]),
    attempt=st.integers(1, 60),
    placed_at=st.sampled_from([at(f"0{hour}:00:00") for hour in range(5)]),
    mode=st.sampled_from(["grant", "grant", "offer"]),
)
EXPECTED = st.builds(
    expect,
    st.integers(0, 7),
    st.integers(1, 40).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    po=st.sampled_from(["PO-1", "PO-2", "PO-3"]),
)


@settings(max_examples=250, deadline=None)
@for_all(commands=st.lists(st.one_of(WAITS, WAITS, EXPECTED, STOCK_COMMANDS), max_size=40))
def test_promises_are_always_those_of_a_count_from_scratch(commands: list[Any]) -> None:
    life = Life("stock", "MUG")
    for data in commands:
        before = dict(life.state.promises)
        after = life.live(data)
        stock = life.state
        assert dict(stock.promises) == plainly_promised(stock)
        assert {one.attempt: one.expected_at for one in promising.promises(stock)} == plainly_promised(stock)
        said = [fact for fact, _ in after if isinstance(fact, f.BackorderPromised)]
        waiters = [Attempt(fact.order_id, fact.line_id, fact.attempt) for fact in said]
        assert len(set(waiters)) == len(waiters)
        for fact, waiter in zip(said, waiters, strict=True):
            assert fact.previous == before.get(waiter)
            assert fact.previous != fact.expected_at
        # Nobody is promised an earlier time than somebody before it, and no receipt beyond what it holds.
        queue = sorted(stock.queue, key=lambda one: (stock.queue[one].placed_at, one))
        times = [stock.promises.get(one) for one in queue]
        given_times = [time for time in times if time is not None]
        assert given_times == sorted(given_times)
        assert all(time is not None for time in times[: len(given_times)])
        for time in given_times:
            promised = sum(stock.queue[one].quantity for one, until in stock.promises.items() if until <= time)
            coming = [one for one in stock.incoming.values() if one.expected_at and one.expected_at <= time]
            assert promised <= sum(one.quantity for one in coming if not one.overdue)
        assert stock.awaited == sum(waiting.quantity for waiting in stock.queue.values())
