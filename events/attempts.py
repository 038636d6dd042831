"""How attempts are numbered, so that an answer tells what it answers.

attempt_number(round_number=3, part=1, location_id="WH1", quantity=2)  →  its round, its part, 16 bits of the rest
round_of(that)                                                         →  3
"""

from hashlib import blake2b

#: An attempt is (round * 1000 + the number of the part), then 16 bits of what is asked. Planning looks at tables that
#: move: a plan made again after a crash may ask otherwise. Then it must be another attempt, not a repeat of the first
#: with another body; the order gives back what it gets too much of.
ATTEMPTS_PER_ROUND = 1000
_CONTENT_BITS = 16


def attempt_number(round_number: int, part: int, location_id: str, quantity: int) -> int:
    """The attempt of a part of a plan; the same for the same question only. A wait names the locations
    that it is for, or none."""
    content = int.from_bytes(
        blake2b(f"{location_id}:{quantity}".encode(), digest_size=_CONTENT_BITS // 8).digest(), "big"
    )
    return (round_number * ATTEMPTS_PER_ROUND + part << _CONTENT_BITS) | content


def round_of(attempt: int) -> int:
    """The round of sourcing in which this was asked."""
    return (attempt >> _CONTENT_BITS) // ATTEMPTS_PER_ROUND
