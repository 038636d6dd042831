"""What an order makes of the stock streams' answers, line by line or as a whole."""

from __future__ import annotations

from itertools import permutations

import pytest

from events.orders import facts as f
from events.orders.state import Wait
from tests.events.builders import (
    amend,
    answer,
    answers,
    cancel,
    dispatch,
    hold,
    in_round,
    line_of,
    place,
    release_hold,
    reserved,
    waiting,
)
from tests.support.given import Story, given, like

# Line by line


def test_a_reserved_line_is_allocated_and_with_the_last_one_the_order() -> None:
    story = given(place({"1": 2, "2": 1}))
    story.when(reserved(2)).then(like(f.LineAllocated, line_id="1", quantity=2, from_open=2, from_backordered=0))
    story.when(reserved(1, line="2", location="WH2"))
    story.then(like(f.LineAllocated, line_id="2"), f.OrderAllocated(order_id="o-1", units=3, parcels=2))


def test_a_refused_line_is_sourced_again_without_the_location_that_refused() -> None:
    story = given(place({"1": 2})).when(answers(answer("refused", 2, version=4, location="WH3")))
    story.then(
        like(f.AllocationAnswered, outcome="refused", quantity=2),
        like(f.SourcingRequested, round=2, excluded=(f.Excluded(line_id="1", location_id="WH3"),)),
    )
    again = answer("refused", 2, version=5, location="WH3", attempt=in_round(2))
    story.when(answers(again)).then(f.AllocationAnswered, like(f.SourcingRequested, round=3))
    assert [pair.location_id for pair in story.answer[1].excluded] == ["WH3"]
    story.when(reserved(2, version=6))
    assert story.state.lines["1"].excluded == ()


def test_a_waiting_line_is_backordered_and_allocated_when_its_turn_comes() -> None:
    story = given(place({"1": 3})).when(waiting(3))
    story.then(like(f.LineBackordered, quantity=3, attempt=in_round(1, 999)))
    story.when(reserved(2, version=2, attempt=in_round(1, 999))).then(
        like(f.LineAllocated, from_backordered=2, from_open=0)
    )
    assert line_of(story.state) == {"ordered": 3, "backordered": 1, "allocated": 2}
    story.when(reserved(1, version=3, attempt=in_round(1, 999))).then(
        f.LineAllocated, like(f.OrderAllocated, units=3, parcels=1)
    )


def test_part_reserved_at_once_and_part_waiting_is_one_line_in_two_places() -> None:
    said = answers(
        answer("reserved", 2, version=1, attempt=in_round(1, 999)),
        answer("waiting", 1, version=2, attempt=in_round(1, 999)),
    )
    story = given(place({"1": 3})).when(said).then(f.LineAllocated, f.LineBackordered)
    assert line_of(story.state) == {"ordered": 3, "backordered": 1, "allocated": 2}


@pytest.mark.parametrize("outcome", ["expired", "released"])
def test_a_hold_that_was_lost_is_sourced_again(outcome: str) -> None:
    story = given(place({"1": 2}), reserved(2)).when(answers(answer(outcome, 2, version=2)))
    story.then(like(f.LineDeallocated, reason=outcome, releases=()), like(f.SourcingRequested, round=2))


def test_a_loss_of_what_the_order_does_not_hold_changes_nothing() -> None:
    story = given(place({"1": 2})).when(answers(answer("expired", 2, version=2)))
    story.then(like(f.AllocationAnswered, quantity=0))
    assert line_of(story.state) == {"ordered": 2, "open": 2}


def test_what_comes_for_cancelled_units_is_given_back() -> None:
    story = given(place({"1": 5}), cancel({"1": 3})).when(reserved(5))
    back = f.Release(line_id="1", sku="SKU-1", attempt=in_round(1), location_id="WH1", quantity=3)
    story.then(
        like(f.LineAllocated, quantity=2),
        like(f.ReservationSurrendered, quantity=3, releases=(back,)),
        f.OrderAllocated,
    )


def test_a_place_in_the_queue_for_cancelled_units_is_given_back() -> None:
    story = given(place({"1": 5}), cancel({"1": 5})).when(waiting(5))
    back = f.Release(line_id="1", sku="SKU-1", attempt=in_round(1, 999), location_id="", quantity=5)
    story.then(like(f.ReservationSurrendered, quantity=5, releases=(back,)))


