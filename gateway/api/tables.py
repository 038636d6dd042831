"""Common to all addresses that read the tables: data of one moment, and lists in three formats.

The modules `orders`, `stock`, … return the same documents as the commands of the command line.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from psycopg_pool import ConnectionPool, PoolTimeout

from gateway.api.door import wanted
from gateway.api.problems import PROBLEMS, ProblemError
from gateway.reading.listing import csv_lines
from projections.page import Page
from runtime.errors import Fault

#: Formats of a list beside JSON.
_TEXTS = ("text/csv", "application/x-ndjson")
_FORMATS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, **{kind: {"schema": {"type": "string"}} for kind in _TEXTS}}}
}

_Route = TypeVar("_Route", bound=Callable[..., Any])


@contextmanager
def one_moment(pool: ConnectionPool) -> Iterator[psycopg.Connection[Any]]:
    """A read-only connection that sees one moment. Raises ProblemError if the tables or PostgreSQL are not there."""
    with answering(pool) as found, found.transaction():
        found.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield found


@contextmanager
def answering(pool: ConnectionPool) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit. Raises ProblemError if the tables or PostgreSQL are not there."""
    try:
        with pool.connection() as found:
            yield found
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise ProblemError(503, "PostgreSQL does not answer", str(error).strip(), "try again; see /readyz") from error
    except psycopg.errors.UndefinedTable as error:
        what = "the ledger's tables do not exist yet"
        raise ProblemError(
            503, what, str(error).strip().splitlines()[0], "the projector creates them when it starts"
        ) from error


@contextmanager
def of_then() -> Iterator[None]:
    """Questions about the past: what cannot be answered at once is the client's to change. Raises ProblemError."""
    try:
        yield
    except Fault as fault:
        raise ProblemError(422, fault.what, fault.detail, fault.hint) from fault


def reading() -> APIRouter:
    """Routes below /v1 that read; each answer shows one moment."""
    return APIRouter(prefix="/v1", tags=["read"], responses=PROBLEMS)


def listing(routes: APIRouter, path: str) -> Callable[[_Route], _Route]:
    """Adds a list under its address and under the address with `.csv`."""

    def add(route: _Route) -> _Route:
        routes.get(path, response_model=None, responses=_FORMATS)(route)
        routes.get(f"{path}.csv", response_model=None, include_in_schema=False)(route)
        return route

    return add


def as_wanted(request: Request, page: Page) -> Response:
    """The rows in the client's format; JSON also has the number of rows without the limit."""
    kind = "text/csv" if request.url.path.endswith(".csv") else wanted(request, ("application/json", *_TEXTS))
    if kind == "text/csv":
        return Response("".join(csv_lines(page.fields, page)), media_type=kind)
    if kind == "application/x-ndjson":
        return Response("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in page), media_type=kind)
    return JSONResponse({"rows": page, "total": page.total})
