"""`verify`, `dead-letters` and `doctor` as a person uses them, on real services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from typer.testing import CliRunner

from events.catalogue import DEAD_LETTERS, INTAKE_TOPICS, LEDGER_TOPICS
from gateway.cli import app
from gateway.cli.verification import shown_by
from gateway.operating.dead_letters import hexdump, read_letters
from processors import slow_paths
from processors.dead_letters import Place, to_dead_letter
from processors.slow_paths import Miss
from processors.topics import ensure_topics
from runtime.kafka import admin, consumer, end_offsets, producer
from runtime.postgres import connect
from runtime.progress import Bar
from runtime.settings import Settings
from tests.support.chain import BEGINNING, ChainLog, FactRecord
from tests.support.projecting import project


class Cli:
    """The three commands, in the environment of one test."""

    def __init__(self, env: Any) -> None:
        self.services = env.services

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments))

    def json(self, *arguments: str, status: int = 0) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == status, (result.output, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return json.loads(result.stdout)


@pytest.fixture
def cli(ledger_env: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    for name, value in ledger_env.env.items():
        if name.startswith("ORDER_LEDGER_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDER_LEDGER_PARTITIONS", "2")
    return Cli(ledger_env)


@pytest.fixture
def topics(cli: Cli) -> Cli:
    ensure_topics(cli.services, Settings())
    return cli


class Headed(FactRecord):
    """A record with headers of its own."""

    def headers(self) -> list[tuple[str, bytes | None]]:
        return self.own  # type: ignore[attr-defined]


def bury(cli: Cli, record: FactRecord, reason: str = "bad_avro", times: int = 1) -> None:
    sender = producer(cli.services)
    for _ in range(times):
        key, value, headers = to_dead_letter(record, reason, "bytes that no contract knows", at=BEGINNING)
        sender.produce(cli.services.topic(DEAD_LETTERS), key=key, value=value, headers=headers)
    assert sender.flush(30) == 0


def dead(cli: Cli, offset: int, value: bytes | None = b"\x00garbage", topic: str = "intake.orders") -> Headed:
    record = Headed(cli.services.topic(topic), 1, offset, b"order-1", value)
    record.own = [("traceparent", b"00-1")]  # type: ignore[attr-defined]
    return record


def read_back(cli: Cli, topic: str) -> list[Any]:
    full = cli.services.topic(topic)
    ends = end_offsets(cli.services, [full])
    reader = consumer(cli.services, "test")
    try:
        reader.assign([TopicPartition(full, number, OFFSET_BEGINNING) for _, number in ends])
        return [reader.poll(20) for _ in range(sum(ends.values()))]
    finally:
        reader.close()


def test_a_dead_letter_is_listed_once_shown_and_sent_again_as_it_was(topics: Cli) -> None:
    cli = topics
    place = f"{cli.services.topic('intake.orders')}/1/17"
    bury(cli, dead(cli, 17), times=3)
    listed = cli.json("dead-letters", "list")
    assert listed["open_by_reason"] == {"bad_avro": 1}
    (letter,) = listed["rows"]
    assert (letter["source"], letter["count"], letter["open"]) == (place, 3, True)

    shown = cli.json("dead-letters", "show", place)
    assert bytes.fromhex(shown["hex"]) == b"\x00garbage"
    assert shown["headers"]["original.traceparent"] == "00-1"
    assert shown["decoded"]["error"] == "unknown_schema"
    text = cli.run("dead-letters", "show", place).stdout
    assert "00 67 61 72 62 61 67 65" in text
    assert ".garbage" in text

    (outcome,) = cli.json("dead-letters", "retry", "--all")["outcomes"]
    assert outcome["outcome"] == "sent"
    (sent,) = read_back(cli, "intake.orders")
    assert (sent.key(), sent.value()) == (b"order-1", b"\x00garbage")
    assert dict(sent.headers()) == {"traceparent": b"00-1", "retry_of": place.encode()}
    assert outcome["to"] == f"{sent.topic()}/{sent.partition()}/{sent.offset()}"

    # It is noted, so that all are not sent again and again; one that is named is.
    assert cli.json("dead-letters", "list")["open_by_reason"] == {}
    assert cli.json("dead-letters", "retry", "--all")["outcomes"] == []
    assert cli.json("dead-letters", "retry", place)["outcomes"][0]["outcome"] == "sent"

    # The record that was sent again dies again: the same letter, open again, sent once more from there.
    again = dead(cli, sent.offset())
    again.partition_number = sent.partition()
    again.own = sent.headers()  # type: ignore[attr-defined]
    bury(cli, again)
    (letter,) = cli.json("dead-letters", "list")["rows"]
    assert (letter["source"], letter["open"], letter["found_again_at"]) == (place, True, [outcome["to"]])
    (outcome,) = cli.json("dead-letters", "retry", "--all")["outcomes"]
    assert dict(read_back(cli, "intake.orders")[-1].headers())["retry_of"] == place.encode()
    assert cli.json("dead-letters", "list")["open_by_reason"] == {}


def test_facts_are_never_sent_again_because_the_ledger_alone_writes_them(topics: Cli) -> None:
    bury(topics, dead(topics, 3, topic="ledger.orders"), reason="unknown_schema")
    (outcome,) = topics.json("dead-letters", "retry", "--all", status=1)["outcomes"]
    assert outcome["outcome"] == "refused"
    assert sum(end_offsets(topics.services, [topics.services.topic("ledger.orders")]).values()) == 0


def test_what_can_be_read_of_a_letter_is_shown_decoded(topics: Cli) -> None:
    record = ChainLog().decide("MUG", ("StockReceived", {"sku": "MUG", "location_id": "WH1", "quantity": 5}))[0]
    bury(topics, dead(topics, 1, record.value_bytes), reason="wrong_topic")
    bury(topics, dead(topics, 2, b'{"command": "PlaceOrder"}'), reason="no_frame")
    bury(topics, dead(topics, 4, None), reason="no_frame")
    prefix = topics.services.topic("intake.orders/1/")
    assert topics.json("dead-letters", "show", prefix + "1")["decoded"]["record"]["data"]["quantity"] == 5
    assert topics.json("dead-letters", "show", prefix + "2")["decoded"]["json"] == {"command": "PlaceOrder"}
    assert topics.json("dead-letters", "show", prefix + "4")["bytes"] == 0
    missing = topics.run("dead-letters", "show", prefix + "9")
    assert missing.exit_code == 1
    assert "no dead letter" in missing.stderr
    assert "topic/partition/offset" in topics.run("dead-letters", "show", "nonsense").stderr
    assert topics.run("dead-letters", "retry").exit_code == 1


def test_without_a_topic_there_are_no_letters(cli: Cli) -> None:
    assert cli.json("dead-letters", "list") == {"rows": [], "total": 0, "open_by_reason": {}}


def test_a_record_in_dead_letters_that_somebody_else_put_there_is_shown_by_its_own_place(topics: Cli) -> None:
    sender = producer(topics.services)
    sender.produce(topics.services.topic(DEAD_LETTERS), value=b"?", partition=0)
    assert sender.flush(30) == 0
    (letter,) = read_letters(topics.services)
    assert letter.first_place == Place(topics.services.topic(DEAD_LETTERS), 0, 0)


def test_long_values_are_dumped_in_part() -> None:
    lines = list(hexdump(bytes(range(256)) * 20))
    assert lines[0].startswith("00000000  00 01 02")
    assert lines[-1].endswith("3,072 bytes more")


def test_verify_prints_one_document_and_fails_when_a_row_is_wrong(topics: Cli) -> None:
    log = ChainLog("ledger.stock")
    log.decide("MUG", ("StockReceived", {"sku": "MUG", "location_id": "WH1", "quantity": 5}))
    sender = producer(topics.services)
    sender.produce(topics.services.topic("ledger.stock"), value=log.records[0].value_bytes, partition=0)
    assert sender.flush(30) == 0
    project(topics.services)
    document = topics.json("verify")
    assert document["equal"] is True
    assert document["tables"]["inventory"] == 1
    assert document["offsets"]["ledger.stock/0"] == 1
    assert document["first_difference"] is None
    assert "equal" in topics.run("verify").stdout

    with connect(topics.services, "test") as connection:
        connection.execute("UPDATE inventory SET on_hand = 6")
    document = topics.json("verify", status=1)
    assert document["first_difference"] == {
        "table": "inventory", "key": ["MUG", "WH1"], "column": "on_hand", "expected": 5, "found": 6,
    }  # fmt: skip
    assert "NOT EQUAL" in topics.run("verify").stdout


def test_the_progress_of_verify_counts_records_of_the_log_and_rows_of_a_table() -> None:
    """Seen: rows of tables, called facts, at the rate of the log before them."""
    bar = Bar("reading the log", None, "records")
    show = shown_by(bar)
    show("reading the log", 628, 628, "records")
    assert bar.known() == "628 of 628 records"
    show("comparing order_status", 10, 40, "rows")
    assert (bar.title, bar.known()) == ("comparing order_status", "10 of 40 rows")


def topic_details(result: Any) -> list[str]:
    return [check["detail"] for check in json.loads(result.stdout)["checks"] if check["name"] == "topics"]


def verdicts(document: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for check in document["checks"]:
        found.setdefault(check["name"], set()).add(check["verdict"])
    return found


def test_the_doctor_finds_a_fresh_ledger_well(topics: Cli) -> None:
    project(topics.services)
    document = topics.json("doctor", status=1)
    assert document["healthy"] is False
    found = verdicts(document)
    assert (
        found["kafka"] == found["postgres"] == found["topics"] == found["projector"] == found["dead-letters"] == {"ok"}
    )
    assert found["compiled"] == found["slow-paths"] == found["tracking"] == {"ok"}
    assert found["workers"] == {"fail"}  # nothing is behind, but what comes would wait
    text = topics.run("doctor").stdout
    assert "order-ledger run --only ledger" in text
    assert [line for line in text.splitlines() if line.startswith("fail") and "No worker runs" not in line] == []
    assert "7 topics of 2 partitions" in text


def test_the_doctor_names_what_is_wrong_and_what_to_do(topics: Cli) -> None:
    services = topics.services
    project(services)
    bury(topics, dead(topics, 1))
    with connect(services, "test") as connection:
        connection.execute(
            "INSERT INTO skipped_facts VALUES ('projector', 'ledger.orders', 0, 'gap_or_other_rules', 3, 9)"
        )
        for count in (60, 4):  # of two processes
            slow_paths.add(connection, "projector", {Miss("decode", "refused", "OrderPlaced v2"): count})
        slow_paths.add(connection, "reactions", {Miss("route", "not_proved", "sourcing"): 2})
        slow_paths.add(connection, "ledger", {Miss("of_another", "build", "x"): 1})
        connection.execute(
            "CREATE TABLE forwarded_commands (channel text, topic text, count bigint, last_at timestamptz);"
            "INSERT INTO forwarded_commands VALUES ('till', 'intake.orders', 4, now())"
        )
        connection.execute(
            "INSERT INTO deferred_tracking (order_id, number, ends_at, ended, ended_at) VALUES"
            " ('o-1', 1, '2026-12-04', NULL, NULL), ('o-2', 1, now(), 'expired', now())"
        )
        connection.execute("UPDATE projector_positions SET next_offset = 7 WHERE topic = 'ledger.stock'")
        connection.execute("UPDATE projector_positions SET topic_id = 'another' WHERE topic = 'ledger.orders'")
    document = topics.json("doctor", status=1)
    found = verdicts(document)
    assert found["dead-letters"] == found["skipped"] == found["forwarded"] == {"warn"}
    assert [(check["verdict"], check["what"]) for check in document["checks"] if check["name"] == "slow-paths"] == [
        ("warn", "ledger: 1 of x: of_another build"),
        ("warn", "projector: 64 facts were decoded one by one: polars cannot decode OrderPlaced v2 in columns"),
        ("ok", "reactions: 2 plans of sourcing are good, but not proved to be the best"),
    ]
    assert [(check["what"], check["detail"][:33]) for check in document["checks"] if check["name"] == "tracking"] == [
        ("1 scans waited too long for the dispatch of their parcel", "the newest are of orders o-2; the"),
        ("1 scans wait for the dispatch of their parcel", "the first until 2026-12-04 00:00 "),
    ]
    assert found["projector"] == {"fail"}
    hints = {check["name"]: check["hint"] for check in document["checks"]}
    assert "murmur2_random" in hints["forwarded"]
    assert all(check["hint"] for check in document["checks"] if check["verdict"] != "ok")


def test_a_warning_of_the_past_ages_and_can_be_acknowledged_until_more_comes(topics: Cli) -> None:
    """Seen: `doctor` warned of wrong partitions long after the sender was mended."""
    services = topics.services
    log = ChainLog()
    log.decide("o-1", ("StockReceived", {"sku": "MUG", "location_id": "WH1", "quantity": 5}))
    old_ms = int((datetime.now(UTC) - timedelta(days=8)).timestamp() * 1000)
    sender = producer(services)
    for partition, written in ((0, {"timestamp": old_ms}), (1, {})):
        value = log.records[0].value_bytes
        sender.produce(services.topic("ledger.orders"), value=value, partition=partition, **written)
    assert sender.flush(30) == 0
    project(services)
    with connect(services, "test", autocommit=True) as connection:
        connection.execute("DELETE FROM skipped_facts")
        connection.execute(
            "INSERT INTO skipped_facts VALUES ('projector', 'ledger.orders', 0, 'gap_or_other_rules', 3, 0)"
        )
        connection.execute(
            "CREATE TABLE forwarded_commands (channel text, topic text, count bigint, last_at timestamptz)"
        )
        connection.execute(
            "INSERT INTO forwarded_commands VALUES ('till', 'intake.orders', 4, now()),"
            " ('old-till', 'intake.orders', 9, now() - interval '8 days')"
        )

        def warned() -> set[str]:
            checks = topics.json("doctor", status=1)["checks"]
            return {check["subject"] for check in checks if check["verdict"] == "warn"}

        assert warned() == {"forwarded till intake.orders"}
        noted = topics.run("doctor", "--acknowledge", "--why", "its producer was mended")
        assert "1 warnings acknowledged" in noted.stderr
        assert "its producer was mended" in noted.stdout
        assert warned() == set()

        connection.execute("UPDATE forwarded_commands SET count = 5 WHERE channel = 'till'")
        connection.execute("UPDATE skipped_facts SET partition = 1")
        assert warned() == {"forwarded till intake.orders", "skipped projector gap_or_other_rules"}
    assert topics.run("doctor", "--why", "x").exit_code == 1


def test_the_doctor_sees_other_partitions_other_settings_and_missing_topics(
    topics: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = topics.services.topic("ledger.orders")
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    client = admin(topics.services)  # named: a client that is collected takes its unanswered requests with it
    for answer in client.incremental_alter_configs([change]).values():
        answer.result()
    for _ in range(50):  # the broker answers before all of it knows
        details = topic_details(topics.run("doctor", "--json"))
        if details != [""]:
            break
    assert details == [f"{name}: retention.ms is 1000, not -1"]

    monkeypatch.setenv("ORDER_LEDGER_PARTITIONS", "3")
    details = topic_details(topics.run("doctor", "--json"))
    assert f"{name} has 2, 3 are configured" in details[0]

    monkeypatch.setenv("ORDER_LEDGER_TOPIC_PREFIX", "nobody.")
    details = topic_details(topics.run("doctor", "--json"))
    assert all(f"nobody.{topic}" in details[0] for topic in (*INTAKE_TOPICS, *LEDGER_TOPICS))


def test_the_doctor_speaks_when_nothing_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("KAFKA", "POSTGRES"):
        monkeypatch.delenv(f"ORDER_LEDGER_{name}", raising=False)
    monkeypatch.setenv("ORDER_LEDGER_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    assert verdicts(json.loads(result.stdout))["kafka"] == {"fail"}
    assert "order-ledger up" in CliRunner().invoke(app, ["doctor"]).stdout
    assert "services are not up" in CliRunner().invoke(app, ["verify"]).stderr
