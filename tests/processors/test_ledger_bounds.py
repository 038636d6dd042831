"""What a door accepts is decided, and what it does not accept is refused with the field's name; nothing is set aside.

Both doors are told of commands that are made from the types alone, so a command that is new is tried as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from events.catalogue import COMMANDS, INTAKE_TOPICS, CommandType
from events.envelope import INTERNAL_CHANNEL
from events.form import flaws
from events.values import TIME_MAX, TIME_MIN
from gateway.sending.commands import BadCommandError, _complete, check, parse
from processors.ledger.partition import Decided, Repeated
from tests.events.from_types import TIMES, TIMES_OUTSIDE, data_of, paths_to_times
from tests.support.intake import CODEC, NOW, Intake, taken_over

OUTSIDE = [kind for kind in COMMANDS.values() if not kind.internal]
TIMED = [
    pytest.param(kind, path, id=f"{kind.name}:{'.'.join(map(str, path))}")
    for kind in COMMANDS.values()
    for path in paths_to_times(inspect.type_info(kind.data))
]
#: Microseconds from 1970 that Avro holds and no command may say, the ends of 64 bits among them.
MICROS_OUTSIDE = [
    -(2**63),
    2**63 - 1,
    -62_135_596_800_000_001,  # the first that Python does not have
    253_402_300_800_000_000,
    int(TIME_MIN.timestamp()) * 1_000_000 - 1,
    (int(TIME_MAX.timestamp()) + 1) * 1_000_000,
]


def in_json(kind: CommandType, data: Any, **around: Any) -> dict[str, Any]:
    return {"command": kind.name, "id": "c", "channel": "web", "occurred_at": NOW, "data": data, **around}


def in_avro(kind: CommandType, data: Mapping[str, Any], command_id: str = "c", **around: Any) -> bytes:
    """As a channel writes it: data may be anything that the contract takes."""
    record = {
        "id": command_id,
        "channel": INTERNAL_CHANNEL if kind.internal else "web",
        "actor": None,
        "occurred_at": NOW,
        "expected_version": None,
        "correlation_id": None,
        "causation_id": None,
    }
    return CODEC.encode(kind.schema, {**record, **around, "data": data})


def sample(kind: CommandType) -> dict[str, Any]:
    """The data of a command with everything that it may hold, one element in each list."""
    return _whole(inspect.type_info(kind.data))  # type: ignore[no-any-return]


def _whole(place: inspect.Type) -> Any:
    match place:
        case inspect.StructType(fields=fields):
            return {field.encode_name: _whole(field.type) for field in fields}
        case inspect.UnionType(types=types):
            return next(_whole(one) for one in types if not isinstance(one, inspect.NoneType))
        case inspect.VarTupleType(item_type=inner):
            return [_whole(inner)]
        case inspect.DictType(value_type=inner):
            return {"1": _whole(inner)}
        case inspect.StrType(pattern="^[A-Z]{2}$"):
            return "DE"
        case inspect.StrType(pattern="^[A-Z]{3}$"):
            return "EUR"
        case inspect.LiteralType(values=words):
            return words[0]
        case inspect.DateTimeType():
            return NOW
        case inspect.BoolType():
            return True
        case inspect.IntType() | inspect.FloatType():
            return 1
    return "1"


def put(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """The data with another value at a path."""
    if not path:
        return value
    if isinstance(data, list):
        return [put(data[0], path[1:], value), *data[1:]]
    return {**data, path[0]: put(data[path[0]], path[1:], value)}


def named(path: tuple[str | int, ...]) -> str:
    return "data" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


# Times


@pytest.mark.parametrize(("kind", "path"), TIMED)
def test_a_time_out_of_bounds_is_refused_at_both_doors_at_every_depth(
    kind: CommandType, path: tuple[str | int, ...]
) -> None:
    whole = sample(kind)
    if not kind.internal:
        for text in TIMES_OUTSIDE:
            with pytest.raises(BadCommandError) as caught:
                check(in_json(kind, put(whole, path, text)))
            assert caught.value.detail.startswith(f'{named(path)} is "{text}"')
            assert "1900 to 9000" in caught.value.detail
    for number, micros in enumerate(MICROS_OUTSIDE):
        intake = Intake(kind.topic)
        outcome = intake.send(in_avro(kind, put(whole, path, micros), f"c{number}"))
        assert isinstance(outcome, Decided), outcome
        assert intake.refusal() == ("invalid", None)
        assert intake.last()[1]["data"]["detail"].startswith(f"{named(path)} is "), intake.last()
        taken_over(intake)


def test_most_commands_that_say_a_time_were_looked_at() -> None:
    assert {path[-1] for _, path in (param.values for param in TIMED)} >= {
        "cancel_after", "release_at", "expected_at", "expires_at", "counted_at", "placed_at"
    }  # fmt: skip


@pytest.mark.parametrize("micros", MICROS_OUTSIDE)
def test_a_command_that_says_it_was_asked_out_of_bounds_is_refused_when_it_came(micros: int) -> None:
    kind = COMMANDS["ReceiveStock"]
    intake = Intake(kind.topic)
    intake.send(in_avro(kind, sample(kind), occurred_at=micros))
    assert intake.refusal() == ("invalid", None)
    fact = intake.last()[1]
    assert fact["data"]["detail"].startswith("occurred_at is ")
    assert fact["occurred_at"] == fact["recorded_at"] == NOW
    with pytest.raises(BadCommandError, match="occurred_at is "):
        check(in_json(kind, sample(kind), occurred_at=TIMES_OUTSIDE[0]))


@pytest.mark.parametrize("moment", [TIME_MIN, TIME_MAX])
def test_the_first_and_the_last_time_of_the_bounds_are_accepted_at_both_doors(moment: datetime) -> None:
    kind = COMMANDS["ExpectStock"]
    data = {"sku": "1", "location_id": "WH1", "purchase_order": "P", "quantity": 1, "expected_at": moment}
    intake = Intake(kind.topic)
    more = in_json(kind, {**data, "quantity": 2}, id="d")
    for value in (in_avro(kind, data, occurred_at=moment), check(more).encode(CODEC)):
        assert isinstance(intake.send(value), Decided)
        assert intake.last()[0] in ("StockExpected", "ReceiptOverdue", "StockLocated")
    text = "9000-12-31T23:59:59.999999Z" if moment == TIME_MAX else "1899-12-31T23:30:00-00:30"
    assert check(in_json(kind, {**data, "expected_at": text})).envelope.data.expected_at == moment.astimezone(UTC)


@pytest.mark.parametrize(
    ("promised_by", "accepted"),
    [
        ("1900-01-02", True),
        ("9000-12-30", True),
        ("9000-12-31T23:59:59Z", True),
        ("9001-01-01", False),
        ("1899-12-30", False),
        ("9999-12-31T23:59:59-14:00", False),
        ("0001-01-01T00:00:00+14:00", False),
    ],
)
def test_a_promise_has_the_bounds_of_a_time(promised_by: str, accepted: bool) -> None:
    kind = COMMANDS["PlaceOrder"]
    data = sample(kind) | {"promised_by": promised_by}
    data["ship_to"] = {"country": "US"}
    intake = Intake(kind.topic)
    intake.send(check(in_json(kind, data)).encode(CODEC))
    assert (intake.last()[0] == "OrderPlaced") is accepted
    if not accepted:
        assert promised_by in intake.last()[1]["data"]["detail"]


# Everything else, from the types


@pytest.mark.parametrize("topic", INTAKE_TOPICS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_is_within_its_bounds_is_decided_and_can_be_taken_over(topic: str, data: st.DataObject) -> None:
    kinds = [kind for kind in COMMANDS.values() if kind.topic == topic]
    intake = Intake(topic)
    for number in range(data.draw(st.integers(1, 8))):
        kind = data.draw(st.sampled_from(kinds))
        typed = msgspec.convert(data.draw(data_of(kind)) | {kind.key: "1"}, kind.data)
        if kind.internal:
            value = in_avro(kind, _complete(typed), f"c{number}")
        else:
            said = in_json(kind, typed, id=f"c{number}", occurred_at=data.draw(TIMES))
            value = parse(msgspec.json.encode(said)).encode(CODEC)
        outcome = intake.send(value)
        assert isinstance(outcome, Decided | Repeated), outcome
    taken_over(intake)


@pytest.mark.parametrize("kind", OUTSIDE, ids=lambda kind: kind.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_walk_through_the_types_and_the_quick_reader_are_of_one_mind(
    kind: CommandType, data: st.DataObject
) -> None:
    """A field is spoilt: whatever the quick reader refuses has a flaw in words, and what it takes has none."""
    document = data.draw(data_of(kind))
    places = list(_places(document, ()))
    for path in data.draw(st.lists(st.sampled_from(places), max_size=2)) if places else []:
        spoilt = st.sampled_from([None, -1, 0, 1.5, 10**13, "", "x", "\0", "2026-11-27", [], {}, True, "y" * 4001])
        document = _spoil(document, path, data.draw(spoilt))
    try:
        msgspec.convert(document, kind.data)
        taken = "\\u0000" not in msgspec.json.encode(document).decode()
    except msgspec.ValidationError:
        taken = False
    assert (not flaws(document, kind.data)) is taken, flaws(document, kind.data)


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in members:
        yield (*path, name)
        yield from _places(item, (*path, name))


def _spoil(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    if isinstance(document, dict) and path[0] in document:
        return {**document, path[0]: _spoil(document[path[0]], path[1:], value)}
    if isinstance(document, list) and isinstance(path[0], int) and path[0] < len(document):
        return [_spoil(item, path[1:], value) if n == path[0] else item for n, item in enumerate(document)]
    return document
