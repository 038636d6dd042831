"""The live tables without a worker: what a projector does until it has caught up.

project(services)
"""

from processors.projector.generations import PUBLIC, begin, live_schema
from processors.projector.span import end_offsets_of, fold_span
from projections.catalogue import PROJECTIONS
from runtime.postgres import connect
from runtime.services import Services


def project(services: Services) -> None:
    """Fold the log up to its present end into the live tables, which are made if they are missing."""
    with connect(services, "test") as connection:
        begin(connection, PROJECTIONS.values())
        schema = live_schema(connection)
    fold_span(services, schema, end_offsets_of(services), misses_in=PUBLIC)
