"""What every command needs: a connection to the ledger's tables, and one way to say what went wrong.

with open_database() as connection:
    print_json(read_order(connection, "order-1"))
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Any

import psycopg
import typer

from gateway.cli.terminal import fail
from runtime.errors import Fault
from runtime.postgres import connect
from runtime.progress import progress
from runtime.services import Services, embedded, find_services, not_up, up
from runtime.settings import Settings

#: What PostgreSQL counts to: more rows than this cannot be asked for.
LIMIT_MAX = 2**63 - 1
#: Seeds become part of ids, which have an end.
SEED_MAX = 2**63 - 1

#: How all commands name themselves in `pg_stat_activity`.
_APPLICATION = "cli"

StartServices = Annotated[bool, typer.Option("--up", help="Start Kafka and PostgreSQL first, if they are not running.")]


def finite(value: float) -> float:
    """The number itself; for an option, whose bounds NaN is within."""
    if math.isnan(value) or math.isinf(value):
        raise typer.BadParameter(f"{value} is no number of this kind.")
    return value


def days(from_: datetime | None, to: datetime | None) -> tuple[date | None, date | None]:
    """The days of --from and --to, both included; ends the command where they are the wrong way round."""
    first, last = (value and value.date() for value in (from_, to))
    if first and last and last < first:
        fail("the days are the wrong way round", f"--from {first} is after --to {last}", "exchange them")
    return first, last


def services_for(settings: Settings, *, start: bool) -> Services:
    """The services that a command works with; started, with progress, only where that was asked for. Raises Fault."""
    if not start:
        try:
            return find_services(settings)
        except Fault as fault:
            raise Fault(fault.what, fault.detail, f"{fault.hint}; with --up this command starts them") from fault
    with progress("looking for services") as bar:
        return up(settings, bar.say)


@contextmanager
def open_database() -> Iterator[psycopg.Connection[Any]]:
    """A read-only connection, each statement of one moment. Starts nothing: where PostgreSQL is down or its tables are
    not made yet, the command ends with what to do about it."""
    services = _services(Settings())
    try:
        connection = connect(services, _APPLICATION, autocommit=True)
    except psycopg.OperationalError as error:
        fail(
            "PostgreSQL does not answer",
            str(error).strip().splitlines()[0],
            "`order-ledger status` shows what runs; check ORDER_LEDGER_POSTGRES where it is set",
        )
    with connection:
        connection.execute("SET default_transaction_read_only TO on")
        try:
            yield connection
        except psycopg.errors.UndefinedTable as error:
            fail(
                "the ledger's tables are not there yet",
                str(error).strip().splitlines()[0],
                "`order-ledger run` starts the workers that create and fill them",
            )


def _services(settings: Settings) -> Services:
    """Where PostgreSQL is, without starting anything: a look must not change what runs."""
    conninfo = settings.postgres_conninfo()
    if conninfo is not None:
        return Services({}, conninfo, "configured", "configured", settings.topic_prefix, settings.schema_registry)
    running = embedded(settings).running().postgres
    if running is None:
        fault = not_up(settings, kafka=True)
        fail(fault.what, fault.detail, fault.hint)
    return Services({}, running, "embedded", "embedded", settings.topic_prefix, settings.schema_registry)
