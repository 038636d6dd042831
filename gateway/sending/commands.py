"""A command in JSON, checked and encoded for its intake topic.

    parsed = parse(b'{"command": "ReceiveStock", "id": "wms-1", "channel": "wms", "occurred_at": "…", "data": {…}}')
    producer.produce(parsed.topic, parsed.encode(codec), parsed.key)

Errors have what / detail / hint; nothing that is wrong gets into Kafka from here.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from events.catalogue import COMMANDS, CommandType
from events.envelope import INTERNAL_CHANNEL
from events.form import Flaw, flaws, has_bounded_times, in_words, is_bounded
from events.spelling import meant
from events.values import Id, Quantity, UtcTime
from gateway.sending.json_reading import BadJsonError, read_as_written, read_json
from schemas.codec import Codec

#: A larger command is refused: the broker would not accept it, and no real order is that large.
COMMAND_BYTES_MAX = 1_000_000


class BadCommandError(ValueError):
    """A command that cannot be sent. `command_id` is its id if that could be read."""

    def __init__(self, what: str, detail: str, hint: str, command_id: str | None = None) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what
        self.detail = detail
        self.hint = hint
        self.command_id = command_id


class _Envelope(Struct, forbid_unknown_fields=True, kw_only=True):
    command: Annotated[str, Meta(min_length=1, max_length=100)]
    id: Id
    channel: Id
    occurred_at: UtcTime
    data: Any
    actor: Id | None = None
    expected_version: Quantity | None = None
    correlation_id: Id | None = None
    causation_id: Id | None = None


class Parsed(NamedTuple):
    """A checked command: its type, its key (the stream) and its envelope with typed data."""

    type: CommandType
    stream_id: str
    envelope: _Envelope

    @property
    def id(self) -> str:
        return self.envelope.id

    @property
    def channel(self) -> str:
        return self.envelope.channel

    @property
    def key(self) -> bytes:
        return self.stream_id.encode()

    def encode(self, codec: Codec) -> bytes:
        """The record for the intake topic."""
        e = self.envelope
        record = {
            "id": e.id,
            "channel": e.channel,
            "actor": e.actor,
            "occurred_at": e.occurred_at,
            "expected_version": e.expected_version,
            "correlation_id": e.correlation_id,
            "causation_id": e.causation_id,
            "data": _complete(e.data),
        }
        return codec.encode(self.type.schema, record)


def parse(line: bytes) -> Parsed:
    """The command in a JSON document. Raises BadCommandError."""
    if len(line) > COMMAND_BYTES_MAX:
        raise BadCommandError(
            "the command is too large",
            f"it has more than {COMMAND_BYTES_MAX:,} bytes",
            "split the order, or remove what does not belong to the command; send many commands one per line",
        )
    try:
        document = read_json(line)
    except BadJsonError as error:
        raise BadCommandError(error.what, error.detail, error.hint, _id_of(error.document)) from error
    return check(document, lambda: read_as_written(line))


def check(document: Any, as_written: Callable[[], Any] | None = None) -> Parsed:
    """The command in a decoded JSON document. `as_written` decodes it again with numbers as written, for errors.

    Raises BadCommandError with all problems at once.
    """
    if not isinstance(document, Mapping):
        raise BadCommandError(
            "this is not a command",
            "a command is a JSON object",
            "docs/commands.md lists the commands and their fields",
        )
    name = document.get("command")
    kind = COMMANDS.get(name) if isinstance(name, str) else None
    if kind is None:
        near = meant(str(name), [c for c, row in COMMANDS.items() if not row.internal])
        raise BadCommandError(
            "the command is not known",
            f"command is {name!r:.200}" if "command" in document else "command is missing",
            f"did you mean {near}?" if near else "docs/commands.md lists the commands",
            _id_of(document),
        )
    try:
        envelope = msgspec.convert(document, _Envelope)
        envelope.data = msgspec.convert(envelope.data, kind.data)
    except msgspec.ValidationError as error:
        raise _malformed(kind, document, as_written, str(error)) from error
    if not (is_bounded(envelope.occurred_at) and has_bounded_times(envelope.data)):
        raise _malformed(kind, document, as_written, "a time is out of bounds")
    if kind.internal or envelope.channel == INTERNAL_CHANNEL:
        raise BadCommandError(
            f"{kind.name} cannot be sent from outside",
            f"the channel {INTERNAL_CHANNEL} and its commands belong to the ledger's own reactions",
            "use your own channel name and the commands in docs/commands.md",
            _id_of(document),
        )
    # A text with a written-out escape looks the same here; `_flaws` finds only real NUL characters.
    if "\\u0000" in msgspec.json.encode(document).decode() and _flaws(kind, document):
        raise _malformed(kind, document, as_written, "a text contains a NUL character")
    return Parsed(kind, getattr(envelope.data, kind.key), envelope)


def _malformed(
    kind: CommandType, document: Mapping[str, Any], as_written: Callable[[], Any] | None, said: str
) -> BadCommandError:
    """All problems of a command; msgspec's own message if `flaws` finds nothing."""
    found = _flaws(kind, document if as_written is None else as_written())
    detail, hint = in_words(found) if found else (said, "docs/commands.md has the fields of each command")
    return BadCommandError(f"{kind.name} is not well formed", detail, hint, _id_of(document))


def _flaws(kind: CommandType, document: Mapping[str, Any]) -> list[Flaw]:
    around = flaws(document, _Envelope)
    return [*around, *flaws(document["data"], kind.data, "data")] if "data" in document else around


def _id_of(document: Any) -> str | None:
    command_id = document.get("id") if isinstance(document, Mapping) else None
    return command_id if isinstance(command_id, str) else None


def _complete(data: Any) -> Any:
    """Nested structs as dicts with every field, for Avro; `to_builtins` would leave out defaults."""
    if isinstance(data, Struct):
        # A field has another name in Python if its JSON name is a keyword (`from`).
        names = zip(data.__struct_encode_fields__, data.__struct_fields__, strict=True)
        return {outside: _complete(getattr(data, name)) for outside, name in names}
    if isinstance(data, tuple):
        return [_complete(item) for item in data]
    if isinstance(data, str | int | float | datetime) or data is None:
        return data
    return {name: _complete(value) for name, value in data.items()}
