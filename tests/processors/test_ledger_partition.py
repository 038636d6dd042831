"""Facts are a pure function of the intake log: the same records give the same bytes, whoever decides them and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.cases.commands import OpenCase, ReopenCase, ResolveCase
from events.catalogue import COMMANDS
from events.envelope import INTERNAL_CHANNEL
from events.routing.commands import SetRoutingRules
from processors.ledger import snapshots
from processors.ledger.partition import (
    Decided,
    Forwarded,
    Repeated,
    SetAside,
)
from runtime.kafka import murmur2_partition
from schemas.contracts import newest
from tests.events import builders as b
from tests.schemas.goldens import golden_path
from tests.support.intake import DAY_MS, NOW, NOW_MS, Intake, record, taken_over

# Answers


def test_a_command_becomes_facts_with_their_place_in_the_chain() -> None:
    intake = Intake()
    assert isinstance(intake.send(record(b.place(), actor="checkout")), Decided)
    name, fact = intake.last()
    assert name == "OrderPlaced"
    assert intake.facts[0].key == b"o-1"
    wanted = {"stream_id": "o-1", "stream_kind": "order", "version": 1, "follows": 0, "index": 1, "count": 1}
    assert (wanted | {"intake_offset": 0}).items() <= fact.items()
    assert (fact["command_id"], fact["correlation_id"], fact["channel"], fact["actor"]) == (
        "web-1",
        "web-1",
        "web",
        "checkout",
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_an_answer_says_the_kind_of_its_stream_a_refusal_too(name: str) -> None:
    """A case and a location of the same id are two streams; only the kind tells them apart."""
    row = COMMANDS[name]
    kinds = {"order_id": "order", "sku": "stock", "case_id": "case", "location_id": "location"}
    kinds |= {"rules_id": "routing", "category_id": "category"}
    golden = json.loads(golden_path(newest(row.schema)).read_text(encoding="utf-8"))["minimal"]
    intake = Intake(row.topic)
    intake.send(bytes.fromhex(golden["hex"]))
    assert intake.refusal()[0] == "invalid"
    assert intake.last()[1]["stream_kind"] == kinds[row.key]


def test_the_facts_of_a_decision_are_numbered_and_the_next_decision_follows_it() -> None:
    intake = Intake("intake.stock")
    for number, data in enumerate([b.receive(1), b.policy(reorder_point=5), b.adjust(-3)]):
        intake.send(record(data, f"c{number}"))
    facts = [fact for _, fact in intake.decoded()]
    assert [fact["version"] for fact in facts] == [1, 2, 3, 4, 5, 6]
    assert [(fact["index"], fact["count"]) for fact in facts] == [(1, 2), (2, 2)] * 3
    assert facts[4]["follows"] == facts[2]["decision"] == facts[3]["decision"]
    assert len({fact["event_id"] for fact in facts}) == 6


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
    intake.send(record(b.confirm(), "open", channel=INTERNAL_CHANNEL))
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
    intake.send(record(b.cancel(), "b", expected_version=1))
    assert intake.last()[0] == "OrderCancelled"


_OPEN = OpenCase(case_id="case-1", channel="phone", topic="late", urgency="normal")
_REFUSALS: dict[str, list[bytes]] = {
    "intake.orders": [
        record(b.cancel({"9": 1}), "no-line", channel="store"),
        record(b.cancel(), "stale", channel="store", expected_version=9),
        record(b.amend({"1": 1}), "broken", channel="store", hostile={"lines": [{"line_id": "", "quantity": -1}]}),
        record(b.cancel(), "web-1", channel="web"),  # the id of what placed it
    ],
    "intake.stock": [
        record(b.adjust(0), "nothing", channel="store"),
        record(b.receive(5), "broken", channel="store", hostile={"quantity": -5}),
        record(b.wait_for(), "internal", channel="store"),
        record(b.put_in_cart(99), "too-many", channel="store", hostile={"expires_at": NOW + timedelta(hours=1)}),
    ],
    "intake.service": [
        record(_OPEN, "again", channel="store"),
        record(ReopenCase(case_id="case-1", reason="not done"), "open", channel="store"),
        record(_OPEN, "broken", channel="store", hostile={"urgency": "very"}),
    ],
}
_FIRST = {"intake.orders": b.place(), "intake.stock": b.receive(5), "intake.service": _OPEN}
_NEXT = {
    "intake.orders": b.cancel(),
    "intake.stock": b.receive(6),
    "intake.service": ResolveCase(case_id="case-1", resolution="sent again"),
}


@pytest.mark.parametrize("topic", _REFUSALS)
@pytest.mark.parametrize("owner", ["the same writer", "one that read the log", "one with a snapshot"])
def test_what_another_channel_got_wrong_makes_no_version_stale(topic: str, owner: str) -> None:
    """The facts' own versions go on without a gap."""
    intake = Intake(topic)
    intake.send(record(_FIRST[topic]))
    known = len(intake.decoded())
    for refused in _REFUSALS[topic]:
        intake.send(refused)
        assert intake.last()[0] in ("CommandRefused", "ReservationRefused")
    versions = [fact["version"] for _, fact in intake.decoded()]
    assert versions == list(range(1, len(versions) + 1))
    if owner == "one that read the log":
        intake = taken_over(intake)
    elif owner == "one with a snapshot":
        memory = intake.ledger.memory
        (one,) = memory.to_save(1).streams
        memory.hold(one.key, snapshots.restored(one.key, one.version, snapshots.stored(one)))
    intake.send(record(_NEXT[topic], "decided-on-that", channel="service", expected_version=known))
    assert intake.last()[0] != "CommandRefused"
    assert intake.last()[1]["version"] == len(versions) + 1
    intake.send(record(_NEXT[topic], "decided-on-it-too", channel="service", expected_version=known))
    assert intake.refusal() == ("stale", len(versions) + 1)


