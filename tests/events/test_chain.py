"""The reader's rule: whatever else stands in a partition, the accepted history is one and the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from events.chain import GENESIS, ChainReader, Link, digest


class Fact(NamedTuple):
    link: Link
    name: str


def decision(follows: int, offset: int, *names: str, epoch: int = 0) -> list[Fact]:
    """Facts of a decision."""
    named = digest(follows, epoch, offset, [(name, name.encode()) for name in names])
    return [Fact(Link(named, follows, index, len(names), epoch, offset), name) for index, name in enumerate(names, 1)]


def read(log: Sequence[Fact]) -> tuple[list[str], ChainReader[Fact]]:
    reader: ChainReader[Fact] = ChainReader()
    return [fact.name for one in log for fact in reader.read(one.link, one, log.index(one))], reader


A = decision(GENESIS, 0, "a1", "a2")
B = decision(A[0].link.decision, 1, "b1")
C = decision(B[0].link.decision, 2, "c1", "c2", "c3")


def test_a_decision_is_accepted_whole_when_its_last_fact_is_seen() -> None:
    reader: ChainReader[Fact] = ChainReader()
    assert list(reader.read(A[0].link, A[0], 7)) == []
    assert (reader.waiting, reader.resume_position) == (True, 7)
    assert list(reader.read(A[1].link, A[1], 8)) == A
    assert (reader.waiting, reader.resume_position) == (False, None)
    assert (reader.last, reader.epoch, reader.intake_offset) == (A[0].link.decision, 0, 0)


def test_repeats_are_skipped() -> None:
    found, reader = read([*A, *A, A[0], *B, *B, *C, C[2]])
    assert found == ["a1", "a2", "b1", "c1", "c2", "c3"]
    assert reader.skipped.total() == 5


def test_a_repeat_inside_an_unfinished_decision_is_skipped() -> None:
    found, reader = read([A[0], A[0], A[1]])
    assert (found, reader.skipped) == (["a1", "a2"], {"repeat": 1})


def test_a_cut_decision_is_completed_by_the_writer_that_takes_over() -> None:
    found, reader = read([*A, *B, *C[:2], *C])
    assert found == ["a1", "a2", "b1", "c1", "c2", "c3"]
    assert reader.skipped == {"repeat": 2}


def test_a_cut_decision_that_another_build_decides_otherwise_is_dropped() -> None:
    other = decision(B[0].link.decision, 2, "x1")
    found, reader = read([*A, *B, *C[:2], *other, C[2]])
    assert found == ["a1", "a2", "b1", "x1"]
    assert reader.skipped == {"cut_or_rival": 2, "late_writer": 1}


def test_of_two_writers_the_one_that_finishes_first_is_followed() -> None:
    rival = decision(B[0].link.decision, 2, "r1", "r2")
    found, _ = read([*A, *B, C[0], rival[0], C[1], rival[1], C[2]])
    assert found == ["a1", "a2", "b1", "r1", "r2"]


def test_a_lost_decision_stops_the_reader_there() -> None:
    found, reader = read([*A, *C])
    assert (found, reader.skipped) == (["a1", "a2"], {"gap_or_other_rules": 3})


def test_a_fact_with_no_place_in_its_decision_counts_for_nothing_and_the_next_decision_does() -> None:
    def other(fact: Fact, **changed: int) -> Fact:
        return fact._replace(link=fact.link._replace(**changed))

    places = ((0, 2), (5, 2), (-1, 1), (2, 1), (1, 0), (3, 3))
    hostile = [other(A[0], index=index, count=count) for index, count in places]
    found, reader = read([*hostile, *A, *B])
    assert found == ["a1", "a2", "b1"]
    assert reader.skipped == {"no_place": 5, "cut_or_rival": 1}


def test_a_reader_goes_on_where_another_left_off() -> None:
    reader: ChainReader[Fact] = ChainReader(last=A[0].link.decision, epoch=0, intake_offset=0)
    assert [fact.name for one in [*A, *B, *C] for fact in reader.read(one.link, one)] == ["b1", "c1", "c2", "c3"]


def test_the_same_bytes_have_the_same_digest_and_no_others() -> None:
    base = digest(5, 0, 1, [("n", b"ab"), ("n", b"c")])
    assert base == digest(5, 0, 1, [("n", b"ab"), ("n", b"c")])
    others = [
        digest(6, 0, 1, [("n", b"ab"), ("n", b"c")]),
        digest(5, 1, 1, [("n", b"ab"), ("n", b"c")]),
        digest(5, 0, 2, [("n", b"ab"), ("n", b"c")]),
        digest(5, 0, 1, [("n", b"a"), ("n", b"bc")]),
        digest(5, 0, 1, [("n", b"abnc")]),
        digest(5, 0, 1, [("m", b"ab"), ("n", b"c")]),
        digest(5, 0, 1, [("n", b"c"), ("n", b"ab")]),
    ]
    assert len({base, *others}) == 8
    assert all(-(2**63) <= one < 2**63 and one != GENESIS for one in others)


def oracle(log: Sequence[Fact]) -> list[str]:
    """The rule said plainly: again and again, the first decision to be complete after the last accepted one."""
    accepted: list[str] = []
    last, start = GENESIS, 0
    while True:
        seen: dict[int, set[int]] = {}
        for position in range(start, len(log)):
            link = log[position].link
            if link.follows != last:
                continue
            seen.setdefault(link.decision, set()).add(link.index)
            if len(seen[link.decision]) == link.count:
                break
        else:
            return accepted
        names = {fact.link.index: fact.name for fact in log if fact.link.decision == link.decision}
        accepted += [names[index] for index in sorted(names)]
        last, start = link.decision, position + 1


@st.composite
def partitions(draw: st.DrawFn) -> list[Fact]:
    """A log of several writers: each follows some decision, of its own or another's, and may be cut or repeat."""
    known = [GENESIS]
    log: list[Fact] = []
    for offset in range(draw(st.integers(1, 12))):
        follows = draw(st.sampled_from(known[-3:]))
        size = draw(st.integers(1, 3))
        facts = decision(
            follows, draw(st.integers(max(0, offset - 2), offset)), *(f"{offset}.{n}" for n in range(size))
        )
        known.append(facts[0].link.decision)
        pieces = draw(st.lists(st.sampled_from(facts), max_size=3)) + (facts if draw(st.booleans()) else facts[:-1])
        at = draw(st.integers(max(0, len(log) - 3), len(log)))
        log[at:at] = pieces
    return log


