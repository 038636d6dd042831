"""Stored states, so that a takeover need not replay the log. Losing them costs time, never truth.

They are in PostgreSQL. A snapshot of a partition is a position on the ledger partition; per stream, a state with its
version; and the answers to commands of streams that go on for ever. A snapshot is written beside the writer, in a
thread (`processors.ledger.saving`): it adds what has changed to the one before it.

A database can be restored to an older backup, in whole or table by table, while writers run or while none does. Then a
state would be older than the log says, and a decision on it wrong for ever. So each of the tables tells which snapshot
it holds (the ledger offset that it reaches; in `ledger_streams` and `ledger_answers` in a row that is about no stream
and no command), every look into them sees one moment, and a writer uses nothing of a snapshot that is not the one it
knows: it takes over anew. A takeover that finds the tables apart reads the log from its beginning, and so does one that
finds a snapshot whose last writer was a build with another `FORMAT`.
"""

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import psycopg

from events.catalogue import STREAMS
from events.streams import StreamKey
from processors.ledger.memory import FOR_GOOD, Answer, Frozen, Stream, Unsaved, sorted_commands
from processors.ledger.partition import PartitionLedger
from runtime.logging import log

_TABLES = """
CREATE TABLE IF NOT EXISTS ledger_positions (
    topic text NOT NULL, partition integer NOT NULL, next_offset bigint NOT NULL,
    last_offset bigint NOT NULL, -- of the last record that counts: a fact of `decision`
    decision bigint NOT NULL,
    epoch bigint NOT NULL, next_intake bigint NOT NULL, log_time timestamptz NOT NULL,
    PRIMARY KEY (topic, partition));
CREATE TABLE IF NOT EXISTS ledger_streams (
    topic text NOT NULL, partition integer NOT NULL, kind text NOT NULL, stream_id text NOT NULL,
    version bigint NOT NULL, state bytea NOT NULL, PRIMARY KEY (topic, partition, kind, stream_id));
CREATE TABLE IF NOT EXISTS ledger_answers (
    topic text NOT NULL, partition integer NOT NULL,
    command bigint NOT NULL,     -- digest of kind and id of the stream, channel and id of the command
    reused_by bigint NOT NULL,   -- 0, or the digest of another body that came with the id and was refused for it
    body bigint NOT NULL,        -- digest of the body that was answered
    day integer NOT NULL,        -- of log time
    PRIMARY KEY (topic, partition, command, reused_by));
CREATE TABLE IF NOT EXISTS forwarded_commands (
    channel text NOT NULL, topic text NOT NULL, count bigint NOT NULL, last_at timestamptz NOT NULL,
    PRIMARY KEY (channel, topic));
"""
# A table from before streams had a kind cannot hold them. Without it the snapshot does not fit, and the log is read.
_DROP_WITHOUT_KIND = """
DO $$ BEGIN
    IF to_regclass('ledger_streams') IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = to_regclass('ledger_streams') AND attname = 'kind')
    THEN DROP TABLE ledger_streams; END IF;
END $$
"""
# Any number does, as long as all ledger writers use the same: two of them must not create the tables at once.
_LOCK = 0x6C6564676572


#: The rows that speak for all of a partition: their version, and their body, is the ledger offset that the table
#: reaches. No kind and no stream has an empty name, and no command's digest is 0.
_NO_STREAM = StreamKey("", "")
_NO_COMMAND = 0

#: How streams are stored, and what their states hold. It stands as the state of the row of no stream, so whoever saves
#: says how. Raise it whenever a state holds something that an older build did not store: with a default in its place,
#: rules would decide on what is not so.
FORMAT = b"3"


class SnapshotMovedError(Exception):
    """The stored snapshot is not the one that a writer knows: a backup was restored, or somebody else keeps it now.
    `place` is the full topic and the partition of its facts.
    """

    def __init__(self, place: tuple[str, int], found: tuple[int, int], known: int) -> None:
        super().__init__(f"the snapshot reaches {found}, not {known}")
        self.place = place


class StoredStream(msgspec.Struct, frozen=True, array_like=True):
    """A stream as bytes; `state` is what its kind encodes."""

    state: bytes
    answered: list[tuple[int, int]]
    state_version: int


