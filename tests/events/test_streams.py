"""All streams alike: a refusal changes nothing, and facts that are missing are noticed."""

from __future__ import annotations

import pytest

from events.catalogue import COMMANDS, FACTS, STREAMS
from events.envelope import About
from events.orders import facts as f
from events.refusal import CommandRefused
from events.streams import AnyStream
from tests.events.builders import answer, answers, cancel, in_round, line_of, place, receive, reserved, waiting
from tests.events.test_service import KEEP_BACK, RULES, open_case, register
from tests.support.given import NOW, given, like

REFUSED = CommandRefused(command="CancelOrder", code="limit", what="no", detail="at most 0", hint="none", at_most=0)


#: By kind, a command that begins a stream of it.
BEGINNINGS = {
    "order": place(),
    "stock": receive(1),
    "case": open_case(),
    "location": register(),
    "category": KEEP_BACK,
    "routing": RULES,
}
EACH_KIND = pytest.mark.parametrize("row", STREAMS.values(), ids=STREAMS.keys())


@EACH_KIND
def test_a_refusal_changes_no_stream(row: AnyStream) -> None:
    story = given(BEGINNINGS[row.kind])
    assert story.state is not None
    assert row.evolve(story.state, REFUSED, About("web", NOW, NOW)) is story.state
    begun = row.begin("x")
    assert row.evolve(begun, REFUSED, About("web", NOW, NOW)) is begun


@EACH_KIND
def test_a_row_s_commands_and_facts_have_its_key_and_are_of_no_other_kind(row: AnyStream) -> None:
    assert row.commands
    assert row.facts
    assert set(row.internal) <= set(row.commands)
    for data in (*row.commands, *row.facts):
        assert row.key in data.__struct_fields__, data
        found = (COMMANDS.get(data.__name__) or FACTS[data.__name__])[:2]
        assert found == (data, row.kind), "another kind has one of this name"


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
