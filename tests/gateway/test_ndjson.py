"""A file of commands may be one document per line, one over several lines, or an array; a broken one costs no other."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sending.ndjson import DOCUMENT_BYTES_MAX, documents, lines


def command(number: int) -> dict[str, Any]:
    return {"command": "X", "id": str(number), "data": {"lines": [{"n": 1}, {"n": 2}], "text": 'a "} {[" b'}}


def line(number: int) -> bytes:
    return json.dumps(command(number)).encode()


def pretty(number: int) -> bytes:
    return json.dumps(command(number), indent=2).encode()


def found(text: bytes) -> list[tuple[int, int, str | None]]:
    """First and last line of each document and the id in it; None for what is none."""
    return [(one.line, one.last_line, id_in(one.text)) for one in documents(lines(io.BytesIO(text)))]


def id_in(text: bytes) -> str | None:
    try:
        document = json.loads(text.decode("utf-8-sig"))
    except ValueError:
        return None
    return document.get("id") if isinstance(document, dict) else None


def joined(*parts: bytes) -> bytes:
    return b"\n".join(parts) + b"\n"


HIGH = pretty(1).count(b"\n") + 1


def test_a_line_is_a_document_and_empty_lines_are_none() -> None:
    text = line(1) + b"\r\n\n  \n" + line(2)
    assert found(text) == [(1, 1, "1"), (4, 4, "2")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_a_mark_or_another_encoding_costs_no_line(encoding: str) -> None:
    for text in (joined(line(1), line(2)), joined(pretty(1), pretty(2))):
        ids = [one for _, _, one in found(text.decode().encode(encoding))]
        assert ids == ["1", "2"]


def test_marks_of_files_that_were_put_together_cost_no_line() -> None:
    mark = "\N{BYTE ORDER MARK}".encode()
    assert found(joined(mark + line(1), mark + line(2))) == [(1, 1, "1"), (2, 2, "2")]


def test_a_document_over_several_lines_is_one() -> None:
    assert found(joined(pretty(1), pretty(2), line(3))) == [
        (1, HIGH, "1"), (HIGH + 1, 2 * HIGH, "2"), (2 * HIGH + 1, 2 * HIGH + 1, "3"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps([command(1), command(2)]).encode(), id="on one line"),
        pytest.param(json.dumps([command(1), command(2)], indent=2).encode(), id="indented"),
        pytest.param(joined(b"[", line(1) + b",", line(2), b"]"), id="an element per line"),
        pytest.param(joined(b"[", line(1), b"", b"," + line(2), b"", b"]"), id="commas in front"),
    ],
)
def test_the_elements_of_an_array_are_documents(text: bytes) -> None:
    assert [one for _, _, one in found(text.rstrip() + b"\n" + line(3))] == ["1", "2", "3"]
    assert all(one.of_array for one in list(documents(lines(io.BytesIO(text)))))


def test_an_element_of_an_array_stands_on_its_own_lines() -> None:
    assert found(joined(b"[", line(1) + b",", line(2), b"]")) == [(2, 2, "1"), (3, 3, "2")]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(line(1)[:-1], id="a brace is missing"),
        pytest.param(line(1)[:25], id="cut off in a text"),
        pytest.param(b"nonsense", id="nonsense"),
        pytest.param(b"{" * 5, id="braces"),
        pytest.param(b"[", id="the beginning of an array"),
        pytest.param(b"[nonsense", id="the beginning of nonsense"),
        pytest.param(b"]}", id="an end without a beginning"),
        pytest.param(b"\xff\x00", id="no text"),
        pytest.param(pretty(1)[:-2], id="a brace is missing over several lines"),
        pytest.param(b"[" + joined(line(1) + b",")[:-3], id="an array is cut off"),
    ],
)
@pytest.mark.parametrize("good", [[line(2)], [line(2), line(3)], [line(2), pretty(3), line(4)]], ids=len)
def test_a_broken_document_costs_no_other_and_is_one(broken: bytes, good: list[bytes]) -> None:
    ids = [str(number) for number in range(2, 2 + len(good))]
    assert [one for _, _, one in found(joined(broken, *good))] == [None, *ids]
    assert [one for _, _, one in found(joined(*good, broken))] == [*ids, None]


def test_a_broken_document_over_several_lines_ends_where_the_next_one_begins() -> None:
    assert [one for _, _, one in found(joined(pretty(1)[:-2], pretty(2), pretty(3)))] == [None, "2", "3"]


def test_what_is_far_too_long_takes_no_memory_and_costs_no_other() -> None:
    long_line = b'{"a": "' + b"x" * (DOCUMENT_BYTES_MAX + 10) + b'"}'
    long_document = joined(b"{", *[b'"a": "' + b"x" * 1_000_000 + b'",'] * 17, b'"b": 1}')
    for text in (long_line, long_document):
        first, second = documents(lines(io.BytesIO(joined(text, line(2)))))
        assert len(first.text) == DOCUMENT_BYTES_MAX + 1
        assert id_in(second.text) == "2"


PART = st.integers(1, 9).flatmap(lambda number: st.sampled_from([line(number), pretty(number)]))


@settings(max_examples=100)
@given(parts=st.lists(PART, max_size=6), rubbish=st.binary(max_size=20), at=st.integers(0, 6))
def test_good_documents_are_found_whatever_stands_between_them(parts: list[bytes], rubbish: bytes, at: int) -> None:
    wanted = [json.loads(part)["id"] for part in parts]
    # Any bytes on a line of their own, unless they are the beginning or the end of a document themselves.
    between = b"".join(bytes([byte]) for byte in rubbish if byte not in b'\r\n{}[]"')
    assert [one for _, _, one in found(joined(*parts)) if one] == wanted
    with_rubbish = [*parts[:at], between, *parts[at:]]
    assert [one for _, _, one in found(b"\n" + joined(*with_rubbish)) if one] == wanted
