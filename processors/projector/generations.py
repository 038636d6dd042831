"""Generations: each is a whole set of the projector's tables, in a schema of its own. One of them is live.

    tables_1.order_status     ┐                          people and programs read public.order_status and
    tables_2.order_status     ┘  ← public.order_status   public.v_order_status: views of the live generation

A generation belongs to a build: the folds that fill it. A projector keeps up all generations of its own build that are
live or stand by. `processors.replay.swap` fills another one and makes it live. The views of all tables change in one
transaction, which waits for everybody who reads one of them: so nobody sees tables of two generations.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

import psycopg
from psycopg import sql

from processors import slow_paths
from processors.following.positions import TABLE as POSITIONS
from processors.following.positions import Connection
from processors.projector.write import TABLES_LOCK, ensure_tables, of_another_build
from projections.model import Projection
from runtime.errors import Fault

#: What people and programs read.
PUBLIC = "public"

#: The view of `PUBLIC` on the positions of the live generation.
POSITIONS_VIEW = "projector_positions"

_SKIPPED = "skipped_facts"

_TABLE = """
CREATE TABLE IF NOT EXISTS public.generations (
    number   integer PRIMARY KEY,                    -- its tables are in the schema tables_NUMBER
    build    text NOT NULL,                          -- digest of the folds that fill it
    state    text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED
        CHECK (state IN ('live', 'standby', 'filling')),
    made_at  timestamptz NOT NULL DEFAULT now(),
    taken_at timestamptz                             -- since when a projector keeps it up; null: none yet
)"""

State = Literal["live", "standby", "filling"]


class Generation(NamedTuple):
    """`state`: live (readers see it), standby (kept up, for the way back), or filling (not complete yet)."""

    number: int
    build: str
    state: State

    @property
    def schema(self) -> str:
        return schema_of(self.number)


def schema_of(number: int) -> str:
    """The schema with the tables of a generation."""
    return f"tables_{number}"


def build_of(projections: Collection[Projection]) -> str:
    """A digest of the tables and of the versions of their folds: two builds with the same one write the same rows."""
    described = [
        (
            projection.name,
            projection.version,
            [
                (
                    table.name,
                    [(column.name, column.sql_type, column.merge) for column in table.columns],
                    [sorted(table.derived), table.insert_only, table.born_with, table.unique],
                )
                for table in projection.tables
            ],
        )
        for projection in projections
    ]
    return sha256(json.dumps(described).encode()).hexdigest()[:12]


def begin(connection: Connection, projections: Collection[Projection]) -> None:
    """Make the first generation if there is none, and the missing tables of all generations of this build.

    Raises Fault if there are generations, but none of this build. May be called by several processes at a time.
    """
    build = build_of(projections)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [TABLES_LOCK])
        connection.execute(_TABLE.encode())
        slow_paths.ensure_table(connection)
        if live(connection) is None:
            _refuse_tables_of_old(connection, projections)
            connection.execute("INSERT INTO public.generations (number, build, state) VALUES (1, %s, 'live')", [build])
        own = kept(connection, build)
        if not own:
            raise of_another_build(f"the live ones are of build {_live_build(connection)}; this build is {build}")
        for generation in own:
            ensure_tables(connection, projections, generation.schema)
            if generation.state == "live":
                show(connection, generation, projections)


def live(connection: Connection) -> Generation | None:
    """The generation that readers see; None before the first projector has run."""
    return next((one for one in every(connection) if one.state == "live"), None)


def live_schema(connection: Connection) -> str:
    """The schema of the live tables; `public` before the first projector has run."""
    found = live(connection)
    return PUBLIC if found is None else found.schema


def every(connection: Connection) -> list[Generation]:
    """All of them, by number."""
    if connection.execute("SELECT to_regclass('public.generations')").fetchone() == (None,):
        return []
    rows = connection.execute("SELECT number, build, state FROM public.generations ORDER BY number")
    return [Generation(*row) for row in rows]


def kept(connection: Connection, build: str) -> list[Generation]:
    """The generations that a projector of this build keeps up, the live one last."""
    found = [one for one in every(connection) if one.build == build and one.state != "filling"]
    return sorted(found, key=lambda one: one.state == "live")


def taken(connection: Connection, generations: Collection[Generation]) -> None:
    """Note that a projector keeps these up."""
    connection.execute(
        "UPDATE public.generations SET taken_at = now() WHERE number = ANY(%s) AND taken_at IS NULL",
        [[one.number for one in generations]],
    )


def is_taken(connection: Connection, generation: Generation) -> bool:
    """Whether a projector keeps it up."""
    query = "SELECT taken_at IS NOT NULL FROM public.generations WHERE number = %s"
    return connection.execute(query, [generation.number]).fetchone() == (True,)


def show(connection: Connection, generation: Generation, projections: Collection[Projection]) -> None:
    """Point all views of `public` at this generation, in the caller's transaction. Views that show it already stay.

    A view keeps its grants, also if its columns have changed. Raises Fault if a view of somebody else needs a column
    that is gone.
    """
    for projection in projections:
        for table in projection.tables:
            _point(connection, table.name, (generation.schema, table.name))
        for view in projection.views:
            _point(connection, view.name, (generation.schema, view.name), view.meaning, view.columns)
    _point(connection, _SKIPPED, (generation.schema, _SKIPPED))
    _point(connection, POSITIONS_VIEW, (generation.schema, POSITIONS))


def drop(connection: Connection, generation: Generation) -> None:
    """Drop its tables; a projector that keeps it up notices. For one that is not live."""
    connection.execute("DELETE FROM public.generations WHERE number = %s", [generation.number])
    drop_forgotten(connection)


def drop_forgotten(connection: Connection) -> None:
    """Drop the tables of generations that are in the list no more. `connection` is in autocommit mode: whoever kept
    them up first sees that they are no more in the list, and then lets them go.
    """
    rows = connection.execute(
        "SELECT schemaname FROM pg_tables WHERE tablename = %s AND schemaname ~ '^tables_[0-9]+$'"
        " AND substr(schemaname, 8)::integer NOT IN (SELECT number FROM public.generations)",
        [POSITIONS],
    ).fetchall()
    for (schema,) in rows:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _live_build(connection: Connection) -> str:
    found = live(connection)
    return "none" if found is None else found.build


def _refuse_tables_of_old(connection: Connection, projections: Collection[Projection]) -> None:
    names = [table.name for projection in projections for table in projection.tables]
    rows = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(%s) ORDER BY 1", [names]
    ).fetchall()
    if rows:
        names = [name for (name,) in rows]
        raise Fault(
            "the schema public has tables that an older build filled",
            f"{len(names)} tables: {', '.join(names)}",
            "nothing is lost, because the log has everything. Drop them, and the projector fills its own:"
            f" DROP TABLE {', '.join(names)} CASCADE",
        )


def _point(
    connection: Connection,
    name: str,
    source: tuple[str, str],
    meaning: str | None = None,
    comments: Mapping[str, str] | None = None,
) -> None:
    """Make `public.name` show the source, unless it does. The digest is kept as the comment on the view's rule, so a
    projector that starts need not wait for a report that reads the view for an hour.
    """
    view = sql.Identifier(PUBLIC, name)
    digest = sha256(json.dumps([source, meaning, comments]).encode()).hexdigest()
    shown = connection.execute(
        "SELECT obj_description(oid, 'pg_rewrite') = %s FROM pg_rewrite WHERE ev_class = to_regclass(%s)",
        [digest, view.as_string(connection)],
    ).fetchone()
    if shown == (True,):
        return
    old, new = _columns(connection, (PUBLIC, name)), _columns(connection, source)
    grants: Sequence[tuple[str, str, bool]] = ()
    if old != new[: len(old)]:  # otherwise PostgreSQL replaces the view in place
        grants = _grants(connection, name)
        try:
            connection.execute(sql.SQL("DROP VIEW {}").format(view))
        except psycopg.errors.DependentObjectsStillExist as error:
            gone = sorted({one for one, _ in old} - {one for one, _ in new})
            raise Fault(
                f"the view {name} changes its columns, and something that is not ours needs it",
                f"{error.diag.message_detail}; columns that go: {', '.join(gone) or 'none, but types change'}",
                "drop it, call again, then make it again",
            ) from error
    connection.execute(sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT * FROM {}").format(view, sql.Identifier(*source)))
    for role, privilege, grantable in grants:
        to = sql.SQL("PUBLIC") if role == "" else sql.Identifier(role)
        option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
        connection.execute(sql.SQL("GRANT {} ON {} TO {}{}").format(sql.SQL(privilege), view, to, option))
    if meaning is not None:
        connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(meaning)))
    for column, text in (comments or {}).items():
        place = sql.Identifier(PUBLIC, name, column)
        connection.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(place, sql.Literal(text)))
    connection.execute(sql.SQL('COMMENT ON RULE "_RETURN" ON {} IS {}').format(view, sql.Literal(digest)))


def _columns(connection: Connection, relation: tuple[str, str]) -> list[tuple[str, str]]:
    """Name and type of each column, in order; none of a relation that is not there."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) || ' ' || attcollation FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [sql.Identifier(*relation).as_string(connection)],
    )
    return [(name, kind) for name, kind in rows]


def _grants(connection: Connection, name: str) -> list[tuple[str, str, bool]]:
    """Who else than the owner may do what with a view: role ('' is everybody), privilege, may grant it on."""
    rows = connection.execute(
        "SELECT coalesce(r.rolname, ''), a.privilege_type, a.is_grantable"
        " FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee"
        " WHERE c.oid = to_regclass(%s) AND a.grantee <> c.relowner",
        [sql.Identifier(PUBLIC, name).as_string(connection)],
    )
    return [(role, privilege, grantable) for role, privilege, grantable in rows]
