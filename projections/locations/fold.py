"""The newest LocationRegistered of a location is its row."""

from collections.abc import Mapping

import polars as pl

from projections.model import SEQUENCE, FactBatch

_COLUMNS = (
    "location_id",
    "name",
    "kind",
    "latitude",
    "longitude",
    "country",
    "daily_capacity",
    "cost_minor_per_parcel",
)


def fold(batch: FactBatch) -> Mapping[str, pl.DataFrame]:
    """Rows for `locations`."""
    return {"locations": batch.facts("LocationRegistered").select(*_COLUMNS, SEQUENCE)}
