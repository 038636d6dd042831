"""What people read: a view for every public table, each column with its meaning, in PostgreSQL as in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from projections.catalogue import PROJECTIONS
from projections.model import Projection, View
from projections.tables import ddl
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services

VIEWS = {view.name: view for one in PROJECTIONS.values() for view in one.views}


@pytest.fixture(scope="module")
def database(services: Services) -> Iterator[Services]:
    ensure_database(services, "view_tests")
    yield services
    drop_database(services, "view_tests")


@pytest.fixture
def connection(database: Services) -> Iterator[psycopg.Connection[Any]]:
    """All tables and views, rolled back after the test."""
    with connect(database, "test", database="view_tests") as connection:
        make(connection, *PROJECTIONS.values())
        yield connection
        connection.rollback()


def make(connection: psycopg.Connection[Any], *projections: Projection) -> None:
    for one in projections:
        connection.execute(ddl(one).encode())


def columns(connection: psycopg.Connection[Any], relation: str) -> dict[str, str | None]:
    """Names and comments, in their order."""
    return dict(
        connection.execute(
            "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [relation],
        ).fetchall()
    )


def comment(connection: psycopg.Connection[Any], relation: str) -> str | None:
    row = connection.execute("SELECT obj_description(%s::regclass, 'pg_class')", [relation]).fetchone()
    assert row is not None
    return row[0]


def test_every_view_and_every_column_has_its_comment(connection):
    there = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = current_schema()").fetchall()
    assert {name for (name,) in there} == set(VIEWS)
    for view in VIEWS.values():
        assert comment(connection, view.name) == view.meaning
        assert columns(connection, view.name) == dict(view.columns), view.name
        assert view.meaning.strip()
        assert all(meaning.strip() for meaning in view.columns.values()), view.name


def test_a_public_table_is_in_its_view_with_all_its_columns_those_that_are_generated_too(connection):
    hidden = {"location_days"}
    for projection in PROJECTIONS.values():
        for table in projection.tables:
            assert (table.name in hidden) == (not table.public), table.name
            told = {column.name for column in table.columns} | set(table.derived)
            assert set(columns(connection, table.name)) == told, table.name
            assert (f"v_{table.name}" in VIEWS) == table.public


def test_a_view_is_left_alone_where_it_is_the_same_and_replaced_where_it_is_not(connection):
    def defined() -> list[Any]:
        return connection.execute("SELECT ev_class, xmin::text FROM pg_rewrite ORDER BY 1").fetchall()

    before = defined()
    connection.execute("SAVEPOINT again")
    make(connection, *PROJECTIONS.values())
    assert defined() == before
    name = "v_location_parcels"
    changed = View(name, "Other words", VIEWS[name].columns, VIEWS[name].query + " HAVING true")
    make(connection, Projection("routing", (), PROJECTIONS["routing"].fold, (changed,)))
    assert comment(connection, name) == "Other words"
    connection.execute("DROP VIEW v_location_parcels")
    make(connection, PROJECTIONS["routing"])
    assert comment(connection, name) == VIEWS[name].meaning


def test_what_was_granted_on_a_view_stays_when_it_is_replaced(connection):
    connection.execute("CREATE ROLE view_reader")
    connection.execute("GRANT SELECT ON v_inventory_totals TO view_reader")
    view = VIEWS["v_inventory_totals"]
    changed = View(view.name, "Other words", view.columns, view.query)
    make(connection, Projection("inventory", (), PROJECTIONS["inventory"].fold, (changed,)))
    row = connection.execute("SELECT has_table_privilege('view_reader', 'v_inventory_totals', 'SELECT')").fetchone()
    assert row == (True,)
