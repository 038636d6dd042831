"""Dead letters for a person: each record once, with its reason, and a way to send it again.

    for letter in read_letters(services): print(letter.first_place, letter.reason)
    retry(services, None)     # all that are open
    close(services, place, "garbage of a test")       # nobody has to look at it again

Sending again is harmless: the ledger recognises a decided command by its id. If a record dies again after a retry, it
is the same letter, under its first place, and open again.
"""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException, Message, TopicPartition

from events.catalogue import DEAD_LETTERS, INTAKE_TOPICS
from gateway.sending.json_reading import BadJsonError, read_as_written, read_json
from processors.dead_letters import CLOSED, NOTES, ORIGINAL, RETRIED, RETRY_OF, Headers, Place, dead_letter_headers
from runtime.errors import Fault
from runtime.kafka import admin, consumer, end_offsets, producer, start_offsets
from runtime.services import Services
from schemas.codec import Codec, UndecodableError

_BATCH_RECORDS_MAX = 1_000
#: `consume` waits this long for a full batch: longer delays the end of a short topic, shorter asks too often.
_WAIT_SECONDS = 0.1
#: If no record comes for this long, the broker is down; a restart takes 2-3 s.
_SILENCE_SECONDS_MAX = 30.0
#: The wait for Kafka's acknowledgements; the producer itself gives up after 60 s.
_FLUSH_SECONDS = 70.0
#: Bytes that `show` prints as hexadecimal: a screen or two; `--json` has all.
HEXDUMP_BYTES_MAX = 2_048


@dataclass(slots=True)
class Letter:
    """A dead record, by the place where it was first found. `places` are all its places, `count` its dead letters.

    `reason` and `detail` are from its newest dead letter; `retried` are the places that were sent again, `closed` those
    that a person has closed.
    """

    first_place: Place
    reason: str = ""
    detail: str = ""
    at: str = ""
    count: int = 0
    places: set[Place] = field(default_factory=set)
    retried: set[Place] = field(default_factory=set)
    closed: set[Place] = field(default_factory=set)

    @property
    def open_places(self) -> set[Place]:
        """Places that were neither sent again nor closed."""
        return self.places - self.retried - self.closed

    @property
    def open(self) -> bool:
        return bool(self.open_places)

    @property
    def state(self) -> str:
        """`open`, `closed` or `sent again`."""
        return "open" if self.open else "closed" if self.closed else "sent again"

    def as_json(self) -> dict[str, Any]:
        return {
            "source": str(self.first_place),
            "reason": self.reason,
            "detail": self.detail,
            "at": self.at,
            "count": self.count,
            "open": self.open,
            "state": self.state,
            "found_again_at": sorted(str(place) for place in self.places - {self.first_place}),
        }


#: The fields of `Letter.as_json`.
LETTER_FIELDS = ("source", "reason", "detail", "at", "count", "open", "state", "found_again_at")


def read_letters(services: Services) -> list[Letter]:
    """All letters, sorted by their first place. Empty if there is no topic yet."""
    letters: dict[Place, Letter] = {}
    for message in _messages(services):
        headers = headers_of(message)
        place = place_of(message, headers)
        first = _first_place(place, headers)
        letter = letters.setdefault(first, Letter(first))
        if _is_note(headers):
            (letter.retried if _text(headers["reason"]) == RETRIED else letter.closed).add(place)
            continue
        letter.places.add(place)
        letter.count += 1
        letter.reason, letter.detail, letter.at = (_text(headers.get(name)) for name in ("reason", "detail", "at"))
    return [letter for _, letter in sorted(letters.items()) if letter.places]


def find_message(services: Services, place: Place) -> Message:
    """The newest dead letter of a record. Raises Fault if there is none."""
    found = None
    for message in _messages(services):
        headers = headers_of(message)
        at = place_of(message, headers)
        if place in (at, _first_place(at, headers)) and not _is_note(headers):
            found = message
    if found is None:
        raise Fault(f"There is no dead letter from {place}", "", "`order-ledger dead-letters list` shows all")
    return found


