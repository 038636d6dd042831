"""The command `order-ledger`. One module per kind of work; each adds its commands with `register`."""

from __future__ import annotations

import sys

import typer

from gateway.cli import checking, demo, reading, running, services, writing
from runtime.errors import Fault
from runtime.logging import setup_logging

app = typer.Typer(
    name="order-ledger",
    help="The ledger of orders: commands in, facts in Kafka, tables in PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (services, demo, writing, running, reading, checking):
    module.register(app)


def main() -> None:
    """Run the command; a fault that a person can mend ends as three lines on stderr and exit status 1."""
    setup_logging()
    try:
        app()
    except Fault as fault:
        typer.echo(str(fault), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
