"""Facts are a pure function of the intake log: the same records give the same bytes, whoever decides them and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.catalogue import COMMANDS, LEDGER_OF_INTAKE
from events.chain import ChainReader, Link
from events.envelope import INTERNAL_CHANNEL
from processors.ledger.partition import (
    Answer,
    Decided,
    EncodedFact,
    Forwarded,
    NotFetchedError,
    PartitionLedger,
    Repeated,
    SetAside,
)
from processors.ledger.snapshots import restored, stored
from runtime.kafka import murmur2_partition
from schemas.codec import Codec
from tests.events import builders as b

CODEC = Codec()
NOW = datetime(2026, 11, 27, 18, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
DAY_MS = 86_400_000


def record(data: Any, command_id: str = "web-1", *, channel: str = "web", **envelope: Any) -> bytes:
    """A command as a channel sends it; `data` may be changed to what no struct would hold."""
    row = COMMANDS[type(data).__name__]
    plain = with_defaults(data) | envelope.pop("hostile", {})
    base = {
        "id": command_id,
        "channel": channel,
        "actor": None,
        "occurred_at": NOW,
        "expected_version": None,
        "correlation_id": None,
        "causation_id": None,
    }
    return CODEC.encode(row.schema, base | envelope | {"data": plain})


def with_defaults(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: with_defaults(getattr(value, name)) for name in value.__struct_fields__}
    return [with_defaults(one) for one in value] if isinstance(value, tuple) else value


class Intake:
    """An intake partition and the ledger that decides it; alone, it is home to all keys."""

    def __init__(
        self, topic: str = "intake.orders", *, partition: int = 0, partitions: int = 1, epoch: int = 0
    ) -> None:
        self.ledger = PartitionLedger(topic, partition, partitions=partitions, codec=CODEC, epoch=epoch)
        self.facts: list[EncodedFact] = []

    def send(self, value: bytes | None, *, at_ms: int = NOW_MS, key: bytes | None = b"k") -> Any:
        outcome = self.ledger.decide(self.ledger.next_intake, at_ms, key, value)
        if isinstance(outcome, Decided):
            self.facts += outcome.facts
        return outcome

    def decoded(self) -> list[tuple[str, dict[str, Any]]]:
        return [(contract.name, fact) for contract, fact in (CODEC.decode(fact.value) for fact in self.facts)]

    def last(self) -> tuple[str, dict[str, Any]]:
        return self.decoded()[-1]

    def refusal(self) -> tuple[str, int | None]:
        name, fact = self.last()
        assert name == "CommandRefused", name
        return fact["data"]["code"], fact["data"]["at_most"]


# Answers


def test_a_command_becomes_facts_with_their_place_in_the_chain() -> None:
    intake = Intake()
    assert isinstance(intake.send(record(b.place(), actor="checkout")), Decided)
    name, fact = intake.last()
    assert name == "OrderPlaced"
    assert intake.facts[0].key == b"o-1"
    wanted = {"stream_id": "o-1", "version": 1, "follows": 0, "index": 1, "count": 1, "intake_offset": 0}
    assert wanted.items() <= fact.items()
    assert (fact["command_id"], fact["correlation_id"], fact["channel"], fact["actor"]) == (
        "web-1",
        "web-1",
        "web",
        "checkout",
    )


def test_the_facts_of_a_decision_are_numbered_and_the_next_decision_follows_it() -> None:
    intake = Intake("intake.stock")
    for number, data in enumerate([b.receive(1), b.policy(reorder_point=5), b.adjust(-3)]):
        intake.send(record(data, f"c{number}"))
    facts = [fact for _, fact in intake.decoded()]
    assert [fact["version"] for fact in facts] == [1, 2, 3, 4, 5]
    assert [(fact["index"], fact["count"]) for fact in facts] == [(1, 1), (1, 2), (2, 2), (1, 2), (2, 2)]
    assert facts[3]["follows"] == facts[1]["decision"] == facts[2]["decision"]
    assert len({fact["event_id"] for fact in facts}) == 5


def test_a_repeat_gets_nothing_new_and_the_same_id_with_another_body_is_refused() -> None:
    intake = Intake()
    intake.send(record(b.place()))
    assert intake.send(record(b.place())) == Repeated()
    intake.send(record(b.place({"1": 3})))
    assert intake.refusal() == ("id_reused", None)
    assert isinstance(intake.send(record(b.cancel(), "web-1", channel="phone")), Decided)
    assert intake.last()[0] == "OrderCancelled"


def test_a_repeat_of_a_refused_reuse_gets_nothing_new() -> None:
    """Found by the simulation (seed 12). Without `reused` the repeat was refused again, under the same event id."""
    intake = Intake()
    for lines in ({"1": 1}, {"1": 3}):
        intake.send(record(b.place(lines)))
    assert intake.refusal() == ("id_reused", None)
    assert intake.send(record(b.place({"1": 3}))) == Repeated()
    other = taken_over(intake)
    assert other.send(record(b.place({"1": 3}))) == Repeated()
    assert isinstance(other.send(record(b.place({"1": 4}))), Decided)


def test_a_timer_that_rings_too_early_rings_again_under_the_same_id() -> None:
    """Found by the simulation (seed 3551). When an early ring was refused, its id was used up, and the hold never
    lapsed: the repeat was `Repeated()`."""
    intake = Intake("intake.stock")
    intake.send(record(b.receive(1), "1"))
    intake.send(record(b.reserve(1, order="x", expires_at=NOW + timedelta(seconds=3)), "2"))
    ring = record(b.expire(order="x"), "expire:x", channel=INTERNAL_CHANNEL)
    assert intake.send(ring, at_ms=NOW_MS + 2_999) == Repeated()
    assert isinstance(intake.send(ring, at_ms=NOW_MS + 3_000), Decided)
    assert intake.last()[0] == "ReservationExpired"


def test_a_refused_command_is_remembered_as_well() -> None:
    intake = Intake()
    intake.send(record(b.cancel()))
    assert intake.refusal() == ("unknown", None)
    assert intake.send(record(b.cancel())) == Repeated()


def test_an_internal_command_with_nothing_to_say_writes_nothing() -> None:
    intake = Intake()
    intake.send(record(b.place()))
    assert intake.send(record(b.RELEASE_ORDER, "t", channel=INTERNAL_CHANNEL)) == Repeated()


@pytest.mark.parametrize(
    ("topic", "command"),
    [
        ("intake.orders", b.reserved(1)),
        ("intake.orders", b.RELEASE_ORDER),
        ("intake.stock", b.wait_for()),
        ("intake.stock", b.ship(1)),
        ("intake.stock", b.take_back(1)),
        ("intake.stock", b.expire()),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_only_reactions_may_send_is_refused_from_a_channel(topic: str, command: Any) -> None:
    intake = Intake(topic)
    intake.send(record(command))
    assert intake.refusal() == ("invalid", None)
    assert "reactions" in intake.last()[1]["data"]["detail"]


def test_a_version_that_is_not_the_streams_is_stale_and_the_right_one_is_told() -> None:
    intake = Intake()
    intake.send(record(b.place()))
    intake.send(record(b.cancel(), "a", expected_version=7))
    assert intake.refusal() == ("stale", 1)
    # The refusal is a fact of the stream, too.
    intake.send(record(b.cancel(), "b", expected_version=2))
    assert intake.last()[0] == "OrderCancelled"


# What a channel may get wrong


def test_a_negative_quantity_is_refused_with_the_name_of_the_field() -> None:
    intake = Intake("intake.stock")
    intake.send(record(b.receive(5), hostile={"quantity": -5}, actor="erp"))
    assert intake.refusal() == ("invalid", None)
    fact = intake.last()[1]
    assert "quantity" in fact["data"]["detail"]
    assert fact["actor"] == "erp"
    assert intake.send(record(b.receive(5), hostile={"quantity": -5})) == Repeated()


def test_a_text_with_nul_is_refused_and_one_that_spells_it_is_not() -> None:
    intake = Intake("intake.stock")
    intake.send(record(b.damage(1), hostile={"reason": "wet\0"}))
    assert intake.refusal() == ("invalid", None)
    intake.send(record(b.receive(5), "b", hostile={"purchase_order": r"\u0000 and \\u0000"}))
    assert intake.last()[0] == "StockReceived"


@pytest.mark.parametrize("word", ["x" * 100_000, "wet\0", "\N{SNOWMAN}" * 5000])
def test_a_hostile_word_never_gets_into_a_fact_that_nobody_could_read(word: str) -> None:
    intake = Intake()
    intake.send(record(b.place(), hostile={"service_level": word, "order_id": "o-1"}))
    assert intake.refusal() == ("invalid", None)
    detail = intake.last()[1]["data"]["detail"]
    assert "\0" not in detail
    assert len(detail) <= 1000
    taken_over(intake)


def test_sums_beyond_a_single_number_can_be_taken_over() -> None:
    """A channel's slips must not leave facts that the next owner of the partition cannot read."""
    most = 10**12
    intake = Intake("intake.stock")
    commands = [b.receive(most), b.receive(most), b.reserve(most), b.reserve(most, attempt=2), b.adjust(-most)]
    commands += [
        b.adjust(-most),
        b.adjust(-most),
        b.count(0),
        b.receive(most, location="WH2"),
        b.receive(most, location="WH2"),
    ]
    commands += [b.count(0), b.move(most, source="WH2", target="WH1"), b.policy(location="WH2", reorder_point=most)]
    for number, data in enumerate(commands):
        intake.send(record(data, f"c{number}"))
    taken_over(intake)
    orders = Intake()
    orders.send(record(b.place({"1": most, "2": most}, price=0)))
    both = b.answers(b.answer("reserved", most, version=1), b.answer("reserved", most, version=1, line="2"))
    orders.send(record(both, "a", channel=INTERNAL_CHANNEL))
    assert orders.last()[0] == "OrderAllocated"
    taken_over(orders)


