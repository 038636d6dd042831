"""One order as it was known at a time: its facts of then, folded into temporary tables that only one connection has.

    with order_then(connection, "A-1", moment):
        read_order(connection, "A-1")["status"]          # the reader of the live tables, on those of then

The facts are the rows of `order_history`, which `verify` proves to be those of the log; so an answer takes as long as
the order has facts, whatever the log has. The live tables are read, never written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
import psycopg

from projections.catalogue import PROJECTIONS
from projections.model import FactBatch, frame_schema
from projections.order_history.reader import FactRow, read_facts
from projections.tables import as_json, ddl, fold, records, upsert
from runtime.errors import Fault
from schemas.contracts import FACT_NAMESPACE, newest

#: What is known of an order from its own facts alone. A service case about it has a stream of its own.
_PROJECTIONS = tuple(PROJECTIONS[name] for name in ("order_status", "work_queue", "deferred_tracking"))

#: Facts of one order: hundreds for the largest wholesale order. More would hold a connection for seconds.
FACTS_MAX = 10_000


@contextmanager
def order_then(connection: psycopg.Connection[Any], order_id: str, until: datetime) -> Iterator[int]:
    """How many facts of the order were recorded by `until`. Within the block, the connection's tables are those of
    then, with this order alone. Needs a connection in autocommit. Raises Fault for more than FACTS_MAX facts.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION READ WRITE")  # temporary tables alone are written
        _ensure_tables(connection)
    with connection.transaction(force_rollback=True):  # leaves no row behind
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE")
        facts = read_facts(connection, order_id, until, FACTS_MAX + 1)
        if len(facts) > FACTS_MAX:
            raise Fault(
                f"order {order_id} has more than {FACTS_MAX:,} facts",
                "they are too many to be folded at each request",
                f"`order-ledger replay order_status --as-of {until.isoformat()}` makes tables of then",
            )
        connection.execute("SET LOCAL search_path TO pg_temp")
        _fold(connection, facts)
        yield len(facts)


def _ensure_tables(connection: psycopg.Connection[Any]) -> None:
    """The temporary tables, once for a connection. They have the names of the live ones, so the search path of the
    connection names temporary tables last: unnamed, PostgreSQL would look there first.
    """
    name = f"pg_temp.{_PROJECTIONS[0].tables[0].name}"
    if connection.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,):
        return
    connection.execute("SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', false)")
    connection.execute("SET LOCAL search_path TO pg_temp")
    for projection in _PROJECTIONS:
        connection.execute(ddl(projection).encode())


def _fold(connection: psycopg.Connection[Any], facts: Sequence[FactRow]) -> None:
    batch = FactBatch(_frames(facts))
    for projection in _PROJECTIONS:
        tables = {table.name: table for table in projection.tables}
        for name, rows in fold(projection, batch).items():
            table = tables[name]
            connection.execute(upsert(table, records(table)).encode(), [as_json(table, rows)])


def _frames(facts: Sequence[FactRow]) -> dict[str, pl.DataFrame]:
    """The facts as the folds have them. What an order's rows do not say (the place in the log) is null."""
    rows = defaultdict(list)
    for seq, fact in enumerate(facts):
        data = newest(f"{FACT_NAMESPACE}.{fact.name}").schema["fields"][-1]["type"]
        envelope = {"topic": "ledger.orders", "seq": seq, "stream_id": fact.order_id, **fact.envelope}
        rows[fact.name].append({**envelope, "data": _typed(data, fact.data)})
    return {
        name: pl.DataFrame(found, schema=frame_schema(name), strict=False, orient="row") for name, found in rows.items()
    }


def _typed(avro: Any, value: Any) -> Any:
    """A JSON value as its contract has it: times as times, and fields that came later with their default."""
    if isinstance(avro, list):
        return None if value is None else _typed(next(branch for branch in avro if branch != "null"), value)
    if not isinstance(avro, dict):
        return value
    if avro.get("logicalType") == "timestamp-micros":
        return datetime.fromisoformat(value)
    if avro["type"] == "record":
        return {one["name"]: _typed(one["type"], value.get(one["name"], one.get("default"))) for one in avro["fields"]}
    if avro["type"] == "array":
        return [_typed(avro["items"], item) for item in value]
    return value
