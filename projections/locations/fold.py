"""The newest LocationRegistered of a location is its row."""

from projections.model import SEQUENCE, Deltas, FactBatch

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


def fold(batch: FactBatch) -> Deltas:
    """Rows for `locations`."""
    return {"locations": batch.facts("LocationRegistered").select(*_COLUMNS, SEQUENCE)}
