"""`order-ledger verify | dead-letters list, show, retry, close | doctor`: is it right, what went wrong, is it well."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, NoReturn

import psycopg
import typer
from confluent_kafka import KafkaException

from gateway.cli.commands import noun
from gateway.cli.context import fail
from gateway.cli.listing import Csv, Json, Limit, form_of, print_listing
from gateway.cli.terminal import grid, print_grid, print_json, say, say_missing
from gateway.dead_letters import LETTER_FIELDS, close, describe, find_message, hexdump, read_letters, retry
from gateway.doctor import acknowledge, examine, healthy
from gateway.listing import nothing
from gateway.workers import Lookout
from processors.dead_letters import Place
from processors.subjects import codec_for
from processors.verify import Progress, Report, verify
from projections.page import Page
from runtime.errors import Fault
from runtime.progress import Bar, progress
from runtime.services import Services, find_services
from runtime.settings import Settings

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Where it was found: topic/partition/offset, as `list` says.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("verify", epilog="Example: order-ledger verify --json")(verify_command)
    app.command("doctor", epilog="Example: order-ledger doctor")(doctor_command)
    letters = noun(app, "dead-letters", "Records that nobody could read or handle.")
    letters.command("list", epilog="Example: order-ledger dead-letters list --json")(list_command)
    letters.command("show", epilog="Example: order-ledger dead-letters show intake.orders/3/17")(show_command)
    letters.command("retry", epilog="Example: order-ledger dead-letters retry --all")(retry_command)
    letters.command("close", epilog="Example: order-ledger dead-letters close intake.orders/3/17 --why garbage")(
        close_command
    )


def verify_command(
    *,
    schema: Annotated[str, typer.Option(help="Schema of the tables.")] = "public",
    as_json: Json = False,
) -> None:
    """Fold the whole log independently and compare every row and column of the tables; exit status 1 if they differ."""
    services = _services()
    with progress("reading the log", unit="records") as bar:
        try:
            report = verify(services, _codec(services), schema=schema, progress=shown_by(bar))
        except (Fault, KafkaException, psycopg.Error) as error:
            _fail_with(error)
    if as_json:
        print_json(report.as_json())
    else:
        _tell(report)
    if not report.equal:
        raise typer.Exit(1)


def shown_by(bar: Bar) -> Progress:
    """The progress of a `verify` on this bar: each table is a piece of work of its own."""

    def show(what: str, done: int, total: int, unit: str) -> None:
        if what != bar.title:
            bar.begin(what, total, unit)
        bar.reach(done, total)

    return show


def _tell(report: Report) -> None:
    for name, rows in report.tables.items():
        say(f"{name:24} {rows:>12,} rows")
    for topic, reasons in report.skipped.items():
        for reason, entry in reasons.items():
            say(f"{topic}: {entry['count']:,} facts passed over, {reason}; first at {', '.join(entry['places'])}")
    difference = report.first_difference
    if difference is None:
        say(f"equal: the tables are what {report.facts:,} facts say")
    else:
        say(f"NOT EQUAL: {difference.table} {difference.key} column {difference.column}")
        say(f"  expected: {difference.expected!r}")
        say(f"  found:    {difference.found!r}")


def list_command(*, limit: Limit = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """List dead letters, each record once, with the reason."""
    form = form_of(limit, as_json=as_json, as_csv=as_csv)
    letters = _reading(read_letters)
    page = Page((letter.as_json() for letter in letters[: form.limit]), len(letters), LETTER_FIELDS)
    reasons = Counter(letter.reason for letter in letters if letter.open)
    print_listing(form, page, nothing("dead letters"), _show_letters, open_by_reason=reasons)


def _show_letters(page: Page) -> None:
    table = grid("source", "reason", "count", "state", "at", "detail", right=("count",), text=("detail",))
    for row in page:
        cells = (row["source"], row["reason"], f"{row['count']:,}", row["state"], row["at"])
        table.add_row(*cells, row["detail"])
    print_grid(table)


def show_command(source: Source, *, as_json: Json = False) -> None:
    """Show one dead letter: its headers, its bytes, and what can be made of them."""
    place = _place(source)
    message = _reading(lambda services: find_message(services, place))
    description = describe(message, _codec(_services()))
    if as_json:
        print_json(description)
        return
    for name, value in description["headers"].items():
        say(f"{name}: {value}")
    say(f"key: {description['key']}", f"bytes: {description['bytes']:,}", "")
    say(*hexdump(message.value() or b""), "")
    for name, value in description["decoded"].items():
        say(f"{name}: {value}")


def retry_command(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="One letter: topic/partition/offset.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All letters that were not sent again yet.")] = False,
    as_json: Json = False,
) -> None:
    """Send the original bytes to the topic they came from. Harmless to repeat: a command id is answered once."""
    if (source is None) != everything:
        fail("say which letters to send again", "", "name one as `dead-letters list` does, or say --all")
    place = None if source is None else _place(source)
    outcomes = _reading(lambda services: retry(services, place))
    if any(outcome["outcome"] == "sent" for outcome in outcomes):
        Lookout(_services(), Settings(), say_missing).look()
    if as_json:
        print_json({"outcomes": outcomes})
    else:
        for outcome in outcomes:
            say(f"{outcome['source']}: {outcome['outcome']} {outcome.get('to') or outcome.get('detail', '')}")
        if not outcomes:
            say("nothing to send again", err=True)
    if any(outcome["outcome"] != "sent" for outcome in outcomes):
        raise typer.Exit(1)


def close_command(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="One letter: topic/partition/offset.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All letters that are open.")] = False,
    why: Annotated[str, typer.Option(help="Why nothing will come of it; kept with the letter.")] = "",
    as_json: Json = False,
) -> None:
    """Note that nothing will come of a letter: `doctor` is silent about it, `list` still shows it."""
    if (source is None) != everything:
        fail("say which letters to close", "", "name one as `dead-letters list` does, or say --all")
    place = None if source is None else _place(source)
    closed = _reading(lambda services: close(services, place, why))
    if as_json:
        print_json({"closed": [str(one) for one in closed]})
        return
    for one in closed:
        say(f"{one}: closed")
    if not closed:
        say("nothing to close", err=True)


def doctor_command(
    *,
    seen: Annotated[
        bool,
        typer.Option("--acknowledge", help="Note that warnings of what has been were seen: silent until more comes."),
    ] = False,
    why: Annotated[str, typer.Option(help="With --acknowledge: what was done about them; shown with them.")] = "",
    as_json: Json = False,
) -> None:
    """Check services, topics, workers, what was passed over and what waits; exit status 1 if something fails."""
    if why and not seen:
        fail("--why says what was done about warnings", "it is kept with those that are acknowledged", "--acknowledge")
    settings = Settings()
    checks = examine(settings)
    if seen:
        try:
            noted = acknowledge(settings, checks, why)
        except (Fault, psycopg.Error) as error:
            _fail_with(error)
        say(f"{len(noted)} warnings acknowledged", err=True)
        checks = examine(settings) if noted else checks
    if as_json:
        print_json({"healthy": healthy(checks), "checks": [check.as_json() for check in checks]})
    else:
        for check in checks:
            say(f"{check.verdict:4}  {check.what}" + (f"  ({check.detail})" if check.detail else ""))
            if check.hint:
                say(f"      → {check.hint}")
    if not healthy(checks):
        raise typer.Exit(1)


def _services() -> Services:
    try:
        return find_services(Settings())
    except Fault as error:
        _fail_with(error)


def _codec(services: Services) -> Any:
    return codec_for(services.schema_registry, services.topic_prefix)


def _place(text: str) -> Place:
    try:
        return Place.parse(text)
    except ValueError:
        fail(f"{text!r} is no place of a record", "", "write topic/partition/offset, for example intake.orders/3/17")


def _reading(read: Any) -> Any:
    try:
        return read(_services())
    except (Fault, KafkaException) as error:
        _fail_with(error)


def _fail_with(error: Exception) -> NoReturn:
    if isinstance(error, Fault):
        fail(error.what, error.detail, error.hint)
    service = "PostgreSQL" if isinstance(error, psycopg.Error) else "Kafka"
    fail(f"{service} could not answer", str(error).strip(), "`order-ledger doctor` shows what is reachable")
