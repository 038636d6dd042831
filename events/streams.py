"""What a kind of streams is made of. Each aggregate's folder exports one row of it, `STREAM` in its `stream.py`."""

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
    """Which stream. Ids are unique within a kind only: a case and a location may have the same one."""

    kind: str
    id: str

    @classmethod
    def of(cls, fact: Mapping[str, Any]) -> "StreamKey":
        """The stream of a decoded fact."""
        return cls(fact["stream_kind"], fact["stream_id"])


class StreamType(NamedTuple, Generic[State, Asked, Happened]):
    """The functions of one kind of streams, and the commands and facts in them.

    `key` is the field of each command and fact that holds the stream's id. Its records stand in `intake.<topic>` and
    `ledger.<topic>`. Only the ledger's own reactions send the `internal` ones of its commands.

    States are immutable; `encode` and `decode` are each other's inverse. `conclude` is what the writer calls: the facts
    that `decide` gives and the state that `evolve` makes of them, in one go. A decider of several facts has evolved
    already; for all others there is `step_by_step`.

    `ids_kept_days` is how long the ids of channels' commands are remembered, in days of log time; None is for the life
    of the stream. Ids of the ledger's own commands are remembered for good either way.
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

#: Writes a state to a snapshot that consists of structs and plain values.
pack: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode


def members(union: UnionType | type[Any]) -> tuple[type[Any], ...]:
    """The classes of a union, in its order. An aggregate's union is the one list of its commands, or of its facts."""
    return get_args(union) or (union,)


def step_by_step(
    decide: Callable[[State, Command[Asked]], Sequence[Happened] | Refused],
    evolve: Callable[[State, Happened | CommandRefused, About], State],
) -> Callable[[State, Command[Asked]], tuple[Sequence[Happened], State] | Refused]:
    """`conclude` for a decider that does not evolve on its way."""

    def conclude(state: State, command: Command[Asked]) -> tuple[Sequence[Happened], State] | Refused:
        facts = decide(state, command)
        if isinstance(facts, Refused):
            return facts
        about = About.of(command)
        for fact in facts:
            state = evolve(state, fact, about)
        return facts, state

    return conclude
