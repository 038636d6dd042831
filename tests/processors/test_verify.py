"""`verify` tells one story from the log, the projector another; they are compared on every kind of fact and fault.

The facts are made at random from small pools, so that orders, lines, places and parcels meet. Folds take what facts say
and know no rules, so facts that no decider would write together are the harder test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.catalogue import FACTS, LEDGER_TOPICS
from processors.projector.generations import live_schema
from processors.projector.span import end_offsets_of
from processors.verify import Report, verify
from processors.verify.stock import Stocks
from projections.catalogue import PROJECTIONS
from runtime.errors import Fault
from runtime.kafka import TopicSpec, create_topics, producer
from runtime.postgres import connect
from runtime.services import Services
from schemas.codec import Codec
from schemas.contracts import FACT_NAMESPACE, newest
from tests.support.chain import BEGINNING, ChainLog
from tests.support.projecting import project

PARTITIONS = 2
#: Facts that a stream has once, first.
BEGINNINGS = ("OrderPlaced", "CaseOpened")
WORDS: dict[str, tuple[Any, ...]] = {
    "line_id": ("1", "2", "3"),
    "sku": ("MUG", "CUP"),
    "location_id": ("WH1", "WH2", ""),
    "shipment_id": ("S1", "S2"),
    "return_id": ("R1", "R2"),
    "hold": ("payment", "customer"),
    "by": ("customer", "seller"),
    "status": ("in_transit", "lost", "delivered"),
    "disposition": ("restock", "damaged", "dispose", "inspect"),
    "quantity": (1, 2, 3),
    "attempt": (1, 2),
}


_ON_THEIR_WAY = frozenset(
    {"StockExpected", "TransferStarted", "TransferReceived", "TransferAmended", "TransferDiffered", "ReceiptOverdue"}
)


class Facts:
    """Random data of any fact, by its contract; texts hold what is awkward in JSON, CSV and PostgreSQL."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.expected: dict[tuple[str | None, ...], tuple[int, Any, bool]] = {}
        self.asked: set[tuple[str, ...]] = set()

    def follow(self, data: dict[str, Any], name: str) -> dict[str, Any]:
        """What a fact says of goods on their way, or of a count, follows from what was said of them before; {} where
        nothing was.
        """
        if name in {"CountApprovalRequested", "CountRejected", "StockCounted"}:
            return self._follow_count(data, name)
        if name not in _ON_THEIR_WAY:
            return data
        reference = (data.get("transfer_id"), data.get("purchase_order"))
        key = (data["sku"], *reference, data.get("to_location_id", data.get("location_id")))
        quantity, expected_at, overdue = self.expected.get(key, (0, None, False))
        match name:
            case "StockExpected":
                data = {**data, "quantity_before": quantity}
                quantity, expected_at, overdue = data["quantity"], data["expected_at"], data["overdue"]
            case "TransferStarted":
                quantity, expected_at, overdue = data["quantity"], data["expected_at"], False
            case "TransferReceived":
                quantity -= data["quantity"]
                data = {**data, "left": quantity, "expected_at": expected_at, "overdue": overdue}
            case "TransferAmended":
                overdue = overdue and expected_at == data["expected_at"]
                expected_at = data["expected_at"]
                data = {**data, "left": quantity, "overdue": overdue}
            case "TransferDiffered":
                data, quantity, expected_at, overdue = {**data, "missing": quantity}, 0, None, False
            case "ReceiptOverdue" if expected_at is None:
                return {}
            case "ReceiptOverdue":
                data, overdue = {**data, "quantity": quantity, "expected_at": expected_at}, True
        self.expected[key] = quantity, expected_at, overdue
        return data

    def _follow_count(self, data: dict[str, Any], name: str) -> dict[str, Any]:
        key = (data["sku"], data["location_id"], data["count_id"])
        if name == "CountApprovalRequested":
            self.asked.add(key)
        elif key not in self.asked:
            return {**data, "count_id": None} if name == "StockCounted" else {}
        return data

    def data(self, name: str, **fixed: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.value(newest(f"{FACT_NAMESPACE}.{name}").schema["fields"][-1]["type"], name)
        return {**made, **fixed}

    def value(self, schema: Any, name: str) -> Any:
        pick = self.random
        if isinstance(schema, list):
            return None if pick.random() < 0.4 else self.value(schema[1], name)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if kind == "record":
            return {field["name"]: self.value(field["type"], field["name"]) for field in schema["fields"]}
        if kind == "array":
            return [self.value(schema["items"], name) for _ in range(pick.randrange(3))]
        if name in WORDS:
            return pick.choice(WORDS[name])
        if isinstance(schema, dict):
            return BEGINNING + timedelta(microseconds=pick.randrange(10**12))
        values = {
            "string": ("x", "", 'a "b", c', "é\n\\N", "nul\x00", "{}"),
            "long": (0, 1, 5, 10**12),
            "double": (0.0, -5.0, 1.1, 1e-7),
            "boolean": (True, False),
        }
        return pick.choice(values[kind])


def random_logs(seed: int, decisions: int) -> list[ChainLog]:
    """A partition of each topic, with facts of every kind and some refusals; the second partitions hold only a few."""
    facts = Facts(seed)
    pick = facts.random
    logs = []
    for topic in LEDGER_TOPICS:
        names = [name for name, row in FACTS.items() if row.topic == topic and name not in BEGINNINGS]
        for partition in range(PARTITIONS):
            log = ChainLog(topic, partition)
            streams = [f"{topic}-{partition}-{number}" for number in range(4)]
            if topic == "ledger.orders":
                log.decide(streams[0], ("CommandRefused", facts.data("CommandRefused")))
            for name in BEGINNINGS:
                for stream in streams[:-1] if FACTS[name].topic == topic else ():
                    log.decide(stream, (name, _in_stream(facts.data(name), name, stream)))
            if topic == "ledger.stock":
                _reserve_everywhere(log, facts, streams)
            for number in range(decisions if partition == 0 else 9):
                stream = pick.choice(streams[:-1])
                chosen = [names[number % len(names)], *pick.choices(names, k=pick.choice((0, 0, 2)))]
                if pick.random() < 0.1:
                    chosen, stream = ["CommandRefused"], pick.choice(streams)
                made = [(name, facts.follow(_in_stream(facts.data(name), name, stream), name)) for name in chosen]
                told = [one for one in made if one[1]]
                channel, seconds = pick.choice(("web", "order-ledger")), pick.randrange(-500, 500)
                if told:
                    log.decide(stream, *told, channel=channel, occurred_at=BEGINNING + timedelta(seconds=seconds))
            logs.append(log)
    return logs


def _reserve_everywhere(log: ChainLog, facts: Facts, streams: list[str]) -> None:
    # A hold is there before anything is let go of it: a release that comes first leaves a tombstone.
    for stream in streams:
        for line_id in WORDS["line_id"]:
            for location_id in WORDS["location_id"]:
                data = facts.data("StockReserved", line_id=line_id, location_id=location_id, attempt=1)
                log.decide(stream, ("StockReserved", _in_stream(data, "StockReserved", stream)))


def _in_stream(data: dict[str, Any], name: str, stream: str) -> dict[str, Any]:
    fixed = {FACTS[name].key: stream} if name in FACTS else {}
    if "attempt" in data and fixed.get("sku"):
        fixed["order_id"] = "order-1"
        if name == "StockReserved":  # the first attempt's holds expire, the second's do not
            fixed["expires_at"] = BEGINNING if data["attempt"] == 1 else None
    if name == "StockShipped":
        fixed["order_id"] = "order-1"
    if name == "ReceiptOverdue":  # of a purchase order or of a transfer
        fixed["purchase_order"] = "PO-1" if data["transfer_id"] is None else None
    return {**data, **fixed}


def write(services: Services, logs: list[ChainLog]) -> None:
    sender = producer(services)
    for log in logs:
        for record in log.records:
            sender.produce(
                services.topic(log.topic), partition=log.partition, key=record.key_bytes, value=record.value_bytes
            )
    assert sender.flush(30) == 0


@pytest.fixture
def ledger(ledger_env: Any) -> Iterator[Services]:
    """Empty ledger topics."""
    services = ledger_env.services
    create_topics(services, [TopicSpec(services.topic(topic), PARTITIONS) for topic in LEDGER_TOPICS])
    return services


def check(services: Services) -> Report:
    return verify(services, Codec())


def change(services: Services, statement: str) -> int:
    """Spoil the live tables themselves, not the views of them."""
    with connect(services, "test") as connection:
        connection.execute(f"SET LOCAL search_path TO {live_schema(connection)}, public".encode())
        return connection.execute(statement.encode()).rowcount


def test_every_table_of_the_projector_is_what_the_log_says(ledger: Services) -> None:
    write(ledger, random_logs(seed=1, decisions=400))
    project(ledger)
    report = check(ledger)
    assert report.first_difference is None
    assert set(report.tables) == {table.name for one in PROJECTIONS.values() for table in one.tables}
    # No table was left empty by the random facts: each was really compared.
    assert min(report.tables.values()) > 0, report.tables
    assert report.offsets.keys() == {f"{topic}/{number}" for topic in LEDGER_TOPICS for number in range(PARTITIONS)}
    assert report.skipped == {}

    # A projector that goes on while verify reads changes nothing: the offsets and the tables are of one moment.
    more = random_logs(seed=1, decisions=420)
    write(ledger, [_after(log, ledger) for log in more])
    assert check(ledger).equal
    project(ledger)
    assert check(ledger).facts > report.facts

    first = "order_id = 'ledger.orders-0-0'"
    # From the last table that is compared to the first: what was spoilt last is what is found.
    for statement, table, column in [
        (
            "INSERT INTO kpi_counts SELECT 'X', location_id, counted_at, '1', 1, 1, 1, true FROM kpi_counts LIMIT 1",
            "kpi_counts",
            "*",
        ),
        ("ALTER TABLE locations DROP COLUMN country CASCADE", "locations", "country"),
        ("ALTER TABLE locations ADD COLUMN colour text", "locations", "colour"),
        ("UPDATE answers SET outcome = 'accepted' WHERE outcome = 'refused'", "answers", "outcome"),
        ("UPDATE inventory SET safety_stock = 1 + coalesce(safety_stock, 0)", "inventory", "safety_stock"),
        (f"INSERT INTO order_history SELECT * FROM order_history WHERE {first} AND version = 4", "order_history", "*"),
        (
            f"UPDATE order_history SET data = (data::jsonb || '{{\"more\": 1}}')::json WHERE {first} AND version = 3",
            "order_history",
            "data",
        ),
        (f"UPDATE order_history SET data = '{{}}' WHERE {first} AND version = 2", "order_history", "data"),
        (f"UPDATE order_history SET actor = 'me' WHERE {first} AND version = 1", "order_history", "actor"),
        ("DELETE FROM order_lines WHERE line_id = '2'", "order_lines", "*"),
        ("UPDATE order_status SET open = open + 1 WHERE order_id = 'ledger.orders-0-0'", "order_status", "open"),
        ("UPDATE projector_positions SET intake_offset = 1 WHERE partition = 0", "follower_positions", "intake_offset"),
    ]:
        assert change(ledger, statement) != 0, statement
        difference = check(ledger).first_difference
        assert difference is not None, statement
        assert (difference.table, difference.column) == (table, column), statement


def _after(log: ChainLog, services: Services) -> ChainLog:
    # The same seed makes the same beginning; what is new stands behind the records that are there.
    known = end_offsets_of(services)[log.topic, log.partition]
    log.records = log.records[known:]
    return log


def test_repeats_late_writers_forks_and_foreign_bytes_are_passed_over_and_told_apart(ledger: Services) -> None:
    def place(log: ChainLog, order_id: str) -> list[Any]:
        return log.decide(order_id, ("OrderPlaced", Facts(7).data("OrderPlaced", order_id=order_id)))

    log = ChainLog("ledger.orders", 0)
    first = place(log, "order-1")
    before_fork = log.last
    second = place(log, "order-2")
    log.append([record.value_bytes for record in (*first, *second)])
    fork = ChainLog("ledger.orders", 0, last=before_fork)
    fork.intake_offset = 0
    forked = place(fork, "order-3")
    forked += place(fork, "order-4")
    log.append([record.value_bytes for record in forked])
    lost = ChainLog("ledger.orders", 0, last=12345)
    lost.intake_offset = 50
    log.append(
        [
            place(lost, "order-5")[0].value_bytes,
            b"no frame",
            None,
            Codec().encode(
                "order_ledger.commands.ReleaseOrder",
                {
                    "id": "1",
                    "channel": "web",
                    "actor": None,
                    "occurred_at": BEGINNING,
                    "expected_version": None,
                    "correlation_id": None,
                    "causation_id": None,
                    "data": {"order_id": "order-1"},
                },
            ),
        ]
    )
    late = ChainLog("ledger.orders", 0, last=999)
    late.intake_offset = -1
    log.append([place(late, "order-6")[0].value_bytes])
    whole = log.encode("order-7", *(("OrderHeld", Facts(8).data("OrderHeld", order_id="order-1")) for _ in range(2)))
    log.append(whole[:1])
    write(ledger, [log])
    project(ledger)
    report = check(ledger)
    assert report.first_difference is None
    assert report.facts == 2
    assert {reason: entry["count"] for reason, entry in report.skipped["ledger.orders"].items()} == {
        "repeat": 2, "other_rules": 2, "gap": 1, "late_writer": 1, "no_frame": 2, "no_fact": 1,
    }  # fmt: skip
    assert report.skipped["ledger.orders"]["gap"]["places"] == ["ledger.orders/0/6"]
    # The decision that is not whole yet is held back by both.
    assert report.offsets["ledger.orders/0"] == len(log.records) - 1


def test_tables_of_another_log_are_no_match_but_a_fault(ledger: Services) -> None:
    with pytest.raises(Fault, match="no tables to verify"):
        check(ledger)
    project(ledger)
    assert check(ledger).equal
    change(ledger, "UPDATE projector_positions SET next_offset = 5")
    with pytest.raises(Fault, match="shorter than"):
        check(ledger)


def test_a_projection_that_verify_does_not_know_fails_it(ledger: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    project(ledger)
    known = vars(Stocks)["tables"].fget
    but_one = property(lambda self: tuple(table for table in known(self) if table.name != "locations"))
    monkeypatch.setattr(Stocks, "tables", but_one)
    report = check(ledger)
    assert not report.equal
    assert report.first_difference is not None
    assert report.first_difference.table == "locations"


def test_times_before_1970_and_after_2100_are_compared_to_the_microsecond(ledger: Services) -> None:
    log = ChainLog("ledger.orders", 0)
    for number, moment in enumerate((datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999999, UTC))):
        data = Facts(3).data("OrderPlaced", order_id=f"order-{number}", promised_by=moment, release_at=moment)
        log.decide(f"order-{number}", ("OrderPlaced", data), occurred_at=moment)
    write(ledger, [log])
    project(ledger)
    assert check(ledger).first_difference is None
