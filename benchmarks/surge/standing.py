"""How long a partition stood still although records waited in it, and what a change of workers had to do with it.

standstills([(0.0, 5), (3.0, 9)], came=[…, 1.0])   →  [Standstill(1.0, 3.0)]   record 5 came at 1.0 and waited for 2 s
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

#: Shorter gaps between two moves are no standstill worth a look.
GAP_SECONDS = 0.1

Partition = tuple[str, int]
"""(topic of the ledger without prefix, partition)."""


class Standstill(NamedTuple):
    """From when to when records waited and none was handled, in seconds."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


class Change(NamedTuple):
    """A process joined a group of workers, or left it. `end`: each partition has an owner again."""

    worker: str
    action: str
    begin: float
    end: float
    stayed: frozenset[Partition]
    moved: frozenset[Partition]


def change(
    worker: str,
    action: str,
    times: tuple[float, float],
    before: Mapping[Partition, str],
    after: Mapping[Partition, str],
) -> Change:
    """`before` and `after` name the owner of each partition."""
    stayed = frozenset(one for one in before if before[one] == after.get(one))
    return Change(worker, action, *times, stayed, frozenset(before) - stayed)


def standstills(moves: Iterable[tuple[float, int]], came: Sequence[float]) -> Iterator[Standstill]:
    """`moves` are (when, the next record from then on), `came` is when each record came."""
    since, at = 0.0, 0
    first = True
    for when, next_record in moves:
        if first:
            first = False
        elif next_record > at and at < len(came):
            yield Standstill(max(since, min(came[at], when)), when)
        since, at = when, next_record


def longest(
    found: Mapping[Partition, Sequence[Standstill]], among: Collection[Partition], begin: float, end: float
) -> Standstill | None:
    """The longest standstill of these partitions that touches this time; None if nothing waited in them."""
    touching = [one for partition in among for one in found.get(partition, ()) if one.begin < end and one.end > begin]
    return max(touching, key=lambda one: one.seconds, default=None)


def all_stood(
    found: Mapping[Partition, Sequence[Standstill]],
    moved_at: Mapping[Partition, Sequence[float]],
    among: Collection[Partition],
    begin: float,
    end: float,
) -> Standstill | None:
    """The longest time, touching this one, in which none of these partitions moved although records waited in one.

    One partition may stand still only because its worker is busy with the records of others.
    """
    moves = sorted(at for partition in among for at in moved_at.get(partition, ()))
    gaps = [(a, b) for a, b in itertools.pairwise(moves) if b - a >= GAP_SECONDS and a < end and b > begin]
    together = [
        Standstill(max(a, one.begin), min(b, one.end))
        for a, b in gaps
        for partition in among
        for one in found.get(partition, ())
        if one.begin < b and one.end > a
    ]
    return max(together, key=lambda one: one.seconds, default=None)