def test_a_refusal_for_cancelled_units_asks_for_nothing_new() -> None:
    given(place({"1": 5}), cancel()).when(answers(answer("refused", 5, version=1))).then(
        like(f.AllocationAnswered, quantity=0)
    )


def test_answers_for_a_line_that_the_order_does_not_have_are_refused() -> None:
    given(place()).when(reserved(1, line="9")).then_refused("unknown", says="9")


def test_a_repeated_answer_changes_nothing() -> None:
    story = given(place({"1": 2}), reserved(2))
    story.when(reserved(2)).then_nothing()


def test_an_answer_that_comes_after_a_newer_one_changes_nothing() -> None:
    given(place({"1": 3}), waiting(3, version=5)).when(reserved(3, version=4, attempt=in_round(1, 999))).then_nothing()


def test_however_answers_are_grouped_and_repeated_the_order_ends_the_same() -> None:
    said = [
        answer("reserved", 2, version=1, location="WH1"),
        answer("reserved", 1, version=3, line="2"),
        answer("refused", 3, version=2, location="WH2", attempt=in_round(1, 2)),
        answer("reserved", 3, version=4, location="WH3", attempt=in_round(2)),
    ]
    first, second, third, fourth = said
    together = given(place({"1": 5, "2": 1})).when(answers(first, second, third), answers(fourth))
    for groups in (
        [[first], [second], [third], [fourth]],
        [[first, second], [first, second, third], [fourth], [fourth]],
        [[second], [first, third], [first], [second, fourth, third]],
        # A restart reads again from before all of them.
        [[first, second, third], said, said],
    ):
        story = given(place({"1": 5, "2": 1})).when(*(answers(*group) for group in groups))
        assert story.state.lines == together.state.lines
        assert story.state.fully_allocated


# As a whole

WHOLE = {"allocation": "all_or_nothing"}


def whole(**lines: int) -> Story:
    """An all-or-nothing order, one line for each SKU."""
    return given(place({sku: (sku, units) for sku, units in lines.items()}, **WHOLE))


def requested(story: Story) -> list[str]:
    """Lines of the request that was stated last."""
    last = next(fact for fact in reversed(story.answer) if isinstance(fact, f.SourcingRequested))
    return [line.line_id for line in last.lines]


def test_one_refused_line_lets_go_of_all_the_others_and_tries_again_in_the_order_of_their_skus() -> None:
    story = whole(B=1, A=2).when(reserved(2, line="A"))
    story.when(answers(answer("refused", 1, version=1, line="B", location="WH9")))
    story.then(
        f.AllocationAnswered,
        like(f.LineDeallocated, line_id="A", quantity=2, reason="all_or_nothing"),
        like(f.SourcingRequested, round=2, excluded=()),
    )
    assert story.answer[1].releases[0].location_id == "WH1"
    assert requested(story) == ["A"]
    story.when(reserved(2, line="A", version=3, attempt=in_round(2))).then(f.LineAllocated, f.SourcingRequested)
    assert requested(story) == ["B"]
    story.when(reserved(1, line="B", version=3, attempt=in_round(3))).then(
        f.LineAllocated, like(f.OrderAllocated, units=3)
    )


@pytest.mark.parametrize("order", list(permutations(["A", "B", "C"])))
def test_in_whichever_order_the_answers_come_nothing_is_kept_when_one_is_a_refusal(order: tuple[str, ...]) -> None:
    story = whole(A=1, B=1, C=1)
    for line in order:
        outcome = "refused" if line == "B" else "reserved"
        story.when(answers(answer(outcome, 1, version=1, line=line)))
    assert story.state.lines["A"].holds == story.state.lines["C"].holds == ()
    assert requested(story) == ["A"]


def test_an_order_waits_as_a_whole() -> None:
    story = whole(A=1, B=2).when(reserved(1, line="A"), waiting(2, line="B"))
    story.then(
        like(f.LineBackordered, line_id="B", attempt=in_round(1, 999)),
        like(f.LineDeallocated, line_id="A"),
        like(f.LineBackordered, line_id="A", attempt=0),
    )
    assert all(line.backordered == line.ordered for line in story.state.lines.values())


