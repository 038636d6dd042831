"""Connections are named and in UTC; databases come and go by name; a server that is away is waited for."""

from __future__ import annotations

import dataclasses

import psycopg
import pytest

from runtime.errors import Fault
from runtime.postgres import connect, connect_async, drop_database, ensure_database, pool, wait_for_postgres


def test_a_connection_is_named_in_utc_and_begins_a_transaction(ledger_env):
    with connect(ledger_env.services, "projector") as connection:
        row = connection.execute("SELECT current_setting('application_name'), current_setting('timezone')").fetchone()
        assert row == ("order-ledger projector", "UTC")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


def test_an_error_rolls_back(ledger_env):
    with connect(ledger_env.services, "t") as connection:
        connection.execute("CREATE TABLE kept (n int)")
    with pytest.raises(psycopg.errors.DivisionByZero), connect(ledger_env.services, "t") as connection:
        connection.execute("INSERT INTO kept VALUES (1); SELECT 1 / 0")
    with connect(ledger_env.services, "t") as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_pool_survives_connections_that_the_server_ended(ledger_env):
    with pool(ledger_env.services, "api", size_max=2) as connections:
        with connections.connection() as connection:
            connection.execute("SELECT 1")
        with connect(ledger_env.services, "t", autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'order-ledger api'"
                " AND datname = current_database()"
            )
        with connections.connection() as connection:
            assert connection.execute("SELECT current_setting('timezone')").fetchone() == ("UTC",)


async def _now(services):
    async with await connect_async(services, "api") as connection:
        return await (await connection.execute("SELECT current_setting('timezone')")).fetchone()


def test_async_connections_are_the_same(ledger_env):
    import asyncio

    assert asyncio.run(_now(ledger_env.services)) == ("UTC",)


def test_a_database_is_made_once_and_removed_with_its_connections(ledger_env):
    services = ledger_env.services
    name = f"{ledger_env.settings.topic_prefix.rstrip('.')}_more"
    conninfo = ensure_database(services, name)
    assert ensure_database(services, name) == conninfo
    open_connection = psycopg.connect(conninfo)
    drop_database(services, name)
    drop_database(services, name)
    with pytest.raises(psycopg.OperationalError):
        open_connection.execute("SELECT 1")
    open_connection.close()


def test_waiting_for_a_server_that_does_not_come_ends_with_a_hint(ledger_env):
    away = dataclasses.replace(ledger_env.services, postgres="host=127.0.0.1 port=1 user=nobody")
    with pytest.raises(Fault, match="does not answer") as caught:
        wait_for_postgres(away, timeout_seconds=0.3)
    assert "ORDER_LEDGER_POSTGRES" in caught.value.hint
    wait_for_postgres(ledger_env.services)
