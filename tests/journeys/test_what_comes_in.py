"""Whatever comes in gets an answer or a dead letter with its reason, and its neighbours are processed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from events.catalogue import COMMANDS
from events.values import TIME_MIN
from gateway.operating.doctor import examine
from gateway.sending.commands import parse
from projections.kpi.definitions import DEFINITIONS
from runtime.kafka import murmur2_partition, producer
from schemas.codec import Codec
from tests.support.shop import Shop, command, dispatch, open_places, place, receive

pytestmark = pytest.mark.journey


def test_a_case_and_a_location_of_one_id_are_two_streams(shop: Shop) -> None:
    """Given both under one id, sent with the same ids of commands, then both are accepted, each with versions of its
    own, and the tables are what the log says.
    """
    opened = command("OpenCase", id="one-id-1", case_id="one-id", topic="where is it", urgency="low")
    opened["data"]["channel"] = "phone"
    noted = command("AddCaseNote", id="one-id-2", case_id="one-id", note="called back")
    registered = command("RegisterLocation", id="one-id-1", location_id="one-id", name="North", kind="store")
    policy = command("SetLocationPolicy", id="one-id-2", location_id="one-id", excluded_channels=["web"])
    shop.accepted(opened, noted)
    shop.accepted(registered, {**policy, "expected_version": 1})

    found = shop.connection.execute(
        "SELECT command_id, fact, outcome FROM answers WHERE stream_id = 'one-id' ORDER BY intake_offset"
    ).fetchall()
    assert found == [
        ("one-id-1", "CaseOpened", "accepted"),
        ("one-id-2", "CaseNoteAdded", "accepted"),
        ("one-id-1", "LocationRegistered", "accepted"),
        ("one-id-2", "LocationPolicySet", "accepted"),
    ]
    assert shop.verify().equal


def test_publishing_the_same_file_twice_changes_no_table(shop: Shop) -> None:
    lines = [
        receive("twice", "WH1", 5),
        place("twice-1", ("twice", 2)),
        place("twice-2", ("twice", 9)),
        command("HoldOrder", order_id="twice-2", hold="payment"),
        command("OpenCase", case_id="twice-c", topic="where is it", urgency="low", order_id="twice-1"),
    ]
    lines[-1]["data"]["channel"] = "phone"
    shop.accepted(*lines)
    before = shop.tables()

    report = shop.publish(*lines)
    shop.settle()

    assert report.counts == {"duplicate": len(lines)}
    assert shop.tables() == before


def test_a_carrier_that_is_quicker_than_the_warehouse_loses_nothing(shop: Shop) -> None:
    """Seen: the scan was refused, and the carrier's next try under the same id was a duplicate: no delivery, ever."""
    shop.accepted(receive("quick", "WH1", 1))
    shop.accepted(place("quick-1", ("quick", 1)))
    scanned = command("RecordTracking", order_id="quick-1", shipment_id="S1", status="delivered")
    assert shop.publish(scanned).counts == {"accepted": 1}
    assert shop.publish(scanned).counts == {"duplicate": 1}
    shop.settle()
    (waiting,) = shop.order("quick-1")["deferred_tracking"]
    assert (waiting["waits_for"], waiting["status"], waiting["state"]) == ("S1", "delivered", "waiting")
    assert "(delivered, " in _cli(shop, "order", "quick-1")
    assert "this waits for it until" in _cli(shop, "story", "quick-1")

    later = dispatch("quick-1", "S1", "WH1", ("1", 1)) | {"occurred_at": "2026-11-30T18:00:00Z"}
    shop.accepted(later)

    order = shop.order("quick-1")
    assert (order["status"], order["deferred_tracking"]) == ("delivered", [])
    assert order["shipments"][0]["delivered_at"] == scanned["occurred_at"]
    assert shop.verify().equal


def test_a_repeat_of_what_was_refused_is_refused_again_and_says_how_to_send_it_anew(shop: Shop, tmp_path: Path) -> None:
    early = command("CancelOrder", order_id="anew-1", reason="changed my mind")
    (first,) = shop.publish(early).outcomes
    shop.accepted(place("anew-1", ("anew", 1)))
    report = shop.publish(early)
    (again,) = report.outcomes
    assert report.counts == {"rejected": 1}
    assert (first.repeated, again.repeated) == (False, True)
    assert (again.what, again.detail) == (first.what, first.detail)
    assert again.hint.startswith(first.hint)
    assert "with a new id" in again.hint
    file = tmp_path / "again.ndjson"
    file.write_text(json.dumps(early))
    assert "rejected again: there is no order anew-1" in _cli(shop, "publish", str(file))
    (told,) = json.loads(_cli(shop, "publish", str(file), "--json"))["outcomes"]
    assert (told["outcome"], told["repeated"]) == ("rejected", True)
    shop.accepted(early | {"id": f"{early['id']}-anew"})
    assert shop.order("anew-1")["status"] == "cancelled"


