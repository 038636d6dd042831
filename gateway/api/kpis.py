"""The figures and the cases behind each: the documents that `kpi` prints."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Query
from psycopg_pool import ConnectionPool

from events.spelling import meant
from gateway.api.parameters import ROWS_MAX, AsOf, By, Effective, FromDay, Limit, ToDay, Word
from gateway.api.problems import PROBLEMS, ProblemError
from gateway.api.tables import of_then, one_moment
from gateway.reading.past import use_figures_of_then
from projections.kpi.definitions import OPENABLE
from projections.kpi.opening import behind
from projections.kpi.reader import kpis


def router(pool: ConnectionPool) -> APIRouter:
    """Routes below /v1/kpis; each answer shows one moment."""
    routes = APIRouter(prefix="/v1/kpis", tags=["read"], responses=PROBLEMS)

    @routes.get("")
    def key_figures(  # noqa: PLR0917 - the parameters of an address have names, not places
        from_: FromDay = None,
        to: ToDay = None,
        by: By = None,
        figure: Annotated[Word | None, Query(description="Only this figure.")] = None,
        limit: Limit | None = None,
        as_of: AsOf = None,
        effective: Effective = None,
    ) -> dict[str, Any]:
        """The six figures with numerator and denominator, and the perfect order; `by` adds groups.

        With a time, from the tables of a replay of `kpi` and `cases` as of then.
        """
        _check_days(from_, to)
        if figure is not None and figure not in OPENABLE:
            raise _no_such_figure(422, figure)
        if limit is not None and by is None:
            raise ProblemError(422, "limit needs by", "limit is the number of groups", "add by, or leave limit out")
        with one_moment(pool) as database, _sayable("these figures cannot be shown"):
            _use_then(database, as_of, effective)
            return kpis(database, from_=from_, to=to, by=by, figure=figure, limit=limit)

    @routes.get("/{name}/orders")
    def orders_behind(  # noqa: PLR0917 - the parameters of an address have names, not places
        name: str,
        from_: FromDay = None,
        to: ToDay = None,
        by: By = None,
        group: Annotated[Word | None, Query(description="Only this group; `by` names the dimension.")] = None,
        limit: Limit = ROWS_MAX,
        as_of: AsOf = None,
        effective: Effective = None,
    ) -> dict[str, Any]:
        """The cases that a figure counted, failures first, and those it left out; `total` is the number of each."""
        if name not in OPENABLE:
            raise _no_such_figure(404, name)
        _check_days(from_, to)
        with one_moment(pool) as database, _sayable("these rows cannot be shown"):
            _use_then(database, as_of, effective)
            return behind(database, name, from_=from_, to=to, by=by, group=group, limit=limit)

    return routes


def _use_then(database: psycopg.Connection[Any], as_of: datetime | None, effective: datetime | None) -> None:
    with of_then():
        use_figures_of_then(database, as_of=as_of, effective=effective)


def _check_days(from_: date | None, to: date | None) -> None:
    if from_ is not None and to is not None and to < from_:
        raise ProblemError(422, "the days are the wrong way round", f"from {from_} is after to {to}", "swap them")


@contextmanager
def _sayable(what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ProblemError(422, what, str(error), "docs/kpis.md lists the groupings of each figure") from error


def _no_such_figure(status: int, name: str) -> ProblemError:
    near = meant(name, OPENABLE)
    hint = f"did you mean {near}?" if near else "choose one of them"
    return ProblemError(status, "no such figure", f"{name!r:.200} is none of {', '.join(OPENABLE)}", hint)
