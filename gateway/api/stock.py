"""Stock of each SKU at each location."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from psycopg_pool import ConnectionPool

from gateway.api.parameters import ROWS_MAX, AsOf, Effective, Limit, Word
from gateway.api.tables import as_wanted, listing, of_then, one_moment, reading
from gateway.reading.past import stock_of_then
from projections.inventory.reader import read_inventory


def router(pool: ConnectionPool) -> APIRouter:
    """The list."""
    routes = reading()

    @listing(routes, "/inventory")
    def inventory(
        request: Request,
        *,
        sku: Annotated[Word | None, Query(description="Only this SKU.")] = None,
        location: Annotated[Word | None, Query(description="Only this location.")] = None,
        low: Annotated[bool, Query(description="Only stock at or below its reorder point.")] = False,
        limit: Limit = ROWS_MAX,
        as_of: AsOf = None,
        effective: Effective = None,
    ) -> Response:
        """Stock of each SKU at each location; `total` is the number of rows without the limit.

        With a time: on_hand, reserved, damaged and quality_hold of a SKU; with `as_of`, everything if a replay of
        `inventory` is as of that time.
        """
        with one_moment(pool) as database:
            if as_of is not None or effective is not None:
                times = {"as_of": as_of, "effective": effective}
                with of_then():
                    return as_wanted(request, stock_of_then(database, sku, location, low=low, limit=limit, **times))
            return as_wanted(request, read_inventory(database, sku, location, low=low, limit=limit))

    return routes