def test_a_line_that_only_waits_for_another_one_still_knows_who_refused_it() -> None:
    """Found by the simulation (seed 69). When waiting for A made B forget that WH3 has only what is kept back from this
    channel, B was asked of WH3 again after each offer for A, and the order went round for ever."""
    story = whole(A=1, B=1).when(
        reserved(1, line="A"), answers(answer("refused", 1, version=1, line="B", location="WH3"))
    )
    assert requested(story) == ["A"]
    story.when(waiting(1, line="A", version=2, attempt=in_round(2, 999)))
    assert story.state.lines["B"].waits == (Wait(0, 1),)
    assert story.state.lines["B"].excluded == ("WH3",)


def test_an_offer_reopens_the_whole_order_which_goes_on_line_by_line() -> None:
    story = whole(B=2, A=1, C=1).when(
        waiting(2, line="B"), answers(answer("offered", 2, version=2, line="B", attempt=in_round(1, 999)))
    )
    reopened = [fact for fact in story.answer if isinstance(fact, f.BackorderReopened)]
    assert [(fact.line_id, fact.quantity, fact.releases) for fact in reopened] == [
        ("B", 2, ()),
        ("A", 1, ()),
        ("C", 1, ()),
    ]
    assert requested(story) == ["A"]
    for version, line, units in ((3, "A", 1), (4, "B", 2), (5, "C", 1)):
        story.when(reserved(units, line=line, version=version, attempt=in_round(version, 0)))
    story.then(f.LineAllocated, like(f.OrderAllocated, units=4))


def test_an_offer_at_once_reopens_what_never_stood_in_the_queue() -> None:
    story = whole(A=1, B=2).when(answers(answer("offered", 2, version=1, line="B", attempt=in_round(1, 999))))
    assert [type(fact).__name__ for fact in story.answer] == [
        "LineBackordered",
        "LineBackordered",
        "BackorderReopened",
        "BackorderReopened",
        "SourcingRequested",
    ]
    assert requested(story) == ["A"]


def test_an_offer_for_one_of_two_waiting_lines_lets_go_of_the_other_place() -> None:
    story = given(place({"A": ("A", 1), "B": ("B", 1)}, **WHOLE), waiting(1, line="A"))
    # The second wait was asked for in the same round; its answer comes when the order waits already.
    story.when(waiting(1, line="B")).then(like(f.ReservationSurrendered, line_id="B"))


def test_an_offer_that_comes_when_the_order_has_gone_on_changes_nothing() -> None:
    late = answers(answer("offered", 1, version=1, line="A", attempt=in_round(1, 999)))
    story = whole(A=1, B=1).when(reserved(1, line="A"), reserved(1, line="B"))
    again = answers(answer("offered", 1, version=2, line="A", attempt=in_round(1, 999)))
    assert story.state.fully_allocated
    story.when(late).then_nothing()
    story.when(again)
    assert line_of(story.state, "A")["ordered"] == 1


def test_an_order_on_hold_does_not_try_again_until_the_hold_is_released() -> None:
    story = whole(A=1, B=1).when(waiting(1, line="B"), hold())
    story.then(f.OrderHeld, f.BackorderReopened, f.BackorderReopened)
    story.when(answers(answer("offered", 1, version=2, line="B", attempt=in_round(1, 999)))).then(f.AllocationAnswered)
    story.when(release_hold()).then(f.HoldReleased, f.SourcingRequested)
    assert requested(story) == ["A"]


def test_an_order_that_waits_as_a_whole_tries_again_when_it_is_changed() -> None:
    """Its place in the queue was for what it needed before."""
    story = whole(A=1, B=1).when(waiting(1, line="B"), amend({"A": 3}))
    story.then(
        f.OrderAmended,
        like(f.BackorderReopened, line_id="A", reason="changed", releases=()),
        like(f.BackorderReopened, line_id="B", reason="changed", quantity=1),
        f.SourcingRequested,
    )
    assert story.answer[-1].lines == (f.SourcingLine(line_id="A", sku="A", quantity=3),)


def test_cancelling_part_of_the_line_that_is_missing_lets_the_order_try_again() -> None:
    story = whole(A=1, B=3).when(waiting(3, line="B"), cancel({"B": 1}))
    assert requested(story) == ["A"]
    assert [len(fact.releases) for fact in story.answer if isinstance(fact, f.BackorderReopened)] == [0, 1]


