"""The fields around every command and every fact.

A command comes from a channel; `id` is its idempotency key within that channel. Only the ledger writes facts; readers
accept a fact by its place in the chain (`decision`, `follows`, `index`, `count`; see `events.chain`).
"""

from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from events.values import Id, Quantity, UtcTime

Data = TypeVar("Data")

#: The channel of commands that the ledger's own reactions send. No outside channel may use it.
INTERNAL_CHANNEL = "order-ledger"


class Command(Struct, Generic[Data], frozen=True, kw_only=True):
    """A command as it reached the ledger.

    `recorded_at` is log time: the broker's time of the intake record, never earlier than the one before it.
    """

    id: Id
    channel: Id
    occurred_at: UtcTime
    recorded_at: UtcTime
    data: Data
    actor: Id | None = None
    expected_version: Quantity | None = None
    correlation_id: Id | None = None
    causation_id: Id | None = None


class About(NamedTuple):
    """The part of a fact's envelope that `evolve` may read."""

    channel: str
    occurred_at: datetime
    recorded_at: datetime

    @classmethod
    def of(cls, command: Command[Any]) -> "About":
        """What the envelopes of this command's facts will have."""
        return cls(command.channel, command.occurred_at, command.recorded_at)


class Refused(Struct, frozen=True, kw_only=True):
    """A decider's refusal: a value, not an exception. `at_most` is the number that would have been accepted."""

    code: str
    what: str
    detail: str
    hint: str
    at_most: int | None = None


class Recorded(Struct, Generic[Data], frozen=True, kw_only=True):
    """A fact as it is in the log."""

    event_id: str
    stream_id: str
    stream_kind: str
    version: int
    decision: int
    follows: int
    index: int
    count: int
    epoch: int
    intake_offset: int
    occurred_at: datetime
    recorded_at: datetime
    command_id: str
    command_digest: int
    correlation_id: str
    channel: str
    data: Data
    causation_id: str | None = None
    actor: str | None = None


AnyCommand = Command[Any]
AnyRecorded = Recorded[Any]