class Position(NamedTuple):
    """Where the tail begins that a snapshot does not cover, and the chain up to there."""

    next_offset: int
    last_offset: int
    decision: int
    epoch: int
    next_intake: int
    log_time: datetime


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(StoredStream).decode


def ensure_tables(connection: psycopg.Connection[Any]) -> None:
    """Create what is missing; safe when several writers start at once."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    connection.execute(_DROP_WITHOUT_KIND)
    connection.execute(_TABLES)


def load(connection: psycopg.Connection[Any], full_topic: str, ledger: PartitionLedger) -> Position | None:
    """The position of the partition's snapshot, whose rows can be fetched from now on; None where there is none (the
    tail is then the whole partition). To be called in a transaction that sees one moment.
    """
    row = connection.execute(
        "SELECT next_offset, last_offset, decision, epoch, next_intake, log_time FROM ledger_positions "
        "WHERE topic = %s AND partition = %s",
        (full_topic, ledger.partition),
    ).fetchone()
    if row is None:
        return None
    position = Position(*row)
    reaches = _reaches(connection, [(full_topic, ledger.partition)])[full_topic, ledger.partition]
    if reaches != (position.next_offset, position.next_offset):
        log.warning(
            "snapshot_does_not_fit",
            topic=full_topic,
            partition=ledger.partition,
            next_offset=position.next_offset,
            streams_and_answers=reaches,
            hint="was only one table restored? Nothing to do: the partition is read from its beginning",
        )
        return None
    place = (full_topic, ledger.partition, *_NO_STREAM)
    _, stored_as = _streams(connection, [Wanted(full_topic, ledger, [_NO_STREAM], [])])[place]
    if stored_as != FORMAT:
        log.info(
            "snapshot_of_another_build",
            topic=full_topic,
            partition=ledger.partition,
            hint="nothing to do: the partition is read from its beginning, once",
        )
        return None
    ledger.memory.saved_offset = position.next_offset
    ledger.last_offset = position.last_offset
    ledger.follows = position.decision
    if position.epoch == ledger.epoch:
        ledger.next_intake = position.next_intake
    ledger.log_time = position.log_time
    return position


class Wanted(NamedTuple):
    """What is to be fetched of one partition's snapshot: `topic` is the full one of its facts."""

    topic: str
    ledger: PartitionLedger
    streams: Collection[StreamKey]
    commands: Collection[int]


def fetch(connection: psycopg.Connection[Any], wanted: Sequence[Wanted]) -> None:
    """Put what is wanted into the ledgers' memory, as the snapshots have it: streams (or begun anew) and answers.

    Raises SnapshotMovedError where one of the snapshots is not the one that its ledger knows; nothing is put anywhere
    then.
    """
    with connection.transaction():
        reaches = _reaches(connection, [(one.topic, one.ledger.partition) for one in wanted])
        for one in wanted:
            place, memory = (one.topic, one.ledger.partition), one.ledger.memory
            if not memory.is_ours(reaches[place]):
                raise SnapshotMovedError(place, reaches[place], memory.saved_offset)
        streams = _streams(connection, wanted) if any(one.streams for one in wanted) else {}
        answers = _answers(connection, wanted) if any(one.commands for one in wanted) else {}
    for one in wanted:
        place = (one.topic, one.ledger.partition)
        for key in one.streams:
            row = streams.get((*place, *key))
            one.ledger.memory.hold(key, Stream(key) if row is None else restored(key, *row))
        one.ledger.memory.look_up({command: answers.get((*place, command), ()) for command in one.commands})


def _streams(
    connection: psycopg.Connection[Any], wanted: Sequence[Wanted]
) -> dict[tuple[str, int, str, str], tuple[int, bytes]]:
    """Version and bytes of the streams that are there."""
    asked = [(one.topic, one.ledger.partition, *key) for one in wanted for key in one.streams]
    with connection.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT s.topic, s.partition, s.kind, s.stream_id, s.version, s.state "
            "FROM unnest(%s::text[], %s::integer[], %s::text[], %s::text[]) AS w (topic, partition, kind, stream_id) "
            "JOIN ledger_streams AS s USING (topic, partition, kind, stream_id)",
            [list(column) for column in zip(*asked, strict=True)],
        )
        return {(topic, partition, kind, name): (v, state) for topic, partition, kind, name, v, state in cursor}


