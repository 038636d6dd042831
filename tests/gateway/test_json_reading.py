"""JSON from outside is read as its sender meant it, or refused; nothing in it is lost or changed in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sending.commands import BadCommandError, parse
from gateway.sending.json_reading import BadJsonError, read_as_written, read_json

RECEIVE = (
    '{"command": "ReceiveStock", "id": "1", "channel": "web", "occurred_at": "2026-11-27T18:00:00Z", '
    '"data": {"sku": "MUG", "location_id": "WH1", "quantity": %s}}'
)


def refused(raw: bytes) -> BadJsonError:
    with pytest.raises(BadJsonError) as caught:
        read_json(raw)
    assert caught.value.what
    assert caught.value.detail
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_mark_or_another_encoding_changes_nothing(encoding: str) -> None:
    assert read_json('{"name": "Zoë \N{SNOWMAN}"}'.encode(encoding)) == {"name": "Zoë \N{SNOWMAN}"}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ('{"name": "Zoë"}'.encode("latin-1"), "byte 0xeb in a text is not UTF-8"),
        (b'{"a": "\\ud800"}', "half of a character"),
        (b'{"a": [1, NaN]}', "NaN is not a number in JSON"),
        (b'{"a": -Infinity}', "-Infinity is not a number in JSON"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a":' * 200_000, "nested too deep"),
        (b'{"a": 1', "ends before it is complete"),
        (b'{"a": 1} {"b": 2}', "a second document begins at byte 10"),
        (b"{'a': 1}", "object keys must be strings (byte 1)"),
        (b"", "it is empty"),
        (b"9" * 5_000, "out of range"),
    ],
)
def test_what_is_no_json_is_refused_in_words(raw: bytes, told: str) -> None:
    assert told in refused(raw).detail


@pytest.mark.parametrize("depth", range(50, 1_500, 50))
def test_however_deep_a_document_is_it_is_read_or_refused(depth: int) -> None:
    raw = b'{"a\\\\":' * depth + b"1" + b"}" * depth
    try:
        read_json(raw)
    except BadJsonError as error:
        told = error.detail
    else:
        told = "read"
    assert told in ("read", "lists or objects are nested too deep")
    with pytest.raises(BadCommandError):
        parse(raw)


# Names given twice


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ('{"a": 1, "a": 1}', '"a" is given twice in the object'),
        ('{"a": {"b": [{}, {"c": 1, "c": 2}]}}', '"c" is given twice in a.b[1]'),
        ('{"a": 1, "\\u0061": 2}', '"a" is given twice in the object'),
        ('{"note": "a \\"quoted\\" word", "x": 1, "x": "\\""}', '"x" is given twice in the object'),
        ('{"path": "C:\\\\", "x": 1, "x": "\\\\\\""}', '"x" is given twice in the object'),
        ('{"": 1, "": 2}', '"" is given twice in the object'),
        ('{"a": {"k": 1}, "a": {"k": 1}}', '"a" is given twice in the object'),
    ],
)
def test_a_name_that_is_given_twice_is_refused_with_its_place(raw: str, told: str) -> None:
    assert refused(raw.encode()).detail == told
    assert json.loads(raw)  # where the last one wins in silence


class Pairs(list[Any]):
    """An object as it is written, names that are given twice included."""


NAMES = st.sampled_from(["a", "b", '"', "\\", '\\"', "\\u0061", "é", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=3).map(Pairs),
    max_leaves=12,
)


def written(value: Any, *, ascii_only: bool) -> str:
    if isinstance(value, Pairs):
        members = [
            f"{json.dumps(name, ensure_ascii=ascii_only)}: {written(one, ascii_only=ascii_only)}" for name, one in value
        ]
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(one, ascii_only=ascii_only) for one in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def has_repeats(value: Any) -> bool:
    if isinstance(value, Pairs):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(has_repeats(one) for _, one in value)
    return isinstance(value, list) and any(map(has_repeats, value))


@settings(max_examples=300)
@given(value=JSON, ascii_only=st.booleans())
def test_a_name_is_found_twice_if_and_only_if_it_is(value: Any, ascii_only: bool) -> None:
    raw = written(value, ascii_only=ascii_only)
    if has_repeats(value):
        assert refused(raw.encode()).what == "a name is given twice"
    else:
        assert read_json(raw.encode()) == json.loads(raw)


def test_a_command_with_a_name_given_twice_is_refused_with_its_id() -> None:
    with pytest.raises(BadCommandError) as caught:
        parse((RECEIVE % '1, "quantity": 1000').encode())
    assert (caught.value.detail, caught.value.command_id) == ('"quantity" is given twice in data', "1")


# Numbers


@pytest.mark.parametrize(
    "text", ["1000", "1000.0", "1e3", "1E+3", "0.1e4", "10000e-1", "1000.000000000000000000000000000000"]
)
def test_a_whole_number_is_one_however_it_is_written(text: str) -> None:
    quantity = parse((RECEIVE % text).encode()).envelope.data.quantity
    assert (quantity, type(quantity)) == (1000, int)


@pytest.mark.parametrize(
    "text", ["1.5", "1e400", "1e-1", "1e999999999", "-1e99999999999999999999999", "1.00000000000000000000000000000001"]
)
def test_a_number_that_is_not_whole_or_too_large_is_refused_as_it_is_written(text: str) -> None:
    with pytest.raises(BadCommandError) as caught:
        parse((RECEIVE % text).encode())
    assert caught.value.detail == (f"data.quantity is {text}: expected a whole number from 1 to 1,000,000,000,000")


def test_numbers_beyond_what_a_float_holds_stay_exact() -> None:
    assert read_json(b"[9007199254740993.0, 9007199254740993, -0.0, 0e999999999, 2.50]") == [
        9007199254740993, 9007199254740993, 0, 0, 2.5,
    ]  # fmt: skip
    assert read_as_written(b"[1e400, 2.50, 1.0]") == ["1e400", "2.50", 1]
