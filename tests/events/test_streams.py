"""All streams alike: a refusal changes nothing, and facts that are missing are noticed."""

from __future__ import annotations

from typing import Any

import pytest

from events.cases.decide import evolve as evolve_case
from events.locations.decide import evolve as evolve_location
from events.orders import facts as f
from events.refusal import CommandRefused
from events.streams import STREAMS, About
from tests.events.builders import answer, answers, cancel, in_round, line_of, place, receive, reserved, waiting
from tests.events.test_service import open_case
from tests.support.given import NOW, given, like

REFUSED = CommandRefused(command="CancelOrder", code="limit", what="no", detail="at most 0", hint="none", at_most=0)


@pytest.mark.parametrize(
    ("topic", "command"),
    [("ledger.orders", place()), ("ledger.stock", receive(1)), ("ledger.service", open_case())],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_a_refusal_changes_no_stream(topic: str, command: Any) -> None:
    story, kind = given(command), STREAMS[topic]
    assert kind.evolve(story.state, REFUSED, About("web", NOW, NOW)) is story.state
    begun = kind.begin("x")
    assert kind.evolve(begun, REFUSED, About("web", NOW, NOW)) is begun


def test_a_refusal_changes_no_case_and_no_location() -> None:
    assert evolve_case(None, REFUSED) is None
    assert evolve_location(None, REFUSED) is None


def test_a_fact_about_an_order_that_was_never_placed_means_that_facts_are_missing() -> None:
    with pytest.raises(ValueError, match="no order"):
        given(f.OrderHeld(order_id="o-1", hold="fraud"))


def test_units_that_stand_in_two_queues_leave_only_the_one_that_granted_them() -> None:
    story = given(
        place({"1": 4}), waiting(2, attempt=in_round(1, 998)), waiting(2, version=2, attempt=in_round(1, 999))
    )
    story.when(answers(answer("reserved", 1, version=3, attempt=in_round(1, 999)))).then(
        like(f.LineAllocated, from_backordered=1)
    )
    story.when(reserved(1, version=4, attempt=in_round(1, 999))).then(f.LineAllocated)
    assert line_of(story.state) == {"ordered": 4, "backordered": 2, "allocated": 2}
    story.when(cancel({"1": 1})).then(like(f.OrderCancelled, releases=(wait_of(in_round(1, 998)),)))


def wait_of(attempt: int) -> f.Release:
    return f.Release(line_id="1", sku="SKU-1", attempt=attempt, location_id="", quantity=1)
