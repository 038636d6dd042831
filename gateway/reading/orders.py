"""An order from several projections: the document of `order --json` and `GET /v1/orders/{id}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from projections.cases.reader import read_cases_of
from projections.deferred_tracking.reader import read_deferred_of
from projections.order_status.reader import read_order
from projections.work_queue.reader import read_queues_of


class Missing(NamedTuple):
    """The error for an order that does not exist."""

    what: str
    detail: str
    hint: str


def order_document(connection: psycopg.Connection[Any], order_id: str) -> dict[str, Any] | None:
    """`read_order`, with more fields; None if there is no such order.

    - `queues`: queues in which a person has to decide, or had to
    - `cases`: service cases about the order
    - `deferred_tracking`: scans that wait, or waited too long, for the dispatch of their parcel
    - `kept_from_channel`: units by SKU and location that it waits for, but that rules keep back from its channel
    """
    order = order_alone(connection, order_id)
    if order is None:
        return None
    waiting = sorted({line["sku"] for line in order["lines"] if line["backordered"]})
    return {
        **order,
        "cases": read_cases_of(connection, order_id),
        "kept_from_channel": _kept_from(connection, order["channel"], waiting) if waiting else {},
    }


def order_alone(connection: psycopg.Connection[Any], order_id: str) -> dict[str, Any] | None:
    """The order with what its own facts tell: `read_order`, `queues` and `deferred_tracking`."""
    order = read_order(connection, order_id)
    if order is None:
        return None
    return {
        **order,
        "queues": read_queues_of(connection, order_id),
        "deferred_tracking": read_deferred_of(connection, order_id),
    }


def why_missing(order_id: str, history: Sequence[Mapping[str, Any]]) -> Missing:
    """Why there is no such order, from its history: its PlaceOrder was refused, or none was decided."""
    refused = [fact for fact in history if fact["fact"] == "CommandRefused"]
    if not refused:
        return Missing(
            "no such order",
            f"no command about order {order_id} has reached the tables",
            "check the id and its upper and lower case; `order-ledger settle` waits until the tables are complete",
        )
    newest = next((fact for fact in reversed(refused) if fact["data"]["command"] == "PlaceOrder"), refused[-1])
    why = newest["data"]
    return Missing(
        f"order {order_id} was refused" if why["command"] == "PlaceOrder" else "no such order",
        f"{why['command']} from {newest['channel']} was refused at {newest['recorded_at']}: {why['what']}:"
        f" {why['detail']}",
        why["hint"] or f"`order-ledger story {order_id}` tells what happened",
    )


def _kept_from(connection: psycopg.Connection[Any], channel: str, skus: list[str]) -> dict[str, dict[str, int]]:
    from gateway.reading.routing import read_free  # imported here: few orders wait, and this takes 0.2 s

    return read_free(connection, channel, skus)[2]
