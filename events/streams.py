"""The entry that describes a kind of streams. Each kind's folder exports one, `STREAM` in its `stream.py`."""

from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Any, Generic, NamedTuple, TypeVar, get_args

import msgspec

from events.envelope import About, Command, Refused
from events.refusal import CommandRefused

State = TypeVar("State")
Asked = TypeVar("Asked")
Happened = TypeVar("Happened")


class StreamKey(NamedTuple):
    """Names a stream. Ids are unique only within a kind: a case and a location may have the same id."""

    kind: str
    id: str

    @classmethod
    def of(cls, fact: Mapping[str, Any]) -> "StreamKey":
        """The stream of a decoded fact."""
        return cls(fact["stream_kind"], fact["stream_id"])


class StreamType(NamedTuple, Generic[State, Asked, Happened]):
    """The functions of one kind of streams, and their commands and facts.

    `key` is the field of each command and fact that holds the stream's id. The records are in `intake.<topic>` and
    `ledger.<topic>`. Only the ledger's own reactions send the `internal` commands.

    States are immutable; `decode` is the inverse of `encode`. The ledger writer calls `conclude`, which returns the
    facts of `decide` and the state after them. A decider that computes this state anyway has its own `conclude`. All
    others use `step_by_step`.

    `ids_kept_days`: for how many days of log time ids of channels' commands are remembered; None means always. Ids of
    the ledger's own commands are always remembered.
    """

    kind: str
    topic: str
    key: str
    commands: tuple[type[Asked], ...]
    facts: tuple[type[Happened], ...]
    begin: Callable[[str], State]
    decide: Callable[[State, Command[Asked]], Sequence[Happened] | Refused]
    conclude: Callable[[State, Command[Asked]], tuple[Sequence[Happened], State] | Refused]
    evolve: Callable[[State, Happened | CommandRefused, About], State]
    encode: Callable[[State], bytes]
    decode: Callable[[bytes], State]
    internal: tuple[type[Asked], ...] = ()
    ids_kept_days: int | None = None


AnyStream = StreamType[Any, Any, Any]

#: Encodes for a snapshot a state made of structs and plain values.
pack: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode


def members(union: UnionType | type[Any]) -> tuple[type[Any], ...]:
    """The classes of a union, in its order. The unions are the only lists of the commands and facts of a kind."""
    return get_args(union) or (union,)


def step_by_step(
    decide: Callable[[State, Command[Asked]], Sequence[Happened] | Refused],
    evolve: Callable[[State, Happened | CommandRefused, About], State],
) -> Callable[[State, Command[Asked]], tuple[Sequence[Happened], State] | Refused]:
    """`conclude` for a decider that does not compute the state after its facts."""

    def conclude(state: State, command: Command[Asked]) -> tuple[Sequence[Happened], State] | Refused:
        facts = decide(state, command)
        if isinstance(facts, Refused):
            return facts
        about = About.of(command)
        for fact in facts:
            state = evolve(state, fact, about)
        return facts, state

    return conclude
