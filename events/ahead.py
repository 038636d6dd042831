"""Units that left before stock had answered for them: a dispatch may arrive while its order still asks for stock.

Such a dispatch counts as the allocation. The order stops asking for the units. The SKU treats stock reserved for them,
now or later, as gone with the parcel. Both remember the units until the question is found, and match them by one rule:

    left = (Ahead(2, round=1),)            # 2 units left while round 1 was under way
    use_up(left, round_=1, units=3)        # its question for 3 arrives  →  ((), 2): 2 of them have left
    use_up(left, round_=2, units=3)        # a later question            →  (left, 0): it is for other units
"""

from collections.abc import Iterable
from typing import NamedTuple


class Ahead(NamedTuple):
    """Units that left while sourcing rounds up to `round` were asking for them.

    `apart` is the round of an amendment that was asking for other units of the line; 0 if there was none.
    """

    units: int
    round: int
    apart: int = 0


def total(left: Iterable[Ahead]) -> int:
    """Units whose question has not been found yet."""
    return sum(one.units for one in left)


def add_ahead(left: tuple[Ahead, ...], new: Ahead) -> tuple[Ahead, ...]:
    """`left` with more units; units of the same rounds are one entry.

    The oldest round comes first. In a round, entries with an amendment `apart` come first: fewer questions match them.
    """
    same = [one for one in left if one[1:] == new[1:]]
    rest = [one for one in left if one[1:] != new[1:]]
    units = total((*same, new))
    if not units:
        return left
    return tuple(sorted((*rest, new._replace(units=units)), key=lambda one: (one.round, not one.apart, one.apart)))


def use_up(left: tuple[Ahead, ...], round_: int, units: int) -> tuple[tuple[Ahead, ...], int]:
    """Match `units` that were asked, reserved or answered in this round. Returns the rest and the number matched.

    A question matches units that left in its round or later. An entry whose question was refused is never found. It
    must not match a question of a later round: the order would then wait for an answer that never comes.
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
    """The unmatched rest after the SKU said that `units` of a question of this round have left.

    The SKU may have matched them to another parcel than `use_up` would. The SKU is right, so the units count as found.
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
