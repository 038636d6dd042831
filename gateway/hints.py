"""What to do about a command that is not well formed: the words that would have been right, the likeliest first.

>>> from events.orders.commands import ResolveQueued
>>> hint_for("Invalid enum value 'retrry' - at `$.resolution`", ResolveQueued)
'did you mean retry? resolution is one of cancel, leave, retry'
>>> hint_for("Object contains unknown field `resolutoin`", ResolveQueued)
'did you mean resolution? unknown fields are refused'
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from msgspec import inspect

_AT = re.compile(r" - at `\$(?P<path>.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")
_ENUM = re.compile(r"^Invalid enum value '(.*?)'")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*?)`")
_MISSING = re.compile(r"^Object missing required field `(.*?)`")
#: Words named where one of them would have been right. More is a list that nobody reads: docs/commands.md has it.
WORDS_NAMED_MAX = 12


def hint_for(message: str, kind: type) -> str:
    """The hint for what msgspec says about a document that is to become a `kind`."""
    found = _AT.search(message)
    path = found["path"] if found else ""
    places = list(_at(_described(kind), [step[1] for step in _STEP.finditer(path)]))
    if wrong := _ENUM.search(message):
        words = sorted({str(word) for place in places for word in _words(place)})
        name = path.rpartition(".")[2] or "it"
        named = f"{name} is one of {', '.join(words)}" if 0 < len(words) <= WORDS_NAMED_MAX else "correct the word"
        return _meant(wrong[1], words) + named
    if wrong := _UNKNOWN.search(message):
        fields = [field.encode_name for place in places for field in getattr(place, "fields", ())]
        return _meant(wrong[1], fields) + "unknown fields are refused"
    if wrong := _MISSING.search(message):
        return f"add {wrong[1]}; docs/commands.md has the fields of each command"
    return "correct the field; docs/commands.md says what it takes"


_described = cache(inspect.type_info)


def _meant(word: str, words: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f"did you mean {near[0]}? " if near else ""


def _at(place: Any, steps: Sequence[str | None]) -> Iterator[Any]:
    """The types that may stand at the end of a path; a step is a field's name, or None for an element."""
    if isinstance(place, inspect.UnionType):
        for one in place.types:
            yield from _at(one, steps)
    elif isinstance(place, inspect.Metadata):
        yield from _at(place.type, steps)
    elif not steps:
        yield place
    elif steps[0] is None:
        for name in ("item_type", "value_type"):
            if hasattr(place, name):
                yield from _at(getattr(place, name), steps[1:])
    else:
        for field in getattr(place, "fields", ()):
            if field.encode_name == steps[0]:
                yield from _at(field.type, steps[1:])


def _words(place: Any) -> Sequence[Any]:
    return place.values if isinstance(place, inspect.LiteralType) else ()