def test_an_id_with_another_body_is_refused(shop: Shop) -> None:
    shop.accepted(command("ReceiveStock", channel="wms", id="reused", sku="re-a", location_id="WH1", quantity=1))
    for data in ({"sku": "re-a", "quantity": 2}, {"sku": "re-b", "quantity": 1}):  # the same stream, another one
        report = shop.publish(command("ReceiveStock", channel="wms", id="reused", location_id="WH1", **data))
        (outcome,) = report.outcomes
        assert outcome.outcome == "rejected"
        assert "with another body" in outcome.detail
    shop.settle()
    assert shop.stock("re-a", "WH1")["on_hand"] == 1


def test_every_bad_line_says_what_is_wrong_and_the_good_ones_around_it_go_through(shop: Shop) -> None:
    good = [json.dumps(receive("bad", "WH1", 1)).encode() for _ in range(6)]
    missing = receive("bad", "WH1", 1)
    del missing["data"]["quantity"]
    unknown_field = receive("bad", "WH1", 1) | {"colour": "red"}
    bad = [
        b"this is not JSON",
        json.dumps(command("FlyToTheMoon", sku="bad")).encode(),
        json.dumps(receive("bad", "WH1", -1)).encode(),
        json.dumps(missing).encode(),
        json.dumps(receive("bad", "WH1", 1) | {"channel": "x" * 10_000_000}).encode(),
        json.dumps(unknown_field).encode(),
        json.dumps(receive("bad", "WH1", 1) | {"occurred_at": "2026-11-27T18:00:00"}).encode(),
        json.dumps(receive("b\0d", "WH1", 1)).encode(),
        b"\xff\xfe",
        json.dumps(command("ShipStock", channel="order-ledger", sku="bad")).encode(),
        json.dumps(receive("bad", "WH1", 1) | {"occurred_at": "0001-01-01T00:00:00+14:00"}).encode(),
    ]
    lines = [line for pair in zip(bad[:5], good[:5], strict=True) for line in pair] + bad[5:] + good[5:]

    report = shop.publish_bytes(lines)

    assert report.counts == {"accepted": len(good), "rejected": len(bad)}
    said = {outcome.line: outcome for outcome in report.outcomes}
    assert "not JSON" in said[1].what
    assert "not known" in said[3].what
    assert said[5].detail.startswith("data.quantity is -1: ")
    assert said[7].detail == "data.quantity is missing"
    assert "too large" in said[9].what
    assert all(outcome.hint for outcome in report.outcomes)
    shop.settle()
    assert shop.stock("bad", "WH1")["on_hand"] == len(good)