def describe(message: Message, codec: Codec) -> dict[str, Any]:
    """A letter to look at: `headers`, `key`, `bytes`, `hex` of the whole value, and as much as can be decoded."""
    headers = headers_of(message)
    value = message.value() or b""
    return {
        "source": str(place_of(message, headers)),
        "headers": {name: _text(content) for name, content in headers.items()},
        "key": _text(message.key()),
        "bytes": len(value),
        "hex": value.hex(),
        "decoded": _decoded(message.value(), codec),
    }


def hexdump(value: bytes) -> Iterator[str]:
    """Lines of offset, 16 bytes in hexadecimal, and the same as text."""
    for start in range(0, min(len(value), HEXDUMP_BYTES_MAX), 16):
        chunk = value[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in chunk)
        yield f"{start:08x}  {chunk.hex(' '):<47}  {text}"
    if len(value) > HEXDUMP_BYTES_MAX:
        yield f"… {len(value) - HEXDUMP_BYTES_MAX:,} bytes more"


def retry(services: Services, source: Place | None) -> list[dict[str, Any]]:
    """Send the original bytes to the topic they came from: one letter, or all open letters.

    One entry for each: `source`, `outcome` (sent, refused, failed), and `to` or `detail`. Facts are refused, because
    only the ledger writes them.
    """
    wanted = {place for letter in _chosen(services, source) for place in _places_of(letter, source)}
    # A record has the same bytes at all its places. One is sent, the others are only noted.
    sender = _Sender(services)
    for message in _messages(services):
        headers = headers_of(message)
        place = place_of(message, headers)
        if place in wanted and not _is_note(headers):
            wanted.discard(place)
            sender.send(message, place, headers)
    return sender.finish()


def close(services: Services, source: Place | None, why: str) -> list[Place]:
    """Close a letter, or all open letters, and return the places that were open. Deletes nothing.

    If the record dies at another place later, its letter is open again. Raises Fault if there is no such letter.
    """
    first = {place: letter.first_place for letter in _chosen(services, source) for place in letter.open_places}
    sender = producer(services, linger_ms=20)
    failed: list[str] = []

    def delivered(error: Any, _: Message) -> None:
        if error is not None:
            failed.append(str(error))

    for place, origin in first.items():
        note = dead_letter_headers(place, CLOSED, why, [(RETRY_OF, str(origin).encode())])
        sender.produce(services.topic(DEAD_LETTERS), headers=dict(note), on_delivery=delivered)
        sender.poll(0)
    if sender.flush(_FLUSH_SECONDS) or failed:
        raise Fault("Not all letters could be closed", failed[0] if failed else "Kafka does not answer", "close again")
    return sorted(first)


def _chosen(services: Services, source: Place | None) -> list[Letter]:
    """The letter with this place, or all open letters. Raises Fault if there is none with it."""
    letters = read_letters(services)
    if source is None:
        return [letter for letter in letters if letter.open]
    found = [letter for letter in letters if source in letter.places]
    if not found:
        raise Fault(f"There is no dead letter from {source}", "", "`order-ledger dead-letters list` shows all")
    return found


def _places_of(letter: Letter, source: Place | None) -> Collection[Place]:
    """The open places of a letter; all its places if a person names a letter that is not open."""
    return letter.open_places or (letter.places if source is not None else ())


def _is_note(headers: dict[str, bytes | None]) -> bool:
    return _text(headers.get("reason")) in NOTES


