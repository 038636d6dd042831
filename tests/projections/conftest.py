"""An empty KPI log on a real PostgreSQL; what a test writes is rolled back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from projections.cases.projection import PROJECTION as CASES
from projections.kpi.projection import PROJECTION as KPI
from runtime.postgres import connect, drop_database, ensure_database
from runtime.services import Services
from tests.projections.fact_rows import Log, make_tables


@pytest.fixture(scope="session")
def kpi_database(services: Services) -> Iterator[Services]:
    """With the KPI's tables, once for all tests of this process; those of another would wait for the same rows."""
    name = f"kpi_tests_{uuid.uuid4().hex[:10]}"
    found = replace(services, postgres=ensure_database(services, name))
    with connect(found, "test") as connection:
        make_tables(connection, [CASES, KPI])
    yield found
    drop_database(services, name)


@pytest.fixture
def log(kpi_database: Services) -> Iterator[Log]:
    """Empty KPI tables."""
    with connect(kpi_database, "test") as connection:
        yield Log(connection, [CASES, KPI])
        connection.rollback()


@pytest.fixture
def connection(log: Log) -> psycopg.Connection[Any]:
    """Where that log is written to."""
    return log.connection