def test_avro_straight_to_kafka(shop: Shop) -> None:
    """Good records are decided; the unreadable are set aside with a reason; a foreign partitioner's forwarded."""
    codec = Codec()

    def record(sku: str, quantity: int, channel: str = "avro") -> bytes:
        return parse(json.dumps(receive(sku, "WH1", quantity) | {"channel": channel}).encode()).encode(codec)

    negative = codec.encode(
        COMMANDS["ReceiveStock"].schema,
        {
            "id": "negative",
            "channel": "avro",
            "actor": None,
            "occurred_at": datetime(2026, 11, 27, tzinfo=UTC),
            "expected_version": None,
            "correlation_id": None,
            "causation_id": None,
            "data": {"sku": "avro", "location_id": "WH1", "quantity": -1, "purchase_order": None},
        },
    )

    def expected(command_id: str, expected_at: Any, occurred_at: Any) -> bytes:
        envelope = dict.fromkeys(("actor", "expected_version", "correlation_id", "causation_id"))
        data = {"sku": "avro", "location_id": "WH1", "purchase_order": "P", "quantity": 1, "expected_at": expected_at}
        around = {"id": command_id, "channel": "avro", "occurred_at": occurred_at, **envelope}
        return codec.encode(COMMANDS["ExpectStock"].schema, {**around, "data": data})

    now = datetime(2026, 11, 27, tzinfo=UTC)
    topic = shop.env.services.topic("intake.stock")
    home = murmur2_partition(b"avro", shop.env.settings.partitions)
    foreign = (home + 1) % shop.env.settings.partitions
    sender = producer(shop.env.services)
    good = record("avro", 1)
    for value, partition in [
        (record("avro", 1), home),
        (b"\x00\x00\x00\xff\xff" + good[5:], home),  # an unknown schema id
        (good[:-3], home),  # truncated
        (good + b"\x00", home),
        (b"hello", home),
        (negative, home),
        (expected("late", 2**63 - 1, now), home),
        (expected("early", -(2**63), now), home),
        (expected("never asked", now, TIME_MIN - timedelta(microseconds=1)), home),
        (expected("", now, now), home),
        (record("avro", 1, channel="crc32"), foreign),
        (record("avro", 1), home),
    ]:
        sender.produce(topic, value, b"avro", partition)
    assert sender.flush(30) == 0
    shop.settle()

    assert shop.stock("avro", "WH1")["on_hand"] == 3
    refused = shop.connection.execute("SELECT code, detail FROM answers WHERE command_id = 'negative'").fetchall()
    assert refused == [("invalid", refused[0][1])]
    assert refused[0][1].startswith("data.quantity is -1: ")
    told = dict(shop.connection.execute("SELECT command_id, detail FROM answers WHERE code = 'invalid'").fetchall())
    for command_id, beginning in {
        "late": "data.expected_at is 9999-12-31",
        "early": "data.expected_at is 0001-01-01",
        "never asked": "occurred_at is 1899-12-31",
        "\N{REPLACEMENT CHARACTER}": 'id is "": expected a text of 1 to 200',
    }.items():
        assert told[command_id].startswith(beginning)
    letters = json.loads(_cli(shop, "dead-letters", "list", "--json"))
    reasons = sorted(letter["reason"] for letter in letters["rows"])
    assert reasons == ["bad_avro", "no_frame", "trailing_bytes", "unknown_schema"]
    assert shop.verify().equal


def test_times_at_the_ends_of_their_bounds_go_through_everything(shop: Shop) -> None:
    """Placed, promised, waiting, on its way and counted in the first and in the last year that a command may say."""
    for year, moment, promise in [
        ("first", "1900-01-01T00:00:00Z", "1900-01-01"),
        ("last", "9000-12-31T23:59:59.999999Z", "9000-12-31"),
    ]:
        order = place(f"ends-{year}", (f"ends-{year}", 2), (f"ends-{year}-none", 1))
        order["data"]["promised_by"] = promise
        for line in order["data"]["lines"]:
            line["cancel_after"] = moment
        later = place(f"ends-{year}-later", (f"ends-{year}", 1))
        later["data"]["release_at"] = moment
        sku = {"sku": f"ends-{year}", "location_id": "WH1"}
        parcel = dispatch(f"ends-{year}", "S1", "WH1", ("1", 1))
        parcel["data"]["expected_at"] = moment
        commands = [
            receive(f"ends-{year}", "WH1", 9),
            command("ExpectStock", **sku, purchase_order="P", quantity=5, expected_at=moment),
            order,
            later,
            parcel,
            command("RecordTracking", order_id=f"ends-{year}", shipment_id="S1", status="delivered"),
            command("CountStock", **sku, counted=8, counted_at=moment),
        ]
        report = shop.publish(*(one | {"occurred_at": moment} for one in commands))
        assert set(report.counts) <= {"accepted", "rejected"}, report.outcomes
        assert report.counts["accepted"] >= len(commands) - 1  # a count as of the very first day is too old
        shop.settle()
    assert not [letter for letter in _letters(shop) if letter["reason"] == "rule_raised"]
    assert shop.verify().equal


def _letters(shop: Shop) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = json.loads(_cli(shop, "dead-letters", "list", "--json"))["rows"]
    return letters


def test_what_is_impossible_is_refused_with_the_number_that_would_have_been_accepted(shop: Shop) -> None:
    shop.accepted(receive("imp", "WH1", 5))
    shop.accepted(place("imp-1", ("imp", 3)))
    report = shop.publish(
        dispatch("imp-1", "S1", "WH1", ("1", 4)),
        command("CancelOrder", order_id="nobody", reason="x"),
        command("RecordReturnTracking", order_id="imp-1", return_id="R9", status="delivered"),
        command("IssueRefund", order_id="imp-1", amount_minor=3_001, reason="x"),
    )
    details = [outcome.detail for outcome in report.outcomes]
    assert "at most 3" in details[0]
    assert "at most 3000" in details[3]
    assert report.counts == {"rejected": 4}
    shop.settle()
    assert json.loads(_cli(shop, "rejections", "list", "--json"))["rows"]


