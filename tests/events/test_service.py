"""Cases, locations and what else stands beside them: short lives with few rules."""

from __future__ import annotations

from typing import Any

import pytest

from events.cases import commands as c
from events.cases import facts as f
from events.categories.commands import JoinCategory, SetCategoryPolicy
from events.locations.commands import JoinLocation, RegisterLocation, SetLocationPolicy
from events.locations.facts import LocationRegistered
from events.routing.commands import SetRoutingRules
from tests.support.given import ask, given, like


def open_case(**more: Any) -> c.OpenCase:
    return c.OpenCase(case_id="k-1", channel="phone", topic="where is it", urgency="high", **more)


NOTE = c.AddCaseNote(case_id="k-1", note="called back")
ASSIGN = c.AssignCase(case_id="k-1", assignee="ann")
RESOLVE = c.ResolveCase(case_id="k-1", resolution="sent again")
REOPEN = c.ReopenCase(case_id="k-1", reason="lost again")
EXCLUDE = SetLocationPolicy(location_id="WH1", excluded_channels=("web",))
EXCLUDE_NONE = SetLocationPolicy(location_id="WH1", excluded_channels=())
JOIN_WH1 = JoinLocation(location_id="WH1", sku="MUG")
KEEP_BACK = SetCategoryPolicy(category_id="mugs", buffers={"web": 2})
KEEP_NOTHING = SetCategoryPolicy(category_id="mugs", buffers={})
JOIN = JoinCategory(category_id="mugs", sku="MUG", sku_version=1, joins=True)
LEAVE = JoinCategory(category_id="mugs", sku="MUG", sku_version=2, joins=False)
RULES = SetRoutingRules(rules_id="routing", text='name = "few"\n[[rules]]\nname = "all"\ncriteria = ["parcels"]')
OTHER_RULES = SetRoutingRules(rules_id="routing", text='name = "few"\n[[rules]]\nname = "all"\ncriteria = ["cost"]')


def register(**more: Any) -> RegisterLocation:
    return RegisterLocation(location_id="WH1", name="North", kind="warehouse", **more)


def test_a_case_lives_from_opened_over_noted_and_assigned_to_resolved_and_may_be_reopened() -> None:
    story = ask(open_case(order_id="o-1", reason_code="missing"))
    story.then(like(f.CaseOpened, order_id="o-1", urgency="high", reason_code="missing"))
    story.when(NOTE).then(f.CaseNoteAdded(case_id="k-1", note="called back"))
    story.when(ASSIGN).then(f.CaseAssigned(case_id="k-1", assignee="ann"))
    assert story.state.assignee == "ann"
    story.when(RESOLVE).then(f.CaseResolved(case_id="k-1", resolution="sent again"))
    story.when(REOPEN).then(f.CaseReopened(case_id="k-1", reason="lost again"))
    story.when(RESOLVE).then(f.CaseResolved)


def test_a_case_number_is_used_once() -> None:
    given(open_case()).when(open_case()).then_refused("conflict")


@pytest.mark.parametrize("command", [NOTE, ASSIGN, RESOLVE, REOPEN], ids=lambda command: type(command).__name__)
def test_nothing_can_be_done_to_a_case_that_was_never_opened(command: Any) -> None:
    ask(command).then_refused("unknown", says="OpenCase")


def test_only_an_open_case_is_resolved_and_only_a_resolved_one_reopened() -> None:
    given(open_case()).when(REOPEN).then_refused("conflict")
    given(open_case(), RESOLVE).when(RESOLVE).then_refused("conflict")


def test_a_note_on_a_resolved_case_leaves_it_resolved() -> None:
    assert given(open_case(), RESOLVE, NOTE).state.resolved


def test_a_location_is_registered_and_what_is_said_later_replaces_it() -> None:
    story = ask(register(latitude=52.5, longitude=13.4)).then(like(LocationRegistered, name="North", latitude=52.5))
    story.when(register()).then(like(LocationRegistered, latitude=None))


def test_half_a_place_on_the_map_is_refused() -> None:
    ask(register(latitude=52.5)).then_refused("invalid")


def test_a_fact_about_a_case_that_was_never_opened_means_that_facts_are_missing() -> None:
    with pytest.raises(ValueError, match="no case"):
        given(f.CaseResolved(case_id="k-1", resolution=""))
