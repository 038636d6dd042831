"""How attempts are numbered, so that an answer names its question.

attempt_number(round_number=3, part=1, location_id="WH1", quantity=2)  →  its round, its part, 16 bits of the rest
round_of(that)                                                         →  3
held_again(attempt_number(4, HELD_AGAIN, "WH1", 2))                    →  True: the order asked nothing
"""

from hashlib import blake2b

#: An attempt is (round * 1000 + the number of the part), then 16 bits of what is asked. The 16 bits matter after a
#: crash: the tables have changed, so a plan made again may ask for something else. That must be a new attempt, because
#: a repeated id with another body is refused. The order gives back surplus units.
ATTEMPTS_PER_ROUND = 1000
_CONTENT_BITS = 16
#: The part of an attempt under which a retracted dispatch is held again. Parts of plans begin with 1.
HELD_AGAIN = 0


def attempt_number(round_number: int, part: int, location_id: str, quantity: int) -> int:
    """The attempt of a part of a plan; equal only for equal questions. A wait names its locations, or none."""
    content = int.from_bytes(
        blake2b(f"{location_id}:{quantity}".encode(), digest_size=_CONTENT_BITS // 8).digest(), "big"
    )
    return (round_number * ATTEMPTS_PER_ROUND + part << _CONTENT_BITS) | content


def round_of(attempt: int) -> int:
    """The sourcing round of this attempt."""
    return (attempt >> _CONTENT_BITS) // ATTEMPTS_PER_ROUND


def held_again(attempt: int) -> bool:
    """Whether units of a retracted dispatch are held under it: the order counts them as allocated from the start."""
    return (attempt >> _CONTENT_BITS) % ATTEMPTS_PER_ROUND == HELD_AGAIN
