"""Whoever decides a partition, and whatever it has in memory: the facts are the same bytes."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.catalogue import LEDGER_OF_INTAKE
from events.envelope import INTERNAL_CHANNEL
from events.streams import StreamKey
from processors.ledger.memory import Answer, Memory, NotFetchedError, Stream
from processors.ledger.snapshots import restored, stored
from tests.events import builders as b
from tests.support.intake import DAY_MS, NOW, NOW_MS, Intake, record, taken_over

ORDERS: Sequence[bytes] = [
    record(b.place({"1": 5, "2": 1}), "1"),
    record(b.place({"1": 5}, order_id="o-2", allocation="all_or_nothing"), "2"),
    record(b.reserved(5), "3", channel=INTERNAL_CHANNEL),
    record(b.hold(), "4"),
    b"junk",
    record(b.waiting(1, line="2"), "5", channel=INTERNAL_CHANNEL),
    record(b.cancel({"1": 9}), "6"),
    record(b.place(), "1"),
    record(b.dispatch({"1": 2, "2": 1}), "7"),
    record(b.scan(), "8"),
    record(b.place({"1": 5, "2": 1}), "1"),
    record(b.receive_return({"1": 2}), "9"),
    record(b.refund(100), "10"),
    record(b.release_hold(), "11"),
    record(b.amend({"1": 9}), "12", expected_version=99),
    record(b.amend({"1": 9}), "13"),
]
STOCK: Sequence[bytes] = [
    record(b.wait_for(2), "1", channel=INTERNAL_CHANNEL),
    record(b.receive(5), "2"),
    record(b.policy(buffers={"web": 1}, safety_stock=1, reorder_point=4), "3"),
    record(b.reserve(1, order="x", expires_at=NOW + timedelta(seconds=3)), "4"),
    record(b.receive(5, sku="CUP"), "5"),
    record(b.release(1, order="y"), "6"),
    record(b.receive(5), "2"),
    record(b.expire(order="x"), "7", channel=INTERNAL_CHANNEL),
    record(b.count(3), "8"),
    record(b.adjust(-9), "9"),
    record(b.ship(2, (1, "WH1", 2)), "10", channel=INTERNAL_CHANNEL),
]


def decide_all(intake: Intake, log: Sequence[bytes]) -> None:
    for offset in range(intake.ledger.next_intake, len(log)):
        # A day passes with every record, so that ids are also forgotten.
        intake.send(log[offset], at_ms=NOW_MS + offset * DAY_MS)


@pytest.mark.parametrize(("topic", "log"), [("intake.orders", ORDERS), ("intake.stock", list(STOCK) * 4)])
def test_two_writers_write_the_same_bytes_and_one_that_takes_over_anywhere_goes_on_with_them(
    topic: str, log: Sequence[bytes]
) -> None:
    whole = Intake(topic)
    decide_all(whole, log)
    again = Intake(topic)
    decide_all(again, log)
    assert again.facts == whole.facts
    for count in range(len(whole.facts) + 1):
        late = taken_over(whole, count)
        decide_all(late, log)
        assert late.facts == whole.facts, count
        # Log time is all that a record without facts may leave behind; it stands in no state.
        assert {key: stream.state for key, stream in late.ledger.memory.streams.items()} == {
            key: stream.state for key, stream in whole.ledger.memory.streams.items()
        }
        assert {key: stream.answered for key, stream in late.ledger.memory.streams.items()} == {
            key: stream.answered for key, stream in whole.ledger.memory.streams.items()
        }


def save(
    memory: Memory, offset: int, rows: dict[StreamKey, tuple[int, bytes]], answers: set[Answer], *, listed: bool
) -> None:
    """A snapshot, stored in `rows` and `answers`. `listed`: the ledger is told which commands have an answer there."""
    unsaved = memory.to_save(offset)
    rows |= {one.key: (one.version, stored(one)) for one in unsaved.streams}
    answers |= set(unsaved.answers)
    memory.saved({one.key: len(rows[one.key][1]) for one in unsaved.streams})
    if listed:
        memory.answered(array("q", sorted(one.command for one in answers)))


@given(st.data())
def test_a_ledger_that_forgets_streams_and_fetches_them_again_writes_the_same_bytes(data: st.DataObject) -> None:
    topic, log = data.draw(st.sampled_from([("intake.orders", ORDERS), ("intake.stock", list(STOCK) * 2)]))
    whole = Intake(topic)
    decide_all(whole, log)
    forgetful, rows, answers = Intake(topic), dict[StreamKey, tuple[int, bytes]](), set[Answer]()
    ledger = forgetful.ledger
    for offset, value in enumerate(log):
        if data.draw(st.booleans()):
            save(ledger.memory, offset, rows, answers, listed=data.draw(st.booleans()))
        if data.draw(st.booleans()):
            ledger.memory.let_go()
        need = ledger.needs(ledger.parse(value))
        if need is not None and need.stream is not None:
            row = rows.get(need.stream)
            ledger.memory.hold(need.stream, Stream(need.stream) if row is None else restored(need.stream, *row))
        if need is not None and need.command is not None:
            ledger.memory.look_up({need.command: [one for one in answers if one.command == need.command]})
        forgetful.send(value, at_ms=NOW_MS + offset * DAY_MS)
    assert forgetful.facts == whole.facts


def test_what_is_not_in_the_snapshot_yet_is_never_forgotten_and_what_was_forgotten_never_begun_anew() -> None:
    intake = Intake()
    ledger = intake.ledger
    for order_id in ("o-1", "o-2", "o-3"):
        intake.send(record(b.place(order_id=order_id), order_id))
    assert ledger.memory.let_go() == 0, "no snapshot holds them"
    save(ledger.memory, 9, {}, set(), listed=False)
    intake.send(record(b.hold(), "h"))
    assert [ledger.memory.let_go(), list(ledger.memory.streams)] == [2, [("order", "o-1")]], (
        "the snapshot does not hold it as it is"
    )
    save(ledger.memory, 10, {}, set(), listed=False)
    assert [ledger.memory.let_go(), list(ledger.memory.streams)] == [1, []]
    with pytest.raises(NotFetchedError):
        intake.send(record(b.cancel(), "c"))


def test_a_fact_that_a_snapshot_holds_already_is_skipped_and_a_missing_one_is_noticed() -> None:
    intake = Intake()
    for number, data in enumerate([b.place(), b.hold(), b.release_hold()]):
        intake.send(record(data, str(number)))
    facts = intake.decoded()
    other = taken_over(intake)
    other.ledger.take_over(*facts[1])
    assert other.ledger.stream(StreamKey("order", "o-1")).version == 3
    fresh = Intake()
    fresh.ledger.take_over(*facts[0])
    with pytest.raises(ValueError, match="facts are missing"):
        fresh.ledger.take_over(*facts[2])


def test_a_new_epoch_begins_its_intake_anew_and_an_old_writer_notices() -> None:
    old = Intake()
    old.send(record(b.place()))
    new = Intake(epoch=1)
    new.ledger.take_over(*old.last())
    assert (new.ledger.next_intake, new.ledger.follows) == (0, old.ledger.follows)
    new.send(record(b.cancel(), "c"))
    with pytest.raises(ValueError, match="epoch"):
        old.ledger.take_over(*new.last())


def test_a_rule_that_raises_leaves_the_stream_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    intake = Intake()
    intake.send(record(b.place()))
    stream = intake.ledger.stream(StreamKey("order", "o-1"))
    before = (intake.ledger.follows, stream.state, stream.version)

    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(stream, "kind", stream.kind._replace(conclude=broken))
    with pytest.raises(RuntimeError):
        intake.send(record(b.cancel(), "c"))
    assert (intake.ledger.follows, stream.state, stream.version) == before


def test_every_intake_topic_has_its_ledger() -> None:
    for topic, ledger in LEDGER_OF_INTAKE.items():
        assert Intake(topic).ledger.ledger_topic == ledger
