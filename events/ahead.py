"""Units that left before stock had answered for them. A channel may tell of a parcel while its order still asks.

Such a dispatch is the units' allocation. The order stops asking for them, and the SKU takes what is or will be held for
them as gone with the parcel. Both remember the units until the question is found, and agree on which it is by one rule:

    left = (Ahead(2, round=1),)            # 2 units left while round 1 was under way
    use_up(left, round_=1, units=3)        # its question for 3 arrives  →  ((), 2): 2 of them have left
    use_up(left, round_=2, units=3)        # a later question            →  (left, 0): it is for other units
"""

from collections.abc import Iterable
from typing import NamedTuple


class Ahead(NamedTuple):
    """Units that left while rounds up to `round` were asking for them, in units.

    `apart` is the round of an amendment that was asking for other units of the line, 0 where there was none.
    """

    units: int
    round: int
    apart: int = 0


def total(left: Iterable[Ahead]) -> int:
    """Units whose question is not found yet."""
    return sum(one.units for one in left)


def add_ahead(left: tuple[Ahead, ...], new: Ahead) -> tuple[Ahead, ...]:
    """With units that left later; those that answer to the same rounds are one entry.

    The oldest round comes first, and in a round those that an amendment stands apart from: fewer questions are theirs.
    """
    same = [one for one in left if one[1:] == new[1:]]
    rest = [one for one in left if one[1:] != new[1:]]
    units = total((*same, new))
    if not units:
        return left
    return tuple(sorted((*rest, new._replace(units=units)), key=lambda one: (one.round, not one.apart, one.apart)))


def use_up(left: tuple[Ahead, ...], round_: int, units: int) -> tuple[tuple[Ahead, ...], int]:
    """What is still to be found when `units` are asked, held or answered in this round, and how many of them it is.

    A question belongs to units that left in its round or later. An entry whose question was refused is never found, and
    must take none of a later round: there the order would wait for an answer that nobody gives.
    """
    rest: list[Ahead] = []
    found = 0
    for one in left:
        mine = 0
        if one.round >= round_ != one.apart:
            mine = min(one.units, units - found)
            found += mine
        if one.units > mine:
            rest.append(one._replace(units=one.units - mine))
    return tuple(rest), found


def found(left: tuple[Ahead, ...], round_: int, units: int) -> tuple[Ahead, ...]:
    """What is still to be found after the SKU has told that so many units of a question of this round have left.

    The SKU may have taken them for another parcel than `use_up` would; it knows, so the units are found all the same.
    """
    rest, matched = use_up(left, round_, units)
    missing = units - matched
    kept = []
    for one in rest:
        mine = min(one.units, missing)
        missing -= mine
        if one.units > mine:
            kept.append(one._replace(units=one.units - mine))
    return tuple(kept)
