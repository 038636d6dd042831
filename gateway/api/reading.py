"""What the tables say, as JSON: the very documents that the commands `order`, `inventory` and `kpi` print."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Query
from psycopg_pool import ConnectionPool, PoolTimeout

from gateway.api.problems import Problem, ProblemError
from gateway.orders import order_document
from projections.inventory.reader import read_inventory
from projections.kpi.definitions import OPENABLE, Dimension
from projections.kpi.opening import behind
from projections.kpi.order_cases import read_open_cases
from projections.kpi.reader import kpis
from projections.order_history.reader import read_history
from projections.work_queue.reader import read_queue

#: Rows of one answer: a page that a client can hold; a retailer's whole stock is read with SQL, not with HTTP.
INVENTORY_ROWS_MAX = 10_000

#: Rows of each list behind a figure: what spoils it comes first, so a page holds what somebody wants to look at.
KPI_ROWS_MAX = 10_000


def reading_router(pool: ConnectionPool) -> APIRouter:
    """Routes below /v1 that read; each answer is of one moment."""
    errors: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (404, 422, 503)}
    router = APIRouter(prefix="/v1", tags=["read"], responses=errors)

    @contextmanager
    def connection() -> Iterator[psycopg.Connection[Any]]:
        try:
            with pool.connection() as found, found.transaction():
                found.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield found
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise ProblemError(
                503, "PostgreSQL does not answer", str(error).strip(), "try again; see /readyz"
            ) from error
        except psycopg.errors.UndefinedTable as error:
            what = "the ledger's tables are not there yet"
            raise ProblemError(
                503, what, str(error).strip().splitlines()[0], "the projector makes them when it starts"
            ) from error

    # An order's id may hold slashes, escaped or not; hence `path`, and the longer route first.
    @router.get("/orders/{order_id:path}/history")
    def order_history(order_id: str) -> dict[str, Any]:
        with connection() as database:
            facts = read_history(database, order_id)
        if not facts:
            raise _no_such_order(order_id)
        return {"order_id": order_id, "facts": facts}

    @router.get("/orders/{order_id:path}")
    def order(order_id: str) -> dict[str, Any]:
        with connection() as database:
            found = order_document(database, order_id)
        if found is None:
            raise _no_such_order(order_id)
        return found

    @router.get("/inventory")
    def inventory(
        sku: str | None = None,
        location: str | None = None,
        limit: Annotated[int, Query(ge=1, le=INVENTORY_ROWS_MAX)] = INVENTORY_ROWS_MAX,
    ) -> dict[str, Any]:
        with connection() as database:
            return {"rows": read_inventory(database, sku, location, limit=limit)}

    @router.get("/queue")
    def work_queue(queue: str | None = None) -> dict[str, Any]:
        with connection() as database:
            return {"rows": read_queue(database, queue)}

    @router.get("/cases")
    def open_cases(topic: str | None = None) -> dict[str, Any]:
        with connection() as database:
            return {"rows": read_open_cases(database, topic)}

    @router.get("/kpis")
    def key_figures(
        from_: Annotated[date | None, Query(alias="from")] = None,
        to: date | None = None,
        by: Dimension | None = None,
    ) -> dict[str, Any]:
        with connection() as database:
            return kpis(database, from_=from_, to=to, by=by)

    @router.get("/kpis/{name}/orders")
    def orders_behind(  # noqa: PLR0917 - the parameters of an address have names, not places
        name: str,
        from_: Annotated[date | None, Query(alias="from")] = None,
        to: date | None = None,
        by: Dimension | None = None,
        group: str | None = None,
        limit: Annotated[int, Query(ge=1, le=KPI_ROWS_MAX)] = KPI_ROWS_MAX,
    ) -> dict[str, Any]:
        if name not in OPENABLE:
            raise ProblemError(
                404, "no such figure", f"{name!r} is none of {', '.join(OPENABLE)}", "choose one of them"
            )
        with connection() as database:
            try:
                return behind(database, name, from_=from_, to=to, by=by, group=group, limit=limit)
            except ValueError as error:
                raise ProblemError(422, "these rows cannot be shown", str(error), "see docs/kpis.md") from error

    return router


def _no_such_order(order_id: str) -> ProblemError:
    return ProblemError(
        404, "no such order", f"no order {order_id!r} was placed", "a fresh order is here within a second"
    )