def test_stock_at_a_slip_of_the_pen_is_named_by_doctor_and_promised_when_it_is_registered(shop: Shop) -> None:
    shop.opened.add("SLIP")  # this test registers it itself
    shop.accepted(receive("slip", "SLIP", 3), place("slip-1", ("slip", 2)))
    stock = shop.stock("slip", "SLIP")
    assert (stock["on_hand"], stock["registered"], stock["sellable"], stock["reserved"]) == (3, False, 0, 0)
    assert shop.line("slip-1")["backordered"] == 2
    hold = command("ReserveStock", sku="slip", location_id="SLIP", quantity=1, order_id="s", line_id="1", attempt=1)
    (outcome,) = shop.publish(hold).outcomes
    assert outcome.detail == "location SLIP is not known to be registered: at most 0"
    (named,) = [one for one in examine(shop.env.settings) if one.name == "locations" and "SLIP" in one.what]
    assert named.verdict == "warn"
    assert named.detail.startswith("3 units on hand and 0 on their way, of 1 SKUs; first seen ")
    shop.accepted(*open_places("SLIP"))
    assert shop.line("slip-1")["locations"] == {"SLIP": 2}
    assert (shop.stock("slip", "SLIP")["registered"], shop.stock("slip", "SLIP")["sellable"]) == (True, 1)
    assert not [one for one in examine(shop.env.settings) if "SLIP" in one.what]


def test_a_channel_that_asks_for_a_hold_learns_at_once_that_there_is_not_enough(shop: Shop) -> None:
    shop.accepted(receive("till", "WH1", 2))

    def hold(order_id: str) -> dict[str, Any]:
        return command(
            "ReserveStock", sku="till", location_id="WH1", quantity=2, order_id=order_id, line_id="1", attempt=1
        )

    report = shop.publish(hold("till-1"), hold("till-2"))
    assert report.counts == {"accepted": 1, "rejected": 1}
    (outcome,) = report.outcomes
    assert outcome.what == "no till was reserved"
    assert "at most 0" in outcome.detail
    shop.settle()
    assert shop.verify().equal


def test_the_commands_of_the_command_line(shop: Shop, tmp_path: Path) -> None:
    """The JSON of the contract, through the real program."""
    file = tmp_path / "commands.ndjson"
    file.write_text(
        "\n".join(
            json.dumps(c) for c in [receive("cli", "WH1", 2), place("cli-1", ("cli", 1)), receive("cli", "WH1", -1)]
        )
    )
    published = json.loads(_cli(shop, "publish", str(file), "--json"))
    assert (published["accepted"], published["duplicate"], published["rejected"], published["dead"]) == (2, 0, 1, 0)
    assert published["outcomes"][0]["line"] == 3
    unknown = json.dumps(command("CancelOrder", order_id="nobody-knows", reason="x"))
    sent = json.loads(_cli(shop, "publish", "-", "--no-wait", "--json", given=f"{unknown}\nnonsense\n"))
    assert (sent["sent"], sent["rejected"]) == (1, 1)  # of what was not waited for no decision is known
    assert not {"accepted", "duplicate", "dead"} & set(sent)
    settled = json.loads(_cli(shop, "settle", "--timeout", "60", "--json"))
    assert settled["settled"] is True
    assert settled["in_flight"] == 0
    order = json.loads(_cli(shop, "order", "cli-1", "--json"))
    assert order["status"] == "allocated"
    assert order["lines"][0]["locations"] == {"WH1": 1}
    (row,) = json.loads(_cli(shop, "inventory", "--sku", "cli", "--json"))["rows"]
    assert (row["on_hand"], row["available"], row["reserved"]) == (2, 1, 1)
    assert list(json.loads(_cli(shop, "kpi", "--json"))["kpis"]) == list(DEFINITIONS)
    assert "ordered 1 × cli" in _cli(shop, "story", "cli-1")
    verified = json.loads(_cli(shop, "verify", "--json"))
    assert verified["equal"] is True
    assert verified["first_difference"] is None


def test_verify_names_the_first_difference(shop: Shop) -> None:
    shop.accepted(receive("diff", "WH1", 2))
    shop.connection.execute("UPDATE inventory SET on_hand = on_hand + 1 WHERE sku = 'diff'")
    try:
        report = shop.verify()
        assert not report.equal
        assert report.first_difference is not None
        assert report.first_difference.table == "inventory"
        done = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "verify", "--json"],
            env=shop.env.env,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        assert json.loads(done.stdout)["first_difference"]["table"] == "inventory"
    finally:
        shop.connection.execute("UPDATE inventory SET on_hand = on_hand - 1 WHERE sku = 'diff'")
    assert shop.verify().equal


def _cli(shop: Shop, *arguments: str, given: str = "") -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments],
        env=shop.env.env,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
