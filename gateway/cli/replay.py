"""`order-ledger replay | diff`: tables of the past in a schema of their own, and how they differ from others."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
import typer
from confluent_kafka import KafkaException

from gateway.cli.asking import fail_with, running_services
from gateway.cli.listing import Json
from gateway.cli.swapping import drop_standby_tables, swap_back, swap_tables
from gateway.cli.terminal import fail, print_json, say
from runtime.errors import Fault
from runtime.postgres import connect
from runtime.progress import progress

if TYPE_CHECKING:
    from processors.replay import Difference, Wish

#: Differing rows of a table that are shown by default: enough to see a pattern, on one screen.
ROWS_SHOWN = 10
#: The largest number of them: they are held in memory.
LIMIT_MAX = 100_000

#: A ledger has 36 partitions by default: more processes than that have nothing to do.
PROCESSES_MAX = 36


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        "replay",
        epilog="Example: order-ledger replay order_status inventory --as-of 2026-11-27T18:00:00Z --into friday",
    )(replay_command)
    app.command("diff", epilog="Example: order-ledger diff public replay_latest")(diff_command)


def replay_command(
    projections: Annotated[
        list[str] | None, typer.Argument(metavar="[PROJECTION]...", help="Folders of tables. Default: all.")
    ] = None,
    *,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="TIME|FILE",
            help="A time or a day (UTC unless it has an offset; a day to its end), or a JSON file with offsets such as"
            " `verify --json` prints (- for stdin). Default: the end of the log.",
        ),
    ] = None,
    effective: Annotated[
        bool,
        typer.Option(
            "--effective",
            help="What had occurred by the time of --as-of, as known now: late reports count, and what occurred later "
            "does not. For stock, movements, cases and KPIs.",
        ),
    ] = False,
    into: Annotated[
        str | None, typer.Option(metavar="SCHEMA", help="Schema to fill. Default: a name that follows from --as-of.")
    ] = None,
    anew: Annotated[
        bool,
        typer.Option(
            "--anew", help="Drop what an earlier replay left in this schema; begin at the beginning of the log."
        ),
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=PROCESSES_MAX,
            metavar="N",
            help="Processes that fold a new schema, each up to 600 MB. Default: 2, and 1 for a short log.",
        ),
    ] = None,
    swap: Annotated[
        bool, typer.Option("--swap", help="Make the new tables the live ones; the live ones then stand by.")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Make the tables on standby the live ones again.")] = False,
    drop_standby: Annotated[
        bool, typer.Option("--drop-standby", help="Drop the tables on standby: there is then no way back.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build the tables of an earlier time, or of now, in a schema of their own, from the log; the live tables stay.

    As of a time: what was recorded by then. As of offsets: what the tables held there. A replay that was cut off goes
    on when it is called again in the same way; without --as-of, or with --effective, it goes on to the present end of
    the log. Where a finished replay is of an earlier moment, a new one begins with a copy of its tables.

    With --swap it builds all tables beside the live ones, compares the two, and lets all readers go over at one moment.
    The tables before stay up to date until --drop-standby.
    """
    switches = [
        (name, run)
        for name, wanted, run in (
            ("--swap", swap, partial(swap_tables, processes=processes)),
            ("--back", back, swap_back),
            ("--drop-standby", drop_standby, drop_standby_tables),
        )
        if wanted
    ]
    if switches:
        if len(switches) > 1 or projections or as_of is not None or into is not None or anew or effective:
            detail = "it is for all tables as of now, and the schema has a name already"
            fail(f"{switches[0][0]} goes with no other option than --json and --processes", detail, "call it alone")
        switches[0][1](as_json=as_json)
        return
    from gateway.cli.verification import shown_by
    from processors.replay import replay

    wish = _wish(projections or [], as_of, effective=effective)
    schema = wish.schema if into is None else into
    services = running_services()
    with progress(f"replaying into {schema}", unit="facts") as bar:
        try:
            done = replay(services, wish, schema, anew=anew, processes=processes, say=shown_by(bar))
        except (Fault, KafkaException, psycopg.Error) as error:
            fail_with(error)
    document = done.as_json()
    if as_json:
        print_json(document)
        return
    again = " more" if done.resumed else ""
    of = f"what had occurred by {done.as_of}" if effective else f"as of {_short(done.as_of)}"
    say(f"schema {schema}: {done.facts:,}{again} facts in {done.seconds:.1f} s, {of}")
    if done.base is not None:
        say(f"begun with the tables of {done.base}")
    say("next offsets: " + " ".join(f"{place}={at}" for place, at in document["offsets"].items() if at))
    say(f"to compare: order-ledger diff public {schema}")


