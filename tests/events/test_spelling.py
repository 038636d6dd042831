"""A hint names a word only where the reader meant it: a far one sends them to something else."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.catalogue import COMMANDS
from events.routing.language import Measure
from events.routing.rules import RulesError, read_rules
from events.spelling import meant

NAMES = [name for name, row in COMMANDS.items() if not row.internal]
MEASURES = get_args(Measure)


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("PlaceOrders", NAMES, "PlaceOrder"),
        ("placeorder", NAMES, "PlaceOrder"),
        ("PlcaeOrder", NAMES, "PlaceOrder"),
        ("Cancel", NAMES, "CancelOrder"),
        ("HoldStok", NAMES, "HoldStock"),
        ("costs", MEASURES, "cost"),
        ("mark_down", MEASURES, "markdown"),
        ("wait", MEASURES, "wait_days"),
        ("line", ["quantity", "line_id"], "line_id"),
        ("日本", ["日本語"], "日本語"),
    ],
)
def test_a_slip_finds_the_word(word: str, known: list[str], near: str) -> None:
    assert meant(word, known) == near


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("cheapness", ["standard", "express", "same_day"]),
        ("cheapness", MEASURES),
        ("price", MEASURES),  # difflib finds parcels
        ("profit", MEASURES),  # priority
        ("RefundOrder", NAMES),  # AmendOrder: would change the order
        ("RemoveStock", NAMES),  # MoveStock
        ("CreateOrder", NAMES),  # CancelOrder
        ("Order", NAMES),  # a dozen have it
        ("by", ["to"]),
        ("", MEASURES),
        ("cost" * 1000, MEASURES),
    ],
)
def test_another_word_finds_none(word: str, known: list[str]) -> None:
    assert meant(word, known) is None


@given(st.text(), st.lists(st.text(max_size=20), max_size=5))
def test_what_is_named_is_a_known_word_and_a_known_word_is_itself(word: str, known: list[str]) -> None:
    assert meant(word, known) in {None, *known}
    assert all(meant(one, NAMES) == one for one in NAMES)


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ('criteria = ["cheapness"]', "known here: parcels, cost,"),
        ('criteria = ["express"]', "known here: parcels, cost,"),
        ('filters = { kinds = ["cost"] }', "known here: warehouse, store,"),
        ('when = { service_levels = ["days"] }', "known here: standard, express, same_day"),
    ],
)
def test_an_unknown_word_of_a_rule_is_answered_with_those_that_may_stand_there(line: str, known: str) -> None:
    rest = "" if line.startswith("criteria") else 'criteria = ["cost"]\n'
    with pytest.raises(RulesError) as caught:
        read_rules(f'name = "x"\n[[rules]]\nname = "all"\n{rest}{line}\n')
    assert "unknown word" in caught.value.detail
    assert caught.value.hint.startswith(known)
