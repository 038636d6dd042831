"""Sends commands and reports the outcome of each.

    outcomes = publish_lines(settings, services, lines, …)    # waits until every command is decided
    count = send_all(services, commands, …)                   # bulk: waits only until Kafka has them

An id belongs to one command. Within a stream the ledger enforces that. Here it is enforced across streams (the same id
for another order), by a comparison with the answers so far.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import psycopg
from confluent_kafka import KafkaError, Message, Producer

from events.catalogue import LEDGER_OF_INTAKE
from gateway.operating.settling import Gauge, wait_decided
from gateway.sending.commands import BadCommandError, Parsed, check, parse
from gateway.sending.ndjson import Document, documents
from processors.subjects import codec_for
from processors.topics import ensure_topics
from projections.answers.reader import Answer, FirstAnswer, read_answered, read_answers, read_first_answers
from runtime.errors import Fault
from runtime.kafka import producer
from runtime.services import Services
from runtime.settings import Settings

#: For bulk: a record waits this long for others. Shorter sends more and smaller requests; longer only delays the last.
LINGER_MS = 50
#: The wait for acknowledgements of a whole file has steps of this length, so that progress shows.
FLUSH_SECONDS = 1.0
#: Ids that the text of a `NotTaken` shows; `NotTaken.ids` and `publish --json` have all.
NAMED_MAX = 20
#: Outcomes looked up at once: fewer costs round trips, more builds long arrays.
LOOKUP_ROWS = 5_000
#: Up to this many commands, the answers are polled until all are there. With more, a look costs more than it saves.
ASKED_MAX = 100


Item = TypeVar("Item")


class Outcome(NamedTuple):
    """The outcome of one command: accepted, duplicate, rejected or dead. `line` is its first line.

    `repeated`: its id was answered before, and nothing new happened. A refused command stays rejected. If it were a
    duplicate, a sender that repeats until it sees one would believe that it was accepted.
    """

    line: int
    id: str | None
    outcome: str
    what: str = ""
    detail: str = ""
    hint: str = ""
    repeated: bool = False


#: The outcomes after waiting for decisions, and without waiting.
DECIDED = ("accepted", "duplicate", "rejected", "dead")
SENT = ("sent", "rejected")


class Report(NamedTuple):
    """The number of each of `kinds`, and all outcomes except accepted and sent.

    `notes` say how a source was read that has not one command per line, `broken` why it could not be read to its end.
    """

    counts: Mapping[str, int]
    outcomes: list[Outcome]
    kinds: Sequence[str] = DECIDED
    notes: Sequence[str] = ()
    broken: Fault | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON document of `publish`."""
        document: dict[str, Any] = {kind: self.counts.get(kind, 0) for kind in self.kinds}
        document["outcomes"] = [row._asdict() for row in self.outcomes]
        if self.notes:
            document["notes"] = list(self.notes)
        if self.broken is not None:
            document["broken"] = {part: getattr(self.broken, part) for part in ("what", "detail", "hint")}
        return document


class _Sent(NamedTuple):
    line: int
    id: str
    channel: str
    stream_id: str
    topic: str
    partition: int
    offset: int


class NotTaken(Fault):
    """Kafka did not acknowledge these commands; `ids` has all of them, in the order of sending.

    Some may be there anyway, because an answer can get lost. All other commands of the call are acknowledged.
    """

    def __init__(self, ids: Sequence[str], reason: str) -> None:
        more = f" and {len(ids) - NAMED_MAX:,} more" if len(ids) > NAMED_MAX else ""
        super().__init__(
            f"Kafka did not acknowledge {len(ids)} commands",
            f"{reason}; ids: {', '.join(ids[:NAMED_MAX])}{more}",
            "publish the same file again: each command counts once",
        )
        self.ids = list(ids)


class Undecided(Fault):
    """Kafka has all commands, but some were not decided, or not in the tables, in time."""

    def __init__(self, waited_seconds: float) -> None:
        super().__init__(
            "the commands are in Kafka, but not all are decided yet",
            f"waited {waited_seconds:g} s",
            "`order-ledger doctor` says what lags; publishing the same file again is harmless",
        )


