"""What a ledger writer would otherwise have to read the whole log for. Losing it costs time, never truth.

It stands in PostgreSQL.

A snapshot of a partition is a position on the ledger partition and, per stream, a state with its version. Folding
skips versions that a state already has. An older writer never overwrites a newer one's.

A database can be restored to an older backup, in whole or table by table, while writers run or while none does. So a
snapshot says how many facts its streams hold together: where they hold another number, it is no snapshot, and the log
is read instead. And a writer adds what has changed only to the snapshot that it knows to be there, else it writes all.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import psycopg

from events.streams import STREAMS
from processors.ledger.partition import PartitionLedger, Stream
from runtime.logging import log

_TABLES = """
CREATE TABLE IF NOT EXISTS ledger_positions (
    topic text NOT NULL, partition integer NOT NULL, next_offset bigint NOT NULL, decision bigint NOT NULL,
    epoch bigint NOT NULL, next_intake bigint NOT NULL, log_time timestamptz NOT NULL,
    PRIMARY KEY (topic, partition));
ALTER TABLE ledger_positions ADD COLUMN IF NOT EXISTS facts bigint NOT NULL DEFAULT -1;
CREATE TABLE IF NOT EXISTS ledger_streams (
    topic text NOT NULL, partition integer NOT NULL, stream_id text NOT NULL, version bigint NOT NULL,
    state bytea NOT NULL, PRIMARY KEY (topic, stream_id));
CREATE INDEX IF NOT EXISTS ledger_streams_by_partition ON ledger_streams (topic, partition);
CREATE TABLE IF NOT EXISTS forwarded_commands (
    channel text NOT NULL, topic text NOT NULL, count bigint NOT NULL, last_at timestamptz NOT NULL,
    PRIMARY KEY (channel, topic));
"""
# Any number does, as long as all ledger writers use the same: two of them must not create the tables at once.
_LOCK = 0x6C6564676572


class StoredStream(msgspec.Struct, frozen=True, array_like=True):
    """A stream as bytes; `state` is what its kind encodes."""

    state: bytes
    answered: list[tuple[int, int]]
    days: list[list[int]]
    for_good: tuple[int, ...] = ()


class Position(NamedTuple):
    """Where the tail begins that a snapshot does not cover, and the chain up to there."""

    next_offset: int
    decision: int
    epoch: int
    next_intake: int
    log_time: datetime


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(StoredStream).decode


def ensure_tables(connection: psycopg.Connection[Any]) -> None:
    """Create what is missing; safe when several writers start at once."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    connection.execute(_TABLES)


def load(connection: psycopg.Connection[Any], full_topic: str, ledger: PartitionLedger) -> Position | None:
    """Fill `ledger` with the partition's snapshot; None where there is none (the tail is then the whole partition)."""
    row = connection.execute(
        "SELECT next_offset, decision, epoch, next_intake, log_time, facts FROM ledger_positions "
        "WHERE topic = %s AND partition = %s",
        (full_topic, ledger.partition),
    ).fetchone()
    if row is None:
        return None
    position, facts = Position(*row[:5]), row[5]
    decode = STREAMS[ledger.ledger_topic].decode
    with connection.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT stream_id, version, state FROM ledger_streams WHERE topic = %s AND partition = %s",
            (full_topic, ledger.partition),
        )
        for stream_id, version, state in cursor:
            stored = _unpack(state)
            stream = Stream(decode(stored.state))
            stream.version = version
            stream.answered = dict(stored.answered)
            stream.days = stored.days
            stream.for_good = set(stored.for_good)
            ledger.streams[stream_id] = stream
            ledger.facts += version
    if ledger.facts != facts:
        log.warning(
            "snapshot_does_not_fit",
            topic=full_topic,
            partition=ledger.partition,
            facts=facts,
            facts_in_streams=ledger.facts,
            hint="was a table restored by itself? nothing to do: the partition is read from its beginning",
        )
        ledger.streams.clear()
        ledger.facts = 0
        return None
    ledger.saved_offset = position.next_offset
    ledger.follows = position.decision
    if position.epoch == ledger.epoch:
        ledger.next_intake = position.next_intake
    ledger.log_time = position.log_time
    return position


def save(connection: psycopg.Connection[Any], full_topic: str, ledger: PartitionLedger, next_offset: int) -> int:
    """Write the streams that changed and the position; the number of streams written.

    Only to be called when all that `ledger` decided stands on the log and was accepted.
    """
    encode = STREAMS[ledger.ledger_topic].encode
    with connection.transaction(), connection.cursor() as cursor:
        stored = cursor.execute(
            "SELECT next_offset FROM ledger_positions WHERE topic = %s AND partition = %s FOR UPDATE",
            (full_topic, ledger.partition),
        ).fetchone()
        gone_back = (-1 if stored is None else stored[0]) < ledger.saved_offset
        changed = sorted(ledger.streams if gone_back else ledger.changed)
        cursor.executemany(
            "INSERT INTO ledger_streams (topic, partition, stream_id, version, state) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (topic, stream_id) DO UPDATE SET version = excluded.version, state = excluded.state, "
            "partition = excluded.partition WHERE ledger_streams.version < excluded.version",
            [
                (full_topic, ledger.partition, stream_id, stream.version, _stored(encode(stream.state), stream))
                for stream_id, stream in ((stream_id, ledger.streams[stream_id]) for stream_id in changed)
            ],
        )
        cursor.execute(
            "INSERT INTO ledger_positions "
            "(topic, partition, next_offset, decision, epoch, next_intake, log_time, facts) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (topic, partition) DO UPDATE SET "
            "next_offset = excluded.next_offset, decision = excluded.decision, epoch = excluded.epoch, "
            "next_intake = excluded.next_intake, log_time = excluded.log_time, facts = excluded.facts "
            "WHERE ledger_positions.next_offset < excluded.next_offset",
            (
                full_topic,
                ledger.partition,
                next_offset,
                ledger.follows,
                ledger.epoch,
                ledger.next_intake,
                ledger.log_time,
                ledger.facts,
            ),
        )
    ledger.changed.clear()
    ledger.saved_offset = next_offset
    return len(changed)


def count_forwarded(connection: psycopg.Connection[Any], counts: Iterable[tuple[str, str, int]]) -> None:
    """Add (channel, full topic, records) that were on a partition their key does not belong to."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO forwarded_commands (channel, topic, count, last_at) VALUES (%s, %s, %s, now()) "
            "ON CONFLICT (channel, topic) "
            "DO UPDATE SET count = forwarded_commands.count + excluded.count, last_at = now()",
            list(counts),
        )


def _stored(state: bytes, stream: Stream) -> bytes:
    return _pack(StoredStream(state, list(stream.answered.items()), stream.days, tuple(stream.for_good)))