def test_a_version_that_only_refusals_have_moved_is_none() -> None:
    intake = Intake()
    intake.send(record(b.cancel(), "too-soon"))
    intake.send(record(b.place(), "placed"))
    intake.send(record(b.cancel(), "on-the-refusal", expected_version=1))
    assert intake.refusal() == ("stale", 2)


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
    assert [name for name, _ in intake.decoded()[1:]] == ["StockReceived", "StockLocated"]


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
    for location in ("WH1", "WH2"):
        intake.send(record(b.confirm(location), location, channel=INTERNAL_CHANNEL))
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
        pytest.param(b"\0\0\0\0\x65" + record(b.place())[5:], "retired_schema", id="of an old build"),
        pytest.param(record(b.place())[:-3], "bad_avro", id="truncated"),
        pytest.param(record(b.place()) + b"!", "trailing_bytes", id="trailing bytes"),
        pytest.param(spoilt(invalid_utf8), "bad_avro", id="invalid UTF-8"),
        pytest.param(record(b.receive(1)), "wrong_topic", id="command of another topic"),
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
    assert (intake.ledger.next_intake, intake.ledger.memory.streams) == (1, {})


@pytest.mark.parametrize(
    ("value", "answered", "path"),
    [
        pytest.param(record(b.cancel(), "web\0"), ("o-1", "web", "web\ufffd"), "id ", id="NUL in the id"),
        pytest.param(record(b.cancel(), ""), ("o-1", "web", "\ufffd"), "id ", id="empty id"),
        pytest.param(record(b.cancel(), channel=""), ("o-1", "\ufffd", "web-1"), "channel ", id="empty channel"),
        pytest.param(record(b.cancel(), channel="w" * 201), ("o-1", "w" * 200, "web-1"), "channel ", id="long channel"),
        pytest.param(
            record(b.cancel(), hostile={"order_id": ""}), ("\ufffd", "web", "web-1"), "data.order_id ", id="empty key"
        ),
        pytest.param(
            record(b.cancel(), hostile={"order_id": "o\0"}),
            ("o\ufffd", "web", "web-1"),
            "data.order_id ",
            id="NUL in the key",
        ),
        pytest.param(
            record(b.cancel(), hostile={"order_id": "o" * 999}),
            ("o" * 200, "web", "web-1"),
            "data.order_id ",
            id="long key",
        ),
        pytest.param(record(b.cancel(), actor="a\0"), ("o-1", "web", "web-1"), "actor ", id="NUL in the actor"),
        pytest.param(
            record(b.cancel(), correlation_id="c\0"), ("o-1", "web", "web-1"), "correlation_id ", id="NUL in a name"
        ),
        pytest.param(
            record(b.cancel(), causation_id="c" * 201), ("o-1", "web", "web-1"), "causation_id ", id="long causation"
        ),
    ],
)
def test_a_name_that_nothing_can_be_stored_under_is_refused_under_one_that_can_be_read(
    value: bytes, answered: tuple[str, str, str], path: str
) -> None:
    intake = Intake()
    intake.send(value)
    assert intake.refusal() == ("invalid", None)
    fact = intake.last()[1]
    assert (fact["stream_id"], fact["channel"], fact["command_id"]) == answered
    assert intake.facts[0].key.decode() == fact["stream_id"]
    assert fact["data"]["detail"].startswith(path)
    assert "\0" not in str(fact)
    assert intake.send(value) == Repeated()
    assert taken_over(intake).send(value) == Repeated()


def test_what_a_rule_quotes_of_a_text_holds_no_nul() -> None:
    intake = Intake("intake.service")
    intake.send(record(SetRoutingRules(rules_id="r", text='"a\\u0000b" = 1')))
    assert intake.refusal() == ("invalid", None)
    assert "\0" not in str(intake.last()[1])


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
    times = [fact["recorded_at"] for name, fact in intake.decoded() if name == "StockReceived"]
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
    assert late.ledger.memory.answers == intake.ledger.memory.answers