def spoilt(change: Callable[[bytearray], None]) -> bytes:
    value = bytearray(record(b.place()))
    change(value)
    return bytes(value)


def invalid_utf8(value: bytearray) -> None:
    at = value.index(b"web-1")
    value[at] = 0xFF


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, "no_frame", id="no value"),
        pytest.param(b"", "no_frame", id="empty"),
        pytest.param(b'{"command": "PlaceOrder"}', "no_frame", id="JSON"),
        pytest.param(b"\0\x7f\xff\xff\xff...", "unknown_schema", id="unknown id"),
        pytest.param(record(b.place())[:-3], "bad_avro", id="truncated"),
        pytest.param(record(b.place()) + b"!", "trailing_bytes", id="trailing bytes"),
        pytest.param(spoilt(invalid_utf8), "bad_avro", id="invalid UTF-8"),
        pytest.param(record(b.receive(1)), "wrong_topic", id="command of another topic"),
        pytest.param(record(b.cancel(), "web\0"), "invalid", id="NUL in the id"),
        pytest.param(record(b.cancel(), ""), "invalid", id="empty id"),
        pytest.param(record(b.cancel(), channel=""), "invalid", id="empty channel"),
        pytest.param(record(b.cancel(), channel="w" * 201), "invalid", id="long channel"),
        pytest.param(record(b.cancel(), hostile={"order_id": ""}), "invalid", id="empty key"),
        pytest.param(record(b.cancel(), hostile={"order_id": "o\0"}), "invalid", id="NUL in the key"),
        pytest.param(record(b.cancel(), hostile={"order_id": "o" * 201}), "invalid", id="long key"),
        pytest.param(record(b.cancel(), actor="a\0"), "invalid", id="NUL in the actor"),
        pytest.param(record(b.cancel(), correlation_id="c\0"), "invalid", id="NUL in the correlation"),
        pytest.param(record(b.cancel(), causation_id="c" * 201), "invalid", id="long causation"),
    ],
)
def test_a_record_that_is_no_command_of_the_topic_is_set_aside_with_its_reason(
    value: bytes | None, reason: str
) -> None:
    intake = Intake()
    outcome = intake.send(value)
    assert isinstance(outcome, SetAside)
    assert outcome.reason == reason
    assert outcome.detail
    assert (intake.ledger.next_intake, intake.ledger.streams) == (1, {})