@settings(max_examples=300, deadline=None)
@given(log=partitions(), cut=st.integers(0, 40))
def test_every_reader_accepts_what_the_rule_says_also_one_that_was_restarted(log: list[Fact], cut: int) -> None:
    wanted = oracle(log)
    assert read_from(log, ChainReader()) == wanted
    # A restart: the new reader knows the last accepted decision and reads again from the lowest fact held back.
    first: ChainReader[Fact] = ChainReader()
    before = [fact.name for at, one in enumerate(log[:cut]) for fact in first.read(one.link, one, at)]
    resume = first.resume_position if first.resume_position is not None else min(cut, len(log))
    again: ChainReader[Fact] = ChainReader(first.last, first.epoch, first.intake_offset)
    assert before + read_from(log[resume:], again) == wanted


def read_from(log: Sequence[Fact], reader: ChainReader[Fact]) -> list[str]:
    return [fact.name for one in log for fact in reader.read(one.link, one)]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_repeats_late_facts_and_rivals_that_stay_behind_never_change_the_history(data: st.DataObject) -> None:
    clean = [*A, *B, *C]
    # Everything that was written may be written again, at any time after it was first written.
    log = list(clean)
    for _ in range(data.draw(st.integers(0, 6))):
        position = data.draw(st.integers(0, len(log) - 1))
        log.insert(data.draw(st.integers(position + 1, len(log))), log[position])
    assert read_from(log, ChainReader()) == ["a1", "a2", "b1", "c1", "c2", "c3"]
