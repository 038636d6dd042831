"""`order-ledger up | down | status`: Kafka and PostgreSQL."""

from __future__ import annotations

import time
from typing import Annotated, NoReturn

import typer

from gateway.cli.terminal import print_json, say, say_fault
from gateway.operating.workers import ANSWER_SECONDS, UNKNOWN, Crew, look, missing, start_command
from processors.topics import ensure_topics
from runtime.errors import Fault
from runtime.progress import progress
from runtime.services import ServiceStatus, down, find_services, status, up
from runtime.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

#: A new broker creates the topic of its groups at the first request about a group, which takes seconds. `up` waits for
#: it, so that the next command gets its answer at once.
FIRST_ANSWER_SECONDS = 15.0


def register(app: typer.Typer) -> None:
    """Add the three commands to the application."""
    app.command("up", epilog="Example: order-ledger up --json")(up_command)
    app.command("down", epilog="Example: order-ledger down")(down_command)
    app.command("status", epilog="Example: order-ledger status --json")(status_command)


def up_command(*, as_json: Json = False) -> None:
    """Start Kafka and PostgreSQL (or check the configured ones); they run until `down`."""
    settings = Settings()
    began = time.monotonic()
    try:
        with progress("looking for services") as bar:
            up(settings, bar.say)
            bar.say("creating topics")
            ensure_topics(find_services(settings), settings)
            bar.say("looking for workers")
            found = status(settings)
            crews = _crews(settings, found, FIRST_ANSWER_SECONDS)
    except Fault as fault:
        _fail(fault, as_json=as_json)
    _show(settings, found, crews, as_json=as_json, seconds=time.monotonic() - began)
    if not all(service.up for service in found):
        raise typer.Exit(1)


def down_command(*, as_json: Json = False) -> None:
    """Stop the embedded services; their data is kept."""
    settings = Settings()
    try:
        stopped = down(settings)
    except Fault as fault:
        _fail(fault, as_json=as_json)
    if as_json:
        print_json({"stopped": stopped, "home": str(settings.home)})
    else:
        say("stopped" if stopped else "nothing was running")


def status_command(*, as_json: Json = False) -> None:
    """Show services, workers and the API, with their addresses and logs. Exit status 1 unless both services answer."""
    settings = Settings()
    found = status(settings)
    _show(settings, found, _crews(settings, found), as_json=as_json)
    if not all(service.up for service in found):
        raise typer.Exit(1)


def _show(
    settings: Settings,
    found: list[ServiceStatus],
    crews: list[Crew] | None,
    *,
    as_json: bool,
    seconds: float | None = None,
) -> None:
    if as_json:
        document: dict[str, object] = {"up": all(s.up for s in found), "home": str(settings.home)}
        document["services"] = [service.as_json() for service in found]
        document["workers"] = None if crews is None else [crew.as_json() for crew in crews]
        document["missing_workers"] = None if crews is None else missing(crews)
        if seconds is not None:
            document["seconds"] = round(seconds, 3)
        print_json(document)
        return
    for service in found:
        state = "up" if service.up else "down"
        say(f"{service.name:<9} {state:<5} {service.address or '-':<40} {service.origin}")
        if service.problem:
            say(f"          {service.problem}")
        if service.log and service.up:
            say(f"          pid {service.pid}, log {service.log}")
    _show_workers(crews)
    say(f"data      {settings.home}")


def _crews(settings: Settings, found: list[ServiceStatus], answer_seconds: float = ANSWER_SECONDS) -> list[Crew] | None:
    """The running workers; None if Kafka, which knows them, does not answer."""
    if not all(service.up for service in found):
        return None
    try:
        return look(find_services(settings), settings, answer_seconds=answer_seconds)
    except UNKNOWN:
        return None


def _show_workers(crews: list[Crew] | None) -> None:
    if crews is None:
        say("workers   unknown until the services run; `order-ledger up` starts the embedded ones")
        return
    for crew in crews:
        addresses = ", ".join(one.address for one in crew.running if one.address)
        what = addresses or f"{crew.processes} {'process' if crew.processes == 1 else 'processes'}"
        what += f", {crew.partitions} partitions" if crew.partitions else ""
        say(f"{crew.name:<9} {'up' if crew.processes else 'down':<5} {what if crew.processes else '-'}")
    absent = [crew.name for crew in crews if not crew.processes]
    if absent:
        say(f"          `{start_command(absent)}` starts the missing workers")


def _fail(fault: Fault, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"up": False, "what": fault.what, "detail": fault.detail, "hint": fault.hint})
    else:
        say_fault(fault)
    raise typer.Exit(1)
