"""A simulated warehouse and carriers for orders with a given prefix, so that no other order leaves with them."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from gateway.season.parcels import fulfil
from projections.order_status.reader import read_orders

#: Statuses of orders with units to pick.
_TO_PICK = ("allocated", "partially_allocated", "partially_shipped")
DELIVERED = ("delivered",)

Command = dict[str, Any]


def picking(connection: psycopg.Connection[Any], prefix: str, seed: int, **options: Any) -> Iterator[Command]:
    """Commands that pick and ship all allocated units of the orders with this prefix."""
    return fulfil(orders_of(connection, prefix, _TO_PICK), seed, **options)


def orders_of(connection: psycopg.Connection[Any], prefix: str, statuses: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Orders of one run only, by the prefix of their ids."""
    return (view for view in read_orders(connection, statuses) if view["order_id"].startswith(prefix))