class _Sender:
    """Encodes and sends; reports failed deliveries at the end."""

    def __init__(self, settings: Settings, services: Services) -> None:
        ensure_topics(services, settings)
        self._services = services
        self._codec = codec_for(services.schema_registry, services.topic_prefix)
        self._producer: Producer = producer(services, linger_ms=LINGER_MS)
        self.failed: dict[int, tuple[str, KafkaError]] = {}
        self.sent = self.delivered = 0

    def send(self, command: Parsed, on_delivered: Callable[[Message], None] | None = None) -> None:
        self.sent += 1
        number = self.sent

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.failed[number] = command.id, error
                return
            self.delivered += 1
            if on_delivered is not None:
                on_delivered(message)

        value = command.encode(self._codec)
        while True:
            try:
                self._producer.produce(self._services.topic(command.type.topic), value, command.key, on_delivery=report)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def finish(self) -> None:
        """Wait until Kafka has answered for everything. Raises NotTaken with the unacknowledged commands."""
        while self._producer.flush(FLUSH_SECONDS):
            pass
        if self.failed:
            failed = [self.failed[number] for number in sorted(self.failed)]  # they fail in any order
            raise NotTaken([command_id for command_id, _ in failed], failed[0][1].str())


def send_all(
    settings: Settings, services: Services, commands: Iterable[Mapping[str, Any]], on_sent: Callable[[int], None]
) -> int:
    """Send generated commands in bulk; returns their number. Raises BadCommandError, NotTaken."""
    sender = _Sender(settings, services)
    count = 0
    for document in commands:
        sender.send(check(document))
        count += 1
        on_sent(1)
    sender.finish()
    return count


def publish_lines(
    settings: Settings,
    services: Services,
    connection: psycopg.Connection[Any],
    lines: Iterable[bytes],
    *,
    wait: bool,
    timeout_seconds: float,
    on_line: Callable[[int], None] = lambda _: None,
    on_sent: Callable[[], None] = lambda: None,
    on_look: Callable[[], None] = lambda: None,
) -> Report:
    """Publish NDJSON. Every line that is not empty gets one outcome, or belongs to a document that gets one.

    `on_look` is called regularly during the wait. Raises NotTaken if Kafka did not acknowledge all, Undecided if not
    all are decided in time. If reading raises a Fault, the lines before it are sent, and the report has the fault.
    """
    sender = _Sender(settings, services)
    counts: Counter[str] = Counter()
    outcomes: list[Outcome] = []
    sent: list[_Sent] = []
    stream_of: dict[tuple[str, str], str] = {}
    broken: list[Fault] = []
    several = _SeveralLines()

    def reject(number: int, command_id: str | None, what: str, detail: str, hint: str) -> None:
        counts["rejected"] += 1
        outcomes.append(Outcome(number, command_id, "rejected", what, detail, hint))

    for chunk in _chunks(documents(_until_broken(lines, on_line, broken)), 500):
        parsed: list[tuple[int, Parsed]] = []
        for document in chunk:
            several.count(document)
            try:
                parsed.append((document.line, parse(document.text)))
            except BadCommandError as error:
                detail = error.detail
                if document.last_line > document.line and not document.of_array:
                    detail += f" (one document, on lines {document.line} to {document.last_line})"
                reject(document.line, error.command_id, error.what, detail, error.hint)
        stream_of.update(_streams_answered(connection, [p for _, p in parsed if (p.channel, p.id) not in stream_of]))
        for number, command in parsed:
            stream = stream_of.setdefault((command.channel, command.id), command.stream_id)
            if stream != command.stream_id:
                reject(
                    number,
                    command.id,
                    f"{command.type.name} {command.id} was refused",
                    f"channel {command.channel} has sent this id before, with another body (for {stream})",
                    "give every command its own id; repeat a command only unchanged",
                )
                continue

            def taken(message: Message, number: int = number, command: Parsed = command) -> None:
                place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
                sent.append(_Sent(number, command.id, command.channel, command.stream_id, *place))

            sender.send(command, taken)
    sender.finish()
    if sent:
        on_sent()
    if wait:
        for outcome in _outcomes(services, connection, sent, timeout_seconds, on_look, epoch=settings.epoch):
            counts[outcome.outcome] += 1
            if outcome.outcome != "accepted":
                outcomes.append(outcome)
    else:
        counts["sent"] += len(sent)
    return Report(
        counts, sorted(outcomes, key=_by_line), DECIDED if wait else SENT, several.notes, broken[0] if broken else None
    )


