"""Cases and locations: short lives with few rules."""

from __future__ import annotations

from typing import Any

import pytest

from events.cases import commands as c
from events.cases import facts as f
from events.locations.commands import RegisterLocation
from events.locations.facts import LocationRegistered
from events.streams import STREAMS, Service
from tests.support.given import ask, given, like


def open_case(**more: Any) -> c.OpenCase:
    return c.OpenCase(case_id="k-1", channel="phone", topic="where is it", urgency="high", **more)


NOTE = c.AddCaseNote(case_id="k-1", note="called back")
ASSIGN = c.AssignCase(case_id="k-1", assignee="ann")
RESOLVE = c.ResolveCase(case_id="k-1", resolution="sent again")
REOPEN = c.ReopenCase(case_id="k-1", reason="lost again")


def register(**more: Any) -> RegisterLocation:
    return RegisterLocation(location_id="WH1", name="North", kind="warehouse", **more)


def test_a_case_lives_from_opened_over_noted_and_assigned_to_resolved_and_may_be_reopened() -> None:
    story = ask(open_case(order_id="o-1", reason_code="missing"))
    story.then(like(f.CaseOpened, order_id="o-1", urgency="high", reason_code="missing"))
    story.when(NOTE).then(f.CaseNoteAdded(case_id="k-1", note="called back"))
    story.when(ASSIGN).then(f.CaseAssigned(case_id="k-1", assignee="ann"))
    assert story.state.case.assignee == "ann"
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
    assert given(open_case(), RESOLVE, NOTE).state.case.resolved


def test_a_location_is_registered_and_what_is_said_later_replaces_it() -> None:
    story = ask(register(latitude=52.5, longitude=13.4)).then(like(LocationRegistered, name="North", latitude=52.5))
    story.when(register()).then(like(LocationRegistered, latitude=None))


def test_half_a_place_on_the_map_is_refused() -> None:
    ask(register(latitude=52.5)).then_refused("invalid")


def test_a_case_and_a_location_of_the_same_name_do_not_touch_each_other() -> None:
    story = given(RegisterLocation(location_id="k-1", name="North", kind="store"), open_case(), RESOLVE)
    assert (story.state.location.name, story.state.case.resolved) == ("North", True)
    kind = STREAMS["ledger.service"]
    assert kind.decode(kind.encode(story.state)) == story.state
    assert kind.decode(kind.encode(Service())) == Service()


def test_a_fact_about_a_case_that_was_never_opened_means_that_facts_are_missing() -> None:
    with pytest.raises(ValueError, match="no case"):
        given(f.CaseResolved(case_id="k-1", resolution=""))