def _answers(connection: psycopg.Connection[Any], wanted: Sequence[Wanted]) -> dict[tuple[str, int, int], list[Answer]]:
    """The answers to commands that are there."""
    asked = [(one.topic, one.ledger.partition, command) for one in wanted for command in one.commands]
    found: dict[tuple[str, int, int], list[Answer]] = {}
    with connection.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT a.topic, a.partition, a.command, a.body, a.day, a.reused_by "
            "FROM unnest(%s::text[], %s::integer[], %s::bigint[]) AS w (topic, partition, command) "
            "JOIN ledger_answers AS a USING (topic, partition, command)",
            [list(column) for column in zip(*asked, strict=True)],
        )
        for topic, partition, command, body, day, reused_by in cursor:
            found.setdefault((topic, partition, command), []).append(Answer(command, body, day, reuse=reused_by != 0))
    return found


class Snapshot(NamedTuple):
    """A snapshot of one partition that is to be written: `topic` is the full one of its facts. `forget_before`: answers
    of days before it are deleted first; None to delete none. `list_answers`: the writer does not know which commands
    the snapshot holds answers to.
    """

    topic: str
    partition: int
    unsaved: Unsaved
    position: Position
    forget_before: int | None = None
    list_answers: bool = False

    @classmethod
    def of(cls, ledger: PartitionLedger, topic: str, end: int, last: int | None = None) -> "Snapshot":
        """All that the stored snapshot of this ledger does not hold, up to the ledger offset `end`; `last` is that of
        the last record that counts, where it is not the ledger's."""
        position = Position(
            next_offset=end,
            last_offset=ledger.last_offset if last is None else last,
            decision=ledger.follows,
            epoch=ledger.epoch,
            next_intake=ledger.next_intake,
            log_time=ledger.log_time,
        )
        list_answers = ledger.keeps_answers and not ledger.memory.knows_all_answered
        return cls(topic, ledger.partition, ledger.memory.to_save(end), position, list_answers=list_answers)

    @property
    def place(self) -> tuple[str, int]:
        """The full topic and the partition of its facts."""
        return self.topic, self.partition


class Stored(NamedTuple):
    """What was written: the size of each stream in bytes, and the commands that have an answer, where asked for."""

    sizes: Mapping[StreamKey, int]
    answered: "array[int] | None"


