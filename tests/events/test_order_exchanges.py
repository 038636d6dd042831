"""Exchange: what comes back, and what is sent for it when it has come."""

from __future__ import annotations

from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st

from events.orders import commands as c
from events.orders import facts as f
from events.values import Attribute
from tests.events.builders import (
    cancel,
    dispatch,
    line_of,
    place,
    receive_return,
    refund,
    reserved,
    scan,
)
from tests.support.given import Story, given, like


def exchange(lines: dict[str, int], *instead: c.ExchangeLine, return_id: str = "r-1", **more: Any) -> c.RequestReturn:
    wanted = tuple(c.ReturnLine(line_id=line, quantity=units, reason="too small") for line, units in lines.items())
    return c.RequestReturn(
        order_id="o-1", return_id=return_id, lines=wanted, resolution="exchange", exchange=instead, **more
    )


def larger(units: int = 1, *, line: str = "2", price: int = 100) -> c.ExchangeLine:
    return c.ExchangeLine(line_id=line, sku="LARGER", quantity=units, unit_price_minor=price)


def withdraw(*, return_id: str = "r-1", by: Any = "customer") -> c.WithdrawReturn:
    return c.WithdrawReturn(order_id="o-1", return_id=return_id, reason="keeps it", by=by)


def delivered(units: int = 2, price: int = 100) -> Story:
    return given(place({"1": units}, price=price), reserved(units), dispatch({"1": units}), scan())


def test_lines_in_exchange_are_added_and_set_aside_at_once_but_held_until_the_return_has_come() -> None:
    story = delivered().when(exchange({"1": 1}, larger(2, price=150)))
    story.then(
        like(f.ReturnRequested, resolution="exchange"),
        like(f.ExchangeLinesAdded, return_id="r-1", credit_minor=100),
        like(f.SourcingRequested, lines=(f.SourcingLine(line_id="2", sku="LARGER", quantity=2),)),
    )
    assert line_of(story.state, "2") == {"ordered": 2, "open": 2}
    story.when(reserved(2, line="2")).then(like(f.LineAllocated, line_id="2"), f.OrderAllocated)
    assert story.state.held_for_return(story.state.lines["2"]) == "r-1"
    story.when(receive_return({"1": 1})).then(
        f.ReturnReceived,
        like(f.ExchangeReleased, return_id="r-1", lines=(f.ExchangedLine(line_id="2", sku="LARGER", quantity=2),)),
    )
    assert story.state.held_for_return(story.state.lines["2"]) is None
    story.when(dispatch({"2": 2}, shipment="s-2")).then(like(f.ShipmentDispatched))
    assert story.answer[0].lines[0].exchange


def test_without_lines_the_customer_gets_the_same_again() -> None:
    blue = c.OrderLine(line_id="1", sku="MUG", quantity=2, unit_price_minor=100, attributes={"colour": "blue"})
    story = given(place(), dispatch({"1": 2}))
    order = c.PlaceOrder(order_id="o-1", customer_id="c-1", currency="EUR", lines=(blue,), ship_to=place().ship_to)
    story = given(order, dispatch({"1": 2})).when(exchange({"1": 2}))
    (line,) = story.answer[1].lines
    assert (line.line_id, line.sku, line.quantity, line.unit_price_minor) == ("r-1:1", "MUG", 2, 100)
    assert line.attributes == (Attribute(name="colour", value="blue"),)


def test_a_part_of_the_return_releases_nothing_and_more_than_all_of_it_does() -> None:
    story = delivered(3).when(exchange({"1": 2}, larger()))
    story.when(receive_return({"1": 1})).then(f.ReturnReceived)
    story.when(receive_return({"1": 2})).then(f.ReturnReceived, f.ReturnDiffered, f.ExchangeReleased)


def test_a_return_that_comes_again_releases_once() -> None:
    story = delivered(3).when(exchange({"1": 1}, larger()), receive_return({"1": 1}))
    story.when(receive_return({"1": 1})).then(f.ReturnReceived, f.ReturnDiffered)


