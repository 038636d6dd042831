"""What a fact costs when all tables are built anew from the log in Kafka: live tables' way, and bare tables.

The log is the one that the ledger has just written. Each way folds it into a schema of its own, all projections, in
turn. `nothing` is the same call for no facts: processes that start, tables that are made and get their keys.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from psycopg import sql

from benchmarks.ours import Ours
from benchmarks.place import Place
from processors.projector.span import end_offsets_of, fold_span
from processors.replay import Wish, replay
from processors.replay.wish import chosen
from runtime.postgres import connect

SCHEMA = "bench_rebuild"
ALL = Wish(chosen(()))
NOTHING = Wish(chosen(()), offsets={})


def rebuilds(place: Place, ours: Ours, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """All rounds of each way to fill all tables."""
    services = ours.services
    ends = end_offsets_of(services)

    def live() -> None:
        fold_span(services, SCHEMA, ends)

    def anew(processes: int, wish: Wish = ALL) -> Callable[[], object]:
        return lambda: replay(services, wish, SCHEMA, anew=True, processes=processes)

    ways: dict[str, Callable[[], object]] = {
        "as the live tables": live,
        "one process": anew(1),
        "two processes": anew(2),
        "two processes, nothing": anew(2, NOTHING),
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            with connect(services, "bench", autocommit=True) as connection:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA)))
            found[name].append(_timed(place, work, sum(ends.values())))
    return found


def _timed(place: Place, work: Callable[[], object], facts: int) -> dict[str, Any]:
    servers, own, begun = place.server_cpu(0), _own(), time.monotonic()
    work()
    seconds, client = time.monotonic() - begun, _own() - own
    spent = {name: value - servers[name] for name, value in place.server_cpu(0).items()} | {"client": client}
    return {
        "facts": facts,
        "seconds": round(seconds, 2),
        "facts_per_second": round(facts / seconds),
        "cpu_us_a_fact": {name: round(value / facts * 1e6, 2) for name, value in spent.items()},
    }


def _own() -> float:
    """CPU seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