class _Sender:
    """Sends letters back and notes those that Kafka acknowledged."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._producer = producer(services, linger_ms=20)
        self._topics = {services.topic(name) for name in INTAKE_TOPICS}
        self._outcomes: list[dict[str, Any]] = []

    def send(self, message: Message, place: Place, headers: dict[str, bytes | None]) -> None:
        outcome: dict[str, Any] = {"source": str(place)}
        self._outcomes.append(outcome)
        if place.topic not in self._topics:
            outcome |= {
                "outcome": "refused",
                "detail": f"only the ledger writes {place.topic}; a reader with the schema can read it there",
            }
            return
        first = _first_place(place, headers)
        original: Headers = [
            (name[len(ORIGINAL) :], value) for name, value in headers.items() if name.startswith(ORIGINAL)
        ]
        while True:
            try:
                self._producer.produce(
                    place.topic,
                    value=message.value(),
                    key=message.key(),
                    headers=dict([*original, (RETRY_OF, str(first).encode())]),
                    on_delivery=self._delivered(outcome, message, place, first),
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def _delivered(
        self, outcome: dict[str, Any], letter: Message, place: Place, first: Place
    ) -> Callable[[Any, Message], None]:
        def note(error: Any, sent: Message) -> None:
            if error is not None:
                outcome.update(outcome="failed", detail=str(error))
                return
            outcome.update(outcome="sent", to=f"{sent.topic()}/{sent.partition()}/{sent.offset()}")
            origin: Headers = [(RETRY_OF, str(first).encode())]
            # In the partition of the letter, so that a reader of one reads the other.
            self._producer.produce(
                self._services.topic(DEAD_LETTERS),
                partition=int(letter.partition() or 0),
                key=letter.key(),
                headers=dict(dead_letter_headers(place, RETRIED, f"sent again: {outcome['to']}", origin)),
            )

        return note

    def finish(self) -> list[dict[str, Any]]:
        """The outcomes, once Kafka has answered for all records. Raises Fault if it does not."""
        if self._producer.flush(_FLUSH_SECONDS):
            raise Fault(
                "Kafka did not acknowledge all records",
                "",
                "run `order-ledger doctor`, then retry: repeating is safe",
            )
        return self._outcomes


def headers_of(message: Message) -> dict[str, bytes | None]:
    """Headers by name; the last one wins."""
    headers = message.headers() or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return {name: value.encode() if isinstance(value, str) else value for name, value in pairs}


def place_of(message: Message, headers: dict[str, bytes | None]) -> Place:
    """Where the record died; its own place in `dead-letters` if its headers do not say."""
    parts = [_text(headers.get(name)) for name in ("source_topic", "source_partition", "source_offset")]
    try:
        return Place(parts[0], int(parts[1]), int(parts[2]))
    except ValueError:
        return Place(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))


def _first_place(place: Place, headers: dict[str, bytes | None]) -> Place:
    try:
        return Place.parse(_text(headers.get(RETRY_OF)))
    except ValueError:
        return place


def _messages(services: Services) -> Iterator[Message]:
    topic = services.topic(DEAD_LETTERS)
    if topic not in admin(services).list_topics(timeout=_SILENCE_SECONDS_MAX).topics:
        return
    first, last = start_offsets(services, [topic]), end_offsets(services, [topic])
    left = {number: end for (_, number), end in last.items() if end > first[topic, number]}
    reader = consumer(services, "dead-letters-reader", enable_partition_eof=False)
    silent_seconds = 0.0
    try:
        reader.assign([TopicPartition(topic, number, first[topic, number]) for number in left])
        while left:
            messages = reader.consume(_BATCH_RECORDS_MAX, _WAIT_SECONDS)
            silent_seconds = 0.0 if messages else silent_seconds + _WAIT_SECONDS
            if silent_seconds > _SILENCE_SECONDS_MAX:
                raise Fault(
                    "Kafka does not send the dead letters", f"still to read: {sorted(left)}", "`order-ledger doctor`"
                )
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                number, offset = int(message.partition() or 0), int(message.offset() or 0)
                if number not in left:
                    continue
                if offset < left[number]:
                    yield message
                if offset >= left[number] - 1:
                    del left[number]
    finally:
        reader.close()


def _decoded(value: bytes | None, codec: Codec) -> dict[str, Any]:
    try:
        contract, record = codec.decode(value)
        return {
            "contract": f"{contract.full_name} v{contract.version}",
            "record": json.loads(json.dumps(record, default=str)),
        }
    except UndecodableError as error:
        problem = {"error": error.reason, "detail": error.detail}
    try:
        read_json(value or b"")
        return {**problem, "json": read_as_written(value or b"")}
    except BadJsonError:
        return problem


def _text(content: Any) -> str:
    if content is None:
        return ""
    return content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else str(content)
