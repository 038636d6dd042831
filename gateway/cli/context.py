"""Common to all commands: a connection to the ledger's tables, and checks of options.

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

#: PostgreSQL's largest LIMIT.
LIMIT_MAX = 2**63 - 1
#: Seeds become part of ids, whose length is limited.
SEED_MAX = 2**63 - 1

#: The name of all commands in `pg_stat_activity`.
_APPLICATION = "cli"

StartServices = Annotated[bool, typer.Option("--up", help="Start Kafka and PostgreSQL first, if they are not running.")]


def finite(value: float) -> float:
    """The number, unless it is NaN or infinite: an option's bounds do not exclude NaN."""
    if math.isnan(value) or math.isinf(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


def days(from_: datetime | None, to: datetime | None) -> tuple[date | None, date | None]:
    """The days of --from and --to, both included; ends the command if they are the wrong way round."""
    first, last = (value and value.date() for value in (from_, to))
    if first and last and last < first:
        fail("the days are the wrong way round", f"--from {first} is after --to {last}", "swap them")
    return first, last


def services_for(settings: Settings, *, start: bool) -> Services:
    """The services for a command; `start` starts them, with progress. Raises Fault if they are not up."""
    if not start:
        try:
            return find_services(settings)
        except Fault as fault:
            raise Fault(fault.what, fault.detail, f"{fault.hint}; with --up this command starts them") from fault
    with progress("looking for services") as bar:
        return up(settings, bar.say)


@contextmanager
def open_database() -> Iterator[psycopg.Connection[Any]]:
    """A read-only connection; each statement sees one moment. Starts nothing: if PostgreSQL is down or the tables do
    not exist yet, the command ends with a hint."""
    services = _services(Settings())
    try:
        connection = connect(services, _APPLICATION, autocommit=True)
    except psycopg.OperationalError as error:
        fail(
            "PostgreSQL does not answer",
            str(error).strip().splitlines()[0],
            "`order-ledger status` shows what runs; check ORDER_LEDGER_POSTGRES if it is set",
        )
    with connection:
        connection.execute("SET default_transaction_read_only TO on")
        try:
            yield connection
        except psycopg.errors.UndefinedTable as error:
            fail(
                "the ledger's tables do not exist yet",
                str(error).strip().splitlines()[0],
                "`order-ledger run` starts the workers that create and fill them",
            )


def _services(settings: Settings) -> Services:
    """The address of PostgreSQL. Starts nothing, because a reading command must not change what runs."""
    conninfo = settings.postgres_conninfo()
    if conninfo is not None:
        return Services({}, conninfo, "configured", "configured", settings.topic_prefix, settings.schema_registry)
    running = embedded(settings).running().postgres
    if running is None:
        fault = not_up(settings, kafka=True)
        fail(fault.what, fault.detail, fault.hint)
    return Services({}, running, "embedded", "embedded", settings.topic_prefix, settings.schema_registry)
