"""Checks a document against a type and lists every flaw, each with the path of its field.

`msgspec` checks a document quickly, but names only one wrong field. This module walks the same types to name all of
them, with the values that were sent. It also checks what `msgspec` cannot: the range of times at every depth, and NUL
characters, which PostgreSQL cannot store.

>>> from events.stock.commands import ReceiveStock
>>> for flaw in flaws({"sku": "MUG", "quantity": -1, "lokation_id": "WH1"}, ReceiveStock, "data"): print(flaw.text)
data.lokation_id is not a known field
data.location_id is missing
data.quantity is -1: expected a whole number from 1 to 1,000,000,000,000
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from events.spelling import meant
from events.values import TIME_MAX, TIME_MIN, YEAR_MAX, YEAR_MIN

#: Characters shown of a wrong value. Fewer hide what was sent, more hide the field's name.
SHOWN_MAX = 80
#: Flaws listed per document; the rest is only counted. Nobody reads a longer list.
TOLD_MAX = 20
#: Choices listed when a word is none of them. Nobody reads a longer list; docs/commands.md has it.
WORDS_NAMED_MAX = 12
#: Hints per document. More would bury the first one.
HINTS_MAX = 4
_WHERE_TO_LOOK = "docs/commands.md has the fields of each command"
_TIME_EXAMPLE = "2026-11-27T18:00:00Z"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

described = cache(inspect.type_info)


class Flaw(NamedTuple):
    """What is wrong with one field: its path as the sender wrote it, the flaw, and a hint (may be empty)."""

    path: str
    what: str
    hint: str = ""

    @property
    def text(self) -> str:
        return f"{self.path} {self.what}" if self.path else f"it {self.what}"


class Written(str):
    """The text of a number that a program cannot represent: `1.5e400`."""

    __slots__ = ()


def flaws(document: Any, kind: type, path: str = "") -> list[Flaw]:
    """Everything that keeps a document from becoming a `kind`; empty if nothing does. `path` is the document's."""
    return list(_walk(document, described(kind), path))


def in_words(found: Sequence[Flaw]) -> tuple[str, str]:
    """Flaws as a detail and a hint."""
    detail = "; ".join(flaw.text for flaw in found[:TOLD_MAX])
    if len(found) > TOLD_MAX:
        detail += f"; and {len(found) - TOLD_MAX:,} more"
    hints = list(dict.fromkeys(flaw.hint for flaw in found if flaw.hint))[:HINTS_MAX]
    return detail, "; ".join([*hints, _WHERE_TO_LOOK])


def holds_nul(document: Any) -> bool:
    """Whether a text anywhere in a document, names of objects included, holds a NUL character."""
    match document:
        case str():
            return "\0" in document
        case Mapping():
            return any(holds_nul(name) or holds_nul(value) for name, value in document.items())
        case list() | tuple():
            return any(map(holds_nul, document))
    return False


def is_bounded(moment: datetime) -> bool:
    """Whether a time is within the years allowed in a command, in UTC."""
    return TIME_MIN <= moment <= TIME_MAX


def has_bounded_times(data: msgspec.Struct) -> bool:
    """Whether all times in a command's data are within the allowed years. Reads only fields whose type has times."""
    for path in _times_of(type(data)):  # noqa: SIM110 - `all` of a generator takes three times as long
        if not _is_bounded_at(data, path):
            return False
    return True


@cache
def _times_of(kind: type) -> tuple[tuple[str | None, ...], ...]:
    """Paths of all times in a type. A step of a path is an attribute's name, or None for each element of a list."""
    return tuple(_paths_to_times(described(kind)))


def _paths_to_times(place: inspect.Type) -> Iterator[tuple[str | None, ...]]:
    match place:
        case inspect.DateTimeType():
            yield ()
        case inspect.UnionType(types=types):
            for one in types:
                yield from _paths_to_times(one)
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from ((field.name, *path) for path in _paths_to_times(field.type))
        case inspect.VarTupleType(item_type=inner) | inspect.DictType(value_type=inner):
            yield from ((None, *path) for path in _paths_to_times(inner))


def _is_bounded_at(value: Any, path: tuple[str | None, ...]) -> bool:
    """Whether all times at this path are within the allowed years."""
    for number, step in enumerate(path):
        if value is None:
            return True
        if step is None:
            rest = path[number + 1 :]
            for item in value.values() if isinstance(value, dict) else value:  # noqa: SIM110 - as above
                if not _is_bounded_at(item, rest):
                    return False
            return True
        value = getattr(value, step)
    return value is None or is_bounded(value)


def _walk(value: Any, place: inspect.Type, path: str) -> Iterator[Flaw]:
    match place:
        case inspect.UnionType(types=types):
            # The only unions of commands: something, or null.
            if value is not None:
                for one in types:
                    if not isinstance(one, inspect.NoneType):
                        yield from _walk(value, one, path)
        case inspect.StructType():
            yield from _object(value, place, path)
        case inspect.VarTupleType(item_type=inner):
            if not isinstance(value, list | tuple):
                yield Flaw(path, f"is {shown(value)}: expected a list")
                return
            for number, item in enumerate(value):
                yield from _walk(item, inner, f"{path}[{number}]")
        case inspect.DictType(key_type=names, value_type=inner):
            if not isinstance(value, Mapping):
                yield Flaw(path, f"is {shown(value)}: expected an object")
                return
            for name, item in value.items():
                for flaw in _walk(name, names, path):
                    yield Flaw(path, f"has an invalid name: it {flaw.what}")
                yield from _walk(item, inner, _step(path, name))
        case _:
            yield from _leaf(value, place, path)


