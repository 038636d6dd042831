"""Where a replay as of a time stops, and what it is asked for; no services."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.following.batches import BatchFollower
from processors.following.positions import Position
from processors.projector.decode import Decoder
from processors.projector.projector import _counted
from processors.projector.span import Advance
from processors.projector.stop import first_later
from processors.replay.run import left, within
from processors.replay.wish import Wish, check_schema, chosen, moment_of, offsets_of
from processors.verify.acceptance import Acceptance
from processors.verify.facts import FactReader
from projections.catalogue import PROJECTIONS
from runtime.errors import Fault
from tests.support.chain import BEGINNING, CODEC, ChainLog
from tests.support.facts import stock_received

STEP = timedelta(seconds=1)
DECODER = Decoder(CODEC)
PLACE = ("ledger.stock", 0)

#: What is written next: a whole decision of so many facts so much later; facts of a writer that was cut off, ahead of
#: everybody in time; or all of the newest facts again.
WRITTEN = st.lists(
    st.one_of(
        st.tuples(st.just("decision"), st.integers(1, 3), st.integers(0, 3)),
        st.tuples(st.just("cut"), st.integers(1, 2), st.integers(0, 9)),
        st.tuples(st.just("repeat"), st.integers(1, 4), st.just(0)),
    ),
    max_size=12,
)


def log_of(written):
    log, at = ChainLog(*PLACE), BEGINNING
    for what, count, seconds in written:
        facts = [stock_received()] * (count + (what == "cut"))
        if what == "decision":
            at += seconds * STEP
            log.decide("SKU-1", *facts, recorded_at=at)
        elif what == "cut":
            before = log.last
            log.append(log.encode("SKU-1", *facts, recorded_at=at + seconds * STEP)[:-1])
            after_it = log.encode("SKU-1", stock_received(), recorded_at=at + seconds * STEP)
            log.append(after_it)  # follows a decision that was never whole
            log.last = before
        else:
            log.append([record.value_bytes for record in log.records[-count:]])
    return log


def accepted_until(log, until):
    """By the other reader, that of `verify`: which facts count, and of these those recorded by then."""
    reader, acceptance, counted = FactReader(CODEC), Acceptance(), []
    for record in log.records:
        counted += acceptance.offer(reader.read(*PLACE, record.position, record.value_bytes))
    return [fact.offset for fact in counted if fact.record["recorded_at"] <= until]


def followed_until(log, until, sizes):
    """The offsets of the facts that are folded, batch by batch; and where a restart would begin."""
    follower = BatchFollower(DECODER.decode, ends=partial(first_later, until))
    follower.placed({PLACE: Position()})
    found, records = [], list(log.records)
    sizes = [*sizes, len(records) + 1]
    while records:
        size = sizes.pop(0)
        batch, records = follower.follow(records[:size]), records[size:]
        if batch is None:
            continue
        for frame in _counted(batch.decoded, batch.accepted).values():
            found += frame["offset"].to_list()
        follower.moved(batch.moves)
    return found, follower.positions[PLACE]


@given(WRITTEN, st.integers(-1, 30), st.lists(st.integers(1, 9), max_size=4))
@example([("decision", 1, 0), ("cut", 1, 9), ("decision", 1, 1), ("decision", 1, 1)], 1, [])
@example([("decision", 2, 0), ("decision", 2, 1)], 0, [3])
def test_as_of_a_time_are_the_accepted_facts_that_were_recorded_by_then(written, seconds, sizes):
    log, until = log_of(written), BEGINNING + seconds * STEP
    found, position = followed_until(log, until, sizes)
    assert sorted(found) == accepted_until(log, until)
    # Whoever goes on from there, with no end, has folded each fact once.
    rest = BatchFollower(DECODER.decode)
    rest.placed({PLACE: position})
    batch = rest.follow([record for record in log.records if record.position >= position.next_offset])
    more = (
        []
        if batch is None
        else [at for frame in _counted(batch.decoded, batch.accepted).values() for at in frame["offset"]]
    )
    assert sorted(found + more) == accepted_until(log, datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-27T18:00:00Z", datetime(2026, 11, 27, 18, tzinfo=UTC)),
        ("2026-11-27T18:00", datetime(2026, 11, 27, 18, tzinfo=UTC)),
        ("2026-11-27T18:00:00.25+01:00", datetime(2026, 11, 27, 17, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-11-27", datetime(2026, 11, 27, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("9999-12-31", datetime.max.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59-14:00", None),
        ("offsets.json", None),
        ("2026-11-31", None),
        ("", None),
    ],
)
def test_a_time_is_utc_unless_it_has_an_offset_and_a_day_is_its_end(text, moment):
    assert moment_of(text) == moment


def test_offsets_are_what_verify_and_replay_print():
    offsets = {("ledger.orders", 0): 120, ("ledger.stock", 11): 0}
    bare = {"ledger.orders/0": 120, "ledger.stock/11": 0}
    assert offsets_of(bare) == offsets_of({"equal": True, "offsets": bare}) == offsets


@pytest.mark.parametrize(
    "document",
    [
        None, [], {}, {"offsets": {}}, {"offsets": 3}, "x", {"ledger.orders": 1}, {"ledger.orders/x": 1},
        {"intake.orders/0": 1}, {"ledger.orders/0": -1}, {"ledger.orders/0": 1.5}, {"ledger.orders/0": True},
        {"ledger.orders/0": 2**63}, {"ledger.orders/0": None}, {"t.ledger.orders/0": 1},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_other_documents_are_no_offsets(document):
    with pytest.raises(Fault):
        offsets_of(document)


def test_the_name_of_a_schema_follows_from_the_end():
    at = datetime(2026, 11, 27, 18, tzinfo=UTC)
    wishes = [
        Wish(()),
        Wish((), until=at),
        Wish((), until=at.replace(microsecond=5)),
        Wish((), until=at, effective=True),
        Wish((), offsets={("ledger.orders", 0): 1}),
        Wish((), offsets={("ledger.orders", 0): 2}),
    ]
    names = [wish.schema for wish in wishes]
    assert names[:4] == [
        "replay_latest",
        "replay_20261127t180000z",
        "replay_20261127t180000_000005z",
        "replay_effective_20261127t180000z",
    ]
    assert len(set(names)) == len({wish.end for wish in wishes}) == 6
    for name in names:
        check_schema(name)


@pytest.mark.parametrize("name", ["public", "", "Friday", "1st", "pg_catalog", 'a"b', "a" * 64, "a b"])
def test_a_name_that_is_not_for_a_replay_is_refused(name):
    with pytest.raises(Fault):
        check_schema(name)


def test_projections_are_named_and_folded_in_one_order():
    assert chosen([]) == tuple(PROJECTIONS)
    assert chosen(["kpi", "order_status", "kpi"]) == ("order_status", "kpi")
    with pytest.raises(Fault, match="no such projection"):
        chosen(["kpi", "nope"])


def test_only_what_can_be_shown_as_it_had_occurred_is_folded_so():
    every = chosen([], effective=True)
    assert every == ("inventory", "stock_movements", "cases", "kpi")
    wish = Wish(every, until=BEGINNING, effective=True)
    assert [one.name for one in wish.folded] == list(every)
    assert all(one not in PROJECTIONS.values() for one in wish.folded if one.name != "stock_movements")
    assert chosen(["kpi", "inventory"], effective=True) == ("inventory", "kpi")
    with pytest.raises(Fault, match="no effective order_status and work_queue") as refused:
        chosen(["work_queue", "kpi", "order_status"], effective=True)
    assert "effective are inventory, stock_movements, cases, kpi" in refused.value.hint


def test_offsets_beyond_the_log_are_refused_and_those_not_named_are_0():
    ends = {("ledger.orders", 0): 5, ("ledger.orders", 1): 7}
    assert within({("ledger.orders", 0): 5}, ends) == {("ledger.orders", 0): 5, ("ledger.orders", 1): 0}
    for beyond in ({("ledger.orders", 0): 6}, {("ledger.orders", 2): 0}):
        with pytest.raises(Fault, match="does not have these offsets"):
            within(beyond, ends)


def test_progress_counts_what_is_left_of_partitions_that_have_not_ended():
    goals = {("a", 0): 10, ("a", 1): 10, ("a", 2): 10}
    assert left(Advance(9, {("a", 0): 4, ("a", 1): 12, ("a", 2): 3}, {("a", 2): 3}), goals) == 6
