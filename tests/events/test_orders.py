"""What people ask of an order: placing, amending, cancelling, holding, paying back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from events.orders import commands as c
from events.orders import facts as f
from events.values import ORDER_VALUE_MAX_MINOR, ShipTo
from tests.events.builders import (
    RELEASE_ORDER,
    amend,
    answer,
    answers,
    ask_return,
    at,
    cancel,
    dispatch,
    hold,
    in_round,
    line_of,
    place,
    postage,
    receive_return,
    refund,
    release_hold,
    reserved,
    scan,
    scan_return,
    waiting,
)
from tests.support.given import ask, given, like, sent


def test_an_order_is_placed_and_its_units_are_sourced_at_once() -> None:
    story = ask(place({"1": 2})).then(like(f.OrderPlaced, order_id="o-1", sourcing=True, allocation="ship_available"))
    assert line_of(story.state) == {"ordered": 2, "open": 2}


def test_attributes_of_a_line_are_kept_by_name() -> None:
    line = c.OrderLine(
        line_id="1", sku="MUG", quantity=1, unit_price_minor=1, attributes={"size": "L", "colour": "red"}
    )
    order = c.PlaceOrder(order_id="o-1", customer_id="c", currency="EUR", lines=(line,), ship_to=ShipTo(country="DE"))
    placed = ask(order).answer[0]
    assert [(one.name, one.value) for one in placed.lines[0].attributes] == [("colour", "red"), ("size", "L")]


def test_an_order_number_is_used_once() -> None:
    given(place()).when(place()).then_refused("conflict")


def test_an_order_without_lines_and_charges_is_refused() -> None:
    ask(place({})).then_refused("invalid")


def test_an_order_of_charges_only_is_placed_and_never_counts_as_allocated() -> None:
    story = ask(place({}, charges=(postage(),))).then(f.OrderPlaced)
    assert not story.state.fully_allocated


def test_a_line_number_stands_in_an_order_once() -> None:
    line = c.OrderLine(line_id="1", sku="MUG", quantity=1, unit_price_minor=1)
    twice = c.PlaceOrder(
        order_id="o-1", customer_id="c", currency="EUR", lines=(line, line), ship_to=ShipTo(country="DE")
    )
    ask(twice).then_refused("invalid", says="line_id 1")


def test_an_order_that_could_not_be_summed_is_refused() -> None:
    most = ORDER_VALUE_MAX_MINOR
    ask(place({"1": 10**12}, price=10**12)).then_refused("limit", at_most=most)
    given(place({"1": 1}, price=10**12)).when(amend({"1": 10**4})).then_refused("limit", at_most=most)


@pytest.mark.parametrize("promise", ["soon", "2026-13-01", "2026-12-24T18:00:00", "20261224"])
def test_a_promise_that_cannot_be_read_is_refused(promise: str) -> None:
    ask(place(promised_by=promise)).then_refused("invalid", says="promised_by")
    given(place()).when(amend(promised_by=promise)).then_refused("invalid", says="promised_by")


@pytest.mark.parametrize("promise", [None, "2026-12-24", "2026-12-24T18:00:00Z"])
def test_a_time_zone_that_does_not_exist_is_refused_whatever_is_promised(promise: str | None) -> None:
    nowhere = ShipTo(country="DE", time_zone="America")  # a folder of zones
    ask(place(ship_to=nowhere, promised_by=promise)).then_refused("invalid", says="America")


def test_a_promise_moved_by_the_customer_moves_the_due_time_and_one_moved_by_the_seller_does_not() -> None:
    early, late = datetime(2026, 12, 20, 12, tzinfo=UTC), datetime(2026, 12, 24, 12, tzinfo=UTC)
    placed = place(promised_by=early.isoformat())
    story = given(placed).when(amend(promised_by=late.isoformat(), by="seller"))
    assert (story.state.promised_by, story.state.due_by) == (late, early)
    story = given(placed).when(amend(promised_by=late.isoformat(), by="customer"))
    assert (story.state.promised_by, story.state.due_by) == (late, late)


def test_where_nothing_was_promised_the_first_promise_counts_whoever_gives_it() -> None:
    early, late = datetime(2026, 12, 20, 12, tzinfo=UTC), datetime(2026, 12, 24, 12, tzinfo=UTC)
    story = given(place()).when(amend(promised_by=early.isoformat(), by="seller"))
    story.then(like(f.OrderAmended, due_by=early))
    story.when(amend(promised_by=late.isoformat(), by="seller")).then(like(f.OrderAmended, due_by=None))
    assert (story.state.promised_by, story.state.due_by) == (late, early)


EVERYTHING_ELSE = [
    amend({"1": 1}),
    cancel(),
    hold(),
    release_hold(),
    dispatch({"1": 1}),
    scan(),
    ask_return({"1": 1}),
    scan_return(),
    receive_return({"1": 1}),
    refund(1),
    reserved(1),
    RELEASE_ORDER,
]


@pytest.mark.parametrize("command", EVERYTHING_ELSE, ids=lambda command: type(command).__name__)
def test_nothing_can_be_asked_of_an_order_that_was_never_placed(command: object) -> None:
    ask(command).then_refused("unknown", says="PlaceOrder")


# Waiting for a time


def test_an_order_with_a_later_release_is_not_sourced_before() -> None:
    story = ask(sent(place(release_at=at("20:00:00")), at=at("18:00:00")))
    story.then(like(f.OrderPlaced, sourcing=False))
    story.when(RELEASE_ORDER).then(like(f.SourcingRequested, lines=(wanted("1", 2),)))
    story.when(RELEASE_ORDER).then_nothing()


def test_an_order_whose_release_has_passed_is_sourced_at_once() -> None:
    ask(sent(place(release_at=at("18:00:00")), at=at("18:00:00"))).then(like(f.OrderPlaced, sourcing=True))


def test_a_held_order_that_is_released_by_time_is_sourced_when_the_hold_goes() -> None:
    story = given(sent(place(release_at=at("20:00:00")), at=at("18:00:00")), hold())
    story.when(RELEASE_ORDER).then(like(f.SourcingRequested, lines=()))
    story.when(release_hold()).then(f.HoldReleased, like(f.SourcingRequested, lines=(wanted("1", 2),)))


def test_an_order_that_goes_as_a_whole_is_released_with_its_first_line() -> None:
    order = place({"1": ("B", 1), "2": ("A", 1)}, allocation="all_or_nothing", release_at=at("20:00:00"))
    story = given(sent(order, at=at("18:00:00"))).when(RELEASE_ORDER)
    story.then(like(f.SourcingRequested, lines=(f.SourcingLine(line_id="2", sku="A", quantity=1),)))


def wanted(line: str, units: int) -> f.SourcingLine:
    return f.SourcingLine(line_id=line, sku=f"SKU-{line}", quantity=units)


# Cancelling


def test_of_ten_units_five_cancelled_and_five_shipped_none_is_left_to_cancel() -> None:
    story = given(place({"1": 10}), reserved(10), cancel({"1": 5}), dispatch({"1": 5}))
    story.when(cancel({"1": 6})).then_refused("limit", at_most=0)
    story.when(cancel()).then_refused(
        "limit",
        at_most=0,
        says="everything has already shipped or is cancelled: 10 units ordered, 5 shipped, 5 cancelled",
    )


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ((reserved(2), dispatch({"1": 2})), "everything has already shipped: 2 units ordered, 2 shipped"),
        ((cancel(),), "everything is already cancelled: 2 units ordered, 0 shipped, 2 cancelled"),
    ],
)
def test_an_order_without_a_unit_to_cancel_says_what_became_of_them(before: tuple[Any, ...], says: str) -> None:
    given(place({"1": 2}), *before).when(cancel()).then_refused("limit", at_most=0, says=says)


def test_what_is_left_can_be_cancelled_and_not_one_unit_more() -> None:
    story = given(place({"1": 10}), reserved(10), dispatch({"1": 7}))
    story.when(cancel({"1": 4})).then_refused("limit", at_most=3)
    story.when(cancel({"1": 3})).then(f.OrderCancelled)
    assert line_of(story.state) == {"ordered": 10, "shipped": 7, "cancelled": 3}


def test_open_units_are_cancelled_first_then_waiting_ones_then_held_ones_the_newest_first() -> None:
    story = given(
        place({"1": 10}),
        reserved(2, attempt=in_round(1)),
        reserved(2, attempt=in_round(1, 2), version=2, location="WH2"),
        waiting(3, version=3),
    )
    story.when(cancel({"1": 9}))
    story.then(
        like(
            f.OrderCancelled,
            lines=(
                f.LineCancelled(
                    line_id="1", sku="SKU-1", quantity=9, from_open=3, from_backordered=3, from_allocated=3
                ),
            ),
            releases=(let_go(in_round(1, 999), "", 3), let_go(in_round(1, 2), "WH2", 2), let_go(in_round(1), "WH1", 1)),
            before_allocation=False,
        ),
        f.OrderAllocated,
    )
    assert line_of(story.state) == {"ordered": 10, "allocated": 1, "cancelled": 9}


def let_go(attempt: int, location: str, units: int, line: str = "1") -> f.Release:
    return f.Release(line_id=line, sku=f"SKU-{line}", attempt=attempt, location_id=location, quantity=units)


def test_each_line_of_a_cancelled_order_lets_go_of_its_own() -> None:
    story = given(place({"1": 1, "2": 2}), reserved(1), reserved(2, line="2")).when(cancel())
    story.then(
        like(f.OrderCancelled, releases=(let_go(in_round(1), "WH1", 1), let_go(in_round(1), "WH1", 2, line="2")))
    )
    assert line_of(story.state, "2") == {"ordered": 2, "cancelled": 2}


def test_a_cancellation_tells_who_asked_and_whether_anything_was_held_yet() -> None:
    given(place()).when(cancel(by="seller")).then(like(f.OrderCancelled, by="seller", before_allocation=True))


def test_cancelling_the_open_line_completes_the_allocation_of_the_other() -> None:
    story = given(place({"1": 2, "2": 1}), reserved(2)).when(cancel({"2": 1}))
    story.then(f.OrderCancelled, f.OrderAllocated(order_id="o-1", units=2, parcels=1))


@pytest.mark.parametrize("ask_for", [cancel, dispatch, ask_return, receive_return, amend])
def test_a_line_that_the_order_does_not_have_is_refused_with_those_it_has(ask_for: object) -> None:
    lines = {str(number): 1 for number in range(1, 13)}
    story = given(place(lines), reserved(1), dispatch({"1": 1}, shipment="s-0"))
    story.when(ask_for({"99": 1})).then_refused("unknown", says="1, 2, 3, 4, 5, 6, 7, 8, 9, 10 …")  # type: ignore[operator]


def test_a_line_that_stands_in_a_command_twice_is_refused() -> None:
    story = given(place({"1": 4}), dispatch({"1": 2}))
    one, more = c.LineQuantity(line_id="1", quantity=1), c.AmendedQuantity(line_id="1", quantity=3)
    again = dispatch({"1": 1}, shipment="s-2")
    back = c.ReturnLine(line_id="1", quantity=1, reason="")
    for command in (
        c.CancelOrder(order_id="o-1", reason="", lines=(one, one)),
        c.AmendOrder(order_id="o-1", lines=(more, more)),
        c.DispatchShipment(**{name: getattr(again, name) for name in again.__struct_fields__} | {"lines": (one, one)}),
        c.RequestReturn(order_id="o-1", return_id="r-1", lines=(back, back)),
    ):
        story.when(command).then_refused("invalid", says="twice")


def test_a_command_about_goods_without_lines_is_refused() -> None:
    story = given(place({"1": 4}), dispatch({"1": 2}))
    for command in (dispatch({}, shipment="s-2"), ask_return({}), receive_return({}), amend()):
        story.when(command).then_refused("invalid")


# Amending


def test_a_line_that_shrinks_lets_go_of_what_it_held() -> None:
    story = given(place({"1": 5}), reserved(5)).when(amend({"1": 3}))
    story.then(
        like(
            f.OrderAmended,
            lines=(
                f.LineChanged(
                    line_id="1",
                    sku="SKU-1",
                    ordered_before=5,
                    ordered=3,
                    from_open=0,
                    from_backordered=0,
                    from_allocated=2,
                ),
            ),
            releases=(let_go(in_round(1), "WH1", 2),),
        )
    )
    assert line_of(story.state) == {"ordered": 3, "allocated": 3}


def test_a_quantity_of_0_removes_all_that_can_still_go() -> None:
    story = given(place({"1": 5}), reserved(5), dispatch({"1": 2})).when(amend({"1": 0}))
    assert line_of(story.state) == {"ordered": 2, "shipped": 2}


def test_a_line_cannot_shrink_below_what_was_shipped() -> None:
    story = given(place({"1": 6}), reserved(6), dispatch({"1": 2}), cancel({"1": 1}))
    story.when(amend({"1": 1})).then_refused("limit", at_most=3, says="at least 2")
    story.when(amend({"1": 2})).then(f.OrderAmended)
    assert line_of(story.state) == {"ordered": 3, "shipped": 2, "cancelled": 1}


def test_a_line_that_shrinks_to_what_is_held_completes_the_allocation() -> None:
    story = given(place({"1": 5}), reserved(2), waiting(3, version=2)).when(amend({"1": 2}))
    story.then(like(f.OrderAmended, releases=(let_go(in_round(1, 999), "", 3),)), f.OrderAllocated)


# Holds


def test_a_hold_keeps_an_order_from_being_sourced_until_the_last_one_is_released() -> None:
    story = given(place({"1": 2}), reserved(2), hold("payment"), hold("fraud"))
    story.when(answers(answer("expired", 2, version=2))).then(f.LineDeallocated)
    story.when(release_hold("payment")).then(f.HoldReleased)
    story.when(release_hold("fraud")).then(f.HoldReleased, like(f.SourcingRequested, lines=(wanted("1", 2),)))


def test_answers_that_are_under_way_when_a_hold_is_set_are_still_taken() -> None:
    given(place({"1": 2}), hold()).when(reserved(2)).then(f.LineAllocated, f.OrderAllocated)


def test_a_hold_is_set_once_and_released_once() -> None:
    story = given(place(), hold("fraud"))
    story.when(hold("fraud")).then_refused("conflict")
    story.when(release_hold("payment")).then_refused("conflict", says="fraud")
    story.when(release_hold("fraud")).then(f.HoldReleased)
    story.when(release_hold("fraud")).then_refused("conflict", says="none")


def test_an_order_of_which_nothing_is_left_cannot_be_held() -> None:
    given(place(), cancel()).when(hold()).then_refused("impossible")


# Money


def test_no_more_is_paid_back_than_the_order_was_worth() -> None:
    story = given(place({"1": 2}, price=1000, charges=(postage(500),)), refund(2000))
    story.when(refund(501)).then_refused("limit", at_most=500)
    story.when(refund(500)).then(like(f.RefundIssued, amount_minor=500, currency="EUR"))
    story.when(refund(1)).then_refused("limit", at_most=0)


def test_a_refund_for_a_return_that_does_not_exist_is_refused() -> None:
    story = given(place(), dispatch({"1": 2}), ask_return({"1": 1}))
    story.when(refund(1, return_id="r-9")).then_refused("unknown", says="r-1")
    story.when(refund(1, return_id="r-1")).then(like(f.RefundIssued, return_id="r-1"))
