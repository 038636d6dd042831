"""The rows of `effect_calls`: written with the follower's position, claimed by whoever calls, closed with the answer.

    put(connection, [Row(...)])                       # nothing where the fact has its row already
    claim(connection, ["webhook"], 16, 30.0)          # calls that are due, for so many seconds this process's own
    deliver | answered | retry | bury | let_go        # what became of one; False where it is no longer ours

Within a stream only the oldest open row has a time (`next_at`); when it is closed, the next one gets one.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

Connection = psycopg.Connection[Any]

#: Any number that nobody else locks: processes that start together must not both create the tables.
_CREATE_LOCK = 0x0EFF_EC75
#: What was not delivered, by effect, for `order-ledger doctor`.
OPEN_CALLS = """
    SELECT effect, status = 'dead' AS dead, count(*) AS count, min(made_at) AS oldest,
           (array_agg(error ORDER BY asked_at DESC) FILTER (WHERE error IS NOT NULL))[1] AS error
    FROM effect_calls WHERE status <> 'delivered' GROUP BY 1, 2 ORDER BY 1, 2
"""
#: Who writes rows and who closes one take turns: else a row could be written behind one that is just being closed, and
#: nobody would give it a time. Both transactions are short.
_ORDER_LOCK = 0x0EFF_EC76


class Row(NamedTuple):
    """A call to be made."""

    effect: str
    event_id: str
    topic: str
    stream_id: str
    version: int
    fact: str
    body: str


class Claimed(NamedTuple):
    """A call that is ours until its time comes again. `attempts` counts this one; it also tells whose claim counts."""

    number: int
    effect: str
    event_id: str
    topic: str
    stream_id: str
    body: str
    status: str
    attempts: int
    response_status: int | None
    response: str | None


class Answer(NamedTuple):
    """What came back, or why nothing did."""

    status: int | None = None
    body: str | None = None
    error: str | None = None


def ensure_tables(connection: Connection) -> None:
    """Create what is missing, in a transaction of the caller; safe when several workers start at once."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATE_LOCK])
    connection.execute((Path(__file__).parent / "table.sql").read_text(encoding="utf-8").encode())


def begin(connection: Connection, ends: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int], int]:
    """Offsets (topic, partition, end) before which facts are history: `ends` where no row says otherwise."""
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO effect_beginnings VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", list(ends))
    rows = connection.execute("SELECT topic, partition, begin_offset FROM effect_beginnings").fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def put(connection: Connection, rows: Sequence[Row]) -> None:
    """Write calls, in this order within a stream; none for a fact that has its row already."""
    if not rows:
        return
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ORDER_LOCK])
    connection.execute(
        "INSERT INTO effect_calls (effect, event_id, topic, stream_id, version, fact, body)"
        " SELECT effect, event_id, topic, stream_id, version, fact, body FROM unnest(%s::text[], %s::text[],"
        " %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[]) WITH ORDINALITY"
        " AS n (effect, event_id, topic, stream_id, version, fact, body, place)"
        " ORDER BY place ON CONFLICT (effect, event_id) DO NOTHING",
        [list(column) for column in zip(*rows, strict=True)],
    )
    _give_time(connection, {(row.effect, row.topic, row.stream_id) for row in rows})


def claim(connection: Connection, effects: Sequence[str], limit: int, seconds: float) -> list[Claimed]:
    """Calls that are due, longest first: no other process gets them for so many seconds."""
    rows = connection.execute(
        "UPDATE effect_calls AS t SET attempts = t.attempts + 1, asked_at = now(),"
        " next_at = now() + make_interval(secs => %s)"
        " FROM (SELECT number FROM effect_calls WHERE status IN ('waiting', 'answered') AND next_at <= now()"
        "       AND effect = ANY(%s) ORDER BY next_at, number LIMIT %s FOR UPDATE SKIP LOCKED) AS due"
        " WHERE t.number = due.number RETURNING t.number, t.effect, t.event_id, t.topic, t.stream_id, t.body, t.status,"
        " t.attempts, t.response_status, t.response",
        [seconds, list(effects), limit],
    )
    return [Claimed(*row) for row in rows]


def answered(connection: Connection, one: Claimed, answer: Answer) -> bool:
    """Keep a good answer whose command has yet to be sent: it is not called again for that."""
    return _set(connection, one, "status = 'answered'", answer)


def deliver(connection: Connection, one: Claimed, answer: Answer) -> bool:
    """It is done; the next one of the stream has its turn."""
    return _close(connection, one, "delivered", answer)


def bury(connection: Connection, one: Claimed, answer: Answer) -> bool:
    """It will not be tried again; the next one of the stream has its turn."""
    return _close(connection, one, "dead", answer)


def retry(connection: Connection, one: Claimed, answer: Answer, seconds: float) -> bool:
    """It is tried again after so many seconds; those behind it wait."""
    return _set(connection, one, "next_at = now() + make_interval(secs => %s)", answer, seconds)


def let_go(connection: Connection, one: Claimed) -> bool:
    """We stop before there is an answer: it is due at once, and this attempt does not count."""
    return _set(connection, one, "next_at = now(), attempts = t.attempts - 1", Answer(error="the worker stopped"))


def _close(connection: Connection, one: Claimed, status: str, answer: Answer) -> bool:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ORDER_LOCK])
    done = _set(connection, one, "status = %s, next_at = NULL, closed_at = now()", answer, status)
    if done:
        _give_time(connection, {(one.effect, one.topic, one.stream_id)})
    return done


def _set(connection: Connection, one: Claimed, what: str, answer: Answer, *values: Any) -> bool:
    """Whether the claim still was ours: a process that stood still may come late, with another one's call under way."""
    # PostgreSQL's text holds no NUL.
    body, error = (None if text is None else text.replace("\0", "\ufffd") for text in answer[1:])
    return bool(
        connection.execute(
            f"UPDATE effect_calls AS t SET {what}, response_status = %s, response = %s, error = %s"
            " WHERE number = %s AND attempts = %s AND status IN ('waiting', 'answered')",
            [*values, answer.status, body, error, one.number, one.attempts],
        ).rowcount
    )


def _give_time(connection: Connection, streams: Collection[tuple[str, str, str]]) -> None:
    """The oldest open call of each of these streams may be made, if it has no time yet."""
    connection.execute(
        "UPDATE effect_calls AS t SET next_at = now() FROM (SELECT (SELECT c.number FROM effect_calls AS c"
        "   WHERE c.effect = s.effect AND c.topic = s.topic AND c.stream_id = s.stream_id"
        "   AND c.status IN ('waiting', 'answered') ORDER BY c.number LIMIT 1) AS number"
        "  FROM unnest(%s::text[], %s::text[], %s::text[]) AS s (effect, topic, stream_id)) AS oldest"
        " WHERE t.number = oldest.number AND t.next_at IS NULL",
        [list(column) for column in zip(*streams, strict=True)],
    )
