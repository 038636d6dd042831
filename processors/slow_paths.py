"""Counts missed fast paths: a worker did the same work the slow way, with the same result, which nobody would notice.

    misses = Counter({Miss("decode", "refused", "OrderPlaced v2"): 64})
    report("projector", misses)               # into the log
    add(connection, "projector", misses)      # into the table that `order-ledger doctor` reads: all processes in one

Each fast path counts every use of its slow way. If a library refuses today what it took yesterday, there is no error,
only a worker that is ten times as slow.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from runtime.logging import log

_TABLE = """
CREATE TABLE IF NOT EXISTS slow_paths (
    worker  text COLLATE "C" NOT NULL,
    path    text COLLATE "C" NOT NULL,  -- decode, accept, takeover, route
    why     text COLLATE "C" NOT NULL,  -- a stable word: why the fast way was not taken
    about   text COLLATE "C" NOT NULL,  -- the contract, the topic or the rule
    count   bigint NOT NULL,            -- facts; orders where the path is `route`
    last_at timestamptz NOT NULL,
    PRIMARY KEY (worker, path, why, about))
"""

#: Any number that nothing else locks: workers that start together must not both create the table.
_LOCK = 0x510E_9A75


class Miss(NamedTuple):
    """One missed fast path, and why. All three are stable words."""

    path: str
    why: str
    about: str


#: Paths and reasons that are normal in a healthy ledger: the cause is reported elsewhere, or there is none.
EXPECTED = frozenset(
    {
        ("decode", "beside_unreadable"),
        ("accept", "passed_over"),
        ("takeover", "no_snapshot"),
        ("route", "not_proved"),
    }
)


def ensure_table(connection: psycopg.Connection[Any]) -> None:
    """Create the table if it is missing, in the caller's transaction; safe when several workers start at once."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    connection.execute(_TABLE)


def add(connection: psycopg.Connection[Any], worker: str, misses: Mapping[Miss, int], schema: str = "public") -> None:
    """Add to the counts in a schema, in the caller's transaction."""
    if not misses:
        return
    rows = [(worker, *miss, count) for miss, count in sorted(misses.items())]
    statement = sql.SQL(
        "INSERT INTO {} AS t (worker, path, why, about, count, last_at) VALUES (%s, %s, %s, %s, %s, now())"
        " ON CONFLICT (worker, path, why, about)"
        " DO UPDATE SET count = t.count + excluded.count, last_at = excluded.last_at"
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement.format(sql.Identifier(schema, "slow_paths")), rows)


def report(worker: str, misses: Mapping[Miss, int]) -> None:
    """Log a line for each; a warning unless it is expected."""
    for miss, count in sorted(misses.items()):
        tell = log.info if (miss.path, miss.why) in EXPECTED else log.warning
        tell("slow_path", worker=worker, path=miss.path, why=miss.why, about=miss.about, count=count)
