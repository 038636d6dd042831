"""What was known at an earlier time, or had occurred by then: the same for a command and over HTTP.

One order, and the quantities of one SKU, are made when they are asked for. Whole lists and figures would have to fold
the log, so they are read from a finished replay, if there is one of this moment; the error names the command that makes
it. `as_of`: the facts recorded by then. `effective`: what had occurred by then.

`processors.replay` is imported where it is used: it takes half a second, and most questions are about now.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from events.times import rfc3339
from gateway.reading.orders import Missing, order_alone, why_missing
from projections.inventory.reader import read_inventory
from projections.order_history.reader import read_history
from projections.page import Page
from projections.stock_movements.reader import read_stock_as_of
from runtime.errors import Fault

#: A SKU with millions of movements is added up in a second or two. Longer holds a connection that others wait for.
SECONDS_MAX = 5

#: The projections whose tables the figures are made from.
KPI = ("cases", "kpi")


def past_moment(name: str, text: str) -> datetime:
    """The moment that a text names: a time, UTC if it has no offset, or the end of a day. Raises Fault."""
    from processors.replay.wish import moment_of

    moment = moment_of(text)
    if moment is None:
        hint = "write it as 2026-11-27T18:00:00Z; in an address, + is written %2B"
        raise Fault(f"{name} is no time", f"{text!r:.80}", hint)
    if moment > datetime.now(UTC):
        raise Fault(f"{name} is in the future", f"{text} is not over yet", "leave it out for what is known now")
    return moment


def order_of_then(connection: psycopg.Connection[Any], order_id: str, as_of: datetime) -> dict[str, Any] | Missing:
    """The order as it was known at `as_of`, and that time; or why there was none. Without cases about the order and
    what rules keep back from its channel: other streams tell of these. Needs a connection in autocommit.
    """
    from processors.replay.order import order_then

    with order_then(connection, order_id, as_of):
        order = order_alone(connection, order_id)
    if order is not None:
        return {"as_of": rfc3339(as_of), **order}
    history = read_history(connection, order_id)
    placed = next((fact for fact in history if fact["fact"] == "OrderPlaced"), None)
    if placed is None:
        return why_missing(order_id, history)
    return Missing(
        f"order {order_id} was not known at {rfc3339(as_of)}",
        f"it was placed at {placed['occurred_at']}, which was recorded at {placed['recorded_at']}",
        f"ask for {placed['recorded_at']} or later",
    )


def stock_of_then(
    connection: psycopg.Connection[Any],
    sku: str | None,
    location_id: str | None,
    *,
    as_of: datetime | None,
    effective: datetime | None,
    low: bool = False,
    limit: int | None,
) -> Page:
    """Stock as known at `as_of` (None: now), of what had occurred by `effective` (None: whenever). Of a SKU: on_hand,
    reserved, damaged and quality_hold, the sums of its movements. All columns, of any row, if a finished replay of
    `inventory` is as of this time. In a read-only transaction of its own. Raises Fault for more than can be added up.
    """
    if as_of is not None and effective is None:
        schema = _schema(connection, ("inventory",), as_of)
        if schema is not None:
            _use(connection, schema)
            return read_inventory(connection, sku, location_id, low=low, limit=limit)
    replayed = f"`{_replay(('inventory',), as_of)}` makes them; then ask again" if as_of else ""
    at_any_time = "for stock by the time at which it moved: `order-ledger inventory --at`"
    if low:
        raise Fault("there are no reorder points of that time", "movements do not tell them", replayed or at_any_time)
    if sku is None:
        what = "there are no tables as of that time" if as_of and not effective else "name a SKU"
        detail = "without them, only the stock of one SKU can be added up"
        raise Fault(what, detail, f"add a SKU; {replayed}" if replayed and not effective else at_any_time)
    with _in_time():
        connection.execute(sql.SQL("SET LOCAL statement_timeout TO {}").format(sql.Literal(SECONDS_MAX * 1000)))
        return read_stock_as_of(connection, sku, location_id, at=effective, known_at=as_of, limit=limit)


def use_figures_of_then(
    connection: psycopg.Connection[Any], *, as_of: datetime | None, effective: datetime | None
) -> None:
    """Point the transaction to the tables of the KPIs as of then: those of a finished replay. Raises Fault without
    one. No time: the live tables stay.
    """
    if as_of is not None and effective is not None:
        raise Fault(
            "as_of and effective exclude each other",
            "figures are kept as known at a time, or of what had occurred by it as known now",
            "use one of them",
        )
    moment = as_of or effective
    if moment is None:
        return
    schema = _schema(connection, KPI, moment, effective=effective is not None)
    if schema is None:
        raise Fault(
            "there are no tables as of that time",
            "the figures are made from all orders of then",
            f"`{_replay(KPI, moment, effective=effective is not None)}` makes them; then ask again",
        )
    _use(connection, schema)


def _schema(
    connection: psycopg.Connection[Any], projections: tuple[str, ...], moment: datetime, *, effective: bool = False
) -> str | None:
    from processors.replay.finished import holding
    from processors.replay.wish import Wish

    return holding(connection, Wish(projections, until=moment, effective=effective))


def _use(connection: psycopg.Connection[Any], schema: str) -> None:
    # Temporary tables of `order_then`, if the connection has some, come last.
    connection.execute(sql.SQL("SET LOCAL search_path TO {}, pg_temp").format(sql.Identifier(schema)))


def _replay(projections: tuple[str, ...], moment: datetime, *, effective: bool = False) -> str:
    flag = " --effective" if effective else ""
    return f"order-ledger replay {' '.join(projections)} --as-of {rfc3339(moment)}{flag}"


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise Fault(
            "this takes too long",
            f"its movements were not added up within {SECONDS_MAX} s",
            "`order-ledger replay inventory --as-of` makes tables of then",
        ) from error
