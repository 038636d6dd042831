"""Stories about one stream, told to its decider: what happened, what is asked, what is answered.

    given(place(lines={"1": 2})).when(cancel()).then(like(OrderCancelled, reason="changed mind"))
    given(receive(5)).when(move(6)).then_refused("limit", at_most=5)

Works for every kind of stream in `events.catalogue.STREAMS`: the first fact or command says which one it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from events.catalogue import COMMANDS, FACTS, STREAMS
from events.envelope import INTERNAL_CHANNEL, About, Command, Refused
from events.stock.state import Stock

#: Where stories about stock take place: locations that have been registered. Any other one has not.
PLACES = ("WH1", "WH2", "WH3", "ST3")

NOW = datetime(2026, 11, 27, 18, tzinfo=UTC)
USUAL = About("web", NOW, NOW)


@dataclass(frozen=True)
class sent:  # noqa: N801 - reads as a verb: given(sent(reserve(2), channel="erp"))
    """A command with something else than usual around it. `occurred_at` is the log time `at` where it is not given."""

    data: Any
    channel: str | None = None
    at: datetime = NOW
    occurred_at: datetime | None = None
    actor: str | None = None
    id: str = "c-1"

    def command(self) -> Command[Any]:
        internal = COMMANDS[type(self.data).__name__].internal
        channel = self.channel or (INTERNAL_CHANNEL if internal else "web")
        return Command(
            id=self.id,
            channel=channel,
            occurred_at=self.occurred_at or self.at,
            recorded_at=self.at,
            data=self.data,
            actor=self.actor,
        )


@dataclass(frozen=True)
class like:  # noqa: N801 - the same
    """A fact of this type with at least these values; other fields are not what the test is about."""

    kind: type[Any]
    fields: dict[str, Any] = field(default_factory=dict)

    def __init__(self, kind: type[Any], **fields: Any) -> None:
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "fields", fields)

    def __eq__(self, fact: object) -> bool:
        return type(fact) is self.kind and all(getattr(fact, name) == value for name, value in self.fields.items())

    __hash__ = None  # type: ignore[assignment]


def at_registered_places(state: Any) -> Any:
    """A SKU that has joined all `PLACES` before anything is told of it; any other state as it is."""
    return replace(state, registered=dict.fromkeys(PLACES, True)) if isinstance(state, Stock) else state


class Story:
    """A stream, and `answer`: what its decider said last (facts, or Refused)."""

    def __init__(self, first: Any) -> None:
        data = first.data if isinstance(first, sent) else first
        name = type(data).__name__
        row = COMMANDS.get(name) or FACTS[name]
        self.kind = STREAMS[row.kind]
        self.state = at_registered_places(self.kind.begin(getattr(data, row.key)))
        self.facts: list[Any] = []
        self.answer: Any = ()

    def when(self, *commands: Any) -> Story:
        """Decide the commands one after the other; `answer` is that to the last one."""
        for one in commands:
            command = (one if isinstance(one, sent) else sent(one)).command()
            self.answer = self.kind.decide(self.state, command)
            if not isinstance(self.answer, Refused):
                for fact in self.answer:
                    self.happened(fact, About.of(command))
        return self

    def happened(self, fact: Any, about: About = USUAL) -> None:
        self.facts.append(fact)
        self.state = self.kind.evolve(self.state, fact, about)

    def then(self, *facts: Any) -> Story:
        """The answer is these facts and no others: each a fact, a type of fact, or `like(type, …)`."""
        assert not isinstance(self.answer, Refused), self.answer
        matches = [
            type(found) is wanted if isinstance(wanted, type) else wanted == found
            for wanted, found in zip(facts, self.answer, strict=False)
        ]
        assert len(facts) == len(self.answer) and all(matches), f"\nwanted {facts}\nfound {self.answer}"  # noqa: PT018
        return self

    def then_nothing(self) -> Story:
        return self.then()

    def then_refused(self, code: str, *, at_most: int | None = None, says: str = "") -> Story:
        """Refused with that code; a number that would have been accepted also stands in the text."""
        assert isinstance(self.answer, Refused), self.answer
        assert (self.answer.code, self.answer.at_most) == (code, at_most), self.answer
        assert self.answer.what and self.answer.detail and self.answer.hint  # noqa: PT018
        assert at_most is None or f"at most {at_most}" in self.answer.detail, self.answer.detail
        assert says in self.answer.detail + self.answer.hint, self.answer
        return self


def given(*happened: Any) -> Story:
    """A stream to which these facts happened, or which took these commands (none of which may be refused)."""
    story = Story(happened[0])
    for one in happened:
        if type(one).__name__ in FACTS:
            story.happened(one)
        else:
            story.when(one)
            assert not isinstance(story.answer, Refused), story.answer
    return story


def nothing(about: Any) -> Story:
    """A stream of which nothing is known, of the kind that this command is for."""
    return Story(about)


def ask(command: Any) -> Story:
    """The command, sent to a stream of which nothing is known."""
    return Story(command).when(command)
