"""`order-ledger dead-letters list | show | retry | close`: records that nobody could read or handle."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from gateway.cli.asking import asked, codec, running_services
from gateway.cli.listing import Csv, Json, Limit, form_of, print_listing
from gateway.cli.terminal import fail, grid, print_grid, print_json, say, say_missing
from gateway.cli.words import noun
from gateway.operating.dead_letters import LETTER_FIELDS, close, describe, find_message, hexdump, read_letters, retry
from gateway.operating.workers import Lookout
from gateway.reading.listing import nothing
from processors.dead_letters import Place
from projections.page import Page
from runtime.settings import Settings

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Its place, as `list` shows it: topic/partition/offset.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    letters = noun(app, "dead-letters", "Dead letters: records that nobody could read or handle.")
    letters.command("list", epilog="Example: order-ledger dead-letters list --json")(list_command)
    letters.command("show", epilog="Example: order-ledger dead-letters show intake.orders/3/17")(show_command)
    letters.command("retry", epilog="Example: order-ledger dead-letters retry --all")(retry_command)
    letters.command("close", epilog="Example: order-ledger dead-letters close intake.orders/3/17 --why garbage")(
        close_command
    )


def list_command(*, limit: Limit = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """List dead letters, each record once, with the reason."""
    form = form_of(limit, as_json=as_json, as_csv=as_csv)
    letters = asked(read_letters)
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
    """Show one dead letter: headers, bytes, and their meaning as far as it is readable."""
    place = _place(source)
    message = asked(lambda services: find_message(services, place))
    description = describe(message, codec())
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
    everything: Annotated[bool, typer.Option("--all", help="All open letters.")] = False,
    as_json: Json = False,
) -> None:
    """Send the original bytes again to their topic. This is safe: a command id is answered once."""
    if (source is None) != everything:
        fail("name one letter, or use --all", "", "`dead-letters list` shows the places of all letters")
    place = None if source is None else _place(source)
    outcomes = asked(lambda services: retry(services, place))
    if any(outcome["outcome"] == "sent" for outcome in outcomes):
        Lookout(running_services(), Settings(), say_missing).look()
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
    everything: Annotated[bool, typer.Option("--all", help="All open letters.")] = False,
    why: Annotated[str, typer.Option(help="Why it is closed; stored with the letter.")] = "",
    as_json: Json = False,
) -> None:
    """Close a letter: `doctor` no longer warns about it, `list` still shows it."""
    if (source is None) != everything:
        fail("name one letter, or use --all", "", "`dead-letters list` shows the places of all letters")
    place = None if source is None else _place(source)
    closed = asked(lambda services: close(services, place, why))
    if as_json:
        print_json({"closed": [str(one) for one in closed]})
        return
    for one in closed:
        say(f"{one}: closed")
    if not closed:
        say("nothing to close", err=True)


def _place(text: str) -> Place:
    try:
        return Place.parse(text)
    except ValueError:
        fail(
            f"{text!r} is not the place of a record", "", "write topic/partition/offset, for example intake.orders/3/17"
        )
