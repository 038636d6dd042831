"""The command `order-ledger`. One module per kind of work; each adds its commands with `register`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import psycopg
import typer
from confluent_kafka import KafkaException

from gateway.cli.checking import register as add_checking
from gateway.cli.commands import Commands
from gateway.cli.demo import register as add_demo
from gateway.cli.interrupt import interruptible
from gateway.cli.queue import register as add_queue
from gateway.cli.reading import register as add_reading
from gateway.cli.routing import register as add_routing
from gateway.cli.rules import register as add_rules
from gateway.cli.running import register as add_running
from gateway.cli.services import register as add_services
from gateway.cli.stock import register as add_stock
from gateway.cli.terminal import say, say_fault
from gateway.cli.writing import register as add_writing
from runtime.errors import Fault
from runtime.logging import setup_logging

app = typer.Typer(
    name="order-ledger",
    cls=Commands,
    help="The ledger of orders: commands in, facts in Kafka, tables in PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for add in (
    add_services,
    add_demo,
    add_writing,
    add_running,
    add_reading,
    add_stock,
    add_queue,
    add_rules,
    add_routing,
    add_checking,
):
    add(app)


def _say_version(value: bool) -> None:  # noqa: FBT001 - typer hands it on so
    if value:
        say(f"order-ledger {version('order-ledger')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The ledger of orders: commands in, facts in Kafka, tables in PostgreSQL."""


def main() -> None:
    """Run the command; a fault that a person can mend ends as three lines on stderr and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal may not know a letter of an order. It is shown the letter's number then.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    setup_logging()
    try:
        _refuse_what_is_no_text(sys.argv[1:])
        with interruptible():
            _run_and_flush()
    except Fault as fault:
        say_fault(fault)
        sys.exit(1)
    except KafkaException as error:
        hint = "`order-ledger status` shows what runs, `order-ledger doctor` what is wrong"
        say_fault(Fault("Kafka could not do what was asked", str(error.args[0]), hint))
        sys.exit(1)
    except psycopg.Error as error:
        hint = "`order-ledger status` shows what runs; check ORDER_LEDGER_POSTGRES where it is set"
        what = "does not answer" if isinstance(error, psycopg.OperationalError) else "could not do what was asked"
        say_fault(Fault(f"PostgreSQL {what}", str(error).strip(), hint))
        sys.exit(1)
    except BrokenPipeError:
        # `| head` has seen enough. What is left in the buffer goes nowhere, or Python would say so at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        hint = "check the path, the rights on it, and the space on its disk"
        say_fault(Fault("the operating system refused a file", str(error), hint))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run_and_flush() -> None:
    """Run the command. What it printed is written before it counts as done: a full disk shows only then."""
    try:
        app()
    except SystemExit:
        if sys.stdout is not None:
            sys.stdout.flush()
        raise


def _refuse_what_is_no_text(arguments: Sequence[str]) -> None:
    """Python hands bytes that are no UTF-8 on as lone surrogates, which no service takes; nor does any take a NUL.
    Raises Fault."""
    for argument in arguments:
        if "\0" in argument:
            raise Fault("an argument holds a NUL character", ascii(argument), "leave it out")
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise Fault("an argument is not UTF-8", ascii(argument), "is the terminal set to UTF-8?") from None