def test_what_left_before_the_return_had_come_is_recorded_and_said_to_have_been_held() -> None:
    story = delivered().when(exchange({"1": 1}, larger(2)), reserved(1, line="2"))
    story.when(dispatch({"2": 2}, shipment="s-2")).then(
        f.ShipmentDispatched,
        like(
            f.DispatchDiffered,
            lines=(f.DifferingLine(line_id="2", sku="LARGER", quantity=2, planned="held", exchange=True),),
        ),
    )
    story.when(receive_return({"1": 1})).then(f.ReturnReceived, like(f.ExchangeReleased, lines=()))


def test_a_return_that_is_withdrawn_takes_the_exchange_with_it() -> None:
    story = delivered().when(exchange({"1": 1}, larger()), reserved(1, line="2"))
    story.when(withdraw(by="seller")).then(
        like(f.ReturnWithdrawn, by="seller", lines=(f.WithdrawnLine(line_id="1", sku="SKU-1", quantity=1),)),
        like(f.OrderCancelled, by="seller", reason="keeps it"),
    )
    assert line_of(story.state, "2") == {"ordered": 1, "cancelled": 1}
    assert story.answer[1].lines[0].exchange
    story.when(withdraw()).then_refused("conflict", says="withdrawn before")
    story.when(receive_return({"1": 1})).then(
        f.ReturnReceived, like(f.ReturnDiffered, detail="this return had been withdrawn")
    )


def test_of_a_return_that_has_come_in_part_the_rest_can_be_withdrawn() -> None:
    story = delivered().when(exchange({"1": 2}, larger()), receive_return({"1": 1}))
    story.when(withdraw()).then(like(f.ReturnWithdrawn), f.OrderCancelled)
    assert story.answer[0].lines[0].quantity == 1
    story.when(exchange({"1": 1}, larger(line="3"), return_id="r-2")).then(
        f.ReturnRequested, f.ExchangeLinesAdded, f.SourcingRequested
    )


def test_a_return_for_money_can_be_withdrawn_too() -> None:
    story = delivered().when(
        c.RequestReturn(order_id="o-1", return_id="r-1", lines=(c.ReturnLine(line_id="1", quantity=1, reason="late"),))
    )
    story.when(withdraw()).then(f.ReturnWithdrawn)
    story.when(withdraw(return_id="r-9")).then_refused("unknown", says="r-9")
    story.when(receive_return({"1": 1}, return_id="r-2"))
    story.when(withdraw(return_id="r-2")).then_refused("conflict", says="everything announced has arrived")


def test_what_cannot_be_exchanged_is_refused() -> None:
    story = delivered()
    story.when(exchange({"1": 1}, larger(line="1"))).then_refused("conflict", says="line 1")
    story.when(exchange({"1": 1}, larger(), larger())).then_refused("conflict", says="line 2")
    story.when(exchange({"1": 1}, return_id="r" * 199)).then_refused("conflict", says="longer than 200")
    story.when(exchange({"1": 1}, larger(10**12, price=10**12))).then_refused("limit", at_most=10**15)
    story.when(exchange({"1": 3})).then_refused("limit", at_most=2)
    for_money = c.RequestReturn(
        order_id="o-1",
        return_id="r-1",
        lines=(c.ReturnLine(line_id="1", quantity=1, reason="late"),),
        exchange=(larger(),),
    )
    story.when(for_money).then_refused("invalid", says="refund")


def test_an_exchange_that_is_cancelled_before_the_return_comes_is_over() -> None:
    story = delivered().when(exchange({"1": 1}, larger())).when(cancel({"2": 1})).then(f.OrderCancelled)
    story.when(receive_return({"1": 1})).then(f.ReturnReceived, like(f.ExchangeReleased, lines=()))


@for_all(price=st.integers(0, 300), units=st.integers(1, 3), back=st.integers(1, 2))
def test_an_exchange_makes_no_more_to_pay_back_than_it_costs_more(price: int, units: int, back: int) -> None:
    story = delivered().when(exchange({"1": back}, larger(units, price=price)))
    dearer = max(0, units * price - back * 100)
    story.when(refund(200 + dearer + 1)).then_refused("limit", at_most=200 + dearer)
    story.when(refund(200 + dearer)).then(f.RefundIssued)
