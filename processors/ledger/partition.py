"""One intake partition and the ledger partition of the same number: `ledger[p] = decide(intake[p])`.

No I/O: records go in, encoded facts come out, so that the same code runs on Kafka, in a simulation and in a test.

    partition = PartitionLedger("intake.orders", 3, partitions=12, codec=codec)
    for fact in facts_on_the_log: partition.take_over(fact)
    outcome = partition.decide(offset, timestamp_ms, key, value)     # Decided | Repeated | SetAside | Forwarded
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from events.catalogue import COMMANDS, FACTS, LEDGER_OF_INTAKE, REFUSAL_SCHEMA, STREAMS, CommandType
from events.chain import GENESIS, digest
from events.envelope import INTERNAL_CHANNEL, About, Command, Refused
from events.form import flaws, has_bounded_times, in_words, is_bounded
from events.refusal import CommandRefused
from events.stock.facts import ReservationRefused
from events.streams import AnyStream, StreamKey
from events.values import ID_LENGTH_MAX, Id, UtcTime
from processors.ledger.memory import FOR_GOOD, Answer, Memory, NotFetchedError, Stream
from runtime.kafka import murmur2_partition
from schemas.codec import Codec, UndecodableError

SECONDS_PER_DAY = 86_400
#: The code of a refusal because the id was another command's.
REUSED = "id_reused"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FACT_CLASSES = {name: row.data for name, row in FACTS.items()} | {"CommandRefused": CommandRefused}
#: Facts that say no. A hold that was not to be had has a fact of its own, because the order that asked is told of it.
_REFUSALS = (CommandRefused, ReservationRefused)
#: By the full name of a contract. A contract of a fact has none.
_COMMAND_OF_SCHEMA: Mapping[str, CommandType] = {row.schema: row for row in COMMANDS.values()}
#: What the digest of a body covers before the body.
_DIGESTED_FIRST = {row.data: row.name.encode() + b"\0" for row in COMMANDS.values()}
_SCHEMA_OF_FACT = {row.data: row.schema for row in FACTS.values()} | {CommandRefused: REFUSAL_SCHEMA}
#: Characters quoted of what was wrong with a command. Less hides the field's name, more is nobody's reading.
MESSAGE_MAX = 1000
#: A larger fact is not written and its command refused: the topic takes no more (`FACT_RECORD_BYTES_MAX` of
#: `processors.topics`), and a record that the broker refuses would stop the partition. Deciders of all writers must
#: agree on it. Orders of tens of thousands of lines come near.
FACT_BYTES_MAX = 5_000_000
#: NUL as JSON writes it, and not an escaped backslash before "u0000".
_NUL_IN_JSON = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
#: Stands in the answer for each NUL of a name, and for a name that is empty. No name of a channel should hold it.
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_canonical = msgspec.json.Encoder(order="sorted").encode


class EncodedFact(NamedTuple):
    """A fact ready for the ledger partition of the same number. `key` is its stream."""

    key: bytes
    value: bytes


class Decided(NamedTuple):
    """The facts of one decision, in order."""

    facts: Sequence[EncodedFact]


class Repeated(NamedTuple):
    """The command was answered before, or has nothing new to say."""


class SetAside(NamedTuple):
    """The record is for the dead letters."""

    reason: str
    detail: str


class Forwarded(NamedTuple):
    """The record belongs to another partition; `channel` sent it with another partitioner."""

    partition: int
    key: bytes
    channel: str


class Parsed(NamedTuple):
    """A record that is a command of this topic, before anything is decided. `stream`, `channel` and `command_id` are
    those of its answer: as they were sent, or made readable where nothing could be stored under them."""

    kind: CommandType
    envelope: dict[str, Any]
    stream: StreamKey
    channel: str
    command_id: str
    command: int


Outcome = Decided | Repeated | SetAside | Forwarded


class Need(NamedTuple):
    """What has to be fetched from the snapshot before a record is decided; None where it is here."""

    stream: StreamKey | None
    command: int | None


class PartitionLedger:
    """Decides the commands of one partition: `follows` is the last decision, `next_intake` the offset that is next,
    `last_offset` that of the last record that counts. `needs` says what has to be fetched into `memory` before a record
    is decided.
    """

    def __init__(self, intake_topic: str, partition: int, *, partitions: int, codec: Codec, epoch: int = 0) -> None:
        self.intake_topic = intake_topic
        self.ledger_topic = LEDGER_OF_INTAKE[intake_topic]
        self.partition = partition
        self.partitions = partitions
        self.epoch = epoch
        self.follows = GENESIS
        self.next_intake = 0
        self.log_time = _EPOCH
        self._newest_ms = 0
        self.last_offset = -1
        self.memory = Memory()
        self._codec = codec

    def stream(self, key: StreamKey) -> Stream:
        """The stream, begun where there is none yet."""
        stream = self.memory.streams.get(key)
        if stream is None:
            if self.memory.saved_offset >= 0:
                raise NotFetchedError(f"{self.ledger_topic}/{self.partition}: {key}")
            stream = Stream(key)
            self.memory.hold(key, stream)
        return stream

    def needs(self, what: "Parsed | SetAside") -> Need | None:
        """What has to be fetched before this is decided; None where all is here that is needed."""
        memory = self.memory
        if memory.saved_offset < 0 or isinstance(what, SetAside):
            return None
        kept_here = STREAMS[what.stream.kind].ids_kept_days is None
        command = None if kept_here or not memory.may_be_answered(what.command) else what.command
        if what.stream in memory.streams:
            return None if command is None else Need(None, command)
        return Need(what.stream, command) if self._at_home(what.stream) else None

    @property
    def keeps_answers(self) -> bool:
        """Whether it has streams that go on for ever: their answers are kept beside them."""
        return any(row.ids_kept_days is not None for row in self._kinds())

    @property
    def forgotten_before(self) -> int:
        """Answers of days before this one count no more, whichever kind of stream has given them."""
        kept_days = max((row.ids_kept_days or 0 for row in self._kinds()), default=0)
        return _day(self.log_time) - kept_days if kept_days else 0

    def _kinds(self) -> Iterator[AnyStream]:
        return (row for row in STREAMS.values() if f"ledger.{row.topic}" == self.ledger_topic)

    def _remember(self, stream: Stream, answer: Answer) -> None:
        if stream.kind.ids_kept_days is None:
            stream.answered.setdefault(answer.key, answer.body)
        else:
            self.memory.remember(answer)

    def _known(self, stream: Stream, command: int, body: int) -> bool | None:
        """True where the command was answered before, False where its id was another one's, None where it is new."""
        kept_days = stream.kind.ids_kept_days
        if kept_days is None:
            known = stream.answered.get(command)
            if known == body or command ^ body in stream.answered:
                return True
            return None if known is None else False
        answers = self.memory.answers_to(command, body)
        if not answers:
            return None
        first_day = _day(self.log_time) - kept_days
        found = {key: answer for key, answer in answers.items() if answer.day >= first_day}
        first = found.get(command)
        if command ^ body in found or (first is not None and (first.body == body or first.day == FOR_GOOD)):
            return True
        return None if first is None else False

    def _at_home(self, stream: StreamKey) -> bool:
        return murmur2_partition(stream.id.encode(), self.partitions) == self.partition

    def take_over(self, name: str, record: dict[str, Any]) -> None:
        """Fold one accepted fact of the ledger partition; one that a snapshot already holds is skipped."""
        self.follows = record["decision"]
        if record["epoch"] == self.epoch:
            self.next_intake = record["intake_offset"] + 1
        elif record["epoch"] > self.epoch:
            raise ValueError(f"the log is in epoch {record['epoch']}, this writer in {self.epoch}")
        self.log_time = max(self.log_time, record["recorded_at"])
        key = StreamKey.of(record)
        stream = self.stream(key)
        if record["version"] <= stream.version:
            return
        if record["version"] != stream.version + 1:
            raise ValueError(
                f"{key.kind} {key.id} goes from version {stream.version} to {record['version']}: facts are missing"
            )
        fact = msgspec.convert(record["data"], _FACT_CLASSES[name])
        about = About(record["channel"], record["occurred_at"], record["recorded_at"])
        stream.state = stream.kind.evolve(stream.state, fact, about)
        stream.version = record["version"]
        if not isinstance(fact, _REFUSALS):
            stream.state_version = stream.version
        self._remember(
            stream,
            Answer(
                _command_key(key, record["channel"], record["command_id"]),
                record["command_digest"],
                FOR_GOOD if record["channel"] == INTERNAL_CHANNEL else _day(record["recorded_at"]),
                reuse=isinstance(fact, CommandRefused) and fact.code == REUSED,
            ),
        )
        self.memory.changed.add(key)

    def decide(self, offset: int, timestamp_ms: int, _key: bytes | None, value: bytes | None) -> Outcome:
        """What becomes of the record at `offset`; `timestamp_ms` is the broker's time. Raises only for a fault of ours.

        The command's own field is its key; what the record was sent under does not matter.
        """
        return self.answer(offset, timestamp_ms, self.parse(value))

    def parse(self, value: bytes | None) -> Parsed | SetAside:
        """The command in a record; nothing is decided or changed by it."""
        try:
            contract, record = self._codec.decode(value)
        except UndecodableError as error:
            return SetAside(error.reason, error.detail)
        kind = _COMMAND_OF_SCHEMA.get(contract.full_name)
        if kind is None or kind.topic != self.intake_topic:
            return SetAside("wrong_topic", f"{contract.full_name} does not belong on {self.intake_topic}")
        stream = StreamKey(kind.kind, _readable(record["data"][kind.key]))
        channel, command_id = _readable(record["channel"]), _readable(record["id"])
        return Parsed(kind, record, stream, channel, command_id, _command_key(stream, channel, command_id))

    def answer(self, offset: int, timestamp_ms: int, what: Parsed | SetAside) -> Outcome:
        """As `decide`, for a record that was parsed before, so that its stream could be fetched."""
        self.next_intake = offset + 1
        if timestamp_ms > self._newest_ms:  # records that came to the broker together have one time
            self.log_time = max(self.log_time, _EPOCH + timedelta(milliseconds=timestamp_ms))
            self._newest_ms = timestamp_ms
        if isinstance(what, SetAside):
            return what
        kind, envelope, key, channel, command_id, command_key = what
        # A stream that is held here is at home.
        if key not in self.memory.streams and not self._at_home(key):
            home = murmur2_partition(key.id.encode(), self.partitions)
            return Forwarded(home, key.id.encode(), channel)
        data: Any = None
        try:
            data = msgspec.convert(envelope["data"], kind.data)
            body = _canonical(data)
            # The search is slow, and nearly no body has the letters at all.
            well_formed = has_bounded_times(data) and not (b"u0000" in body and _NUL_IN_JSON.search(body))
        except msgspec.ValidationError:
            body = repr(envelope["data"]).encode()
            well_formed = False
        command = Command(
            id=command_id,
            channel=channel,
            # The refusal of a time that no command may say does not carry it either: it happened when it came.
            occurred_at=envelope["occurred_at"] if is_bounded(envelope["occurred_at"]) else self.log_time,
            recorded_at=self.log_time,
            data=data,
            actor=_readable_or_none(envelope["actor"]),
            expected_version=envelope["expected_version"],
            correlation_id=_readable_or_none(envelope["correlation_id"]),
            causation_id=_readable_or_none(envelope["causation_id"]),
        )
        well_formed = (
            well_formed
            and command_id == envelope["id"]
            and channel == envelope["channel"]
            and command.occurred_at == envelope["occurred_at"]
            and command.actor == envelope["actor"]
            and command.correlation_id == envelope["correlation_id"]
            and command.causation_id == envelope["causation_id"]
        )
        invalid = None if well_formed else _invalid(kind, envelope)
        body_digest = _digest(_DIGESTED_FIRST[kind.data] + body)
        stream = self.stream(key)
        stream.used = offset
        known = self._known(stream, command_key, body_digest)
        if known:
            return Repeated()
        if known is False:
            answer: Any = Refused(
                code=REUSED,
                what=f"{kind.name} {command_id} was refused",
                detail=f"channel {channel} has already sent this id with another body",
                hint="give every command its own id; repeat a command only unchanged",
            )
        elif invalid is not None:
            detail, hint = invalid
            answer = Refused(code="invalid", what=f"{kind.name} {command_id} was refused", detail=detail, hint=hint)
        elif kind.internal and channel != INTERNAL_CHANNEL:
            answer = Refused(
                code="invalid",
                what=f"{kind.name} {command_id} was refused",
                detail="only the ledger's own reactions send this command",
                hint="docs/commands.md lists the commands of a channel",
            )
        elif command.expected_version is not None and command.expected_version != stream.state_version:
            answer = Refused(
                code="stale",
                what=f"{kind.name} {command_id} was refused",
                detail=f"expected_version is {command.expected_version}, {key.id} has version {stream.state_version}",
                hint="read the current state, then send a new command with a new id",
                at_most=stream.state_version,
            )
        else:
            answer = stream.kind.conclude(stream.state, command)
        if type(answer) is Refused:
            refused = CommandRefused(
                command=kind.name,
                code=answer.code,
                what=answer.what.replace("\0", _UNREADABLE),  # they may quote what was sent
                detail=answer.detail.replace("\0", _UNREADABLE),
                hint=answer.hint.replace("\0", _UNREADABLE),
                at_most=answer.at_most,
            )
            answer = (refused,), stream.state  # a refusal changes nothing
        facts, state = answer
        if not facts:
            return Repeated()
        asked = Answer(
            command_key,
            body_digest,
            FOR_GOOD if channel == INTERNAL_CHANNEL else _day(self.log_time),
            reuse=known is False,
        )
        try:
            encoded = self._state(facts, command, key, asked, offset)
        except _TooLargeError as error:
            state = stream.state
            encoded = self._state([_too_large(kind, command, error.size)], command, key, asked, offset)
        stream.state = state
        return Decided(encoded)

    def _state(
        self, facts: Sequence[Any], command: Command[Any], key: StreamKey, answer: Answer, offset: int
    ) -> list[EncodedFact]:
        stream = self.memory.streams[key]
        encode_data = self._codec.encode_data
        parts = []
        for fact in facts:
            schema = _SCHEMA_OF_FACT[type(fact)]
            parts.append((schema, encode_data(schema, fact)))
        decision = digest(self.follows, self.epoch, offset, parts)
        around = _Shared(
            stream_id=key.id,
            stream_kind=key.kind,
            decision=decision,
            follows=self.follows,
            count=len(facts),
            epoch=self.epoch,
            intake_offset=offset,
            occurred_at=command.occurred_at,
            recorded_at=command.recorded_at,
            command_id=command.id,
            command_digest=answer.body,
            correlation_id=command.correlation_id or command.id,
            causation_id=command.causation_id,
            channel=command.channel,
            actor=command.actor,
        )
        # The version, too: a SKU forgets the ids of channels after 30 days, and a repeat after that is another event.
        named = f"{command.channel}\0{command.id}\0{answer.body}\0{stream.version}"
        event = blake2b(named.encode(), digest_size=15).hexdigest()
        record_key = key.id.encode()
        values = self._codec.encode_decision(around, event, stream.version, parts)
        largest = max(map(len, values))
        if largest > FACT_BYTES_MAX:
            raise _TooLargeError(largest)
        # Nothing above changed the stream: a rule that raises leaves everything as it was.
        for number in range(len(facts), 0, -1):
            if type(facts[number - 1]) not in _REFUSALS:
                stream.state_version = stream.version + number
                break
        stream.version += len(facts)
        self._remember(stream, answer)
        self.memory.changed.add(key)
        self.follows = decision
        return [EncodedFact(record_key, value) for value in values]


