"""Who misspells a word is told the one that was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import inspect

from events.catalogue import COMMANDS
from events.form import flaws
from gateway.sending.commands import BadCommandError, check

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
    assert error.hint.startswith("did you mean restock?; ")
    assert error.detail.endswith(": expected one of damaged, dispose, inspect, restock")
    error = refused("ReceiveReturn", {**RETURN, "lines": [{**lines[0], "disposition": "???"}]})
    assert "did you mean" not in error.hint


def test_a_field_that_is_not_known_is_named_as_it_should_be() -> None:
    assert refused("ReceiveStock", {**RECEIVE, "quantitty": 1}).hint.startswith("did you mean quantity? ")
    assert refused("ReceiveStock", RECEIVE, chanel="web").hint.startswith("did you mean channel? ")
    error = refused("ReceiveReturn", {**RETURN, "lines": [{"line": "1", "quantity": 1, "disposition": "restock"}]})
    assert error.hint.startswith("did you mean line_id? ")


def test_a_field_that_is_missing_is_named_where_it_is_missing() -> None:
    error = refused("ReceiveStock", {"sku": "MUG", "quantity": 1})
    assert (error.detail, error.hint.split(";")[0]) == ("data.location_id is missing", "add data.location_id")
    case = {"case_id": "1", "topic": "where is it", "urgency": "low"}
    assert refused("OpenCase", case).detail == "data.channel is missing"  # and not that of the envelope
    lines = [{"line_id": "1", "quantity": 1, "disposition": "restock"}, {"line_id": "2", "disposition": "restock"}]
    assert refused("ReceiveReturn", {**RETURN, "lines": lines}).detail == "data.lines[1].quantity is missing"


def test_any_other_mistake_has_a_hint_as_well() -> None:
    assert "docs/commands.md" in refused("ReceiveStock", {**RECEIVE, "quantity": "one"}).hint
    assert "docs/commands.md" in refused("ReceiveStock", {**RECEIVE, "quantity": 0}).hint


def test_all_that_is_wrong_is_told_at_once_with_the_real_names_and_values() -> None:
    place = {
        "order_id": "o",
        "customer_id": "",
        "currency": "eur",
        "lines": [
            {"line_id": "1", "sku": "MUG", "quantity": 1, "unit_price_minor": 1, "attributes": {"gift wrap": 3}},
            {"line_id": "2", "sku": "MUG", "quantity": -1, "unit_price_minor": 1.5, "cancel_after": "soon"},
        ],
        "ship_to": {"country": "DE", "latitude": 91, "planet": "Mars"},
    }
    error = refused("PlaceOrder", place, occurred_at="2026-11-27T18:00:00", actor=7)
    assert error.detail.split("; ") == [
        'occurred_at is "2026-11-27T18:00:00": expected a time with its offset, like 2026-11-27T18:00:00Z',
        "actor is 7: expected a text of 1 to 200 characters",
        'data.customer_id is "": expected a text of 1 to 200 characters',
        'data.currency is "eur": expected a text of 3 capital letters',
        'data.lines[0].attributes["gift wrap"] is 3: expected a text of at most 4,000 characters',
        "data.lines[1].quantity is -1: expected a whole number from 1 to 1,000,000,000,000",
        "data.lines[1].unit_price_minor is 1.5: expected a whole number from 0 to 1,000,000,000,000",
        'data.lines[1].cancel_after is "soon": expected a time like 2026-11-27T18:00:00Z',
        "data.ship_to.planet is not a known field",
        "data.ship_to.latitude is 91: expected a number from -90 to 90",
    ]


def test_of_many_mistakes_some_are_told_and_the_rest_is_counted() -> None:
    lines = [{"line_id": str(number), "quantity": 0, "disposition": "restock"} for number in range(25)]
    assert refused("ReceiveReturn", {**RETURN, "lines": lines}).detail.endswith("; and 5 more")


def test_a_word_that_nobody_could_read_on_a_screen_is_cut() -> None:
    error = refused("ReceiveStock", {**RECEIVE, "sku": "x" * 100_000})
    assert "100,000 characters" in error.detail
    assert len(error.detail) < 300


def _choices(place: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[Any, ...]]]:
    if isinstance(place, inspect.LiteralType):
        yield path, place.values
    for one in getattr(place, "types", ()):
        yield from _choices(one, path)
    for name in ("item_type", "value_type"):
        if hasattr(place, name):
            yield from _choices(getattr(place, name), (*path, "[]"))
    for field in getattr(place, "fields", ()):
        yield from _choices(field.type, (*path, field.encode_name))


def _holding(path: tuple[str, ...], word: str) -> Any:
    if not path:
        return word
    inner = _holding(path[1:], word)
    return [inner] if path[0] == "[]" else {path[0]: inner}


def test_every_word_of_every_command_that_is_misspelt_is_told_as_it_was_meant() -> None:
    looked_at = 0
    for kind in COMMANDS.values():
        for path, words in _choices(inspect.type_info(kind.data), ()):
            for word in words:
                hints = [flaw.hint for flaw in flaws(_holding(path, f"{word}x"), kind.data)]
                assert any(hint.startswith("did you mean ") for hint in hints), (kind.name, path, hints)
                looked_at += 1
    assert looked_at > 50
