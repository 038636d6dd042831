"""Where bytes go that nobody could read or handle: the topic `dead-letters`, value and key as they were.

    key, value, headers = to_dead_letter(message, "bad_avro", "EOFError: …")
    producer.produce("dead-letters", value=value, key=key, headers=headers)

What is known about them stands in the headers, so that the original bytes can be sent again untouched:

| header | what |
|---|---|
| source_topic, source_partition, source_offset | the place where they were found |
| reason | a word that stays, for counting: no_frame, unknown_schema, retired_schema, bad_avro, too_large … |
| detail | what a person wants to know |
| at | when they were dead-lettered, RFC 3339 in UTC |
| original.NAME | a header of the record itself |
| headers_left_out | stands there when the record had more headers than are kept |
| retry_of | the place where the record was first found, when it had been sent again before |

A letter that was sent again is followed by a note with the same source, the reason `retried` and no value; one that a
person has closed by a note with the reason `closed`.

A reader that takes over may set the same record aside twice: readers of this topic count places, not records.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

#: Stands before the name of a header that came with the record itself.
ORIGINAL = "original."
#: Header of a record that was sent again: the place where it was first found, as `topic/partition/offset`.
RETRY_OF = "retry_of"

#: Reason of a record that is no letter but a note about one: it was sent to its topic again. Its value is null.
RETRIED = "retried"

#: Reason of a note about a letter that is done with: nothing will ever come of it. Its value is null.
CLOSED = "closed"

#: Reasons of records that are no letters.
NOTES = frozenset({RETRIED, CLOSED})

#: A detail longer than this is cut: headers count towards Kafka's limit for a record, which the value may fill.
DETAIL_CHARS_MAX = 2_000

#: Of the record's own headers so many bytes are kept, the first ones: each grows by a prefix, and thousands of tiny
#: ones would grow beyond what the topic takes. Less would lose what a channel's tracing puts there.
ORIGINAL_BYTES_MAX = 100_000

Headers = list[tuple[str, bytes | None]]


class Place(NamedTuple):
    """A record's place in Kafka; `str()` gives `topic/partition/offset`, `parse` reads it."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """The place that a text names. ValueError where it names none."""
        topic, partition, offset = text.rsplit("/", 2)
        return cls(topic, int(partition), int(offset))


class Record(Protocol):
    """What is needed of a `confluent_kafka.Message`."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> Any: ...


def dead_letter_headers(
    place: Place,
    reason: str,
    detail: str,
    original: Iterable[tuple[str, bytes | None]] = (),
    at: datetime | None = None,
) -> Headers:
    """Headers of a dead letter for the record at `place`; `original` are the record's own, `at` is now by default."""
    headers: Headers = [
        ("source_topic", place.topic.encode()),
        ("source_partition", str(place.partition).encode()),
        ("source_offset", str(place.offset).encode()),
        ("reason", reason.encode()),
        ("detail", detail[:DETAIL_CHARS_MAX].encode("utf-8", "replace")),
        ("at", (at or datetime.now(UTC)).isoformat().encode()),
    ]
    room = ORIGINAL_BYTES_MAX
    for name, value in original:
        kept = name if name == RETRY_OF else ORIGINAL + name
        room -= len(kept.encode()) + len(value or b"")
        if room < 0:
            headers.append(("headers_left_out", b"true"))
            break
        headers.append((kept, value))
    return headers


def to_dead_letter(
    message: Record, reason: str, detail: str, at: datetime | None = None
) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers of the dead letter for a record that was consumed. ValueError for one without a place."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise ValueError("only a record that was consumed has a place")
    original = message.headers() or ()
    pairs: Sequence[tuple[str, bytes | None]] = original.items() if isinstance(original, dict) else original  # type: ignore[assignment]
    return (
        message.key(),
        message.value(),
        dead_letter_headers(Place(topic, partition, offset), reason, detail, pairs, at),
    )