class _SeveralLines:
    """Counts documents that are not one command per line, to say how they were read."""

    def __init__(self) -> None:
        self._together = self._elements = 0

    def count(self, document: Document) -> None:
        self._elements += document.of_array
        self._together += document.last_line > document.line and not document.of_array

    @property
    def notes(self) -> list[str]:
        notes = []
        if self._together:
            notes.append(f"JSON over several lines was read as one document each: {self._together:,}")
        if self._elements:
            notes.append(f"each element of a JSON array was read as a command: {self._elements:,}")
        return notes


def _until_broken(lines: Iterable[bytes], on_line: Callable[[int], None], broken: list[Fault]) -> Iterator[bytes]:
    try:
        for line in lines:
            on_line(1)
            yield line
    except Fault as fault:
        broken.append(fault)


def _by_line(outcome: Outcome) -> int:
    return outcome.line


def _outcomes(
    services: Services,
    connection: psycopg.Connection[Any],
    sent: list[_Sent],
    timeout_seconds: float,
    on_look: Callable[[], None],
    *,
    epoch: int,
) -> Iterator[Outcome]:
    ends: dict[tuple[str, int], int] = {}
    for row in sent:
        ends[row.topic, row.partition] = max(ends.get((row.topic, row.partition), 0), row.offset + 1)
    names = {services.topic(intake): ledger for intake, ledger in LEDGER_OF_INTAKE.items()}

    def answered() -> bool:
        """Whether each has its own answer in the tables; answers are written together with the facts."""
        if len(sent) > ASKED_MAX or epoch > 0:  # offsets start again with each epoch: the answer may be an older one's
            return False
        return len(_answers(connection, [(names[row.topic], row.partition, row.offset) for row in sent])) == len(sent)

    if not wait_decided(Gauge(services, connection), ends, timeout_seconds, on_look, answered):
        raise Undecided(timeout_seconds)
    for chunk in _chunks(iter(sent), LOOKUP_ROWS):
        by_place = _answers(connection, [(names[r.topic], r.partition, r.offset) for r in chunk])
        left = [r for r in chunk if (names[r.topic], r.partition, r.offset) not in by_place]
        first = _first_answers(connection, [(r.channel, r.id) for r in left])
        for row in chunk:
            answer = by_place.get((names[row.topic], row.partition, row.offset))
            if answer is not None:
                became = "rejected" if answer.outcome == "refused" else "accepted"
                yield Outcome(row.line, row.id, became, answer.what, answer.detail, answer.hint)
                continue
            before = first.get((row.channel, row.id))
            if before is None:
                yield Outcome(
                    row.line,
                    row.id,
                    "dead",
                    "the ledger could not handle this command",
                    f"{row.topic}/{row.partition}/{row.offset} is a dead letter",
                    "see `order-ledger dead-letters list`",
                )
            elif before.outcome == "refused":
                anew = "this id keeps its first answer: send the command with a new id"
                yield Outcome(
                    row.line,
                    row.id,
                    "rejected",
                    before.what,
                    before.detail,
                    f"{before.hint}; {anew}" if before.hint else anew,
                    repeated=True,
                )
            else:
                told = f"its first answer was: {before.outcome}"
                what = "this command was accepted before"
                yield Outcome(row.line, row.id, "duplicate", what, told, "nothing to do", repeated=True)


def _answers(
    connection: psycopg.Connection[Any], places: list[tuple[str, int, int]]
) -> dict[tuple[str, int, int], Answer]:
    try:
        rows = read_answers(connection, places)
    except psycopg.errors.UndefinedTable:  # no projector has run yet, so there are no answers
        rows = []
    connection.rollback()
    return {(row.topic, row.partition, row.intake_offset): row for row in rows}


def _first_answers(
    connection: psycopg.Connection[Any], ids: list[tuple[str, str]]
) -> dict[tuple[str, str], FirstAnswer]:
    if not ids:
        return {}
    rows = read_first_answers(connection, ids)
    connection.rollback()
    return {(row.channel, row.command_id): row for row in rows}


def _streams_answered(connection: psycopg.Connection[Any], commands: list[Parsed]) -> dict[tuple[str, str], str]:
    """The stream of each (channel, id) that was answered before."""
    if not commands:
        return {}
    try:
        rows = read_answered(connection, [(one.channel, one.id) for one in commands])
    except psycopg.errors.UndefinedTable:  # no projector has run yet, so there are no answers
        rows = []
    connection.rollback()
    return {(row.channel, row.command_id): row.stream_id for row in rows}


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
