"""Dead letters: records that nobody could read or handle, in the topic `dead-letters`, with their value and key.

    key, value, headers = to_dead_letter(message, "bad_avro", "EOFError: …")
    producer.produce("dead-letters", value=value, key=key, headers=headers)

The headers say what is known about them, so that the original bytes can be sent again unchanged:

| header | what |
|---|---|
| source_topic, source_partition, source_offset | the place where they were found |
| reason | a stable word, for counting: no_frame, unknown_schema, retired_schema, bad_avro, too_large … |
| detail | more for a person |
| at | when they were dead-lettered, RFC 3339 in UTC |
| original.NAME | a header of the record itself |
| headers_left_out | present if the record had more headers than are kept |
| retry_of | the place where the record was first found, if it had been sent again before |

When a letter is sent again, a note follows: same source, reason `retried`, no value. When a person closes one, a note
with the reason `closed` follows.

A reader that takes over may dead-letter a record twice. So readers of this topic count places, not records.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

#: Prefix for the name of a header that came with the record itself.
ORIGINAL = "original."
#: Header of a record that was sent again: the place where it was first found, as `topic/partition/offset`.
RETRY_OF = "retry_of"

#: Reason of a note: the letter was sent to its topic again. Its value is null.
RETRIED = "retried"

#: Reason of a note: a person closed the letter. Its value is null.
CLOSED = "closed"

#: Reasons of notes, which are no letters.
NOTES = frozenset({RETRIED, CLOSED})

#: A longer detail is cut: headers count towards Kafka's limit for a record, which the value alone may fill.
DETAIL_CHARS_MAX = 2_000

#: Bytes kept of the record's own headers, from the first. Each header grows by a prefix, so thousands of tiny ones
#: could exceed the topic's limit. Less would lose a channel's tracing headers.
ORIGINAL_BYTES_MAX = 100_000

Headers = list[tuple[str, bytes | None]]


class Place(NamedTuple):
    """A record's place in Kafka. `str()` gives `topic/partition/offset`, `parse` reads it."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """The place that a text names. ValueError if it names none."""
        topic, partition, offset = text.rsplit("/", 2)
        return cls(topic, int(partition), int(offset))


class Record(Protocol):
    """The methods used of `confluent_kafka.Message`."""

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
    """Headers of the dead letter for the record at `place`. `original` are the record's own; `at` is now by default."""
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
    """Key, value and headers of the dead letter for a consumed record. ValueError for a record without a place."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise ValueError("only a consumed record has a place")
    original = message.headers() or ()
    pairs: Sequence[tuple[str, bytes | None]] = original.items() if isinstance(original, dict) else original  # type: ignore[assignment]
    return (
        message.key(),
        message.value(),
        dead_letter_headers(Place(topic, partition, offset), reason, detail, pairs, at),
    )
