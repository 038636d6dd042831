"""Reads JSON from outside so that nothing is silently lost or changed. All JSON from persons and channels is read here.

    document = read_json(b'{"quantity": 2.0}')     # {"quantity": 2}

- Bytes in UTF-8, with or without a mark, in UTF-16 or in UTF-32.
- A name given twice in one object is refused: JSON libraries silently keep the last one.
- `2`, `2.0` and `2e0` are the same int. No number is rounded to an int.
- `NaN`, `Infinity`, comments, lone surrogates and documents that are nested too deep are refused.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from events.form import Written, shown

#: A whole number with more digits stays a float. With an exponent it takes a few characters, but as an int it would
#: fill memory.
WHOLE_DIGITS_MAX = 20
#: Repeated names that an error shows.
_REPEATED_TOLD_MAX = 5
_ONE_DOCUMENT = "send one JSON object per line, in UTF-8"
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')


class BadJsonError(ValueError):
    """Bytes that are refused as JSON: what, detail, hint. `document` is as much as could be read."""

    def __init__(self, what: str, detail: str, hint: str, document: Any = None) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what
        self.detail = detail
        self.hint = hint
        self.document = document


def read_json(raw: bytes) -> Any:
    """The document. Raises BadJsonError."""
    try:
        return _read(_in_utf8(raw))
    except RecursionError as error:
        raise BadJsonError("this is not JSON", "lists or objects are nested too deep", _ONE_DOCUMENT) from error


def _read(text: bytes) -> Any:
    document = _decode(text, _QUICK)
    if _may_repeat_names(text, document):
        repeated = list(_repeated_names(_with_repeats(text), ""))
        if repeated:
            more = f"; and {len(repeated) - _REPEATED_TOLD_MAX:,} more" if len(repeated) > _REPEATED_TOLD_MAX else ""
            raise BadJsonError(
                "a name is given twice",
                "; ".join(repeated[:_REPEATED_TOLD_MAX]) + more,
                "give each name of an object once: it is unclear which value is meant",
                document,
            )
    return document


def read_as_written(raw: bytes) -> Any:
    """A document that `read_json` has read, with each non-integer number as it was written, for error messages."""
    return _decode(_in_utf8(raw), _AS_WRITTEN)


def _number(text: str) -> int | float:
    whole = _whole(text)
    return float(text) if whole is None else whole


def _number_as_written(text: str) -> int | Written:
    whole = _whole(text)
    return Written(text) if whole is None else whole


def _whole(text: str) -> int | None:
    try:
        number = Decimal(text)
    except InvalidOperation:  # the exponent is too large
        return None
    if not number:
        return 0
    return int(number) if number.adjusted() < WHOLE_DIGITS_MAX and number == number.to_integral_value() else None


_QUICK = msgspec.json.Decoder(float_hook=_number)
_AS_WRITTEN = msgspec.json.Decoder(float_hook=_number_as_written)


def _in_utf8(raw: bytes) -> bytes:
    encoding = json.detect_encoding(raw[:4])
    if encoding == "utf-8":
        return raw
    try:
        return raw.decode(encoding).removeprefix("\N{BYTE ORDER MARK}").encode()
    except UnicodeError as error:
        raise BadJsonError("this is not JSON", f"it is not valid {encoding}: {error}", _ONE_DOCUMENT) from error


def _decode(text: bytes, decoder: "msgspec.json.Decoder[Any]") -> Any:
    try:
        return decoder.decode(text)
    except UnicodeDecodeError as error:
        raise BadJsonError(
            "this is not JSON",
            f"byte 0x{error.object[error.start]:02x} in a text is not UTF-8",
            "save the file in UTF-8 and send it again",
        ) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadJsonError("this is not JSON", _reason(text, str(error)), _ONE_DOCUMENT) from error


def _reason(text: bytes, said: str) -> str:
    """msgspec's message, in clearer words for known cases."""
    if not text.strip():
        return "it is empty"
    if re.search(rb"\\u[dD][89a-fA-F]", text) and "truncated" in said:
        return r"a text has half of a character (\ud800 to \udfff come in pairs), or the document is cut off"
    if found := re.search(rb"-?\b(?:NaN|Infinity)\b", _TEXT.sub(b'""', text)):
        return f"{found[0].decode()} is not a number in JSON"
    if complete := re.search(r"trailing characters \(byte (\d+)\)", said):
        return _what_follows(text[int(complete[1]) - 1 :], int(complete[1]))
    return "it ends before it is complete" if "truncated" in said else said.removeprefix("JSON is malformed: ")


def _what_follows(rest: bytes, at: int) -> str:
    """What follows a complete document."""
    if rest.lstrip()[:1] in (b"{", b"["):
        return f"a second document begins at byte {at}: write one command per line"
    if rest.lstrip()[:1] == b",":
        return f"a comma follows the document at byte {at}: put a list of commands in brackets [ ]"
    return f"something follows the document at byte {at}"


def _may_repeat_names(text: bytes, document: Any) -> bool:
    """A quick check: False if no object has a name twice. A lost name shows in the number of quotation marks when the
    document is encoded again. Marks within texts are `\\"` and do not count. A text with other backslashes could look
    like one, so the answer is then True, and each object is checked.
    """
    again = msgspec.json.encode(document)
    if b"\\\\" in text or b"\\\\" in again:
        return True
    return text.count(b'"') - text.count(b'\\"') != again.count(b'"') - again.count(b'\\"')


class _Object(dict[str, Any]):
    """An object that knows its repeated names."""

    repeated: tuple[str, ...] = ()


def _with_repeats(text: bytes) -> Any:
    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = _Object(pairs)
        if len(found) != len(pairs):
            times = Counter(name for name, _ in pairs)
            found.repeated = tuple(name for name in found if times[name] > 1)
        return found

    return json.loads(text, object_pairs_hook=made, parse_int=str, parse_float=str)


def _repeated_names(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Object):
        for name in value.repeated:
            yield f"{shown(name)} is given twice in {path or 'the object'}"
        for name, item in value.items():
            yield from _repeated_names(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _repeated_names(item, f"{path}[{number}]")
