"""What the reactions look up, on a real PostgreSQL: also before the projector has made any table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import pytest

from events.routing.rules import read_rules
from processors.following.database import Database
from processors.reactions.lookups import ProjectionLookups, read_places, read_router
from processors.reactions.wiring import TIMERS
from processors.routing.book import Router, default_router
from processors.routing.default import default_text
from projections.catalogue import PROJECTIONS
from runtime.errors import Fault
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services
from tests.support.projecting import make_live

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def database(services: Services) -> Iterator[Services]:
    ensure_database(services, "lookup_tests")
    yield services
    drop_database(services, "lookup_tests")


@pytest.fixture
def connection(database: Services) -> Iterator[psycopg.Connection[Any]]:
    with connect(database, "test", database="lookup_tests") as connection:
        yield connection
        connection.rollback()


class OneConnection:
    """A database whose work is done on one connection, which the test rolls back."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def run(self, work: Callable[[psycopg.Connection[Any]], Any]) -> Any:
        return work(self._connection)


QUERIES = [timer.query for timer in TIMERS]


def lookups(connection: psycopg.Connection[Any]) -> ProjectionLookups:
    return ProjectionLookups(cast("Database", OneConnection(connection)))


def tables(connection: psycopg.Connection[Any]) -> None:
    make_live(connection, PROJECTIONS.values())


def test_nothing_is_due_before_there_are_tables_and_the_connection_stays_usable(connection):
    assert lookups(connection).due(QUERIES, NOW) == [()] * len(QUERIES)
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_what_is_due_comes_from_the_tables_of_all_timers(connection):
    tables(connection)
    past = NOW - timedelta(hours=1)
    connection.execute("INSERT INTO expiring_reservations VALUES ('MUG', 'o1', '1', 1, 'WH1', 2, %s)", [past])
    connection.execute(
        "INSERT INTO order_status (order_id, version, released, release_at, open) VALUES ('o2', 7, false, %s, 1)",
        [past],
    )
    connection.execute("INSERT INTO expected_receipts VALUES ('MUG', 'purchase_order', 'PO', 'WH1', 1, %s)", [past])
    connection.execute(
        "INSERT INTO order_lines (order_id, line_id, cancel_after, open) VALUES ('o2', '1', %s, 1)", [past]
    )
    connection.execute(
        "INSERT INTO deferred_tracking (order_id, number, waits_for, status, scanned_at, ends_at)"
        " VALUES ('o3', 1, 'S1', 'delivered', %s, %s)",
        [past, past],
    )
    assert lookups(connection).due(QUERIES, NOW) == [
        [("MUG", "o1", "1", 1, "WH1", 2, past)],
        [("o2", past)],
        [("MUG", past)],
        [("o2", 7, past)],
        [("o3", past)],
    ]


def test_places_carry_the_channels_that_they_do_not_serve(connection):
    tables(connection)
    connection.execute("INSERT INTO locations (location_id, country) VALUES ('WH1', 'GB'), ('WH2', 'DE')")
    connection.execute("INSERT INTO location_channels VALUES ('WH2', 'web', true), ('WH2', 'shop', true)")
    places = read_places(connection)
    assert (places["WH1"].country, places["WH1"].excluded_channels) == ("GB", ())
    assert places["WH2"].excluded_channels == ("shop", "web")


def test_the_pace_is_read_where_the_rules_ask_for_it_and_there_is_stock(connection):
    tables(connection)
    text = default_text().replace('"cost"]', '"stock_out"]')
    assert Router(read_rules(text), 3).needs_pace
    connection.execute("INSERT INTO routing_rules VALUES ('routing', 3, 'default', %s)", [text])
    connection.execute(
        "INSERT INTO inventory (sku, location_id, on_hand, registered)"
        " VALUES ('MUG', 'WH1', 5, true), ('CUP', 'WH1', 0, true)"
    )
    connection.execute("INSERT INTO sku_weeks VALUES ('MUG', 'WH1', '2026-11-16', 8), ('CUP', 'WH1', '2026-11-16', 8)")
    found = lookups(connection).read({"MUG", "CUP"}, moments=[NOW])
    assert found.available == {"MUG": {"WH1": 5}}
    assert found.router.number == 3
    assert found.weekly == {"MUG": {"WH1": 2.0}}


def test_no_pace_is_read_where_no_rule_asks_for_it(connection):
    tables(connection)
    connection.execute("INSERT INTO inventory (sku, location_id, on_hand, registered) VALUES ('MUG', 'WH1', 5, true)")
    connection.execute("INSERT INTO sku_weeks VALUES ('MUG', 'WH1', '2026-11-16', 8)")
    assert lookups(connection).read({"MUG"}, moments=[NOW]).weekly == {}


def test_rules_of_a_newer_build_are_told_and_not_guessed(connection):
    tables(connection)
    assert read_router(connection, default_router()) is default_router()
    connection.execute("INSERT INTO routing_rules VALUES ('routing', 4, 'newer', 'words = [')")
    with pytest.raises(Fault, match="version 4"):
        read_router(connection, default_router())
