"""De-allocation is not cancellation: the units stay wanted, and are sought again."""

from __future__ import annotations

from typing import Any

from hypothesis import given as for_all
from hypothesis import strategies as st
from msgspec.structs import replace

from events.orders import commands as c
from events.orders import facts as f
from tests.events.builders import answer, answers, dispatch, hold, in_round, line_of, place, receive, reserved, waiting
from tests.events.shop import Shop
from tests.support.given import Story, given, like

WHOLE = {"allocation": "all_or_nothing"}


def let_go(units: int, *, line: str = "1", location: str | None = None, **more: Any) -> c.DeallocateLines:
    lines = (c.Deallocated(line_id=line, quantity=units, location_id=location),)
    return c.DeallocateLines(order_id="o-1", lines=lines, reason="not_picked", **more)


def two_here_and_one_there() -> Story:
    said = answers(
        answer("reserved", 2, version=1, location="WH1"),
        answer("reserved", 1, version=2, location="WH2", attempt=in_round(1, 2)),
    )
    return given(place({"1": 3}), said)


def test_the_units_are_let_go_and_sought_elsewhere() -> None:
    story = two_here_and_one_there().when(let_go(2, location="WH1"))
    story.then(
        like(f.LineDeallocated, location_id="WH1", quantity=2, reason="not_picked", elsewhere=True),
        like(f.SourcingRequested, lines=(f.SourcingLine(line_id="1", sku="SKU-1", quantity=2),)),
    )
    assert [(one.location_id, one.quantity) for one in story.answer[0].releases] == [("WH1", 2)]
    assert [pair.location_id for pair in story.answer[1].excluded] == ["WH1"]
    assert line_of(story.state) == {"ordered": 3, "open": 2, "allocated": 1}


def test_or_anywhere_where_the_place_does_not_matter() -> None:
    story = two_here_and_one_there().when(let_go(2, location="WH1", elsewhere=False))
    assert story.answer[1].excluded == ()


def test_without_a_location_what_was_set_aside_last_goes_first() -> None:
    story = two_here_and_one_there().when(let_go(2))
    assert [(one.location_id, one.quantity) for one in story.answer[:2]] == [("WH2", 1), ("WH1", 1)]


def test_no_more_can_be_let_go_than_is_set_aside_there() -> None:
    two_here_and_one_there().when(let_go(3, location="WH1")).then_refused("limit", at_most=2, says="WH1")
    two_here_and_one_there().when(let_go(4)).then_refused("limit", at_most=3)
    given(place(), waiting(2)).when(let_go(1)).then_refused("limit", at_most=0, says="CancelOrder")
    two_here_and_one_there().when(dispatch({"1": 2}), let_go(2)).then_refused("limit", at_most=1)


def test_what_names_no_line_or_one_twice_or_an_unknown_one_is_refused() -> None:
    nothing = c.DeallocateLines(order_id="o-1", lines=(), reason="not_picked")
    two_here_and_one_there().when(nothing).then_refused("invalid")
    two_here_and_one_there().when(replace(nothing, lines=let_go(1).lines * 2)).then_refused("invalid", says="twice")
    two_here_and_one_there().when(let_go(1, line="9")).then_refused("unknown")


def test_what_is_made_for_the_customer_is_not_let_go() -> None:
    order = place({"1": 2})
    order = replace(order, lines=(replace(order.lines[0], customised=True),))
    given(order, reserved(2)).when(let_go(1)).then_refused("limit", at_most=0, says="RejectAllocation")


def test_a_held_order_lets_go_and_does_not_seek() -> None:
    two_here_and_one_there().when(hold(), let_go(2, location="WH1")).then(f.LineDeallocated)


def test_an_order_that_goes_as_a_whole_lets_go_of_all_and_tries_again_as_a_whole() -> None:
    story = given(place({"1": 2, "2": 1}, **WHOLE), reserved(2), reserved(1, line="2")).when(let_go(1, line="2"))
    story.then(
        like(f.LineDeallocated, line_id="2", reason="not_picked", elsewhere=True),
        like(f.LineDeallocated, line_id="1", reason="all_or_nothing", elsewhere=False),
        f.SourcingRequested,
    )
    assert [line.line_id for line in story.answer[-1].lines] == ["1"]


@for_all(seed=st.integers(0, 10_000), units=st.integers(1, 3), elsewhere=st.booleans())
def test_whatever_crosses_it_nothing_is_lost_and_the_place_is_avoided(seed: int, units: int, elsewhere: bool) -> None:
    shop = Shop(seed)
    shop.ask(receive(3), place({"1": ("MUG", 3)}))
    shop.run()
    shop.ask(let_go(units, elsewhere=elsewhere))
    shop.run()
    line = shop.orders["o-1"].lines["1"]
    assert line.ordered == line.allocated + line.backordered == 3
    # What is let go of here waits for what comes; where the place does not matter it is given here again.
    assert line.backordered == (units if elsewhere else 0)
    shop.ask(receive(3, location="WH2"))
    shop.run()
    order = shop.orders["o-1"]
    assert order.fully_allocated
    assert {held.location_id for held in order.lines["1"].holds} <= {"WH1", "WH2"}
    assert sum(level.reserved for level in shop.skus["MUG"].levels.values()) == 3
