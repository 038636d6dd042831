"""The known word that somebody meant and mistyped, or None.

>>> meant("retrry", ["cancel", "leave", "retry"])
'retry'
>>> meant("cheapness", ["standard", "express", "same_day"])
>>> meant("RemoveStock", ["MoveStock", "ReceiveStock"])

A far-fetched hint is worse than none: it sends the reader to a word that does something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
#: One typing error is allowed per this many letters. More letters miss errors in short words; fewer letters find wrong
#: words (`AmendOrder` for `RefundOrder`).
LETTERS_A_SLIP = 4
#: Shorter words are not compared: one wrong letter makes another word of them.
LETTERS_MIN = 3
#: Longer words are not compared: a sender could make that take as long as it likes.
LETTERS_MAX = 100


def meant(word: str, known: Iterable[str]) -> str | None:
    """The nearest known word, if one is near; otherwise the only known word that has all its parts and more."""
    if len(word) > LETTERS_MAX:
        return None
    parts = _parts(word)
    slips: list[tuple[int, str]] = []
    longer: list[str] = []
    for one in known:
        others = _parts(one)
        whole = _slips("".join(parts), "".join(others))
        if _near(whole, word, one) and (whole <= 1 or (len(parts) == len(others) and _all_near(parts, others))):
            slips.append((whole, one))
        elif set(parts) < set(others):
            longer.append(one)
    if slips:
        return min(slips, key=lambda found: found[0])[1]
    return longer[0] if len(longer) == 1 else None


def _parts(word: str) -> list[str]:
    """`wait_days_max` and `WaitDaysMax` have the same three parts."""
    return [part.casefold() for part in _PARTS.findall(word)] or [word.casefold()]


def _all_near(parts: list[str], others: list[str]) -> bool:
    return all(_near(_slips(one, other), one, other) for one, other in zip(parts, others, strict=True))


def _near(slips: int, one: str, other: str) -> bool:
    length = max(len(one), len(other))
    return slips == 0 or (length >= LETTERS_MIN and slips <= max(1, length // LETTERS_A_SLIP))


def _slips(one: str, other: str) -> int:
    """Missing, extra and wrong letters, and swapped neighbours (Damerau, optimal alignment)."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, wanted in enumerate(other):
            cost = min(above[j] + (letter != wanted), above[j + 1] + 1, row[j] + 1)
            if i and j and letter == other[j - 1] and one[i - 1] == wanted:
                cost = min(cost, before[j - 1] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
