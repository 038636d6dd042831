"""No effect is no acceptance: what is accepted changes the state, or is a report of something that happened.

The test of a use case may export `EXAMPLES` of its own commands; they are tried with those that stand here.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from events.cases import commands as k
from events.catalogue import COMMANDS
from events.envelope import Refused
from events.locations import commands as p
from events.orders import commands as c
from events.routing.commands import SetRoutingRules
from tests.events.builders import (
    adjust,
    amend,
    amend_transfer,
    answer,
    answers,
    approve,
    arrive,
    ask_return,
    assign,
    at,
    cancel,
    category_policy,
    channels,
    count,
    damage,
    dispatch,
    dispose,
    expect,
    hold,
    move,
    place,
    policy,
    put_in_cart,
    receive,
    receive_return,
    refund,
    reject,
    release,
    release_hold,
    release_quality,
    reserved,
    scan,
    scan_return,
    send,
    set_apart,
)
from tests.support.given import Story, given, nothing, sent

#: These are reports: accepted as often as they come, whatever the state makes of them.
REPORTS = {"RecordTracking", "RecordReturnTracking", "AddCaseNote"}

SHIPPED = (place({"1": 2}), reserved(2), dispatch({"1": 2}))
CASE = k.OpenCase(case_id="case-1", channel="phone", topic="late", urgency="normal")
PLACE = p.RegisterLocation(location_id="WH1", name="Here", kind="store", latitude=1.5, longitude=2.5, country="DE")
RULES = SetRoutingRules(rules_id="routing", text='name = "one"\n[[rules]]\nname = "all"\ncriteria = ["parcels"]\n')
QUEUED = (
    place({"1": 2}),
    answers(answer("refused", 2, version=1)),
    c.QueueOrder(order_id="o-1", queue="routing_exceptions", reason="no_plan", detail="-"),
)
LET_GO = c.DeallocateLines(
    order_id="o-1", lines=(c.Deallocated(line_id="1", quantity=2),), reason="not picked", elsewhere=False
)
LATER = at("20:00:00", day=28)

#: By command: what comes before it, and the command.
EXAMPLES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "PlaceOrder": ((), place()),
    "AmendOrder": ((place({"1": 2}),), amend({"1": 1}, promised_by="2026-12-24")),
    "CancelOrder": ((place(),), cancel()),
    "HoldOrder": ((place(),), hold()),
    "ReleaseHold": ((place(), hold()), release_hold()),
    "DispatchShipment": ((place({"1": 2}), reserved(2)), dispatch({"1": 1})),
    "RecordTracking": (SHIPPED, scan()),
    "RequestReturn": (SHIPPED, ask_return({"1": 1})),
    "RecordReturnTracking": ((*SHIPPED, ask_return({"1": 1})), scan_return()),
    "WithdrawReturn": (
        (*SHIPPED, ask_return({"1": 1})),
        c.WithdrawReturn(order_id="o-1", return_id="r-1", reason="kept"),
    ),
    "ReceiveReturn": (SHIPPED, receive_return({"1": 1})),
    "IssueRefund": ((place(),), refund(1)),
    "DeallocateLines": ((place({"1": 2}), reserved(2)), LET_GO),
    "RejectAllocation": ((place({"1": 2}), reserved(2)), reject({"1": 2})),
    "ResolveQueued": (QUEUED, c.ResolveQueued(order_id="o-1", queue="routing_exceptions", resolution="leave")),
    "ReceiveStock": ((), receive(1)),
    "ExpectStock": ((), expect(5, LATER)),
    "AdjustStock": ((), adjust(1)),
    "MoveStock": ((receive(3),), move(1)),
    "StartTransfer": ((receive(3),), send(2)),
    "ReceiveTransfer": ((receive(3), send(2)), arrive(2)),
    "AmendTransfer": ((receive(3), send(2)), amend_transfer(LATER)),
    "CountStock": ((receive(3),), count(3)),
    "ApproveCount": (
        (policy(approval_above=0), receive(9), sent(count(1, count_id="count-1"), actor="anna")),
        sent(approve("count-1"), actor="ben"),
    ),
    "MarkDamaged": ((receive(3),), damage(1)),
    "HoldStock": ((receive(3),), set_apart(1)),
    "ReleaseQualityHold": ((receive(3), set_apart(2)), release_quality(1)),
    "DisposeStock": ((receive(3), damage(2)), dispose(1)),
    "SetStockPolicy": ((), policy(safety_stock=2, buffers={"web": 1})),
    "SetChannelPolicy": ((), channels(buffers={"web": 1}, excluded_channels=("till", "fair"))),
    "AssignCategory": ((), assign("china")),
    "SetCategoryPolicy": ((), category_policy(buffers={"web": 1}, excluded_channels=("till",))),
    "ReserveStock": ((receive(3),), put_in_cart()),
    "ReleaseStock": ((receive(3), put_in_cart()), release(order="cart-1")),
    "RegisterLocation": ((), PLACE),
    "SetLocationPolicy": ((PLACE,), p.SetLocationPolicy(location_id="WH1", excluded_channels=("web", "till"))),
    "SetRoutingRules": ((), RULES),
    "OpenCase": ((), CASE),
    "AddCaseNote": ((CASE,), k.AddCaseNote(case_id="case-1", note="called")),
    "AssignCase": ((CASE,), k.AssignCase(case_id="case-1", assignee="anna")),
    "ResolveCase": ((CASE,), k.ResolveCase(case_id="case-1", resolution="sent")),
    "ReopenCase": (
        (CASE, k.ResolveCase(case_id="case-1", resolution="sent")),
        k.ReopenCase(case_id="case-1", reason="-"),
    ),
}


def of_use_cases() -> Iterator[tuple[str, tuple[tuple[Any, ...], Any]]]:
    """What the other tests in this folder export."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.stem != Path(__file__).stem and "\nEXAMPLES" in path.read_text(encoding="utf-8"):
            yield from import_module(f"tests.events.{path.stem}").EXAMPLES.items()


