"""The rows of `effect_calls`: written with the follower's position, claimed by a caller, closed with the answer.

    put(connection, [Row(...)])                       # writes nothing if the fact already has its row
    claim(connection, ["webhook"], 16, 30.0)          # calls that are due; for 30 seconds only this process has them
    deliver | answered | retry | bury | let_go        # the outcome of one; False if the claim is no longer ours

Within a stream only the oldest open row has a time (`next_at`). When it is closed, the next one gets a time.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

Connection = psycopg.Connection[Any]

#: Any number that nothing else locks: processes that start together must not both create the tables.
_CREATE_LOCK = 0x0EFF_EC75
#: Undelivered calls by effect, for `order-ledger doctor`.
OPEN_CALLS = """
    SELECT effect, status = 'dead' AS dead, count(*) AS count, min(made_at) AS oldest,
           (array_agg(error ORDER BY asked_at DESC) FILTER (WHERE error IS NOT NULL))[1] AS error
    FROM effect_calls WHERE status <> 'delivered' GROUP BY 1, 2 ORDER BY 1, 2
"""
#: Writing rows and closing a row exclude each other. Otherwise a row could be written behind one that is just being
#: closed, and would never get a time. Both transactions are short.
_ORDER_LOCK = 0x0EFF_EC76


class Row(NamedTuple):
    """A call to be made."""

    effect: str
    event_id: str
    stream_kind: str
    stream_id: str
    version: int
    fact: str
    body: str


class Claimed(NamedTuple):
    """A call that is ours until its claim ends. `attempts` includes this one, and shows whose claim is the newest."""

    number: int
    effect: str
    event_id: str
    stream_kind: str
    stream_id: str
    body: str
    status: str
    attempts: int
    response_status: int | None
    response: str | None


class Answer(NamedTuple):
    """The receiver's answer, or why there is none."""

    status: int | None = None
    body: str | None = None
    error: str | None = None


def ensure_tables(connection: Connection) -> None:
    """Create missing tables, in the caller's transaction; safe when several workers start at once."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATE_LOCK])
    connection.execute((Path(__file__).parent / "table.sql").read_text(encoding="utf-8").encode())


def begin(connection: Connection, ends: Iterable[tuple[str, str, int, int]]) -> dict[tuple[str, str, int], int]:
    """(effect, topic, partition) → offset before which facts are history. Without a row it is taken from `ends`."""
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO effect_beginnings VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING", list(ends))
    rows = connection.execute("SELECT effect, topic, partition, begin_offset FROM effect_beginnings").fetchall()
    return {(effect, topic, partition): offset for effect, topic, partition, offset in rows}


def put(connection: Connection, rows: Sequence[Row]) -> None:
    """Write calls, in this order within a stream. A fact that already has its row gets no second one."""
    if not rows:
        return
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ORDER_LOCK])
    connection.execute(
        "INSERT INTO effect_calls (effect, event_id, stream_kind, stream_id, version, fact, body)"
        " SELECT effect, event_id, stream_kind, stream_id, version, fact, body FROM unnest(%s::text[], %s::text[],"
        " %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[]) WITH ORDINALITY"
        " AS n (effect, event_id, stream_kind, stream_id, version, fact, body, place)"
        " ORDER BY place ON CONFLICT (effect, event_id) DO NOTHING",
        [list(column) for column in zip(*rows, strict=True)],
    )
    _give_time(connection, {(row.effect, row.stream_kind, row.stream_id) for row in rows})


def claim(connection: Connection, effects: Sequence[str], limit: int, seconds: float) -> list[Claimed]:
    """Claim calls that are due, longest overdue first. For `seconds` no other process gets them."""
    rows = connection.execute(
        "UPDATE effect_calls AS t SET attempts = t.attempts + 1, asked_at = now(),"
        " next_at = now() + make_interval(secs => %s)"
        " FROM (SELECT number FROM effect_calls WHERE status IN ('waiting', 'answered') AND next_at <= now()"
        "       AND effect = ANY(%s) ORDER BY next_at, number LIMIT %s FOR UPDATE SKIP LOCKED) AS due"
        " WHERE t.number = due.number RETURNING t.number, t.effect, t.event_id, t.stream_kind, t.stream_id, t.body,"
        " t.status, t.attempts, t.response_status, t.response",
        [seconds, list(effects), limit],
    )
    return [Claimed(*row) for row in rows]


def answered(connection: Connection, one: Claimed, answer: Answer) -> bool:
    """Keep a good answer before its command is sent, so that a restart sends the command and does not call again."""
    return _set(connection, one, "status = 'answered'", answer)


def deliver(connection: Connection, one: Claimed, answer: Answer) -> bool:
    """Close a delivered call; the stream's next call is due."""
    return _close(connection, one, "delivered", answer)


def bury(connection: Connection, one: Claimed, answer: Answer) -> bool:
    """Close a dead call; the stream's next call is due."""
    return _close(connection, one, "dead", answer)


def retry(connection: Connection, one: Claimed, answer: Answer, seconds: float) -> bool:
    """Try the call again after `seconds`; the stream's later calls wait."""
    return _set(connection, one, "next_at = now() + make_interval(secs => %s)", answer, seconds)


def let_go(connection: Connection, one: Claimed) -> bool:
    """Give a call back without an answer, because we stop: it is due at once, and this attempt does not count."""
    return _set(connection, one, "next_at = now(), attempts = t.attempts - 1", Answer(error="the worker stopped"))


def _close(connection: Connection, one: Claimed, status: str, answer: Answer) -> bool:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ORDER_LOCK])
    done = _set(connection, one, "status = %s, next_at = NULL, closed_at = now()", answer, status)
    if done:
        _give_time(connection, {(one.effect, one.stream_kind, one.stream_id)})
    return done


def _set(connection: Connection, one: Claimed, what: str, answer: Answer, *values: Any) -> bool:
    """Update the row if the claim is still ours; returns whether. A process that was paused may come too late."""
    # PostgreSQL's text cannot hold NUL.
    body, error = (None if text is None else text.replace("\0", "\ufffd") for text in answer[1:])
    return bool(
        connection.execute(
            f"UPDATE effect_calls AS t SET {what}, response_status = %s, response = %s, error = %s"
            " WHERE number = %s AND attempts = %s AND status IN ('waiting', 'answered')",
            [*values, answer.status, body, error, one.number, one.attempts],
        ).rowcount
    )


def _give_time(connection: Connection, streams: Collection[tuple[str, str, str]]) -> None:
    """Make the oldest open call of each of these streams due, if it has no time yet."""
    connection.execute(
        "UPDATE effect_calls AS t SET next_at = now() FROM (SELECT (SELECT c.number FROM effect_calls AS c"
        "   WHERE c.effect = s.effect AND c.stream_kind = s.stream_kind AND c.stream_id = s.stream_id"
        "   AND c.status IN ('waiting', 'answered') ORDER BY c.number LIMIT 1) AS number"
        "  FROM unnest(%s::text[], %s::text[], %s::text[]) AS s (effect, stream_kind, stream_id)) AS oldest"
        " WHERE t.number = oldest.number AND t.next_at IS NULL",
        [list(column) for column in zip(*streams, strict=True)],
    )
