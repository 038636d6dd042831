"""Places that hold stock, as they were last registered."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row


def read_locations(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Rows by location: `location_id`, `name`, `kind`, `latitude`, `longitude` (degrees, WGS 84), `country`,
    `daily_capacity` (parcels), `cost_minor_per_parcel`; null if unknown."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT location_id, name, kind, latitude, longitude, country, daily_capacity, cost_minor_per_parcel"
            " FROM locations ORDER BY location_id"
        ).fetchall()
