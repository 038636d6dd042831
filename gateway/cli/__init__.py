"""The command `order-ledger`. One module per kind of work; each adds its commands with `register`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import psycopg
import typer
from confluent_kafka import KafkaException
from pydantic import ValidationError

from gateway.cli.checking import register as add_checking
from gateway.cli.context import wrong_setting
from gateway.cli.demo import register as add_demo
from gateway.cli.interrupt import interruptible
from gateway.cli.queue import register as add_queue
from gateway.cli.reading import register as add_reading
from gateway.cli.routing import register as add_routing
from gateway.cli.rules import register as add_rules
from gateway.cli.running import register as add_running
from gateway.cli.services import register as add_services
from gateway.cli.stock import register as add_stock
from gateway.cli.terminal import say_fault
from gateway.cli.writing import register as add_writing
from runtime.errors import Fault
from runtime.logging import setup_logging

app = typer.Typer(
    name="order-ledger",
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


def main() -> None:
    """Run the command; a fault that a person can mend ends as three lines on stderr and exit status 1."""
    setup_logging()
    try:
        _refuse_what_is_no_text(sys.argv[1:])
        with interruptible():
            app()
    except Fault as fault:
        say_fault(fault)
        sys.exit(1)
    except KafkaException as error:
        hint = "`order-ledger status` shows what runs, `order-ledger doctor` what is wrong"
        say_fault(Fault("Kafka could not do what was asked", str(error.args[0]), hint))
        sys.exit(1)
    except psycopg.OperationalError as error:
        hint = "`order-ledger status` shows what runs; check ORDER_LEDGER_POSTGRES where it is set"
        say_fault(Fault("PostgreSQL does not answer", str(error).strip(), hint))
        sys.exit(1)
    except ValidationError as error:  # only settings are read by pydantic on this way
        say_fault(wrong_setting(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _refuse_what_is_no_text(arguments: Sequence[str]) -> None:
    """Python hands bytes that are no UTF-8 on as lone surrogates, which no service takes. Raises Fault."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise Fault("an argument is not UTF-8", ascii(argument), "is the terminal set to UTF-8?") from None