def _object(value: Any, place: inspect.StructType, path: str) -> Iterator[Flaw]:
    if not isinstance(value, Mapping):
        yield Flaw(path, f"is {shown(value)}: expected an object")
        return
    fields = {field.encode_name: field for field in place.fields}
    for name in value:
        if name not in fields:
            near = meant(str(name), fields)
            offered = f"did you mean {near}? " if near else ""
            yield Flaw(_step(path, name), "is not a known field", offered + "unknown fields are refused")
    for name, field in fields.items():
        if name in value:
            yield from _walk(value[name], field.type, _step(path, name))
        elif field.required:
            yield Flaw(_step(path, name), "is missing", f"add {_step(path, name)}")


def _leaf(value: Any, place: inspect.Type, path: str) -> Iterator[Flaw]:
    if isinstance(value, str) and not isinstance(value, Written) and "\0" in value:
        yield Flaw(path, "holds a NUL character", "leave NUL characters out")
        return
    wanted, hint = _wanted(value, place)
    if wanted:
        yield Flaw(path, f"is {shown(value)}: expected {wanted}", hint)


def _wanted(value: Any, place: inspect.Type) -> tuple[str, str]:
    """What was expected instead of a value, and a hint; both empty if the value is right."""
    match place:
        case inspect.IntType():
            right = isinstance(value, int) and not isinstance(value, bool) and _within(value, place)
            return ("", "") if right else (f"a whole number{_range(place)}", "")
        case inspect.FloatType():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return ("", "") if number and _within(value, place) else (f"a number{_range(place)}", "")
        case inspect.StrType():
            return _wanted_text(value, place)
        case inspect.BoolType():
            return ("", "") if isinstance(value, bool) else ("true or false", "")
        case inspect.LiteralType(values=values):
            return ("", "") if isinstance(value, str) and value in values else _wanted_word(value, values)
        case inspect.DateTimeType():
            return _wanted_time(value), ""
    return "", ""


def _within(value: float, place: inspect.IntType | inspect.FloatType) -> bool:
    return (place.ge is None or value >= place.ge) and (place.le is None or value <= place.le)


def _range(place: inspect.IntType | inspect.FloatType) -> str:
    return "" if place.ge is None or place.le is None else f" from {place.ge:,} to {place.le:,}"


def _wanted_text(value: Any, place: inspect.StrType) -> tuple[str, str]:
    right = isinstance(value, str) and not isinstance(value, Written)
    if place.pattern is not None:
        matches = right and re.search(place.pattern, value) is not None
        letters = re.fullmatch(r"\^\[A-Z\]\{(\d)\}\$", place.pattern)
        wanted = f"{letters[1]} capital letters" if letters else f"a text like {place.pattern}"
        return ("", "") if matches else (f"a text of {wanted}" if letters else wanted, "")
    least, most = place.min_length or 0, place.max_length
    if right and least <= len(value) and (most is None or len(value) <= most):
        return "", ""
    return "a text" + ("" if most is None else f" of {f'{least} to' if least else 'at most'} {most:,} characters"), ""


def _wanted_word(value: Any, words: Sequence[Any]) -> tuple[str, str]:
    known = sorted(map(str, words))
    near = meant(value, known) if isinstance(value, str) else None
    wanted = f"one of {', '.join(known)}" if len(known) <= WORDS_NAMED_MAX else "one of its choices"
    return wanted, f"did you mean {near}?" if near else ""


def _wanted_time(value: Any) -> str:
    bounds = f"a time in the years {YEAR_MIN} to {YEAR_MAX} in UTC"
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        try:
            moment = msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            return f"a time like {_TIME_EXAMPLE}"
    else:
        return f"a time like {_TIME_EXAMPLE}"
    if moment.tzinfo is None:
        return f"a time with its offset, like {_TIME_EXAMPLE}"
    return "" if is_bounded(moment) else bounds


def shown(value: Any) -> str:
    """A value for people: as it was written, on one line, cut if it is long."""
    match value:
        case Written():
            text = str(value)
        case datetime():
            text = value.isoformat()
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case str():
            cut = json.dumps(value[:SHOWN_MAX], ensure_ascii=False)
            return cut if len(value) <= SHOWN_MAX else f'{cut[:-1]}…" ({len(value):,} characters)'
        case int() if not isinstance(value, bool) and abs(value) >= 10**SHOWN_MAX:
            return "a number of more than 80 digits"
        case _ if value is None or isinstance(value, bool | int | float):
            text = json.dumps(value)
        case _:
            text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


def _step(path: str, name: Any) -> str:
    """The path of a member: `data.lines`, or `data.attributes["gift wrap"]` if the name is not a plain word."""
    if isinstance(name, str) and _NAME.match(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{shown(name)}]"
