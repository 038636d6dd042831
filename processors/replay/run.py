"""A replay: facts into the tables of a schema of its own, as of a time, of offsets, or of now.

    replay(services, Wish(chosen(()), until=friday), "friday")
    # Replayed(schema="friday", facts=12_345, seconds=3.2, offsets={…}, …)
    replay(services, Wish(("kpi", "cases"), until=friday, effective=True), "friday_as_it_was")

The wish is a row in the schema. So a replay that was killed goes on when it is called again, and a schema that was
begun otherwise, or that is no replay's, is left alone. A new one begins with the tables of a finished replay where that
helps (`processors.replay.finished`). The live tables are not touched: own consumer without a group, own connections,
small batches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from events.catalogue import LEDGER_TOPICS
from processors.following.positions import Partition
from processors.projector.bare import are_bare, make_bare
from processors.projector.span import Advance, end_offsets_of, fold_span
from processors.replay.build import build
from processors.replay.finished import begin_with, offsets_in
from processors.replay.rebuild import Task, rebuild
from processors.replay.wish import WISH_TABLE, Wish, check_schema
from runtime.errors import Fault
from runtime.kafka import offsets_at
from runtime.postgres import connect
from runtime.services import Services

_DDL = """
CREATE TABLE {} (
    as_of       text NOT NULL,           -- a time (followed by `effective`), offsets, or latest
    projections text[] NOT NULL,
    build       text NOT NULL,           -- what folds: another build does not go on with it
    begun_at    timestamptz NOT NULL,
    ended_at    timestamptz              -- null while it is not complete
)"""

#: The class of advisory locks of replays; any number that nothing else uses with two numbers.
_LOCK_CLASS = 0x0DE2_4E94

#: Called with (activity, done so far, total as far as known, unit).
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A finished replay. `facts` and `seconds` are those of this call. `resumed`: another call had begun it. `base`:
    the finished replay whose tables this call began with.
    """

    schema: str
    as_of: str
    effective: bool
    projections: tuple[str, ...]
    facts: int
    seconds: float
    resumed: bool
    base: str | None
    offsets: Mapping[Partition, int]

    def as_json(self) -> dict[str, Any]:
        """The document that `replay --json` prints."""
        return {
            "schema": self.schema,
            "as_of": self.as_of,
            "effective": self.effective,
            "projections": list(self.projections),
            "facts": self.facts,
            "seconds": round(self.seconds, 3),
            "resumed": self.resumed,
            "base": self.base,
            "offsets": {f"{topic}/{number}": at for (topic, number), at in sorted(self.offsets.items())},
        }


def replay(
    services: Services,
    wish: Wish,
    schema: str,
    *,
    anew: bool = False,
    processes: int | None = None,
    stop: threading.Event | None = None,
    say: Progress = lambda _what, _done, _total, _unit: None,
) -> Replayed:
    """Fold the log into the schema; returns when it is complete. `anew`: first drop what an earlier replay left there,
    and fold from the beginning of the log. `processes`: how many fold a new schema; by default as many as it is worth.

    Raises Fault if the schema is not this replay's, if another process fills it, if the log is shorter than the
    offsets, or if one of the processes ends; StoppedWaitingError when `stop` is set.
    """
    check_schema(schema)
    began = time.monotonic()
    end = end_offsets_of(services)
    if wish.offsets is not None:
        end = within(wish.offsets, end)
    with connect(services, "replay", autocommit=True) as connection, _alone(connection, schema):
        resumed, base = _take_place(connection, schema, wish, end, anew=anew)
        goals = goal(services, wish, end)
        facts = 0

        def advanced(now: Advance) -> None:
            nonlocal facts
            facts = now.facts
            say(f"replaying into {schema}", facts, facts + left(now, goals), "facts")

        task = Task(
            schema,
            tuple(wish.folded),
            until=None if wish.effective else wish.until,
            happened=wish.until if wish.effective else None,
        )
        if are_bare(connection, schema):
            positions = offsets_in(connection, schema)
            offsets = rebuild(
                services,
                task,
                positions,
                end,
                processes=processes,
                stop=stop,
                say=advanced,
                keyed=lambda done, total: say(f"keys and indexes of {schema}", done, total, "tables"),
            )
        else:
            offsets = fold_span(
                services,
                schema,
                end,
                until=task.until,
                happened=task.happened,
                projections=wish.folded,
                stop=stop,
                say=advanced,
            )
        # Written after the rows, and waited for, unlike these: so they are on the disk, too.
        connection.execute(sql.SQL("UPDATE {} SET ended_at = now()").format(sql.Identifier(schema, WISH_TABLE)))
    seconds = time.monotonic() - began
    return Replayed(schema, wish.as_of, wish.effective, wish.projections, facts, seconds, resumed, base, offsets)


