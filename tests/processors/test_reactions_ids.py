"""Ids of the ledger's own commands: never too long, never those of another thing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from events.values import ID_LENGTH_MAX
from processors.reactions.asked import named

#: Few letters, so that different parts often read alike when they are joined.
PARTS = st.lists(st.text(":#a1", min_size=1, max_size=4) | st.text(min_size=1, max_size=ID_LENGTH_MAX), min_size=1)


@given(PARTS, PARTS)
def test_different_things_have_different_ids(one: list[str], other: list[str]) -> None:
    assert (named(*one) == named(*other)) == (one == other)


@given(PARTS)
def test_an_id_is_one_that_the_ledger_takes(parts: list[str]) -> None:
    assert 0 < len(named(*parts)) <= ID_LENGTH_MAX
    assert named(*parts) == named(*parts)


def test_an_order_and_its_line_are_not_another_order_and_another_line() -> None:
    assert named("A:1", "2", 1001) != named("A", "1:2", 1001)
