"""Open service cases."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from psycopg_pool import ConnectionPool

from gateway.api.parameters import ROWS_MAX, Limit, Word
from gateway.api.tables import as_wanted, listing, one_moment, reading
from projections.cases.reader import read_open_cases


def router(pool: ConnectionPool) -> APIRouter:
    """The list."""
    routes = reading()

    @listing(routes, "/cases")
    def open_cases(
        request: Request,
        topic: Annotated[Word | None, Query(description="Only this topic.")] = None,
        limit: Limit = ROWS_MAX,
    ) -> Response:
        """Service cases that nobody has resolved, oldest first."""
        with one_moment(pool) as database:
            return as_wanted(request, read_open_cases(database, topic, limit=limit))

    return routes
