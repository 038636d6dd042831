"""Finished replays: the past that is already there, to be read, or to go on from.

    holding(connection, Wish(("kpi", "cases"), until=friday))       # the schema with these tables as of then, or None
    begin_with(connection, wish, "saturday", ends)                  # copies friday's tables into saturday, if they help

Every finished replay is a checkpoint. One may go on from it if each of its partitions stands where the new replay
passes: at offsets that are not beyond those asked for, or at an earlier time, as log time never falls in a partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from processors.following.positions import TABLE, Partition
from processors.projector.bare import make_bare
from processors.projector.write import READER
from processors.replay.build import build
from processors.replay.wish import EFFECTIVE, WISH_TABLE, Wish, moment_of

Connection = psycopg.Connection[Any]


class Finished(NamedTuple):
    """A complete replay of this build. `end` is that of its wish."""

    schema: str
    end: str
    projections: frozenset[str]


def replays(connection: Connection) -> list[str]:
    """All schemas that are a replay's, by name."""
    query = "SELECT schemaname FROM pg_tables WHERE tablename = %s ORDER BY 1"
    return [schema for (schema,) in connection.execute(query, [WISH_TABLE])]


def finished(connection: Connection) -> list[Finished]:
    """The complete replays of this build."""
    # As JSON: a table of this name may be of an older build, or somebody else's.
    wishes = [
        sql.SQL("SELECT {}, to_jsonb(r) FROM {} AS r").format(sql.Literal(schema), sql.Identifier(schema, WISH_TABLE))
        for schema in replays(connection)
    ]
    rows = connection.execute(sql.SQL(" UNION ALL ").join(wishes)).fetchall() if wishes else []
    return [
        Finished(schema, wish["as_of"], frozenset(wish["projections"]))
        for schema, wish in rows
        if wish.get("ended_at") is not None and wish.get("build") == build()
    ]


def holding(connection: Connection, wish: Wish) -> str | None:
    """A schema that has the tables of this wish."""
    for one in finished(connection):
        if one.end == wish.end and one.projections >= set(wish.projections):
            return one.schema
    return None


def offsets_in(connection: Connection, schema: str) -> dict[Partition, int]:
    """Up to where the tables of a schema have read each partition; empty if nothing says so."""
    table = sql.Identifier(schema, TABLE)
    if connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone() == (None,):
        return {}
    query = sql.SQL("SELECT topic, partition, next_offset FROM {} WHERE follower = %s ORDER BY 1, 2").format(table)
    return {(topic, number): at for topic, number, at in connection.execute(query, [READER])}


def begin_with(connection: Connection, wish: Wish, schema: str, ends: Mapping[Partition, int]) -> str | None:
    """Copy tables and positions of the finished replay from which least is left to fold; its name, None if none helps.

    In the caller's transaction, which must see one moment. `ends`: offsets asked for, or of the log's end.
    """
    if wish.effective:
        return None  # what another replay has left out, it cannot bring back
    useful = []
    for one in finished(connection):
        if one.projections >= set(wish.projections) and _comes_before(one.end, wish):
            offsets = offsets_in(connection, one.schema)
            if offsets and all(at <= ends.get(place, -1) for place, at in offsets.items()):
                useful.append((sum(offsets.values()), one.schema))
    if not useful or max(useful)[0] == 0:
        return None
    _, base = max(useful)
    make_bare(connection, wish.folded, schema)
    for table in (one for projection in wish.folded for one in projection.tables):
        _copy(connection, base, schema, table.name, [column.name for column in table.columns])
    positions = ("follower", "topic", "partition", "next_offset", "last_decision", "epoch", "intake_offset", "topic_id")
    _copy(connection, base, schema, TABLE, positions)
    _copy(connection, base, schema, "skipped_facts", ("reader", "topic", "partition", "reason", "count", "last_offset"))
    return base


def _comes_before(end: str, wish: Wish) -> bool:
    """Whether tables with this end hold nothing that the wish leaves out, as far as their offsets do not tell."""
    if end.endswith(EFFECTIVE):
        return False
    if wish.until is None:
        return True
    moment = moment_of(end)  # None: its offsets do not say up to when they were recorded
    return moment is not None and moment <= wish.until


def _copy(connection: Connection, base: str, schema: str, table: str, columns: list[str] | tuple[str, ...]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
            sql.Identifier(schema, table), names, names, sql.Identifier(base, table)
        )
    )
