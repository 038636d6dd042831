"""Tables to which rows are only added: every fact of an order, and the answer to every command from outside.

A row comes from one fact. So only its digest and the fact's place are kept, not the row. If a digest differs, the fact
is read again to find out what differs.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from processors.verify.facts import Fact
from processors.verify.rows import Difference, Key
from schemas.contracts import FACT_NAMESPACE, newest

#: Reads a fact again: (topic without prefix, partition, offset).
Fetch = Callable[[str, int, int], Fact]

#: The channel of the ledger's own reactions.
_OWN_CHANNEL = "order-ledger"


class Journal:
    """Expected rows as digests. `rows_of` makes the rows of a fact; `plain` converts a found row to the same form."""

    def __init__(
        self,
        name: str,
        key: tuple[str, ...],
        columns: tuple[str, ...],
        rows_of: Callable[[Fact], list[tuple[Any, ...]]],
        plain: Callable[[tuple[Any, ...]], tuple[Any, ...]],
    ) -> None:
        self.name = name
        self.key = key
        self.columns = columns
        self.fetch: Fetch | None = None
        self._rows_of = rows_of
        self._plain = plain
        self._width = len(key)
        self._rows: dict[Key, tuple[int, str, int, int]] = {}
        self._json = msgspec.json.Encoder()

    def add(self, fact: Fact) -> None:
        """Expect the rows of a fact."""
        for row in self._rows_of(fact):
            self._rows[row[: self._width]] = (self._digest(row), fact.topic, fact.partition, fact.offset)

    def compare(self, found: tuple[Any, ...]) -> Difference | None:
        """As in `rows.Expected`."""
        key = found[: self._width]
        known = self._rows.pop(key, None)
        if known is None:
            return Difference(self.name, key, "*", None, dict(zip(self.columns, found, strict=True)))
        plain = self._plain(found)
        if self._digest(plain) == known[0]:
            return None
        assert self.fetch is not None, "set `fetch` before comparing"
        expected = next(row for row in self._rows_of(self.fetch(*known[1:])) if row[: self._width] == key)
        for name, wanted, value in zip(self.columns, expected, plain, strict=True):
            if wanted != value:
                return Difference(self.name, key, name, wanted, value)
        # Equal in Python but different in JSON: 1 and 1.0, or true and 1.
        return Difference(self.name, key, self.columns[-1], expected[-1], plain[-1])

    def missing(self) -> Iterator[Key]:
        return iter(self._rows)

    def _digest(self, row: tuple[Any, ...]) -> int:
        return int.from_bytes(blake2b(self._json.encode(row), digest_size=8).digest(), "big")


def history() -> Journal:
    """`order_history`: every fact of `ledger.orders`, refusals included."""
    return Journal(
        "order_history",
        ("order_id", "version"),
        (
            "order_id", "version", "fact", "occurred_at", "recorded_at", "command_id", "channel", "actor", "event_id",
            "correlation_id", "data",
        ),
        lambda fact: [_history_row(fact)],
        _plain_history,
    )  # fmt: skip


def _history_row(fact: Fact) -> tuple[Any, ...]:
    record = fact.record
    return (
        record["stream_id"], record["version"], fact.name, record["occurred_at"], record["recorded_at"],
        record["command_id"], record["channel"], record["actor"], record["event_id"], record["correlation_id"],
        record["data"],
    )  # fmt: skip


def _plain_history(found: tuple[Any, ...]) -> tuple[Any, ...]:
    *rest, data = found
    return (*rest, _from_json(_data_schema(found[2]), data))


_SCHEMAS: dict[str, Any] = {}


def _data_schema(fact_name: str) -> Any:
    schema = _SCHEMAS.get(fact_name)
    if schema is None:
        try:
            schema = newest(f"{FACT_NAMESPACE}.{fact_name}").schema["fields"][-1]["type"]
        except KeyError:
            schema = "unknown"  # an unknown name differs from the expected one anyway
        _SCHEMAS[fact_name] = schema
    return schema


def _from_json(schema: Any, value: Any) -> Any:
    """A JSON value as in the record: times as times, fields in the schema's order, unknown fields kept."""
    if value is None or schema == "unknown" or isinstance(schema, str):
        return float(value) if schema == "double" and type(value) is int else value
    if isinstance(schema, list):
        return _from_json(next(branch for branch in schema if branch != "null"), value)
    if "logicalType" in schema:
        return _time(value)
    if schema["type"] == "record" and isinstance(value, Mapping):
        fields = {field["name"]: _from_json(field["type"], value.get(field["name"])) for field in schema["fields"]}
        return fields if value.keys() <= fields.keys() else {**fields, **value}
    if schema["type"] == "array" and isinstance(value, list):
        return [_from_json(schema["items"], item) for item in value]
    return value


def _time(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value  # it is no time, so it differs from the expected one


def answers() -> Journal:
    """`answers`: one row for each decision about a command from outside."""
    return Journal(
        "answers",
        ("topic", "partition", "epoch", "intake_offset"),
        (
            "topic", "partition", "epoch", "intake_offset", "channel", "command_id", "stream_id", "outcome", "fact",
            "command", "code", "what", "detail", "hint", "at_most", "recorded_at",
        ),
        lambda fact: [_answer_row(fact)],
        lambda found: found,
    )  # fmt: skip


class Answering:
    """Which facts answer commands from outside: the first of a decision, apart from reservations that expired and the
    lines that got their units.
    """

    def __init__(self) -> None:
        self._owed: set[tuple[str, int]] = set()

    def answers_command(self, fact: Fact) -> bool:
        """Must be called for every fact, in the order of its partition."""
        if fact.record["channel"] == _OWN_CHANNEL:
            return False
        place = (fact.topic, fact.partition)
        if fact.record["index"] == 1:
            self._owed.discard(place)
            if fact.name != "ReservationExpired":
                return True
            self._owed.add(place)
            return False
        if place not in self._owed or fact.name in ("ReservationExpired", "StockOffered"):
            return False
        if fact.name == "StockReserved" and fact.record["data"]["waited"]:
            return False
        self._owed.discard(place)
        return True


def _answer_row(fact: Fact) -> tuple[Any, ...]:
    record = fact.record
    place = (fact.topic, fact.partition, record["epoch"], record["intake_offset"])
    why: Mapping[str, Any] = {}
    if fact.name == "CommandRefused":
        why = record["data"]
    elif fact.name == "ReservationRefused":
        why = _not_reserved(record["data"])
    return (
        *place, record["channel"], record["command_id"], record["stream_id"],
        "refused" if why else "accepted", fact.name,
        *(why.get(name) for name in ("command", "code", "what", "detail", "hint", "at_most")), record["recorded_at"],
    )  # fmt: skip


def _not_reserved(data: Mapping[str, Any]) -> dict[str, Any]:
    """ReservationRefused of a channel's own reservation, as a refusal."""
    if data["reason"] == "not_enough":
        detail = f"{data['quantity']} asked at {data['location_id']}: at most {data['available']}"
        hint = "ask for less, or at another location, as a new attempt"
    elif data["reason"] == "not_registered":
        detail = f"location {data['location_id']} is not known to be registered: at most 0"
        hint = "ask again in a moment as a new attempt; if that fails, check location_id and send RegisterLocation"
    else:
        detail, hint = "its release came before it", "use a new attempt number"
    return {
        "command": "ReserveStock",
        "code": data["reason"],
        "what": f"no {data['sku']} was reserved",
        "detail": detail,
        "hint": hint,
        "at_most": data["available"],
    }
