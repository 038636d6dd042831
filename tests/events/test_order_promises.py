"""What a customer is told of units that wait: one fact for each promise that changes, and no word twice."""

from __future__ import annotations

from datetime import datetime, timedelta

from events.orders import facts as f
from events.stock import facts as stock_facts
from tests.events.builders import answer, answers, cancel, expect, in_round, place, receive, reserved, waiting
from tests.events.shop import Shop
from tests.support.given import NOW, Story, given, like

MONDAY, FRIDAY = NOW + timedelta(days=3), NOW + timedelta(days=7)


def promised(
    expected_at: datetime | None, *, version: int, attempt: int = in_round(1, 999), cause: str = "first"
) -> object:
    return answer("promised", 2, version=version, attempt=attempt, location="", expected_at=expected_at, cause=cause)


def told(story: Story) -> list[tuple[datetime | None, datetime | None]]:
    return [(one.expected_at, one.previous) for one in story.answer if isinstance(one, f.LinePromised)]


def test_the_customer_is_told_when_units_that_wait_are_expected() -> None:
    story = given(place({"1": 2})).when(
        answers(answer("waiting", 2, version=1, attempt=in_round(1, 999)), promised(MONDAY, version=2))
    )
    story.then(
        f.LineBackordered,
        f.LinePromised(
            order_id="o-1",
            line_id="1",
            sku="SKU-1",
            quantity=2,
            attempt=in_round(1, 999),
            expected_at=MONDAY,
            previous=None,
            cause="first",
            stock_version=2,
        ),
    )


WAITS = (
    place({"1": 2}),
    answers(answer("waiting", 2, version=1, attempt=in_round(1, 999)), promised(MONDAY, version=2)),
)


def test_the_customer_is_told_once_of_each_change() -> None:
    story = given(*WAITS).when(answers(promised(FRIDAY, version=3, cause="late")))
    story.then(like(f.LinePromised, expected_at=FRIDAY, previous=MONDAY, cause="late"))
    story.when(answers(promised(FRIDAY, version=3, cause="late"))).then_nothing()
    story.when(answers(promised(MONDAY, version=2))).then_nothing()
    story.when(answers(promised(None, version=4, cause="short")))
    story.then(like(f.LinePromised, expected_at=None, previous=FRIDAY, cause="short"))


def test_nothing_is_said_of_a_wait_that_is_over() -> None:
    story = given(*WAITS, cancel()).when(answers(promised(FRIDAY, version=3, cause="late"))).then_nothing()
    story = given(*WAITS, reserved(2, version=3, attempt=in_round(1, 999)))
    story.when(answers(promised(FRIDAY, version=4, cause="late"))).then_nothing()


REOPENED = (*WAITS, answers(answer("offered", 2, version=3, attempt=in_round(1, 999))))


def test_a_line_that_waits_again_is_not_told_again_what_still_holds() -> None:
    again = answers(
        answer("waiting", 2, version=4, attempt=in_round(2, 999)), promised(MONDAY, version=5, attempt=in_round(2, 999))
    )
    assert told(given(*REOPENED).when(again)) == []


def test_a_line_that_waits_again_is_told_when_the_promise_no_longer_holds() -> None:
    later = answers(
        answer("waiting", 2, version=4, attempt=in_round(2, 999)), promised(FRIDAY, version=5, attempt=in_round(2, 999))
    )
    assert told(given(*REOPENED).when(later)) == [(FRIDAY, MONDAY)]
    assert told(given(*REOPENED).when(waiting(2, version=4, attempt=in_round(2, 999)))) == [(None, MONDAY)]


def test_a_promise_to_another_line_of_the_same_round_is_none_to_this_one() -> None:
    """Found by the simulation (seed 1302243): two lines that ask for as many units have attempts of the same number."""
    again = in_round(3, 999)
    to_the_other = answer("promised", 2, line="2", version=6, attempt=again, location="", expected_at=MONDAY)
    waits = [answer("waiting", 2, line=line, version=version, attempt=again) for line, version in (("1", 4), ("2", 5))]
    story = given(place({"1": 2, "2": 2}), *REOPENED[1:]).when(answers(*waits, to_the_other))
    assert told(story) == [(None, MONDAY), (MONDAY, None)]


def test_units_that_came_to_wait_while_others_did_have_a_promise_of_their_own() -> None:
    one_held = given(place({"1": 3}), answers(answer("reserved", 1, version=1)))
    waits = (answers(answer("waiting", 2, version=2, attempt=in_round(1, 999)), promised(MONDAY, version=3)),)
    story = one_held.when(
        *waits, answers(answer("expired", 1, version=4)), waiting(1, version=5, attempt=in_round(2, 999))
    )
    assert told(story) == []
    story.when(answers(promised(FRIDAY, version=6, attempt=in_round(2, 999))))
    assert told(story) == [(FRIDAY, None)]
    assert [wait.expected_at for wait in story.state.lines["1"].waits] == [MONDAY, FRIDAY]


def test_the_promise_of_a_skus_stream_reaches_the_customer_of_each_order_that_waits() -> None:
    for seed in range(20):
        shop = Shop(seed)
        shop.ask(expect(3, MONDAY), place({"1": ("MUG", 2)}, order_id="o-1"), place({"1": ("MUG", 1)}, order_id="o-2"))
        shop.run()
        lines = {order_id: order.lines["1"] for order_id, order in shop.orders.items()}
        assert {one.waits[0].expected_at for one in lines.values()} == {MONDAY}
        shop.ask(receive(3, po="PO-1"))
        shop.run()
        assert all(order.fully_allocated for order in shop.orders.values())
        assert len([one for one in shop.facts if isinstance(one, f.LinePromised)]) == 2


def test_an_order_that_goes_as_a_whole_is_told_what_its_missing_line_is_promised() -> None:
    shop = Shop(1)
    shop.ask(
        expect(3, MONDAY),
        receive(1, sku="TRAY"),
        place({"1": ("MUG", 2), "2": ("TRAY", 1)}, allocation="all_or_nothing"),
    )
    shop.run()
    (said,) = [one for one in shop.facts if isinstance(one, f.LinePromised)]
    assert (said.line_id, said.expected_at) == ("1", MONDAY)
    assert any(isinstance(one, stock_facts.BackorderPromised) for one in shop.facts)