for _name, _example in of_use_cases():
    assert _name not in EXAMPLES, f"{_name} has two examples"
    EXAMPLES[_name] = _example


def named(command: Any, number: int) -> sent:
    return replace_id(command, f"again-{number}") if isinstance(command, sent) else sent(command, id=f"again-{number}")


def replace_id(command: sent, command_id: str) -> sent:
    return sent(command.data, actor=command.actor, id=command_id)


def after(history: tuple[Any, ...], command: Any) -> Story:
    return given(*history) if history else nothing(command.data if isinstance(command, sent) else command)


@pytest.mark.parametrize("name", [name for name, row in COMMANDS.items() if not row.internal])
def test_what_is_accepted_changes_something_or_is_a_report(name: str) -> None:
    """However often it is sent, each time under a new id; nobody is left without an answer."""
    history, command = EXAMPLES[name]
    story = after(history, command)
    for number in range(4):
        before = story.state
        story.when(named(command, number))
        if isinstance(story.answer, Refused):
            assert number, story.answer
            assert story.state == before
        else:
            assert story.answer
            assert story.state != before or name in REPORTS, story.answer


SET = {
    "a policy that names nothing": ((receive(1),), policy()),
    "a policy that names nothing of a place that nobody knows": ((), policy()),
    "a policy of which all is so": ((policy(safety_stock=2, reorder_point=5),), policy(reorder_point=5)),
    "no buffers where there are none": ((receive(1),), policy(buffers={})),
    "channels in another order": (
        (channels(excluded_channels=("till", "fair")),),
        channels(excluded_channels=("fair", "till", "fair")),
    ),
    "channel rules of a place that has none": ((receive(1),), channels("WH1", buffers={}, excluded_channels=())),
    "no rules of a category that has none": ((), category_policy(buffers={}, excluded_channels=())),
    "goods as they are expected, without a time": ((expect(5, LATER),), expect(5)),
    "goods as they are expected, with the time": ((expect(5, LATER),), expect(5, LATER)),
    "the assignee of a case that is resolved": (
        (CASE, k.AssignCase(case_id="case-1", assignee="anna"), k.ResolveCase(case_id="case-1", resolution="-")),
        k.AssignCase(case_id="case-1", assignee="anna"),
    ),
    "a location that is registered so and excludes a channel": (
        (PLACE, p.SetLocationPolicy(location_id="WH1", excluded_channels=("web",))),
        PLACE,
    ),
    "nobody excluded where nobody is": ((PLACE,), p.SetLocationPolicy(location_id="WH1", excluded_channels=())),
}


@pytest.mark.parametrize("case", SET)
def test_what_is_so_already_is_refused(case: str) -> None:
    history, command = SET[case]
    after(history, command).when(command).then_refused("conflict")


CHANGED = {
    "a number of a policy": ((policy(safety_stock=2),), policy(safety_stock=0)),
    "the first policy of a place": ((receive(1),), policy(location="WH2", safety_stock=0)),
    "fewer expected": ((expect(5, LATER),), expect(4, LATER)),
    "expected at another time": ((expect(5, LATER),), expect(5, at("21:00:00", day=28))),
    "called off": ((expect(5, LATER),), expect(0)),
    "a location elsewhere": ((PLACE,), replace(PLACE, latitude=1.6)),
    "a location with a capacity": ((PLACE,), replace(PLACE, daily_capacity=5)),
    "another assignee": (
        (CASE, k.AssignCase(case_id="case-1", assignee="anna")),
        k.AssignCase(case_id="case-1", assignee="ben"),
    ),
    "a channel served again": ((channels(excluded_channels=("till",)),), channels(excluded_channels=())),
    "rules of a category taken away": ((category_policy(buffers={"web": 1}),), category_policy(buffers={})),
    "what was left in a queue is tried again": (
        (*QUEUED, c.ResolveQueued(order_id="o-1", queue="routing_exceptions", resolution="leave")),
        c.ResolveQueued(order_id="o-1", queue="routing_exceptions", resolution="retry"),
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_the_smallest_change_is_accepted(case: str) -> None:
    history, command = CHANGED[case]
    story = after(history, command).when(command)
    assert not isinstance(story.answer, Refused), story.answer
