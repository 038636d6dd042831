"""Places that hold stock, as they are now."""

from projections.locations.fold import fold
from projections.model import Column, Projection, Table

#: Each fact is the whole row, so what it leaves out is unset again.
LOCATIONS = Table(
    "locations",
    (
        Column("location_id", "text", "key"),
        Column("name", "text", "replace"),
        Column("kind", "text", "replace"),
        Column("latitude", "double precision", "replace"),
        Column("longitude", "double precision", "replace"),
        Column("country", "text", "replace"),
        Column("daily_capacity", "bigint", "replace"),
        Column("cost_minor_per_parcel", "bigint", "replace"),
    ),
)

PROJECTION = Projection("locations", (LOCATIONS,), fold)

__all__ = ["PROJECTION"]
