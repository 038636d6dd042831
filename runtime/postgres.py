"""Connections to PostgreSQL, all with a name, in UTC, and with the same time-outs.

with connect(services, "projector") as connection:     # a transaction: commits at the end, rolls back on an error
    …
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runtime.errors import Fault
from runtime.services import Services

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

CONNECT_TIMEOUT_SECONDS = 10  # for one attempt: below 3 fails on a busy server, longer only delays the retry
# The wait for a connection from a pool. Longer makes a reader wait for a server that is down; shorter refuses readers
# that a busy server would have answered.
POOL_PATIENCE_SECONDS = 5.0
# Half-open connections (a server that vanished) are noticed after 30 + 3 × 5 s, not after the kernel's two hours.
_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3}

# A process that stops within a transaction (paused, swapped out, cut off) holds locks on its rows, and its successor
# waits for them. So the server ends such a transaction. Between two statements we make the rows of one table, in well
# under a second. Shorter than 5 s ends healthy work on a machine that swaps (it is repeated); longer makes a successor
# wait as long.
STILL_SECONDS_MAX = 10.0


def conninfo(services: Services, application: str, database: str | None = None) -> str:
    """The connection string with the name that `pg_stat_activity` shows; for pools and for COPY tools."""
    parts: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **_KEEPALIVE}
    parts |= conninfo_to_dict(services.postgres)  # the user's settings win
    if database is not None:
        parts["dbname"] = database
    return make_conninfo(**parts | {"application_name": f"order-ledger {application}"})


def connect(
    services: Services, application: str, *, autocommit: bool = False, database: str | None = None
) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in UTC; a transaction begins with the first statement unless `autocommit`."""
    connection = psycopg.connect(conninfo(services, application, database), autocommit=autocommit)
    connection.execute("SET timezone TO 'UTC'")
    if not autocommit:
        connection.commit()
    return connection


def let_go_when_still(connection: psycopg.Connection[Any], seconds: float = STILL_SECONDS_MAX) -> None:
    """Make the server end this connection, and roll back, if a transaction is idle for so long.

    The next statement then raises psycopg.errors.IdleInTransactionSessionTimeout, which is not an OperationalError.
    """
    connection.execute(f"SET idle_in_transaction_session_timeout TO {round(seconds * 1000)}")
    connection.commit()


async def connect_async(
    services: Services, application: str, *, autocommit: bool = False
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """Like `connect`, for the event loops of API and reactions."""
    connection = await psycopg.AsyncConnection.connect(conninfo(services, application), autocommit=autocommit)
    await connection.execute("SET timezone TO 'UTC'")
    if not autocommit:
        await connection.commit()
    return connection


def pool(services: Services, application: str, *, size_max: int = 8) -> ConnectionPool:
    """A pool for many short reads, not yet open (`with pool(...) as p:`).

    8: two cores answer no faster with more; with fewer, requests queue behind a slow one.
    """
    from psycopg_pool import ConnectionPool  # imported here: only the API needs it, not the command line

    return ConnectionPool(
        conninfo(services, application),
        min_size=1,
        max_size=size_max,
        timeout=POOL_PATIENCE_SECONDS,
        open=False,
        kwargs={"autocommit": True},
        configure=_in_utc,
        check=ConnectionPool.check_connection,  # otherwise a reader gets a dead connection after a server restart
    )


def _in_utc(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SET timezone TO 'UTC'")


def wait_for_postgres(services: Services, timeout_seconds: float = 60.0) -> None:
    """Return when the server answers; the pause between attempts grows from 0.05 s to 2 s."""
    deadline = time.monotonic() + timeout_seconds
    pause = 0.05
    while True:
        try:
            with connect(services, "wait", autocommit=True) as connection:
                connection.execute("SELECT 1")
            return
        except psycopg.OperationalError as error:
            if time.monotonic() + pause > deadline:
                raise Fault(
                    f"PostgreSQL does not answer (waited {timeout_seconds:.0f} s)",
                    str(error).strip(),
                    "`order-ledger status` shows what runs; check ORDER_LEDGER_POSTGRES if it is set",
                ) from error
        time.sleep(pause)
        pause = min(2.0, pause * 2)


def ensure_database(services: Services, name: str) -> str:
    """The connection string of a database of this name on the same server; created if it is missing."""
    with connect(services, "ensure-database", autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if known is None:
            # If another process has just created it, it is there.
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_conninfo(services.postgres, dbname=name)


def drop_database(services: Services, name: str) -> None:
    """End a database's connections and remove it; does nothing if there is none."""
    with connect(services, "drop-database", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
