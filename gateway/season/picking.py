"""A warehouse and carriers for orders of the ledger: nobody's real order may leave with them."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from gateway.season.parcels import fulfil
from projections.order_status.reader import read_orders

#: Orders that have something to pick.
_TO_PICK = ("allocated", "partially_allocated", "partially_shipped")
DELIVERED = ("delivered",)

Command = dict[str, Any]


def picking(connection: psycopg.Connection[Any], prefix: str, seed: int, **options: Any) -> Iterator[Command]:
    """Picks, packs and ships what can be shipped of the orders whose ids begin so."""
    return fulfil(orders_of(connection, prefix, _TO_PICK), seed, **options)


def orders_of(connection: psycopg.Connection[Any], prefix: str, statuses: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Orders of one run alone, by what their ids begin with."""
    return (view for view in read_orders(connection, statuses) if view["order_id"].startswith(prefix))