def test_a_fact_on_the_intake_is_set_aside() -> None:
    intake = Intake()
    intake.send(record(b.place()))
    assert intake.send(intake.facts[0].value).reason == "wrong_topic"


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_spoilt_bytes_are_set_aside_or_answered_and_break_nothing(data: st.DataObject) -> None:
    value = bytearray(record(b.place(promised_by="2026-12-24")))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(5, len(value) - 1))] = data.draw(st.integers(0, 255))
    intake = Intake()
    outcome = intake.send(bytes(value))
    assert isinstance(outcome, SetAside | Decided)
    taken_over(intake)


# Partitions


def test_a_command_on_a_foreign_partition_is_forwarded_home() -> None:
    home = murmur2_partition(b"o-1", 12)
    foreign = Intake(partition=(home + 1) % 12, partitions=12)
    assert foreign.send(record(b.place())) == Forwarded(home, b"o-1", "web")
    assert isinstance(Intake(partition=home, partitions=12).send(record(b.place())), Decided)


# Log time


def test_log_time_never_goes_back() -> None:
    intake = Intake("intake.stock")
    for number, at_ms in enumerate([NOW_MS, NOW_MS - 5000, NOW_MS + 1]):
        intake.send(record(b.receive(1), f"c{number}"), at_ms=at_ms)
    times = [fact["recorded_at"] for _, fact in intake.decoded()]
    assert times == [NOW, NOW, NOW + timedelta(milliseconds=1)]


@pytest.mark.parametrize(
    ("topic", "data", "days", "remembered"),
    [
        ("intake.stock", b.receive(1), 30, True),
        ("intake.stock", b.receive(1), 31, False),
        ("intake.orders", b.cancel(), 400, True),
    ],
)
def test_ids_are_remembered_for_the_life_of_an_order_and_for_30_days_of_a_sku(
    topic: str, data: Any, days: int, remembered: bool
) -> None:
    intake = Intake(topic)
    intake.send(record(data, "first"))
    later = NOW_MS + days * DAY_MS
    intake.send(record(data, "second"), at_ms=later)
    assert (intake.send(record(data, "first"), at_ms=later) == Repeated()) is remembered
    assert intake.send(record(data, "second"), at_ms=later) == Repeated()


