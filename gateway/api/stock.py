"""Stock of each SKU at each location."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from psycopg_pool import ConnectionPool

from gateway.api.parameters import ROWS_MAX, Limit, Word
from gateway.api.tables import as_wanted, listing, one_moment, reading
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
    ) -> Response:
        """Stock of each SKU at each location; `total` is the number of rows without the limit."""
        with one_moment(pool) as database:
            return as_wanted(request, read_inventory(database, sku, location, low=low, limit=limit))

    return routes
