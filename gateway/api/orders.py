"""An order and its history."""

from typing import Any

from fastapi import APIRouter
from psycopg_pool import ConnectionPool

from gateway.api.parameters import OrderId
from gateway.api.problems import ProblemError
from gateway.api.tables import one_moment, reading
from gateway.reading.orders import order_document, why_missing
from projections.order_history.reader import read_history


def router(pool: ConnectionPool) -> APIRouter:
    """Routes below /v1/orders."""
    routes = reading()

    # An order's id may contain slashes, escaped or not. So it is a `path`, and the longer route comes first.
    @routes.get("/orders/{order_id:path}/history")
    def order_history(order_id: OrderId) -> dict[str, Any]:
        """All facts of an order, including refusals, by version."""
        with one_moment(pool) as database:
            facts = read_history(database, order_id)
        if not facts:
            raise ProblemError(404, *why_missing(order_id, facts))
        return {"order_id": order_id, "facts": facts}

    @routes.get("/orders/{order_id:path}")
    def order(order_id: OrderId) -> dict[str, Any]:
        """An order as it is now."""
        with one_moment(pool) as database:
            found = order_document(database, order_id)
            if found is None:
                raise ProblemError(404, *why_missing(order_id, read_history(database, order_id)))
        return found

    return routes
