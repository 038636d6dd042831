"""Units that left ahead: their parcel left while their order was still asking stock for them.

The dispatch then counts as the allocation. The order stops asking for these units. But its question, or the answer, may
still be under way. So the order and the SKU both remember the units until the question arrives. If the SKU has reserved
or reserves stock for the question, it treats that stock as gone with the parcel.

`use_up` is the rule by which both find out which question was for units that left:

    left = (Ahead(2, round=1),)            # 2 units left while round 1 was under way
    use_up(left, round_=1, units=3)        # the question of round 1, for 3 units  →  ((), 2): 2 of these 3 have left
    use_up(left, round_=2, units=3)        # a question of a later round           →  (left, 0): it is for other units
"""

from collections.abc import Iterable
from typing import NamedTuple


class Ahead(NamedTuple):
    """Units that left while sourcing round `round`, or an earlier one, was asking for them.

    `apart` is the round in which an amendment was asking for other units of the line; 0 if there was none.
    """

    units: int
    round: int
    apart: int = 0


def total(left: Iterable[Ahead]) -> int:
    """The number of all these units."""
    return sum(one.units for one in left)


def add_ahead(left: tuple[Ahead, ...], new: Ahead) -> tuple[Ahead, ...]:
    """`left` with `new` added. Units with equal `round` and `apart` are one entry.

    Entries are sorted by round. In a round, entries with `apart` come first, because fewer questions match them.
    """
    same = [one for one in left if one[1:] == new[1:]]
    rest = [one for one in left if one[1:] != new[1:]]
    units = total((*same, new))
    if not units:
        return left
    return tuple(sorted((*rest, new._replace(units=units)), key=lambda one: (one.round, not one.apart, one.apart)))


def use_up(left: tuple[Ahead, ...], round_: int, units: int) -> tuple[tuple[Ahead, ...], int]:
    """Match the `units` of a question of this round with units that left. Returns the unmatched rest, and the matches.

    A question matches units that left in its own round or in a later one, but not those with its round as `apart`.
    It never matches units that left in an earlier round: the question for those may have been refused. If a later
    question matched them, the order would wait for an answer that never comes.
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
    """The rest of `left` after the SKU said that `units` of a question of this round have left.

    The SKU may have matched other entries than `use_up` does here. The SKU is right: if `use_up` finds too few, the
    missing units are taken from the remaining entries.
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