class _Shared(msgspec.Struct, frozen=True, gc=False):
    """What the envelopes of a decision's facts share."""

    stream_id: str
    stream_kind: str
    decision: int
    follows: int
    count: int
    epoch: int
    intake_offset: int
    occurred_at: datetime
    recorded_at: datetime
    command_id: str
    command_digest: int
    correlation_id: str
    causation_id: str | None
    channel: str
    actor: str | None


class _TooLargeError(Exception):
    """A fact would have `size` bytes: more than its topic takes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def _too_large(kind: CommandType, command: Command[Any], size: int) -> CommandRefused:
    return CommandRefused(
        command=kind.name,
        code="limit",
        what=f"{kind.name} {command.id} was refused",
        detail=f"its facts take {size:,} bytes, at most {FACT_BYTES_MAX:,} can be recorded",
        hint="ask for fewer lines at once",
        at_most=None,
    )


class _Envelope(msgspec.Struct):
    """What a command's envelope may hold, as it comes in Avro."""

    id: Id
    channel: Id
    occurred_at: UtcTime
    actor: Id | None
    expected_version: int | None
    correlation_id: Id | None
    causation_id: Id | None


def _invalid(kind: CommandType, envelope: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with a command, as a detail and a hint that can be stored: of any length and any character came."""
    around = {name: value for name, value in envelope.items() if name != "data"}
    found = [*flaws(around, _Envelope), *flaws(envelope["data"], kind.data, "data")]
    if not found:
        raise ValueError(f"{kind.name} does not fit its type, for an unknown reason")
    detail, hint = in_words(found)
    return detail[:MESSAGE_MAX], hint


def _readable(text: str) -> str:
    """A name under which an answer can be stored and found. One that is right is itself."""
    if 0 < len(text) <= ID_LENGTH_MAX and "\0" not in text:
        return text
    return text.replace("\0", _UNREADABLE)[:ID_LENGTH_MAX] or _UNREADABLE


def _readable_or_none(text: str | None) -> str | None:
    return None if text is None else _readable(text)


def _command_key(stream: StreamKey, channel: str, command_id: str) -> int:
    return _digest(f"{stream.kind}\0{stream.id}\0{channel}\0{command_id}".encode())


def _digest(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True) or 1  # 0 is nobody's


def _day(moment: datetime) -> int:
    return int(moment.timestamp()) // SECONDS_PER_DAY
