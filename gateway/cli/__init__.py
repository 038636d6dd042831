"""The command `order-ledger`. `table.py` lists its commands; the module of a command is imported when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from gateway.cli.interrupt import interruptible
from gateway.cli.terminal import say, say_fault
from gateway.cli.words import Root
from runtime.errors import Fault
from runtime.logging import setup_logging

app = typer.Typer(
    name="order-ledger",
    cls=Root,
    help="The order ledger: commands in, facts in Kafka, tables in PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(value: bool) -> None:  # noqa: FBT001 - typer passes it positionally
    if value:
        from importlib.metadata import version

        say(f"order-ledger {version('order-ledger')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The order ledger: commands in, facts in Kafka, tables in PostgreSQL."""


def main() -> None:
    """Run the command; a Fault ends as up to three lines on stderr and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show is printed as its number.
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
    except BrokenPipeError:
        _leave_what_cannot_be_written()  # `| head` has closed the pipe
        sys.exit(1)
    except OSError as error:
        hint = "check the path, its permissions, and the space on its disk"
        say_fault(Fault("the operating system refused a file", str(error), hint))
        _leave_what_cannot_be_written()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        in_words = _of_a_service(error)
        if in_words is None:
            raise
        say_fault(in_words)
        sys.exit(1)


def _of_a_service(error: Exception) -> Fault | None:
    """An error of Kafka's or PostgreSQL's client as a Fault; None for any other error.

    A client that was never imported raised nothing. `--help` imports neither of them.
    """
    kafka, postgres = sys.modules.get("confluent_kafka"), sys.modules.get("psycopg")
    if kafka is not None and isinstance(error, kafka.KafkaException):
        hint = "`order-ledger status` shows what runs, `order-ledger doctor` what is wrong"
        return Fault("Kafka could not do what was asked", str(error.args[0]), hint)
    if postgres is not None and isinstance(error, postgres.Error):
        hint = "`order-ledger status` shows what runs; check ORDER_LEDGER_POSTGRES if it is set"
        what = "does not answer" if isinstance(error, postgres.OperationalError) else "could not do what was asked"
        return Fault(f"PostgreSQL {what}", str(error).strip(), hint)
    return None


def _run_and_flush() -> None:
    """Run the command and flush its output, because a full disk shows only then."""
    try:
        app()
    except SystemExit:
        if sys.stdout is not None:
            sys.stdout.flush()
        raise


def _leave_what_cannot_be_written() -> None:
    """Drop output that cannot be written. Python would try again at exit, print a traceback and exit with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse_what_is_no_text(arguments: Sequence[str]) -> None:
    """Raises Fault for a NUL character and for bytes that are not UTF-8: no service accepts them. (Python turns such
    bytes into lone surrogates.)"""
    for argument in arguments:
        if "\0" in argument:
            raise Fault("an argument contains a NUL character", ascii(argument), "leave it out")
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise Fault("an argument is not UTF-8", ascii(argument), "set the terminal to UTF-8") from None
