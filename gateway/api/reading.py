"""What the tables say, as JSON: the very documents that the commands `order`, `inventory` and `kpi` print."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import psycopg
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from psycopg_pool import ConnectionPool, PoolTimeout

from gateway.api.door import wanted
from gateway.api.parameters import ROWS_MAX, Limit, OrderId, Word
from gateway.api.problems import PROBLEMS, ProblemError
from gateway.listing import csv_lines
from gateway.orders import order_document
from projections.cases.reader import read_open_cases
from projections.inventory.reader import read_inventory
from projections.order_history.reader import read_history
from projections.page import Page
from projections.work_queue.reader import read_queue

#: Formats of a list beside JSON.
_TEXTS = ("text/csv", "application/x-ndjson")
_FORMATS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, **{kind: {"schema": {"type": "string"}} for kind in _TEXTS}}}
}

_Route = TypeVar("_Route", bound=Callable[..., Any])


@contextmanager
def one_moment(pool: ConnectionPool) -> Iterator[psycopg.Connection[Any]]:
    """A read-only connection to the tables of one moment. ProblemError where they or PostgreSQL are away."""
    try:
        with pool.connection() as found, found.transaction():
            found.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield found
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise ProblemError(503, "PostgreSQL does not answer", str(error).strip(), "try again; see /readyz") from error
    except psycopg.errors.UndefinedTable as error:
        what = "the ledger's tables are not there yet"
        raise ProblemError(
            503, what, str(error).strip().splitlines()[0], "the projector makes them when it starts"
        ) from error


def reading_router(pool: ConnectionPool) -> APIRouter:
    """Routes below /v1 that read; each answer is of one moment."""
    router = APIRouter(prefix="/v1", tags=["read"], responses=PROBLEMS)

    def listing(path: str) -> Callable[[_Route], _Route]:
        """A list's address, and the same with `.csv`."""

        def add(route: _Route) -> _Route:
            router.get(path, response_model=None, responses=_FORMATS)(route)
            router.get(f"{path}.csv", response_model=None, include_in_schema=False)(route)
            return route

        return add

    # An order's id may hold slashes, escaped or not; hence `path`, and the longer route first.
    @router.get("/orders/{order_id:path}/history")
    def order_history(order_id: OrderId) -> dict[str, Any]:
        """All facts of an order, refusals included, in the order of their versions."""
        with one_moment(pool) as database:
            facts = read_history(database, order_id)
        if not facts:
            raise _no_such_order(order_id)
        return {"order_id": order_id, "facts": facts}

    @router.get("/orders/{order_id:path}")
    def order(order_id: OrderId) -> dict[str, Any]:
        """An order as it is now."""
        with one_moment(pool) as database:
            found = order_document(database, order_id)
        if found is None:
            raise _no_such_order(order_id)
        return found

    @listing("/inventory")
    def inventory(
        request: Request,
        *,
        sku: Annotated[Word | None, Query(description="Only this SKU.")] = None,
        location: Annotated[Word | None, Query(description="Only this location.")] = None,
        low: Annotated[bool, Query(description="Only what is at or below its reorder point.")] = False,
        limit: Limit = ROWS_MAX,
    ) -> Response:
        """Stock of each SKU at each location: `total` is the number of rows without the limit."""
        with one_moment(pool) as database:
            return _as_wanted(request, read_inventory(database, sku, location, low=low, limit=limit))

    @listing("/queue")
    def work_queue(
        request: Request,
        queue: Annotated[Word | None, Query(description="Only this queue.")] = None,
        limit: Limit = ROWS_MAX,
    ) -> Response:
        """Orders that a person is to decide about, oldest first."""
        with one_moment(pool) as database:
            return _as_wanted(request, read_queue(database, queue, limit))

    @listing("/cases")
    def open_cases(
        request: Request,
        topic: Annotated[Word | None, Query(description="Only about this.")] = None,
        limit: Limit = ROWS_MAX,
    ) -> Response:
        """Service cases that nobody has resolved, oldest first."""
        with one_moment(pool) as database:
            return _as_wanted(request, read_open_cases(database, topic, limit=limit))

    return router


def _as_wanted(request: Request, page: Page) -> Response:
    """The rows in the format that the client wants; JSON says, too, how many there are without the limit."""
    kind = "text/csv" if request.url.path.endswith(".csv") else wanted(request, ("application/json", *_TEXTS))
    if kind == "text/csv":
        return Response("".join(csv_lines(page.fields, page)), media_type=kind)
    if kind == "application/x-ndjson":
        return Response("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in page), media_type=kind)
    return JSONResponse({"rows": page, "total": page.total})


def _no_such_order(order_id: str) -> ProblemError:
    return ProblemError(
        404, "no such order", f"no order {order_id!r} was placed", "a fresh order is here within a second"
    )
