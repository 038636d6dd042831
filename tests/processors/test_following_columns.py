"""The rule over columns is the rule fact by fact, whatever stands in the log."""

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from events.chain import ChainReader, Link
from processors.following.columns import Followed, Skip, accept, accept_few
from processors.following.positions import ChainState
from processors.verify.acceptance import Acceptance
from processors.verify.facts import Fact


def frame(parts):
    rows = []
    for part, links in enumerate(parts):
        rows += [(part, offset, *link) for offset, link in enumerate(links)]
    schema = ["part", "offset", *Link._fields]
    table = pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.Int64), orient="row")
    return table.with_row_index("seq").with_columns(pl.col("seq").cast(pl.Int64))


def usual(decisions, follows=0, first=1):
    """Links of decisions with so many facts each."""
    links = []
    for number, count in enumerate(decisions, start=first):
        links += [Link(number * 100, follows, index, count, 0, number) for index in range(1, count + 1)]
        follows = number * 100
    return links


@st.composite
def logs(draw):
    """A usual log, then: pieces repeated, left out, rivals that follow the same decision, and places that are none."""
    links = usual(draw(st.lists(st.integers(1, 3), max_size=8)))
    for _ in range(draw(st.integers(0, 4))):
        if not links:
            break
        at = draw(st.integers(0, len(links) - 1))
        to = draw(st.integers(at, len(links)))
        match draw(st.sampled_from(["cut", "repeat", "rival", "swap", "place"])):
            case "cut":
                links = links[:at] + links[to:]
            case "repeat":
                links = links[:to] + links[at:to] + links[to:]
            case "rival":
                rival = [one._replace(decision=one.decision + 7) for one in links[at:to]]
                where = draw(st.integers(0, len(links)))
                links = links[:where] + rival + links[where:]
            case "swap":
                links = links[at:to] + links[:at] + links[to:]
            case "place":
                index, count = draw(st.tuples(st.integers(-1, 4), st.integers(-1, 4)))
                links = [*links[:at], links[at]._replace(index=index, count=count), *links[at:]]
    return links


@settings(max_examples=300, deadline=None)
@given(st.lists(logs(), max_size=3))
@example([usual([1, 2, 3]), usual([2])[:1]])
@example([[]])
def test_columns_and_one_by_one_accept_the_same(parts):
    links = frame(parts)
    states = {part: ChainState() for part in range(len(parts))}
    accepted, few = accept(links, states), accept_few(links, states)
    assert few.rows.to_list() == accepted.rows.to_list()
    assert few.parts == {part: one._replace(one_by_one=None) for part, one in accepted.parts.items()}
    expected = []
    for part, log in enumerate(parts):
        reader = ChainReader()
        seqs = links.filter(pl.col("part") == part)["seq"].to_list()
        placed = enumerate(zip(seqs, log, strict=True))
        taken = [fact for offset, (seq, link) in placed for fact in reader.read(link, seq, offset)]
        expected += taken
        acceptance = Acceptance()
        facts = [
            Fact("ledger.orders", part, seq, "OrderHeld", link._asdict()) for seq, link in zip(seqs, log, strict=True)
        ]
        assert [fact.offset for one in facts for fact in acceptance.offer(one)] == taken, "verify has words of its own"
        assert acceptance.decision == reader.last
        followed = accepted.parts[part]
        assert followed.state == ChainState(reader.last, reader.epoch, reader.intake_offset)
        assert followed.resume_at == reader.resume_position
        if reader.resume_position is None:
            assert {reason: skip.facts for reason, skip in followed.skipped.items()} == dict(reader.skipped)
    assert accepted.rows.to_list() == expected


@settings(max_examples=200, deadline=None)
@given(logs(), st.lists(st.integers(0, 30), max_size=3))
def test_batches_that_end_anywhere_accept_and_count_what_one_does(log, cuts):
    whole = accept(frame([log]), {0: ChainState()})
    state, begin, rows, counted = ChainState(), 0, [], {}
    for end in [*sorted(min(cut, len(log)) for cut in cuts), len(log)]:
        if begin == end:
            continue
        links = frame([log]).filter(pl.col("offset").is_between(begin, end - 1))
        part = accept(links, {0: state})
        rows += part.rows.to_list()
        followed = part.parts[0]
        state = followed.state
        begin = end if followed.resume_at is None else followed.resume_at
        for reason, skip in followed.skipped.items():
            counted[reason] = counted.get(reason, 0) + skip.facts
    assert rows == whole.rows.to_list()
    assert counted == {reason: skip.facts for reason, skip in whole.parts[0].skipped.items()}


def test_the_usual_path_and_an_incomplete_end():
    links = usual([2, 1, 3])[:-1]
    accepted = accept(frame([links]), {0: ChainState()})
    assert accepted.rows.to_list() == [0, 1, 2]
    assert accepted.parts[0] == Followed(ChainState(200, 0, 2), 3, {}, None)


def test_a_repeat_is_passed_over_and_counted():
    links = usual([1, 2])
    accepted = accept(frame([[*links, *links[1:]]]), {0: ChainState()})
    assert accepted.rows.to_list() == [0, 1, 2]
    assert accepted.parts[0].skipped == {"repeat": Skip(2, 4)}
    assert accepted.parts[0].one_by_one == ("passed_over", 5)


def test_facts_of_a_decision_out_of_their_order_count_and_are_told_to_be_slow():
    one, other = usual([2])
    accepted = accept(frame([[other, one]]), {0: ChainState()})
    assert accepted.rows.len() == 2
    assert accepted.parts[0].skipped == {}
    assert accepted.parts[0].one_by_one == ("out_of_order", 2)
