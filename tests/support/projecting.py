"""The live tables without a worker: what a projector does until it has caught up.

project(services)                              # fold the log up to its end
make_live(connection, PROJECTIONS.values())    # empty tables and their views, for rows that a test writes itself
"""

from collections.abc import Collection
from typing import Any

import psycopg

from processors.projector.generations import PUBLIC, Generation, begin, live_schema, schema_of, show
from processors.projector.span import end_offsets_of, fold_span
from processors.projector.write import ensure_tables
from projections.catalogue import PROJECTIONS
from projections.model import Projection
from runtime.postgres import connect
from runtime.services import Services

#: The schema of the tables behind the views that `make_live` makes.
LIVE = schema_of(1)


def project(services: Services) -> None:
    """Fold the log up to its present end into the live tables, which are made if they are missing."""
    with connect(services, "test") as connection:
        begin(connection, PROJECTIONS.values())
        schema = live_schema(connection)
    fold_span(services, schema, end_offsets_of(services), misses_in=PUBLIC)


def make_live(connection: psycopg.Connection[Any], projections: Collection[Projection]) -> None:
    """Tables of some projections, and the views of them that people and readers use."""
    ensure_tables(connection, projections, LIVE)
    show(connection, Generation(1, "test", "live"), projections)
