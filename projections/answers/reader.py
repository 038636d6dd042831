"""Reads the answers to commands from outside: the refused ones, and those at given places.

read_answers(connection, [("ledger.orders", 3, 17)])[0].outcome  →  "accepted"
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import psycopg

from projections.page import Page, read_page


class Answer(NamedTuple):
    """The answer to the command at one offset of an intake partition; `topic` is the ledger's."""

    topic: str
    partition: int
    intake_offset: int
    outcome: str
    what: str
    detail: str
    hint: str


class FirstAnswer(NamedTuple):
    """The first answer to a command's id."""

    channel: str
    command_id: str
    outcome: str
    what: str
    detail: str
    hint: str


class Answered(NamedTuple):
    """A stream in which a command's id was answered."""

    channel: str
    command_id: str
    stream_id: str


def read_rejections(
    connection: psycopg.Connection[Any], *, channel: str | None = None, limit: int | None = None
) -> Page:
    """Rows of `channel`, `id` (the command's), `stream_id`, `command`, `code`, `what`, `detail`, `hint`,
    `recorded_at`."""
    return read_page(
        connection,
        "SELECT count(*) OVER () AS total, channel, command_id AS id, stream_id, command, code, what, detail, hint,"
        " recorded_at"
        " FROM answers WHERE outcome = 'refused' AND (%(channel)s::text IS NULL OR channel = %(channel)s)"
        " ORDER BY recorded_at DESC, topic, partition, intake_offset DESC LIMIT %(limit)s",
        {"channel": channel, "limit": limit},
        ("recorded_at",),
    )


def read_answers(connection: psycopg.Connection[Any], places: Collection[tuple[str, int, int]]) -> list[Answer]:
    """The answers to the commands at these places: (ledger topic, partition, offset in the intake)."""
    rows = connection.execute(
        "SELECT a.topic, a.partition, a.intake_offset, outcome, coalesce(what, ''), coalesce(detail, ''),"
        " coalesce(hint, '') FROM answers AS a"
        " JOIN unnest(%s::text[], %s::int[], %s::bigint[]) AS w (topic, partition, intake_offset)"
        " USING (topic, partition, intake_offset)",
        _columns(places, 3),
    ).fetchall()
    return [Answer(*row) for row in rows]


def read_first_answers(connection: psycopg.Connection[Any], ids: Collection[tuple[str, str]]) -> list[FirstAnswer]:
    """The first answer to each of these commands, named by channel and id."""
    rows = connection.execute(
        "SELECT DISTINCT ON (channel, command_id) channel, command_id, outcome, coalesce(what, ''),"
        " coalesce(detail, ''), coalesce(hint, '')"
        " FROM answers JOIN unnest(%s::text[], %s::text[]) AS w (channel, command_id) USING (channel, command_id)"
        " ORDER BY channel, command_id, recorded_at, topic, partition, intake_offset",
        _columns(ids, 2),
    ).fetchall()
    return [FirstAnswer(*row) for row in rows]


def read_answered(connection: psycopg.Connection[Any], ids: Collection[tuple[str, str]]) -> list[Answered]:
    """The streams in which these commands were answered, named by channel and id."""
    rows = connection.execute(
        "SELECT channel, command_id, stream_id FROM answers"
        " JOIN unnest(%s::text[], %s::text[]) AS w (channel, command_id) USING (channel, command_id)",
        _columns(ids, 2),
    ).fetchall()
    return [Answered(*row) for row in rows]


def count_refused(connection: psycopg.Connection[Any], streams: Collection[str]) -> int:
    """How many commands were refused in these streams."""
    row = connection.execute(
        "SELECT count(*) FROM answers WHERE outcome = 'refused' AND stream_id = ANY(%s)", [list(streams)]
    ).fetchone()
    assert row is not None
    return int(row[0])


def _columns(rows: Collection[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[index] for row in rows] for index in range(width)]
