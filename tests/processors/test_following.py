"""The follower that all share: what it does when an answer is lost, it is overtaken, or PostgreSQL went back."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from events.chain import Link
from processors.following.follower import Fetched, Follower
from processors.following.positions import ChainState, Move, Partition, Position
from schemas.codec import UndecodableError

PLACE = ("ledger.stock", 3)
OTHER = ("ledger.orders", 0)


def decode(value: bytes | None) -> tuple[Link, bytes | None]:
    """`3>4` is the decision 4 that follows 3, of one fact; `3>4.1/2` its first fact of two."""
    if value is None or b">" not in value:
        raise UndecodableError("no_frame", "")
    follows, _, rest = value.decode().partition(">")
    decision, _, part = rest.partition(".")
    index, count = (int(one) for one in part.split("/")) if part else (1, 1)
    return Link(int(decision), int(follows), index, count, 0, int(decision)), value


class Rows:
    """Positions in memory."""

    def __init__(self) -> None:
        self.rows: dict[Partition, Position] = {}
        self.answer_lost = False

    def load(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        return {partition: self.rows.setdefault(partition, Position()) for partition in partitions}

    def stored(self, partitions: Collection[Partition]) -> dict[Partition, Position]:
        return {partition: self.rows[partition] for partition in partitions if partition in self.rows}

    def save(self, moves: Mapping[Partition, Move]) -> set[Partition]:
        for _ in range(2 if self.answer_lost else 1):  # done again: nobody knows whether it was done
            overtaken = {one for one, move in moves.items() if self.rows[one].next_offset != move.before}
            self.rows |= {one: move.after for one, move in moves.items() if one not in overtaken}
        return overtaken


def follower(rows: Rows) -> Follower[bytes]:
    made: Follower[bytes] = Follower("test", decode, rows)
    made.assign([PLACE, OTHER])
    return made


def fetched(first: int, *values: bytes, place: Partition = PLACE) -> Fetched:
    return Fetched(*place, first, list(enumerate(values, first)))


def test_a_commit_whose_answer_was_lost_is_found_to_be_our_own() -> None:
    rows = Rows()
    one = follower(rows)
    rows.answer_lost = True
    assert one.save(one.read([fetched(0, b"0>1")]).touched) == {}
    rows.answer_lost = False
    read = one.read([fetched(1, b"1>2")])
    assert (read.facts, one.save(read.touched)) == ([b"1>2"], {})
    assert rows.rows[PLACE] == Position(2, ChainState(2, 0, 2))


def test_a_partition_that_another_moved_is_read_again_from_there_and_the_others_are_kept() -> None:
    rows = Rows()
    slow, fast = follower(rows), follower(rows)
    fast.save(fast.read([fetched(0, b"0>1", b"1>2")]).touched)
    both = slow.read([fetched(0, b"0>1"), fetched(0, b"0>7", place=OTHER)])
    assert slow.save(both.touched) == {PLACE: 2}
    assert rows.rows[OTHER].next_offset == 1
    assert slow.read([fetched(2, b"2>3")]).facts == [b"2>3"]


def test_partitions_whose_rows_went_back_or_are_gone_have_strayed() -> None:
    rows = Rows()
    one = follower(rows)
    backup = dict(rows.rows)
    one.save(one.read([fetched(0, b"0>1"), fetched(0, b"0>7", place=OTHER)]).touched)
    assert one.strayed() == []
    rows.rows = {PLACE: backup[PLACE]}
    assert sorted(one.strayed()) == sorted([PLACE, OTHER])
    assert one.place(one.strayed()) == {PLACE: 0, OTHER: 0}
    assert one.strayed() == []


def test_what_was_forgotten_is_passed_over_and_strays_no_more() -> None:
    rows = Rows()
    one = follower(rows)
    one.forget([PLACE])
    rows.rows[PLACE] = Position(9)
    assert one.strayed() == []
    assert one.read([fetched(0, b"0>1")]).facts == []
    assert one.next_offsets == {OTHER: 0}


def test_a_step_ends_before_a_decision_that_is_not_whole() -> None:
    rows = Rows()
    one = follower(rows)
    read = one.read([fetched(0, b"0>1", b"garbage", b"1>2.1/2")])
    assert read.facts == [b"0>1"]
    assert one.moves(read.touched) == {PLACE: Move(0, Position(2, ChainState(1, 0, 1)))}
