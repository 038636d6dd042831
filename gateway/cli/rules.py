"""`order-ledger rules check | publish | show`: rules that route orders."""

from __future__ import annotations

import codecs
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from events.routing.commands import RULES_TEXT_MAX
from events.routing.language import RuleBook
from events.routing.rules import RulesError, groups_of, read_rules
from gateway.cli.context import StartServices, finite, open_database, services_for
from gateway.cli.terminal import fail, print_json, say, say_missing
from gateway.operating.workers import Lookout, undecided
from gateway.sending.sources import read_source
from processors.routing.default import IN_FORCE, default_text
from projections.routing.reader import read_rules_rows
from runtime.errors import Fault
from runtime.postgres import connect
from runtime.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
File = Annotated[Path, typer.Argument(help="Rule file (TOML); - reads stdin.")]
RulesId = Annotated[str, typer.Option("--as", help="Id of the rules: `routing` is in force, others are drafts.")]

#: The channel of commands from the command line.
_CHANNEL = "command-line"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    rules = typer.Typer(help="Rules that route orders to locations.", no_args_is_help=True)
    rules.command("check", epilog="Example: order-ledger rules check peak.toml")(check_command)
    rules.command("publish", epilog="Example: order-ledger rules publish peak.toml")(publish_command)
    rules.command("show", epilog="Example: order-ledger rules show --json")(show_command)
    app.add_typer(rules, name="rules")


def check_command(file: File, *, as_json: Json = False) -> None:
    """Check a rule file: show what it does, or what is wrong and where. Needs no services."""
    book, _ = read_file(file)
    if as_json:
        print_json({"valid": True, **as_document(book)})
        return
    say(f"{file}: can be used")
    describe(book)


def publish_command(
    file: File,
    *,
    rules_id: RulesId = IN_FORCE,
    actor: Annotated[str | None, typer.Option(help="Person who publishes them.")] = None,
    timeout: Annotated[float, typer.Option(min=0, callback=finite, help="Seconds to wait for the decision.")] = 120.0,
    start: StartServices = False,
    as_json: Json = False,
) -> None:
    """Put the rules of a file in force: they route all orders from now on."""
    from gateway.sending.publishing import Undecided, publish_lines

    _, text = read_file(file)
    command = {
        "command": "SetRoutingRules",
        "id": f"rules-{uuid.uuid4()}",
        "channel": _CHANNEL,
        "occurred_at": datetime.now(UTC).isoformat(),
        "data": {"rules_id": rules_id, "text": text},
    }
    if actor is not None:
        command["actor"] = actor
    settings = Settings()
    services = services_for(settings, start=start)
    lookout = Lookout(services, settings, say_missing)
    with connect(services, "rules") as connection:
        line = msgspec.json.encode(command)
        try:
            report = publish_lines(
                settings, services, connection, [line], wait=True, timeout_seconds=timeout, on_look=lookout.look
            )
        except Undecided as fault:
            raise undecided(fault, lookout.missing) from fault
    for row in report.outcomes:
        fail(row.what, row.detail, row.hint)
    with open_database() as reading:
        rows = read_rules_rows(reading, rules_id)
    number = rows[0]["number"] if rows else 1
    if as_json:
        print_json({"rules_id": rules_id, "number": number, "in_force": rules_id == IN_FORCE})
    else:
        what = "in force" if rules_id == IN_FORCE else "kept as a draft"
        say(f"{rules_id} version {number}: {what}")


def show_command(
    *,
    rules_id: RulesId = IN_FORCE,
    text: Annotated[bool, typer.Option("--text", help="Print the rule file itself.")] = False,
    shipped: Annotated[
        bool,
        typer.Option("--shipped", help="Show the rules shipped with the product. Needs no services."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the rules in force: version, start time, and what they do."""
    rows: list[dict[str, Any]] = []
    if shipped:
        rules_id = IN_FORCE
    else:
        with open_database() as connection:
            rows = read_rules_rows(connection, rules_id)
    if not rows and rules_id != IN_FORCE:
        fail(
            f"no rules {rules_id}",
            "nobody has published them",
            "publish them: `order-ledger rules publish FILE --as ID`",
        )
    source = rows[0]["text"] if rows else default_text()
    known = {key: rows[0][key] if rows else None for key in ("number", "set_at", "set_by")}
    book = read_rules(source)
    if as_json:
        print_json({"rules_id": rules_id, "shipped": not rows, **known, **as_document(book), "text": source})
    elif text:
        typer.echo(source, nl=not source.endswith("\n"))
    else:
        since = f"version {known['number']}, set {known['set_at']} by {known['set_by']}" if rows else "as shipped"
        say(f"{rules_id}: {since}")
        describe(book)


def read_file(file: Path) -> tuple[RuleBook, str]:
    """The rules of a file and its text; ends the command if they cannot be used."""
    try:
        raw = read_source(file)
        text = raw.decode("utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except Fault as fault:
        fail(fault.what, fault.detail, fault.hint)
    except UnicodeDecodeError as error:
        fail(f"{file} cannot be read", str(error), "name a rule file (TOML, UTF-8)")
    if len(text) > RULES_TEXT_MAX:
        fail(f"{file} is too long", f"it has {len(text):,} characters: at most {RULES_TEXT_MAX:,}", "write fewer rules")
    try:
        return read_rules(text), text
    except RulesError as error:
        fail(f"{file} cannot be used", error.detail, error.hint)


def as_document(book: RuleBook) -> dict[str, Any]:
    """The rules as JSON, without defaults."""
    document: dict[str, Any] = msgspec.to_builtins(book)
    return document


def describe(book: RuleBook) -> None:
    """Print each rule: its orders, locations, criteria and fallbacks."""
    say(f"{book.name}: {book.description}" if book.description else book.name)
    for rule in book.rules:
        parts = {name: msgspec.to_builtins(getattr(rule, name)) for name in ("when", "filters", "limits")}
        say(f"  rule {rule.name}")
        say(f"    for        {_words(parts['when']) or 'every order'}")
        say(f"    from       {_words(parts['filters']) or 'every location'}")
        say(f"    best is    {', then '.join(_group(group) for group in groups_of(rule))}")
        if parts["limits"]:
            say(f"    limits     {_words(parts['limits'])}")
        say(f"    otherwise  {', then '.join(rule.fallbacks) or 'backorder'}")


def _words(part: dict[str, Any]) -> str:
    return "; ".join(f"{name} {_word(value)}" for name, value in part.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)


def _group(group: Mapping[Any, float]) -> str:
    return " + ".join(name if weight == 1 else f"{weight:g} × {name}" for name, weight in group.items())
