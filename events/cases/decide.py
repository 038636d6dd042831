"""A service case: opened, noted, assigned, resolved, reopened. State and rules share this file: both are small."""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from events.cases import commands as c
from events.cases import facts as f
from events.envelope import About, Command, Refused
from events.refusal import CommandRefused, already_so


class Case(Struct, frozen=True, kw_only=True):
    """An opened case. Before it is opened there is no state (None)."""

    case_id: str
    resolved: bool = False
    assignee: str | None = None


def decide(case: Case | None, command: Command[c.CaseCommand]) -> Sequence[f.CaseFact] | Refused:
    """The facts of the command in this state, or a refusal."""
    data = command.data
    if isinstance(data, c.OpenCase):
        if case is not None:
            return Refused(
                code="conflict",
                what=f"case {data.case_id} was not opened",
                detail="this case_id is already used",
                hint="use a new case_id, or ReopenCase",
            )
        return (
            f.CaseOpened(
                case_id=data.case_id,
                customer_id=data.customer_id,
                order_id=data.order_id,
                sku=data.sku,
                channel=data.channel,
                topic=data.topic,
                urgency=data.urgency,
                text=data.text,
                reason_code=data.reason_code,
            ),
        )
    if case is None:
        return Refused(
            code="unknown",
            what=f"there is no case {data.case_id}",
            detail=f"{type(data).__name__} came before its OpenCase, or case_id is wrong",
            hint="send OpenCase first; check case_id",
        )
    match data:
        case c.AddCaseNote():
            return (f.CaseNoteAdded(case_id=case.case_id, note=data.note),)
        case c.AssignCase():
            if data.assignee == case.assignee:
                return already_so(f"case {case.case_id} was not assigned", f"it is assigned to {case.assignee} already")
            return (f.CaseAssigned(case_id=case.case_id, assignee=data.assignee),)
        case c.ResolveCase():
            if case.resolved:
                return Refused(
                    code="conflict",
                    what=f"case {case.case_id} was not resolved",
                    detail="it is already resolved",
                    hint="send ReopenCase first",
                )
            return (f.CaseResolved(case_id=case.case_id, resolution=data.resolution),)
        case c.ReopenCase():
            if not case.resolved:
                return Refused(
                    code="conflict",
                    what=f"case {case.case_id} was not reopened",
                    detail="it is open",
                    hint="only a resolved case can be reopened",
                )
            return (f.CaseReopened(case_id=case.case_id, reason=data.reason),)
        case _:
            assert_never(data)


def evolve(case: Case | None, fact: f.CaseFact | CommandRefused, _: About) -> Case | None:
    """The case after the fact."""
    if isinstance(fact, f.CaseOpened):
        return Case(case_id=fact.case_id)
    if isinstance(fact, CommandRefused):
        return case
    if case is None:
        raise ValueError(f"{type(fact).__name__} in a stream that has no case")
    match fact:
        case f.CaseNoteAdded():
            return case
        case f.CaseAssigned():
            return replace(case, assignee=fact.assignee)
        case f.CaseResolved():
            return replace(case, resolved=True)
        case f.CaseReopened():
            return replace(case, resolved=False)
        case _:
            assert_never(fact)