# Rows go into these first, and from there into the tables in one statement: an INSERT for each row takes twice as long.
_STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_streams (kind text, stream_id text, version bigint, state bytea);
CREATE TEMPORARY TABLE IF NOT EXISTS staged_answers (command bigint, reused_by bigint, body bigint, day integer);
TRUNCATE staged_streams, staged_answers
"""


def save(connection: psycopg.Connection[Any], snapshot: Snapshot) -> Stored:
    """Write what changed and the position. Raises SnapshotMovedError where the stored snapshot is not `before`.

    Only to be called when all that was decided up to the position stands on the log and was accepted.
    """
    topic, partition, unsaved, position, *_ = snapshot
    place = (topic, partition)
    sizes: dict[StreamKey, int] = {}
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", place)
        if unsaved.before < 0:
            # All there is is in memory: this is the whole snapshot, whatever stood there.
            for table in ("ledger_streams", "ledger_answers"):
                cursor.execute(f"DELETE FROM {table} WHERE topic = %s AND partition = %s", place)
        elif (reaches := _reaches(connection, [place])[place]) != (unsaved.before, unsaved.before):
            raise SnapshotMovedError(place, reaches, unsaved.before)
        if snapshot.forget_before is not None:
            cursor.execute(
                "DELETE FROM ledger_answers WHERE topic = %s AND partition = %s AND day < %s",
                (*place, snapshot.forget_before),
            )
        cursor.execute(_STAGING)
        with cursor.copy("COPY staged_streams FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(("text", "text", "bigint", "bytea"))
            # One after the other: all of them at once as bytes is as much again as there is in memory.
            for one in unsaved.streams:
                state = stored(one)
                sizes[one.key] = len(state)
                copy.write_row((*one.key, one.version, state))
            copy.write_row((*_NO_STREAM, position.next_offset, FORMAT))
        cursor.execute(
            "INSERT INTO ledger_streams (topic, partition, kind, stream_id, version, state) "
            "SELECT %s, %s, kind, stream_id, version, state FROM staged_streams "
            "ON CONFLICT (topic, partition, kind, stream_id) "
            "DO UPDATE SET version = excluded.version, state = excluded.state",
            place,
        )
        with cursor.copy("COPY staged_answers FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(("bigint", "bigint", "bigint", "integer"))
            for answer in (*unsaved.answers, Answer(_NO_COMMAND, position.next_offset, FOR_GOOD, reuse=False)):
                copy.write_row((answer.command, answer.body if answer.reuse else 0, answer.body, answer.day))
        cursor.execute(
            "INSERT INTO ledger_answers (topic, partition, command, reused_by, body, day) "
            "SELECT %s, %s, command, reused_by, body, day FROM staged_answers "
            "ON CONFLICT (topic, partition, command, reused_by) DO UPDATE SET body = excluded.body, day = excluded.day",
            place,
        )
        cursor.execute(
            "INSERT INTO ledger_positions "
            "(topic, partition, next_offset, last_offset, decision, epoch, next_intake, log_time) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (topic, partition) DO UPDATE SET "
            "next_offset = excluded.next_offset, last_offset = excluded.last_offset, "
            "decision = excluded.decision, epoch = excluded.epoch, "
            "next_intake = excluded.next_intake, log_time = excluded.log_time",
            (*place, *position),
        )
        return Stored(sizes, _answered_commands(cursor, place) if snapshot.list_answers else None)


def _answered_commands(cursor: psycopg.Cursor[Any], place: tuple[str, int]) -> "array[int]":
    """All commands that the snapshot of the partition holds an answer to."""
    wanted = "SELECT command FROM ledger_answers WHERE topic = %s AND partition = %s AND command <> 0"
    with cursor.copy(f"COPY ({wanted}) TO STDOUT (FORMAT BINARY)", place) as copy:
        return sorted_commands(b"".join(map(bytes, copy)))


def _reaches(
    connection: psycopg.Connection[Any], places: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], tuple[int, int]]:
    """Per (full topic, partition) the ledger offsets that the stored streams and answers reach; -1 where none are."""
    found = dict.fromkeys(places, (-1, -1))
    for topic, partition, streams, answers in connection.execute(
        "SELECT w.topic, w.partition, coalesce(s.version, -1), coalesce(a.body, -1) "
        "FROM unnest(%s::text[], %s::integer[]) AS w (topic, partition) "
        "LEFT JOIN ledger_streams AS s "
        "ON (s.topic, s.partition, s.kind, s.stream_id) = (w.topic, w.partition, %s, %s) "
        "LEFT JOIN ledger_answers AS a "
        "ON (a.topic, a.partition, a.command, a.reused_by) = (w.topic, w.partition, %s, 0)",
        ([topic for topic, _ in places], [number for _, number in places], *_NO_STREAM, _NO_COMMAND),
    ):
        found[topic, partition] = (streams, answers)
    return found


def count_forwarded(connection: psycopg.Connection[Any], counts: Iterable[tuple[str, str, int]]) -> None:
    """Add (channel, full topic, records) that were on a partition their key does not belong to."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO forwarded_commands (channel, topic, count, last_at) VALUES (%s, %s, %s, now()) "
            "ON CONFLICT (channel, topic) "
            "DO UPDATE SET count = forwarded_commands.count + excluded.count, last_at = now()",
            list(counts),
        )


def stored(stream: Frozen) -> bytes:
    """A stream as it stands in the snapshot."""
    state = STREAMS[stream.key.kind].encode(stream.state)
    return _pack(StoredStream(state, stream.answered, stream.state_version))


def restored(key: StreamKey, version: int, state: bytes) -> Stream:
    """The stream that was stored like this."""
    found = _unpack(state)
    stream = Stream(key)
    stream.state = stream.kind.decode(found.state)
    stream.version = version
    stream.state_version = found.state_version
    stream.answered = dict(found.answered)
    stream.stored_bytes = len(state)
    return stream