def test_ids_of_the_ledgers_own_commands_are_never_forgotten() -> None:
    """Reactions whose positions come from an old backup send commands of any age again: nothing may leave twice."""
    intake = Intake("intake.stock")
    intake.send(record(b.receive(5)))
    own = record(b.ship(2), "o-1:1:ship", channel=INTERNAL_CHANNEL)
    assert isinstance(intake.send(own), Decided)
    later = NOW_MS + 400 * DAY_MS
    intake.send(record(b.receive(1)), at_ms=later)
    late = taken_over(intake)
    for reader in (intake, late):
        assert reader.send(own, at_ms=later) == Repeated()
    assert late.ledger.answers == intake.ledger.answers


# Whoever decides


def taken_over(intake: Intake, count: int | None = None) -> Intake:
    """A new owner that has read the first `count` facts of the ledger partition by the reader's rule."""
    ledger = intake.ledger
    other = Intake(ledger.intake_topic, partition=ledger.partition, partitions=ledger.partitions, epoch=ledger.epoch)
    reader: ChainReader[tuple[str, dict[str, Any]]] = ChainReader()
    for name, fact in intake.decoded()[:count]:
        for accepted in reader.read(Link(*(fact[field] for field in Link._fields)), (name, fact)):
            other.ledger.take_over(*accepted)
    other.facts = list(
        intake.facts[: sum(fact["intake_offset"] < other.ledger.next_intake for _, fact in intake.decoded())]
    )
    return other


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
        assert {key: stream.state for key, stream in late.ledger.streams.items()} == {
            key: stream.state for key, stream in whole.ledger.streams.items()
        }
        assert {key: stream.answered for key, stream in late.ledger.streams.items()} == {
            key: stream.answered for key, stream in whole.ledger.streams.items()
        }


@given(st.data())
def test_a_ledger_that_forgets_streams_and_fetches_them_again_writes_the_same_bytes(data: st.DataObject) -> None:
    topic, log = data.draw(st.sampled_from([("intake.orders", ORDERS), ("intake.stock", list(STOCK) * 2)]))
    whole = Intake(topic)
    decide_all(whole, log)
    forgetful, rows, answers = Intake(topic), dict[str, tuple[int, bytes]](), set[Answer]()
    ledger = forgetful.ledger
    for offset, value in enumerate(log):
        if data.draw(st.booleans()):
            rows |= {one: (ledger.streams[one].version, stored(ledger, one)) for one in ledger.changed}
            answers |= set(ledger.answers.values())
            ledger.saved(offset)
        ledger.evict(data.draw(st.integers(0, 5)))
        need = ledger.needs(ledger.parse(value))
        if need is not None and need.stream_id is not None:
            row = rows.get(need.stream_id)
            ledger.hold(need.stream_id, ledger.begin(need.stream_id) if row is None else restored(ledger, *row))
        if need is not None and need.command is not None:
            ledger.look_up({need.command: [one for one in answers if one.command == need.command]})
        forgetful.send(value, at_ms=NOW_MS + offset * DAY_MS)
    assert forgetful.facts == whole.facts
    assert ledger.facts == sum(stream.version for stream in ledger.streams.values())


def test_what_is_not_in_the_snapshot_yet_is_never_forgotten_and_what_was_forgotten_never_begun_anew() -> None:
    intake = Intake()
    intake.send(record(b.place()))
    assert intake.ledger.evict(0) == 0
    intake.ledger.saved(2)
    assert intake.ledger.evict(0) == 1
    with pytest.raises(NotFetchedError):
        intake.send(record(b.cancel(), "c"))


def test_a_fact_that_a_snapshot_holds_already_is_skipped_and_a_missing_one_is_noticed() -> None:
    intake = Intake()
    for number, data in enumerate([b.place(), b.hold(), b.release_hold()]):
        intake.send(record(data, str(number)))
    facts = intake.decoded()
    other = taken_over(intake)
    other.ledger.take_over(*facts[1])
    assert other.ledger.stream("o-1").version == 3
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
    before = (intake.ledger.follows, intake.ledger.stream("o-1").state, intake.ledger.stream("o-1").version)

    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(intake.ledger, "_kind", intake.ledger._kind._replace(conclude=broken))
    with pytest.raises(RuntimeError):
        intake.send(record(b.cancel(), "c"))
    assert (intake.ledger.follows, intake.ledger.stream("o-1").state, intake.ledger.stream("o-1").version) == before


def test_every_intake_topic_has_its_ledger() -> None:
    for topic, ledger in LEDGER_OF_INTAKE.items():
        assert Intake(topic).ledger.ledger_topic == ledger