@pytest.mark.parametrize(
    "gone", [cancel({"B": 1}), amend({"B": 0}), dispatch({"B": 1})], ids=["cancel", "amend", "ship"]
)
def test_when_the_line_that_all_wait_for_is_gone_the_others_go_on(gone: object) -> None:
    story = whole(A=1, B=1, C=1).when(waiting(1, line="B"), gone)
    assert requested(story) == ["A"]
    story.when(reserved(1, line="A", version=5, attempt=in_round(2))).then(f.LineAllocated, f.SourcingRequested)
    last = reserved(1, line="C", version=5, attempt=in_round(3))
    story.when(last).then(f.LineAllocated, like(f.OrderAllocated, units=2))


@pytest.mark.parametrize("outcome", ["waiting", "offered"])
@pytest.mark.parametrize(
    "gone", [cancel({"B": 1}), amend({"B": 0}), dispatch({"B": 1})], ids=["cancel", "amend", "ship"]
)
def test_an_answer_to_the_only_question_moves_the_order_even_when_its_line_is_gone(gone: object, outcome: str) -> None:
    """Of an order that lacks B, only B's stream was asked: nobody else would ever answer for A."""
    story = whole(A=1, B=1).when(gone, answers(answer(outcome, 1, version=1, line="B", attempt=in_round(1, 999))))
    assert requested(story) == ["A"]
    asked_alone = reserved(1, line="A", version=5, attempt=in_round(2))
    story.when(asked_alone).then(f.LineAllocated, like(f.OrderAllocated, units=1))


def test_a_lost_hold_of_an_allocated_order_is_sourced_again_as_a_whole() -> None:
    story = whole(A=1, B=1).when(reserved(1, line="A"), reserved(1, line="B"))
    story.when(answers(answer("expired", 1, version=2, line="B")))
    story.then(
        like(f.LineDeallocated, line_id="B"),
        like(f.LineDeallocated, line_id="A", reason="all_or_nothing"),
        f.SourcingRequested,
    )
    assert requested(story) == ["A"]


def test_cancelling_the_line_that_is_missing_completes_an_order_that_goes_as_a_whole() -> None:
    story = whole(A=1, B=1).when(reserved(1, line="A"), cancel({"B": 1}))
    story.then(f.OrderCancelled, like(f.OrderAllocated, units=1))


def test_a_whole_order_that_needs_less_than_it_waits_for_asks_anew() -> None:
    """It would be offered three units and take two: who waits behind it would be kept from the third."""
    story = given(place({"1": ("BOWL", 1), "2": ("BOWL", 2)}, allocation="all_or_nothing"), cancel({"2": 1}))
    story.when(waiting(3)).then(
        like(f.LineBackordered, line_id="1"),
        like(f.LineBackordered, line_id="2"),
        like(f.BackorderReopened, reason="changed"),
        like(f.BackorderReopened, reason="changed"),
        like(f.SourcingRequested, round=2),
    )
    given(place({"1": ("BOWL", 1), "2": ("BOWL", 2)}, allocation="all_or_nothing")).when(waiting(3)).then(
        like(f.LineBackordered, line_id="1"), like(f.LineBackordered, line_id="2")
    )


@pytest.mark.parametrize(
    ("late", "outcome"),
    [
        (reserved(1, line="A", version=4, attempt=in_round(1, 2)), f.ReservationSurrendered),
        (waiting(1, line="A", version=4, attempt=in_round(1, 999)), f.ReservationSurrendered),
        (answers(answer("refused", 1, version=4, line="A", attempt=in_round(1, 2))), f.AllocationAnswered),
        (answers(answer("offered", 1, version=4, line="A", attempt=in_round(1, 999))), f.AllocationAnswered),
    ],
    ids=["reserved", "waiting", "refused", "offered"],
)
def test_what_answers_an_earlier_question_of_a_whole_order_moves_it_nowhere(late: object, outcome: type) -> None:
    """Found by the simulation. Two answers were under way, each was taken for that to the other's question, and the
    order asked for one line and the other for ever."""
    story = whole(A=1, B=1).when(answers(answer("refused", 1, version=1, line="B")), reserved(1, line="A", version=2))
    assert requested(story) == ["A"]
    story.when(late).then(outcome)
    assert story.state.lines["A"].sourcing == 1
    story.when(reserved(1, line="A", version=5, attempt=in_round(2))).then(f.LineAllocated, f.SourcingRequested)
