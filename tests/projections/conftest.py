"""An empty KPI log on a real PostgreSQL; what a test writes is rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from projections.cases.projection import PROJECTION as CASES
from projections.kpi.projection import PROJECTION as KPI
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services
from tests.projections.fact_rows import Log


@pytest.fixture(scope="session")
def kpi_database(services: Services) -> Iterator[Services]:
    ensure_database(services, "kpi_tests")
    yield services
    drop_database(services, "kpi_tests")


@pytest.fixture
def log(kpi_database: Services) -> Iterator[Log]:
    """Empty KPI tables."""
    with connect(kpi_database, "test", database="kpi_tests") as connection:
        yield Log(connection, [CASES, KPI])
        connection.rollback()


@pytest.fixture
def connection(log: Log) -> psycopg.Connection[Any]:
    """Where that log is written to."""
    return log.connection
