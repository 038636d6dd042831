"""Connections to PostgreSQL: opened in one way, named, in UTC, and patient while the server comes up.

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

CONNECT_TIMEOUT_SECONDS = 10  # for one attempt: below 3 fails on a busy server, above only delays the retry
# For a connection of a pool. Longer keeps a reader waiting for a server that is away; shorter turns readers away whom a
# busy server would have answered.
POOL_PATIENCE_SECONDS = 5.0
# Half-open connections (a server that vanished) are noticed after 30 + 3 × 5 s, not after the kernel's two hours.
_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3}

# A process that stands still in a transaction (paused, swapped out, cut off) holds rows it touched, and whoever took
# over its work waits for them. So the server ends such a transaction. Between two statements of ours lies the making of
# one table's rows, well under a second: shorter than 5 s ends healthy work on a machine that swaps (it is done again),
# longer makes a successor wait for as long.
STILL_SECONDS_MAX = 10.0


def conninfo(services: Services, application: str, database: str | None = None) -> str:
    """The connection string with our name in it, as `pg_stat_activity` shows it; for pools and for COPY tools."""
    parts: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **_KEEPALIVE}
    parts |= conninfo_to_dict(services.postgres)  # what the user configured wins
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


def let_go_when_still(connection: psycopg.Connection[Any]) -> None:
    """The server rolls back a transaction of this connection that rests for STILL_SECONDS_MAX, and ends the connection.

    The next statement then raises psycopg.errors.IdleInTransactionSessionTimeout, which is no OperationalError.
    """
    connection.execute(f"SET idle_in_transaction_session_timeout TO {round(STILL_SECONDS_MAX * 1000)}")
    connection.commit()


async def connect_async(
    services: Services, application: str, *, autocommit: bool = False
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """As `connect`, for the API's and the reactions' event loops."""
    connection = await psycopg.AsyncConnection.connect(conninfo(services, application), autocommit=autocommit)
    await connection.execute("SET timezone TO 'UTC'")
    if not autocommit:
        await connection.commit()
    return connection


def pool(services: Services, application: str, *, size_max: int = 8) -> ConnectionPool:
    """A pool for many short reads, not yet open (`with pool(...) as p:`).

    8: two cores answer no faster with more; fewer make concurrent requests queue behind a slow one.
    """
    from psycopg_pool import ConnectionPool  # here: the API has one, and no command of a person

    return ConnectionPool(
        conninfo(services, application),
        min_size=1,
        max_size=size_max,
        timeout=POOL_PATIENCE_SECONDS,
        open=False,
        kwargs={"autocommit": True},
        configure=_in_utc,
        check=ConnectionPool.check_connection,  # a server restart must not hand out dead connections
    )


def _in_utc(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SET timezone TO 'UTC'")


def wait_for_postgres(services: Services, timeout_seconds: float = 60.0) -> None:
    """Return when the server answers; attempts 0.05 s apart at first, then ever less often, up to 2 s."""
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
                    "`order-ledger status` shows what runs; check ORDER_LEDGER_POSTGRES where it is set",
                ) from error
        time.sleep(pause)
        pause = min(2.0, pause * 2)


def ensure_database(services: Services, name: str) -> str:
    """The connection string of a database of this name on the same server, made when it is missing."""
    with connect(services, "ensure-database", autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if known is None:
            # Made by another process just now? Then what was asked for is there.
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_conninfo(services.postgres, dbname=name)


def drop_database(services: Services, name: str) -> None:
    """Remove a database, its connections ended first; nothing happens when there is none."""
    with connect(services, "drop-database", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
