"""Who misspells a word is told the one that was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from events.catalogue import COMMANDS
from gateway.commands import BadCommandError, check
from gateway.hints import hint_for

HOUR = "2026-11-27T18:00:00Z"
RECEIVE: dict[str, Any] = {"sku": "MUG", "location_id": "WH1", "quantity": 1}
RETURN: dict[str, Any] = {"order_id": "o", "return_id": "r", "location_id": "WH1"}


def refused(name: str, data: dict[str, Any], **more: Any) -> BadCommandError:
    document = {"command": name, "id": "1", "channel": "web", "occurred_at": HOUR, "data": data, **more}
    with pytest.raises(BadCommandError) as caught:
        check(document)
    return caught.value


def test_the_word_that_was_meant_is_named_with_all_that_are_possible() -> None:
    lines = [{"line_id": "1", "quantity": 1, "disposition": "restok"}]
    error = refused("ReceiveReturn", {**RETURN, "lines": lines})
    assert error.hint == "did you mean restock? disposition is one of damaged, dispose, inspect, restock"
    error = refused("ReceiveReturn", {**RETURN, "lines": [{**lines[0], "disposition": "???"}]})
    assert error.hint == "disposition is one of damaged, dispose, inspect, restock"


def test_a_field_that_is_not_known_is_named_as_it_should_be() -> None:
    assert refused("ReceiveStock", {**RECEIVE, "quantitty": 1}).hint.startswith("did you mean quantity? ")
    assert refused("ReceiveStock", RECEIVE, chanel="web").hint.startswith("did you mean channel? ")
    error = refused("ReceiveReturn", {**RETURN, "lines": [{"line": "1", "quantity": 1, "disposition": "restock"}]})
    assert error.hint.startswith("did you mean line_id? ")


def test_a_field_that_is_missing_is_named() -> None:
    assert refused("ReceiveStock", {"sku": "MUG", "quantity": 1}).hint.startswith("add location_id; ")


def test_any_other_mistake_has_a_hint_as_well() -> None:
    assert "docs/commands.md" in refused("ReceiveStock", {**RECEIVE, "quantity": "one"}).hint
    assert "docs/commands.md" in refused("ReceiveStock", {**RECEIVE, "quantity": 0}).hint


def _choices(place: Any, path: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if isinstance(place, inspect.LiteralType):
        yield path, place.values
    for one in getattr(place, "types", ()):
        yield from _choices(one, path)
    for name in ("item_type", "value_type"):
        if hasattr(place, name):
            yield from _choices(getattr(place, name), f"{path}[...]")
    for field in getattr(place, "fields", ()):
        yield from _choices(field.type, f"{path}.{field.encode_name}")


def test_every_word_of_every_command_is_found_by_its_path() -> None:
    """The paths are msgspec's own; where it ever writes them in another way, no word would be found."""
    looked_at = 0
    for kind in COMMANDS.values():
        for path, words in _choices(inspect.type_info(kind.data), "$"):
            for word in words:
                hint = hint_for(f"Invalid enum value '{word}x' - at `{path}`", kind.data)
                assert hint.startswith("did you mean "), (kind.name, path, hint)
                looked_at += 1
    assert looked_at > 50
    lines = [{"line_id": "1", "quantity": 1, "disposition": "x"}]
    with pytest.raises(msgspec.ValidationError, match=r"- at `\$\.lines\[0\]\.disposition`$"):
        msgspec.convert({**RETURN, "lines": lines}, COMMANDS["ReceiveReturn"].data)
