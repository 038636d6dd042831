"""Orders that wait for a person's decision."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from psycopg_pool import ConnectionPool

from gateway.api.parameters import ROWS_MAX, Limit, Word
from gateway.api.tables import as_wanted, listing, one_moment, reading
from projections.work_queue.reader import read_queue


def router(pool: ConnectionPool) -> APIRouter:
    """The list."""
    routes = reading()

    @listing(routes, "/queue")
    def work_queue(
        request: Request,
        queue: Annotated[Word | None, Query(description="Only this queue.")] = None,
        limit: Limit = ROWS_MAX,
    ) -> Response:
        """Orders that wait for a person's decision, oldest first."""
        with one_moment(pool) as database:
            return as_wanted(request, read_queue(database, queue, limit))

    return routes
