"""An order with all that several projections know of it: what `order --json` and `GET /v1/orders/{id}` answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from projections.cases.reader import read_cases_of
from projections.deferred_tracking.reader import read_deferred_of
from projections.order_status.reader import read_order
from projections.work_queue.reader import read_queues_of


class Missing(NamedTuple):
    """Why there is no such order, as an error says it."""

    what: str
    detail: str
    hint: str


def order_document(connection: psycopg.Connection[Any], order_id: str) -> dict[str, Any] | None:
    """`read_order`, with `queues`, where a person is or was to decide, the service `cases` about it, the scans that
    wait for the dispatch of their parcel or did so in vain (`deferred_tracking`), and `kept_from_channel`: units by SKU
    and location that it waits for although they are there, because the rules of its channel keep them back. None where
    there is no such order.
    """
    order = read_order(connection, order_id)
    if order is None:
        return None
    waiting = sorted({line["sku"] for line in order["lines"] if line["backordered"]})
    return {
        **order,
        "queues": read_queues_of(connection, order_id),
        "cases": read_cases_of(connection, order_id),
        "deferred_tracking": read_deferred_of(connection, order_id),
        "kept_from_channel": _kept_from(connection, order["channel"], waiting) if waiting else {},
    }


def why_missing(order_id: str, history: Sequence[Mapping[str, Any]]) -> Missing:
    """Why `order_document` has nothing, from the order's history: its PlaceOrder was refused, or none was decided."""
    refused = [fact for fact in history if fact["fact"] == "CommandRefused"]
    if not refused:
        return Missing(
            "no such order",
            f"no command about order {order_id} has reached the tables",
            "check the id: case matters; after sending a command, `order-ledger settle` waits until the tables have it",
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
    from gateway.reading.routing import read_free  # here: few orders wait, and this takes 0.2 s to import

    return read_free(connection, channel, skus)[2]
