"""Attempt numbers. An answer of stock has the attempt number of the order's question that it answers.

attempt_number(round_number=3, part=1, location_id="WH1", quantity=2)  →  round 3, part 1, and a digest
round_of(that)                                                         →  3
held_again(attempt_number(4, HELD_AGAIN, "WH1", 2))                    →  True: a reservation without a question
"""

from hashlib import blake2b

#: An attempt number is round * 1000 + part, followed by a 16-bit digest of the question. The digest matters after a
#: crash: the plan is made again, the tables have changed, and the new plan may ask for something else. That needs a new
#: number, because a command with a known id and other data is refused. If the order gets too many units, it gives the
#: surplus back.
ATTEMPTS_PER_ROUND = 1000
_CONTENT_BITS = 16
#: The part number for units that are reserved again after their dispatch was retracted. Parts of plans begin with 1.
HELD_AGAIN = 0


def attempt_number(round_number: int, part: int, location_id: str, quantity: int) -> int:
    """The attempt number of a part of a plan. Equal questions have equal numbers. A wait has its locations, or ""."""
    content = int.from_bytes(
        blake2b(f"{location_id}:{quantity}".encode(), digest_size=_CONTENT_BITS // 8).digest(), "big"
    )
    return (round_number * ATTEMPTS_PER_ROUND + part << _CONTENT_BITS) | content


def round_of(attempt: int) -> int:
    """The sourcing round of this attempt."""
    return (attempt >> _CONTENT_BITS) // ATTEMPTS_PER_ROUND


def held_again(attempt: int) -> bool:
    """Whether it is for units of a retracted dispatch, which the order counts as allocated without asking."""
    return (attempt >> _CONTENT_BITS) % ATTEMPTS_PER_ROUND == HELD_AGAIN
