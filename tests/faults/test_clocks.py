"""Fault 11: clocks that lie. What channels' clocks say is kept, and decides nothing: the order is the log's."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

import fastavro
import pytest

from gateway.sending.commands import parse
from processors.ledger.partition import Decided, PartitionLedger
from processors.projector.span import end_offsets_of, fold_span
from runtime.kafka import murmur2_partition
from schemas.codec import Codec
from tests.faults.ground import Ground, load, open_ground
from tests.support.oracle import Chain, contracts
from tests.support.raw import INTAKE, LEDGER, Raw, read_topics, rows_of, table_names, write
from tests.support.shop import command, place, receive

pytestmark = [pytest.mark.faults]

LEDGER_OF = dict(zip(INTAKE, LEDGER, strict=True))
CODEC = Codec()
CONTRACTS = contracts()
#: The hour that there is twice in the Berlin autumn, the one that there is never in spring, and the ends of what a
#: channel may say.
STRANGE = (
    "2026-10-25T02:30:00+02:00",
    "2026-10-25T02:30:00+01:00",
    "2026-10-25T00:30:00Z",
    "2026-03-29T01:59:59.999999+01:00",
    "2026-03-29T03:00:00+02:00",
    "2026-03-29T02:30:00+01:00",
    "1900-01-01T00:00:00Z",
    "8999-12-31T23:59:59.999999Z",
    "2026-11-27T18:00:00Z",
    "2026-11-27T18:00:00+14:00",
    "2026-11-27T18:00:00-12:00",
    "1969-12-31T23:59:59.999Z",
)
#: What Avro can say and Python can hold: further than the gateway lets anybody go.
FURTHEST = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))


def _lying(draw: Random) -> str:
    """A time as a channel's clock might give it: a day off, at a change of the clocks, or out of this world."""
    if draw.random() < 0.4:
        return draw.choice(STRANGE)
    zone = timezone(timedelta(hours=draw.choice((0, 1, 2, -5, 14))))
    return (datetime.now(zone) + timedelta(hours=draw.uniform(-24, 24))).isoformat()


def _commands(draw: Random, prefix: str) -> list[dict[str, Any]]:
    commands = load(draw, prefix, orders=30)
    for number in range(12):
        sku = f"{prefix}-s{draw.randrange(8)}"
        commands.insert(
            draw.randrange(len(commands)),
            command("CountStock", channel="wms", sku=sku, location_id="WH1", counted=40, counted_at=_lying(draw)),
        )
        order_id = f"{prefix}-later{number}"
        commands.append(place(order_id, (sku, 1), release_at=_lying(draw)))
        if number % 2:
            commands.append(command("CancelOrder", order_id=order_id, reason="too late"))
        else:
            commands[-1]["data"]["release_at"] = draw.choice(("1900-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z"))
        held = {"sku": sku, "location_id": "WH2", "quantity": 1, "order_id": f"{prefix}-h{number}", "line_id": "1"}
        commands.append(command("ReserveStock", channel="till", attempt=1, expires_at=_lying(draw), **held))
    for one in commands:
        one["occurred_at"] = _lying(draw)
    return commands


def _furthest(ground: Ground, draw: Random, moments: Sequence[datetime]) -> None:
    """Straight into Kafka, with times that the gateway would refuse."""
    records = []
    for number, moment in enumerate(moments):
        order_id = f"{ground.prefix}-far{len(moments)}-{moment.year}-{number}"
        documents = [
            receive(f"{ground.prefix}-far", "WH1", 2),
            place(order_id, (f"{ground.prefix}-far", 1)),
            command("HoldOrder", order_id=order_id, hold="fraud"),
            command("ReleaseHold", order_id=order_id, hold="fraud"),
            command("CancelOrder", order_id=order_id, reason="time is up"),
        ]
        documents[1]["data"]["ship_to"]["time_zone"] = "Europe/Berlin"
        for document in documents[: draw.randint(2, 5)]:
            parsed = parse(json.dumps(document).encode())
            parsed.envelope.occurred_at = moment
            home = murmur2_partition(parsed.key, ground.shop.env.settings.partitions)
            records.append((parsed.type.topic, home, parsed.key, parsed.encode(CODEC)))
            ground.acknowledged.add((document["channel"], document["id"]))
    write(ground.shop.env, records)


