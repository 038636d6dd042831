"""An order and its history."""

from typing import Any

from fastapi import APIRouter
from psycopg_pool import ConnectionPool

from gateway.api.parameters import AsOf, Effective, OrderId
from gateway.api.problems import ProblemError
from gateway.api.tables import answering, of_then, one_moment, reading
from gateway.reading.orders import Missing, order_document, why_missing
from gateway.reading.past import order_of_then
from projections.order_history.reader import read_history


def router(pool: ConnectionPool) -> APIRouter:
    """Routes below /v1/orders."""
    routes = reading()

    # An order's id may contain slashes, escaped or not. So it is a `path`, and the longer route comes first.
    @routes.get("/orders/{order_id:path}/history")
    def order_history(order_id: OrderId, as_of: AsOf = None, effective: Effective = None) -> dict[str, Any]:
        """All facts of an order, including refusals, by version; or those recorded, or that had occurred, by a time."""
        with one_moment(pool) as database:
            facts = read_history(database, order_id, known_at=as_of, occurred_by=effective)
            if not facts and not (as_of or effective):
                raise ProblemError(404, *why_missing(order_id, facts))
            if not facts and not read_history(database, order_id):
                raise ProblemError(404, *why_missing(order_id, facts))
        return {"order_id": order_id, "facts": facts}

    @routes.get("/orders/{order_id:path}")
    def order(order_id: OrderId, as_of: AsOf = None, effective: Effective = None) -> dict[str, Any]:
        """An order as it is now, or as it was known at an earlier time."""
        if effective is not None:
            raise ProblemError(
                422,
                "an order is not kept as of the time at which things occurred",
                "its units move from state to state in the order in which facts were recorded",
                "use as_of for what was known then; /history takes effective",
            )
        if as_of is not None:
            with answering(pool) as database, of_then():
                found_then = order_of_then(database, order_id, as_of)
            if isinstance(found_then, Missing):
                raise ProblemError(404, *found_then)
            return found_then
        with one_moment(pool) as database:
            found = order_document(database, order_id)
            if found is None:
                raise ProblemError(404, *why_missing(order_id, read_history(database, order_id)))
        return found

    return routes