def within(offsets: Mapping[Partition, int], ends: Mapping[Partition, int]) -> dict[Partition, int]:
    """These offsets, 0 for a partition that is not named. Raises Fault if the log does not have them."""
    for (topic, number), offset in sorted(offsets.items()):
        if offset > ends.get((topic, number), -1):
            there = f"ends at {ends[topic, number]}" if (topic, number) in ends else "is not there"
            raise Fault(
                "the log does not have these offsets",
                f"{topic}/{number} {there}, {offset} was asked for",
                "are they from this ledger? `order-ledger verify --json` shows where its tables are",
            )
    return {one: offsets.get(one, 0) for one in ends}


def goal(services: Services, wish: Wish, end: Mapping[Partition, int]) -> Mapping[Partition, int]:
    """Roughly where each partition ends, for progress: a fact recorded by a time may be written a little later."""
    if wish.until is None or wish.effective:
        return end
    ms = max(0, int(wish.until.timestamp() * 1000))
    found = offsets_at(services, [services.topic(topic) for topic in LEDGER_TOPICS], ms)
    return {one: min(offset, found.get((services.topic(one[0]), one[1]), offset)) for one, offset in end.items()}


def left(now: Advance, goals: Mapping[Partition, int]) -> int:
    """Facts to read until these goals."""
    return sum(max(0, goal - now.reached[one]) for one, goal in goals.items() if one not in now.ended)


@contextmanager
def _alone(connection: psycopg.Connection[Any], schema: str) -> Iterator[None]:
    """Hold the schema's lock. Two processes that fill it would do no harm, but one that drops it would."""
    lock = [_LOCK_CLASS, schema]
    (free,) = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", lock).fetchone() or (False,)
    if not free:
        raise Fault(
            f"another process fills the schema {schema} now",
            "a replay holds its lock",
            "wait for it, or choose another name with --into",
        )
    yield  # the lock goes with the connection


def _take_place(
    connection: psycopg.Connection[Any], schema: str, wish: Wish, ends: Mapping[Partition, int], *, anew: bool
) -> tuple[bool, str | None]:
    """Make the schema and store the wish; whether it was there, and the replay whose tables were copied. Raises Fault
    if the schema is another's.
    """
    with connection.transaction():
        # One moment: another process may go on with the replay whose tables are copied.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if anew and wish_of(connection, schema) is not None:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        found = wish_of(connection, schema)
        table = sql.Identifier(schema, WISH_TABLE)
        if found is None:
            if _relations(connection, schema):
                raise Fault(
                    f"the schema {schema} is not a replay's",
                    "it has tables, and not the one in which a replay keeps what it is",
                    "choose another name with --into",
                )
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            connection.execute(sql.SQL(_DDL).format(table))
            connection.execute(
                sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, now(), NULL)").format(table),
                [wish.end, list(wish.projections), build()],
            )
            base = None if anew else begin_with(connection, wish, schema, ends)
            if base is None:
                make_bare(connection, wish.folded, schema)
            return False, base
        for what, theirs, ours in (
            ("as of another end", found[0], wish.end),
            ("for other projections", ", ".join(found[1]), ", ".join(wish.projections)),
            ("by another build", found[2], build()),
        ):
            if theirs != ours:
                raise Fault(
                    f"the schema {schema} was begun {what}",
                    f"it is {_short(theirs)}, not {_short(ours)}",
                    "ask for the same again, choose another name with --into, or drop it with --anew",
                )
        connection.execute(sql.SQL("UPDATE {} SET ended_at = NULL").format(table))
        return True, None


def wish_of(connection: psycopg.Connection[Any], schema: str) -> tuple[str, tuple[str, ...], str] | None:
    """What the replay in a schema is of (end, projections), and the build that began it; None if there is none."""
    table = sql.Identifier(schema, WISH_TABLE)
    if connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone() == (None,):
        return None
    query = sql.SQL("SELECT as_of, projections, coalesce(to_jsonb(r)->>'build', 'older') FROM {} AS r").format(table)
    row = connection.execute(query).fetchone()
    return None if row is None else (row[0], tuple(row[1]), row[2])


def _relations(connection: psycopg.Connection[Any], schema: str) -> int:
    query = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s))"
    row = connection.execute(query, [schema]).fetchone()
    return int(row[0]) if row else 0


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}…"