def test_clocks_that_lie_change_neither_the_order_nor_a_replay(fault_env: Any, tmp_path: Path) -> None:
    """Pass: accepted facts stand in the order of their commands on the log, with a time that never goes back; deciding
    the intake from its beginning gives the same bytes; two replays give the same rows as the live tables.

    Each of the two ends of time comes once alone, so that nothing else's time can stand for it, and then amid the load.

    Seen to fail: where a decision took the channel's time when that was later than the log's, it said that a fact was
    recorded in the year 8999 and should have been in 2026.
    Where the weeks before an order's day were counted from the year 1 backwards, reactions stood still for good.
    """
    with open_ground(fault_env, tmp_path, "ledger", "reactions", "projector") as ground:
        for draw in ground.rounds():
            for moment in FURTHEST:
                _furthest(ground, draw, [moment])
                ground.shop.settle()
            sending = ground.send(_commands(draw, ground.prefix))
            _furthest(ground, draw, FURTHEST * 3)
            sending.join()
            ground.judge()
            intake = _by_partition(read_topics(ground.shop.env, INTAKE))
            accepted = _accepted(_by_partition(read_topics(ground.shop.env, LEDGER)))
            for (topic, number), records in intake.items():
                ours = accepted.get((LEDGER_OF[topic], number), [])
                _in_the_order_of_the_log(ground, ours, _log_times(records))
                again = _decided_again(topic, number, records, ground.shop.env.settings.partitions)
                assert again == [value for value, _ in ours], (
                    f"seed {ground.seed}: {topic}/{number} is decided otherwise"
                )
            _replayed_twice(ground)
            ground.notes["decided again"] = sum(len(facts) for facts in accepted.values())


def _by_partition(records: list[Raw]) -> dict[tuple[str, int], list[Raw]]:
    found: dict[tuple[str, int], list[Raw]] = defaultdict(list)
    for record in records:
        found[record.topic, record.partition].append(record)
    return found


def _accepted(ledger: dict[tuple[str, int], list[Raw]]) -> dict[tuple[str, int], list[tuple[bytes, dict[str, Any]]]]:
    """The facts that count, as bytes and as what an Avro reader makes of them."""
    found: dict[tuple[str, int], list[tuple[bytes, dict[str, Any]]]] = {}
    for partition, records in ledger.items():
        chain = Chain()
        found[partition] = []
        for record in records:
            assert record.value is not None
            _, schema = CONTRACTS[int.from_bytes(record.value[1:5], "big")]
            fact: Any = fastavro.schemaless_reader(io.BytesIO(record.value[5:]), schema)
            # The chain hands back what it is given for a name: here the bytes.
            found[partition] += chain.read(record.value, fact)  # type: ignore[arg-type]
    return found


def _log_times(records: list[Raw]) -> list[datetime]:
    """The log's own time at each offset: the broker's, but never earlier than the one before."""
    latest = 0
    times = []
    for record in records:
        latest = max(latest, record.timestamp_ms)
        times.append(datetime.fromtimestamp(latest / 1000, UTC))
    return times


def _in_the_order_of_the_log(ground: Ground, facts: list[tuple[bytes, dict[str, Any]]], times: list[datetime]) -> None:
    at = (-1, 0)
    for _, fact in facts:
        after = (fact["intake_offset"], fact["index"])
        assert after > at, f"seed {ground.seed}: {fact['stream_id']} goes from {at} to {after}"
        assert fact["recorded_at"] == times[fact["intake_offset"]], (ground.seed, fact["recorded_at"])
        at = after


def _decided_again(topic: str, number: int, records: list[Raw], partitions: int) -> list[bytes]:
    ledger = PartitionLedger(topic, number, partitions=partitions, codec=CODEC)
    facts = []
    for record in records:
        outcome = ledger.decide(record.offset, record.timestamp_ms, record.key, record.value)
        if isinstance(outcome, Decided):
            facts += [fact.value for fact in outcome.facts]
    return facts


def _replayed_twice(ground: Ground) -> None:
    services, connection = ground.shop.env.services, ground.shop.connection
    live = rows_of(connection, "public", table_names())
    for schema in ("replay_one", "replay_two"):
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        connection.execute(f"CREATE SCHEMA {schema}")
        fold_span(services, schema, end_offsets_of(services))
        replayed = rows_of(connection, schema, table_names())
        for name, rows in live.items():
            assert replayed[name] == rows, f"seed {ground.seed}: {name} in {schema} is not what it is live"
    ground.notes["rows"] = sum(len(rows) for rows in live.values())
