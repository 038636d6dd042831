"""Routing rules: each readable text becomes the next version; an unreadable one is refused."""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct

from events.envelope import About, Command, Refused
from events.refusal import CommandRefused, already_so
from events.routing import commands as c
from events.routing import facts as f
from events.routing.rules import RulesError, read_rules


class RoutingRules(Struct, frozen=True, kw_only=True):
    """The newest version of a set of rules."""

    rules_id: str
    number: int
    text: str


def decide(state: RoutingRules | None, command: Command[c.RoutingCommand]) -> Sequence[f.RoutingFact] | Refused:
    """The next version, or a refusal that names the wrong place in the text."""
    data = command.data
    match data:
        case c.SetRoutingRules():
            return _set(state, data)
        case _:
            assert_never(data)


def _set(state: RoutingRules | None, data: c.SetRoutingRules) -> Sequence[f.RoutingFact] | Refused:
    try:
        book = read_rules(data.text)
    except RulesError as error:
        return Refused(
            code="invalid", what=f"routing rules {data.rules_id} were not set", detail=error.detail, hint=error.hint
        )
    if state is not None and data.text == state.text:
        return already_so(
            f"routing rules {data.rules_id} were not set", f"version {state.number} already has this text"
        )
    number = 1 if state is None else state.number + 1
    return (f.RoutingRulesSet(rules_id=data.rules_id, number=number, name=book.name, text=data.text),)


def evolve(state: RoutingRules | None, fact: f.RoutingFact | CommandRefused, _: About) -> RoutingRules | None:
    """The rules after the fact."""
    match fact:
        case CommandRefused():
            return state
        case f.RoutingRulesSet():
            return RoutingRules(rules_id=fact.rules_id, number=fact.number, text=fact.text)
        case _:
            assert_never(fact)