def _wish(projections: list[str], as_of: str | None, *, effective: bool) -> Wish:
    from processors.replay.wish import Wish, chosen, moment_of

    names = chosen(projections, effective=effective)
    moment = None if as_of is None else moment_of(as_of)
    if moment is None and effective:
        fail(
            "--effective needs a time",
            "facts occurred at a time, not at an offset" if as_of else "it shows what had occurred by a time",
            "add --as-of 2026-11-27T18:00:00Z",
        )
    if as_of is None:
        return Wish(names)
    if moment is None:
        return Wish(names, offsets=_offsets(as_of))
    if moment > datetime.now(UTC):
        fail("--as-of is in the future", f"{as_of} is not over yet", "leave it out for the present end of the log")
    return Wish(names, until=moment, effective=effective)


def _offsets(name: str) -> Any:
    from processors.replay.wish import offsets_of

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        detail = f"{_short(name)}: {error.strerror or error}"
        fail("--as-of is no time and no file", detail, "write a time as 2026-11-27T18:00:00Z")
    except (ValueError, RecursionError) as error:
        fail("the file of --as-of is not JSON", _short(str(error)), "take the output of `order-ledger verify --json`")
    return offsets_of(document)


def diff_command(
    first: Annotated[str, typer.Argument(metavar="SCHEMA_A", help="A schema: `public` has the live tables.")],
    second: Annotated[str, typer.Argument(metavar="SCHEMA_B", help="Another one, such as of a replay.")],
    *,
    limit: Annotated[
        int, typer.Option(min=0, max=LIMIT_MAX, help="Maximum number of differing rows to show of each table.")
    ] = ROWS_SHOWN,
    as_json: Json = False,
) -> None:
    """Show which rows differ between the tables of two schemas, by key; exit status 1 if any do."""
    from processors.replay import diff

    with connect(running_services(), "diff") as connection:
        found = diff(connection, first, second, limit=limit)
    if as_json:
        print_json(found.as_json())
    else:
        _tell(found)
    if not found.equal:
        raise typer.Exit(1)


def _tell(found: Difference) -> None:
    for schema, more in found.ahead.items():
        if more:
            say(f"{schema} has read {more:,} facts that the other schema has not", err=True)
    for schema, names in found.not_compared.items():
        say(f"not compared, only in {schema}: {', '.join(names)}", err=True)
    for name, table in found.tables.items():
        if table.equal:
            continue
        only = ((found.first, table.only_first), (found.second, table.only_second))
        counts = [f"{count:,} only in {schema}" for schema, count in only if count]
        counts += [f"{table.changed:,} changed"] if table.changed else []
        counts += [f"columns only in {schema}: {', '.join(names)}" for schema, names in table.columns.items()]
        say(f"{name}: {'; '.join(counts)}")
        for row in table.rows:
            key = " ".join(str(part) for part in row.key.values())
            if row.first is None or row.second is None:
                say(f"  {key}: only in {found.second if row.first is None else found.first}")
            else:
                say(f"  {key}: " + ", ".join(f"{one} {row.first[one]} → {row.second[one]}" for one in row.first))
        more = table.only_first + table.only_second + table.changed - len(table.rows)
        if more:
            say(f"  … and {more:,} more; --limit N shows more", err=True)
    say(f"{'equal' if found.equal else 'NOT EQUAL'}: {len(found.tables)} tables of {found.first} and {found.second}")


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}…"
